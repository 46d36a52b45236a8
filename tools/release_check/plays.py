"""The steps: each a play of its own, with the programs of both releases."""

from functools import partial

from release_check import days, files, refusals
from release_check.commands import Broken
from release_check.days import check_in, disagree, must_list, record, resolve


def steps(old, new):
    """What is played, in this order: a name, and what takes a forum. A further step goes here."""
    both = ((old, new), (new, old))
    for laptops, hub in both:
        yield f"{laptops} laptops with a hub of the {hub} release", partial(day, laptops, hub)
    yield "old and new laptops, and a hub that is updated and put back", partial(fleet, old, new)
    for writer, reader in both:
        yield (f"a replica written by {writer}, opened by {reader}, and back",
               partial(files.replica, writer, reader))
        yield (f"backups made by {writer}, restored by {reader}",
               partial(files.backups, writer, reader))
        yield (f"a hub's store and backup written by {writer}, served by {reader}",
               partial(files.hub_store, writer, reader))
    for release in (old, new):
        yield f"what {release} does not know", partial(refusals.unknown, release, old, new)


def day(release, hub, forum):
    """From the first start to an erasure: laptops of one release, the hub of another."""
    with forum.hub(hub):
        hq = forum.join("HQ", release)
        forum.lists(hq)
        hq.sync()
        door = forum.join("L1", release, "recorder")
        lead = forum.join("KZ", release, "lead", "delegation/KZ")
        forum.settle(hq, door, lead)
        for laptop in (hq, door):
            record(laptop)
        lead.record("visit", "V12", "KZ", "--departed", "12:00", "--note", "note of the lead",
                    mark=("note", "note of the lead"))
        badge = disagree(hq, door)
        forum.settle(lead, hq, door)
        forum.must_be_one(hq, door)
        must_list(hq, badge)
        resolve(door, badge)
        forum.must_be_one(hq, door)
        days.erase(hq, "UZ-020", [hq, door])
        others = lead.shows("SELECT count(*) FROM visit v JOIN delegation d ON d.id = v.delegation "
                            "WHERE d.code <> 'KZ'")
        lead.sync()
        lead.must_be_whole()
        if others != [[0]]:
            raise Broken(f"{lead} shows visits of delegations that it may not see: {others}")


def fleet(old, new, forum):
    """Two laptops of each release; the hub is updated, and then put back by one release."""
    late = None
    laptops = []
    for stage, release in enumerate((old, new, old)):
        with forum.hub(release):
            if not laptops:
                laptops = [forum.join(name, of) for name, of in (
                    ("O1", old), ("N1", new), ("O2", old), ("N2", new))]
                forum.lists(laptops[0])
            else:
                # With a token of the hub's release before.
                laptops.append(forum.join(f"late{stage}", old if release is new else new,
                                          token=late))
            forum.must_be_one(*laptops)
            o1, n1, o2, n2 = laptops[:4]
            for laptop in laptops:
                record(laptop)
            badges = [disagree(o1, n1), disagree(n2, o2)]
            days.by_stick(o1, n2)
            days.by_stick(n1, o2)
            days.to_hub_and_back(o1)
            days.to_hub_and_back(n1)
            days.meet(o2, n1)
            days.meet(n2, o1)
            forum.must_be_one(*laptops)
            for laptop in laptops:
                for badge in badges:
                    must_list(laptop, badge)
            resolve(o2, badges[0])
            resolve(n1, badges[1])
            days.watch(o1, n1, n2 if release is old else o2)
            days.erase((o1, n1, o2)[stage], f"UZ-{stage + 20:03}", laptops)
            late = forum.token()
            # What waits while the hub is changed.
            for laptop in laptops:
                check_in(laptop)
    with forum.hub(old):
        forum.must_be_one(*laptops)

