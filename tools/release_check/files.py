"""What one release has written, opened by the other, and back again."""

from release_check import days
from release_check.commands import Broken
from release_check.compare import common, different
from release_check.days import check_in, disagree, must_list, record, resolve

TABLES = ("delegation", "person", "contact", "site", "item", "visit", "observation", "tally",
          "note", "attendance", "attendance_summary")
READINGS = (
    ("status",), ("status", "--mine"), ("verify",), ("conflicts", "list", "--all"),
    ("conflicts", "log"), ("history", "person", "AZ-001"), ("history", "visit", "V13/KZ"),
    ("show", "person", "AZ-001", "--blame"), *(("list", table) for table in TABLES))


def everything(forum, writer):
    """Laptops with all that a file can hold; what waits waits on the first. One of them is lost."""
    hq, l1, lost = (forum.join(name, writer) for name in ("HQ", "L1", "lost"))
    forum.lists(hq)
    forum.settle(hq, l1, lost)
    for laptop in (hq, l1, lost):
        record(laptop)
    badges = [disagree(hq, l1), disagree(l1, hq)]
    forum.settle(hq, l1, lost)
    resolve(hq, badges[1])
    hq.record("set", "person", "AZ-030", "languages+=fr")
    hq.record("person", "add", "--native", "Gülşən Məmmədova", "--delegation", "AZ")
    hq.record("person", "merge", "AZ-022", "AZ-023")
    hq.record("attend", "V01", "UZ-020", "--excused", "allergic to walnuts")
    hq.record("erase", "UZ-020", "--reason", "asked in writing", "--yes")
    forum.settle(hq, l1, lost)
    forum.operator("device", "revoke", "lost", "--reason", "left on the bus")
    zone = "zone of the lost"
    forum.note(lost.json("tally", "V01", zone, "+3")["changes"], "lost", ("zone", zone), aside=True)
    lost.sync(ends=77)
    forum.settle(l1, hq)
    leave_gap(l1, hq)
    record(hq)
    disagree(hq, l1)
    l1.sync()
    must_list(hq, badges[0])
    if not hq.waiting():
        raise Broken(f"nothing waits on {hq}, where a record was just made")
    return hq, l1, badges[0]


def leave_gap(giver, taker):
    """The second of two sticks comes, and the first doesn't: what it brings is kept aside."""
    for number, since in (("1", ()), ("2", ("--since", "gap-1.karvan"))):
        record(giver)
        giver.json("bundle", "export", f"gap-{number}.karvan", "--for", taker.name, *since)
    taker.json("bundle", "import", "gap-2.karvan")
    if not taker.json("status")["quarantined"]:
        raise Broken(f"{taker} keeps nothing aside of a stick behind one that never came")


def with_release(laptop, release):
    """The same file, from now on with the programs of another release."""
    laptop.release = release


def readings(laptop):
    return {" ".join(words): laptop.json(*words) for words in READINGS} | {
        "state hash": laptop.state_hash(), "changes": sorted(laptop.dots())}


def must_read_alike(laptop, before):
    for name, found in readings(laptop).items():
        one, other = common(before[name], found)
        if one != other:
            raise Broken(f"{laptop} reads something else than what was written: {name}: "
                         f"{different(one, other)}")


def replica(writer, reader, forum):
    """A laptop's program is changed, and put back: what it had unsent is sent in the end."""
    with forum.hub(writer):
        hq, l1, badge = everything(forum, writer)
        before = readings(hq)
        with_release(hq, reader)
        must_read_alike(hq, before)
        hq.must_be_whole()
        record(hq)
        resolve(hq, badge)
        after = readings(hq)
        with_release(hq, writer)
        must_read_alike(hq, after)
        record(hq)
        with_release(hq, reader)
        record(hq)
        forum.must_hold(hq, author=hq.name)
        forum.must_be_one(hq, l1)
        forum.admit("lost")
        forum.must_be_one(hq, l1)
        with_release(hq, writer)
        check_in(hq)
        forum.must_be_one(hq, l1)


def backups(writer, reader, forum):
    """A laptop dies with unsent changes, and its backup goes on with the other release."""
    with forum.hub(writer):
        hq, l1, badge = everything(forum, writer)
        again = restored(hq, "monday.karvan", reader)
        must_list(again, badge)
        record(again)
        resolve(again, badge)
        adopt(again)
        forum.must_be_one(again, l1)
        # And back: a backup of the restored one, for a laptop of the first release.
        check_in(again)
        last = restored(again, "tuesday.karvan", writer)
        check_in(last)
        adopt(last)
        forum.must_be_one(last, l1)


def restored(laptop, backup, release):
    """A laptop of another release that goes on from the backup of one that is gone."""
    laptop.run("backup", backup)
    found = type(laptop)(laptop.forum, backup.removesuffix(".karvan"), release)
    found.run("restore", backup)
    laptop.forum.must_agree(laptop, found)
    return found


def adopt(laptop):
    """What the lost file had not sent waits for it, until somebody says that it is gone."""
    laptop.sync()
    if not laptop.waiting():
        raise Broken(f"{laptop} sent what the file that it was restored from may still send")
    laptop.run("adopt")


def hub_store(writer, reader, forum):
    """A hub's machine dies, and its backup is served by the other release; and back."""
    with forum.hub(writer):
        hq, l1, _ = everything(forum, writer)
        forum.operator("backup", "hub-monday.karvan")
        aside = forum.operator("quarantine", "list", "--json").json
        devices = forum.operator("device", "list", "--json").json
        # What the backup lacks, the laptops bring back.
        forum.must_be_one(hq, l1)
        record(l1)
        forum.must_be_one(hq, l1)
    for release, store, backup in ((reader, "again.sqlite", "hub-monday.karvan"),
                                   (writer, "last.sqlite", "hub-tuesday.karvan")):
        forum.commands.run(release, "karvan-hub", "restore", backup, "--store", store)
        with forum.hub(release, store):
            for name, before in (("quarantine", aside), ("device", devices)):
                found = forum.operator(name, "list", "--json").json
                one, other = common(before, found)
                if name == "device":
                    one, other = (
                        [(it["device"], it["name"], it["role"], it["scopes"], bool(it["revoked"]))
                         for it in each["devices"]] for each in (one, other))
                if one != other:
                    raise Broken(f"the {release} hub lists another {name} than the one before: "
                                 f"{different(one, other)}")
            record(hq)
            forum.must_be_one(l1, hq)
            days.to_hub_and_back(hq)
            if release is reader:
                forum.operator("backup", "hub-tuesday.karvan")
            else:
                forum.admit("lost")
            forum.must_be_one(hq, l1)
