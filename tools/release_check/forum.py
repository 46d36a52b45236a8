"""A forum: its hub, its laptops, and a ledger of what was recorded on them."""

import contextlib
import json
from collections import Counter

from release_check.commands import Broken
from release_check.compare import different

STORE = "hub.sqlite"
ROUNDS = 8
NEWS_SECONDS = 45
# What the marks of a ledger are found by.
MARKS = {
    "door": "SELECT door FROM observation WHERE door IS NOT NULL",
    "zone": "SELECT zone FROM tally",
    "note": "SELECT text FROM note",
}


class Laptop:
    """One laptop, its replica, and the release that it has now."""

    def __init__(self, forum, name, release):
        self.forum, self.name, self.release, self.hub = forum, name, release, None
        self.file = f"{name}.sqlite"

    def __str__(self):
        return f"{self.name} ({self.release})"

    def run(self, *arguments, ends=0):
        return self.forum.commands.run(
            self.release, "karvan", *arguments, replica=self.file, ends=ends)

    def json(self, *arguments, ends=0):
        return self.run(*arguments, "--json", ends=ends).json

    def record(self, *arguments, mark=None):
        """Records something, and notes in the ledger what was acknowledged.

        `mark` is what can be seen of it: a key of MARKS and the text.
        """
        said = self.json(*arguments, "--as", f"{self.name}'s")
        changes = said.get("changes")
        if not changes:
            raise Broken(f"{' '.join(arguments)} on {self} names no change: {said}")
        self.forum.note(changes, self.name, mark)
        return changes

    def sync(self, ends=0):
        """One sync with the hub that serves now; its address is told where it is new."""
        url = self.forum.url
        told = ("--hub", url) if self.hub != url else ()
        said = self.run("sync", *told, "--json", ends=ends)
        if ends != 0:
            return said
        self.hub = url
        if said.json["quarantined_runs"]:
            raise Broken(f"{self} keeps something aside: {said}")
        return said.json

    def waiting(self):
        return self.json("status")["waiting"]

    def shows(self, query):
        return [list(row.values()) for row in self.json("sql", query)["rows"]]

    def conflicts(self):
        """What is open, without what is one release's own choice of words."""
        return sorted(
            [each["id"], each["class"], each["table"], each["name"], each["column"] or "",
             json.dumps(each["shown"]),
             sorted(json.dumps([it["value"], it["device"], it["person"]])
                    for it in each["candidates"])]
            for each in self.json("conflicts", "list", "--all")["conflicts"])

    def state_hash(self):
        self.forum.commands.figures.hashes += 1
        return self.run("verify", "--state-hash").output.strip()

    def dots(self):
        """Every change that the file holds."""
        lines = self.run("verify", "--export", "-").output.splitlines()
        return {found["dot"] for found in map(json.loads, lines) if "dot" in found}

    def must_be_whole(self):
        found = self.json("verify")
        if found["problems"] or found["lost_commits"]:
            raise Broken(f"{self} is not whole: {found}")


