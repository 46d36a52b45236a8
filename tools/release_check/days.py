"""What people do in a forum: a piece of a day, a disagreement, a stick, a meeting, an erasure."""

from release_check.commands import Broken
from release_check.forum import NEWS_SECONDS

DELEGATIONS = ("KZ", "TR", "UZ", "AZ", "HU")


def record(laptop):
    """An attendance, a visit with a note, and heads in a zone: each with a mark of its own."""
    forum = laptop.forum
    number = forum.number(laptop.name)
    mark = f"{laptop.name} {number}"
    check_in(laptop)
    laptop.record("visit", f"V{forum.number('visits') % 12 + 1:02}",
                  DELEGATIONS[number % len(DELEGATIONS)], "--headcount", str(10 + number),
                  "--note", f"note of {mark}", mark=("note", f"note of {mark}"))
    laptop.record("tally", "V01", f"zone {mark}", f"+{number}", mark=("zone", f"zone {mark}"))


def check_in(laptop):
    """One attendance; gives its door, which no other has."""
    forum = laptop.forum
    door = f"door {laptop.name} {forum.number(f'{laptop.name} doors')}"
    laptop.record("attend", "P07", f"AZ-{forum.number('people') % 100 + 40:03}", "--door", door,
                  mark=("door", door))
    return door


def disagree(one, other):
    """Both set the same columns, neither having seen the other's: a value and a time."""
    number = one.forum.number("disagreements")
    badge, item = f"AZ-{number:03}", f"V{number + 12:02}"
    for laptop, role, time in ((one, "speaker", "10:10"), (other, "guest", "10:45")):
        laptop.record("set", "person", badge, f"role={role}")
        laptop.record("visit", item, "KZ", "--arrived", time)
    return badge


def must_list(laptop, badge):
    if not any(name == badge and of == 2 for _, of, _, name, *_ in laptop.conflicts()):
        raise Broken(f"{laptop} lists no conflict of class 2 on {badge}: {laptop.conflicts()}")


def resolve(laptop, badge):
    """Takes the first value of the conflict on a person; then nobody has to decide it."""
    must_list(laptop, badge)
    found = next(it[0] for it in laptop.conflicts() if it[3] == badge and it[1] == 2)
    laptop.record("conflicts", "resolve", found, "--take", "A", "--reason", "asked them")
    if any(it[0] == found for it in laptop.conflicts()):
        raise Broken(f"{found} is open on {laptop} after it was settled")


def erase(laptop, badge, reading):
    """Has a person forgotten; after syncs no replica shows a name, and all show the badge."""
    query = f"SELECT badge, name_native, name_latin FROM person WHERE badge = '{badge}'"
    if None in laptop.shows(query)[0]:
        raise Broken(f"{badge} has no name to forget on {laptop}")
    laptop.record("erase", badge, "--reason", "asked in writing", "--yes")
    laptop.forum.must_be_one(*reading)
    for store in [*reading, laptop.forum.hub_file()]:
        if store.shows(query) != [[badge, None, None]]:
            raise Broken(f"{store} shows of {badge}, who was erased: {store.shows(query)}")
    for one in reading:
        if one.json("status")["erasures_asked"]:
            raise Broken(f"the erasure of {badge} is not done on {one}")
    if "(erased)" not in laptop.run("erase", badge).output:
        raise Broken(f"{laptop} shows no receipt of the erasure of {badge}")


def by_stick(giver, taker):
    """What was recorded goes from one laptop to another in a file, without a hub."""
    forum = giver.forum
    door = check_in(giver)
    file = f"{giver.name}-{taker.name}-{forum.number('sticks')}.karvan"
    giver.json("bundle", "export", file, "--for", taker.name)
    said = taker.json("bundle", "import", file)["bundles"][0]
    if said["waiting"] or said["refused"] or said["aside"]:
        raise Broken(f"{taker} does not take all of {file} of {giver}: {said}")
    must_show_door(taker, door)
    again = taker.json("bundle", "import", file)["bundles"][0]
    if again["new"]:
        raise Broken(f"{taker} counts {file} twice: {again}")


def to_hub_and_back(laptop):
    """A stick goes to the hub, and its answer comes back: then nothing waits."""
    forum = laptop.forum
    door = check_in(laptop)
    number = forum.number("sticks")
    there, back = f"there-{number}.karvan", f"back-{number}.karvan"
    laptop.json("bundle", "export", there)
    forum.operator("bundle", "import", there)
    must_show_door(forum.hub_file(), door)
    forum.operator("bundle", "export", back, "--for", laptop.name)
    laptop.json("bundle", "import", back)
    if laptop.waiting():
        raise Broken(f"something waits on {laptop} after the hub's answer came on a stick")


def meet(host, guest):
    """Two laptops in one network; each gets what the other has recorded."""
    doors = [check_in(host), check_in(guest)]
    with host.forum.nearby(host) as address:
        guest.json("sync", "--peer", address)
        for laptop, door in zip((guest, host), doors):
            must_show_door(laptop, door)
        again = guest.json("sync", "--peer", address)
        if again["given"] or again["received"]:
            raise Broken(f"{host} and {guest} had not all after one visit: {again}")
    host.forum.must_agree(host, guest)


def watch(one, other, third):
    """Two laptops watch, and what any of the three records arrives on both."""
    forum = one.forum
    with forum.watching(one), forum.watching(other):
        for author, readers in ((one, (other,)), (other, (one,)), (third, (one, other))):
            door = check_in(author)
            if author is third:
                third.sync()
            for reader in readers:
                forum.commands.until(
                    f"{door} of {author} on {reader}, which watches the hub",
                    lambda reader=reader, door=door: shows_door(reader, door), NEWS_SECONDS)


def shows_door(store, door):
    return store.shows(f"SELECT count(*) FROM observation WHERE door = '{door}'") == [[1]]


def must_show_door(store, door):
    if not shows_door(store, door):
        raise Broken(f"{store} does not show what was recorded at {door}")