class Forum:
    """All that belongs to one step, in a folder of its own."""

    def __init__(self, commands, sample):
        self.commands, self.sample = commands, sample
        self.url, self.hub_release = None, None
        # What was acknowledged, by whom; what the hub keeps aside; and what all of it shows.
        self.recorded, self.aside, self.marks = {}, ({}, []), []
        self.numbers = Counter()

    # The hub

    @contextlib.contextmanager
    def hub(self, release, store=STORE):
        """A hub of this release serves the store, on a port of its own."""
        serving = self.commands.running(release, "karvan-hub", "serve", "--store", store,
                                        "--listen", "127.0.0.1:0", "--json")
        with serving as running:
            self.url, self.hub_release, self.store = running.first()["url"], release, store
            yield running

    def operator(self, *arguments, release=None, ends=0):
        """A command of the hub's operator, on the store."""
        return self.commands.run(release or self.hub_release, "karvan-hub", *arguments,
                                 "--store", self.store, ends=ends)

    def hub_file(self):
        """The hub's store, as its release's `karvan` reads it."""
        return Laptop(self, self.store.removesuffix(".sqlite"), self.hub_release)

    def token(self, role="coordinator", scope=None):
        scopes = ("--scope", scope) if scope else ()
        said = self.operator("token", "create", "--role", role, *scopes, "--json")
        return said.json["token"]

    # Laptops

    def join(self, name, release, role="coordinator", scope=None, token=None):
        laptop = Laptop(self, name, release)
        laptop.json("init", "--name", name)
        laptop.json("enrol", self.url, token or self.token(role, scope))
        laptop.hub = self.url
        return laptop

    def lists(self, laptop):
        """The sample forum: 520 people, 8 delegations, 24 sites, 35 items."""
        for kind in ("delegations", "sites", "people", "programme"):
            made = laptop.json("import", kind, self.sample / f"{kind}.csv")["created"]
            if not made:
                raise Broken(f"the import of {kind} on {laptop} made nothing")

    @contextlib.contextmanager
    def nearby(self, laptop):
        """The laptop serves others; gives its address."""
        serving = self.commands.running(laptop.release, "karvan", "serve", "--listen",
                                        "127.0.0.1:0", "--json", replica=laptop.file)
        with serving as running:
            yield running.first()["addresses"][0]

    @contextlib.contextmanager
    def watching(self, laptop):
        """The laptop syncs whenever there is something; the block begins after its first sync."""
        before = laptop.json("status")["last_success"]
        told = ("--hub", self.url) if laptop.hub != self.url else ()
        # It looks by itself once an hour: what comes within seconds has been announced.
        watch = self.commands.running(laptop.release, "karvan", "sync", "--watch", "--every",
                                      "3600", *told, replica=laptop.file)
        with watch as running:
            self.commands.until(
                f"a first sync of {running.said.words}",
                lambda: laptop.json("status")["last_success"] != before, NEWS_SECONDS)
            laptop.hub = self.url
            yield running

    # The ledger

    def note(self, changes, author, mark=None, aside=False):
        self.commands.figures.recorded += len(changes)
        if twice := [change for change in changes
                     if change in self.recorded or change in self.aside[0]]:
            self.commands.figures.lost += len(twice)
            raise Broken(f"{author} names {twice} once more, for something new: one is lost")
        recorded, marks = self.aside if aside else (self.recorded, self.marks)
        recorded.update(dict.fromkeys(changes, author))
        if mark:
            marks.append(mark)

    def admit(self, laptop):
        """The operator lets count what a revoked laptop has brought, and so does the ledger."""
        self.operator("quarantine", "admit", "--laptop", laptop)
        recorded, marks = self.aside
        self.recorded |= recorded
        self.marks += marks
        self.aside = {}, []

    def number(self, what):
        self.numbers[what] += 1
        return self.numbers[what]

    # Promises

    def settle(self, *laptops):
        """Syncs until nothing waits and nothing comes any more."""
        for _ in range(ROUNDS):
            said = [laptop.sync() for laptop in laptops]
            if not any(each["sent"] or each["received"] or each["waiting"] for each in said):
                return
        raise Broken(f"not quiet after {ROUNDS} rounds of syncs: {said}")

    def must_hold(self, *stores, author=None):
        """No change is lost: each store holds all that was acknowledged, or what one recorded."""
        wanted = {change for change, of in self.recorded.items() if author in (None, of)}
        lacking = {str(store): wanted - store.dots() for store in stores}
        lost = set().union(*lacking.values())
        self.commands.figures.lost += len(lost)
        if lost:
            raise Broken("changes that were acknowledged are missing: " + "; ".join(
                f"{name} lacks {len(missing)}, such as {sorted(missing)[:3]}"
                for name, missing in lacking.items() if missing))

    def must_show(self, *stores):
        """Every mark of the ledger is shown, once."""
        for kind, query in MARKS.items():
            wanted = Counter(text for of, text in self.marks if of == kind)
            for store in stores:
                found = Counter(row[0] for row in store.shows(query))
                self.commands.figures.lost += (wanted - found).total()
                if found != wanted:
                    raise Broken(f"{store} shows other {kind}s: lacks {list(wanted - found)[:5]}, "
                                 f"has {list((found - wanted).elements())[:5]} beside")

    def must_agree(self, *stores):
        """The same state, the same conflicts, and every file whole."""
        hashes = {str(store): store.state_hash() for store in stores}
        if len(set(hashes.values())) != 1:
            raise Broken(f"the state hashes differ: {hashes}")
        first, *others = stores
        wanted = first.conflicts()
        for store in others:
            if (found := store.conflicts()) != wanted:
                raise Broken(f"`conflicts list --all` of {first} and of {store} differ: "
                             f"{different(wanted, found)}")
        for store in stores:
            store.must_be_whole()

    def must_be_one(self, *laptops):
        """After syncs until nothing waits: one state everywhere, and nothing lost."""
        self.settle(*laptops)
        stores = [*laptops, self.hub_file()]
        self.must_agree(*stores)
        self.must_hold(*stores)
        self.must_show(*stores)
