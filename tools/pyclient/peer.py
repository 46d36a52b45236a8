"""07 §6: what a device notes of its hub, and what it has to bring."""
from __future__ import annotations

from checker.messages import Cursor, Run, Stub
from checker.runs import Header

from pyclient.blobs import Blobs
from pyclient.replica import Replica
from pyclient.schema import BASE

ROOM = 1_048_576


class Peer:
    """Flags beside the runs: `has` the hub, `named` by the feed, `give` it keys."""

    def __init__(self, replica: Replica):
        self.replica, self.store, self.trust = replica, replica.store, replica.trust

    # Scopes (07 §6.2, decision 0036)

    def note_scopes(self, scopes: list[str]) -> None:
        """What is new is believed at once; what a list lacks stays noted until the next list lacks it too."""
        before, doubt = self.store.get("scopes"), self.store.get("doubt", [])
        if before is None:
            before = [scope.decode() for scope in self.trust.readable()]
        missing = [scope for scope in before if scope not in scopes]
        lost = [scope for scope in missing if scope in doubt]
        self.store.set("scopes", list(dict.fromkeys([*scopes, *(s for s in missing if s not in lost)])))
        self.store.set("doubt", [scope for scope in missing if scope not in lost])

    def doubts(self) -> bool:
        return bool(self.store.get("doubt", []))

    def wanted(self) -> list[bytes]:
        """07 §6.1: scopes to ask for, the base scope first."""
        db, readable = self.store.db, self.trust.readable()
        found = [scope for scope in readable if scope not in (b"*", BASE)]
        if b"*" in readable:
            found += [s for s, in db.execute("SELECT DISTINCT scope FROM run WHERE taken IS NOT NULL ORDER BY scope")]
        unsent = "SELECT DISTINCT scope FROM run WHERE taken IS NOT NULL AND has = 0 ORDER BY scope"
        found += [s for s, in db.execute(unsent)]
        return list(dict.fromkeys([BASE, *found]))

    # Cursors

    def cursor(self, scope: bytes) -> Cursor | None:
        found = self.store.db.execute("SELECT epoch, offset, chain FROM cursor WHERE scope = ?", (scope,)).fetchone()
        return Cursor(*found) if found else None

    def move(self, scope: bytes, cursor: Cursor) -> None:
        self.store.db.execute("INSERT OR REPLACE INTO cursor VALUES (?, ?, ?, ?)",
                              (scope, cursor.epoch, cursor.offset, cursor.chain))

    def start_over(self) -> None:
        """07 §6.3 "EPOCH"."""
        self.store.db.execute("DELETE FROM cursor")
        self.store.db.execute("UPDATE run SET has = 0, named = 0, give = 0")
        self.store.db.execute("DELETE FROM at_hub")

    # What is ahead, and what is to be sent

    def ahead(self, scope: bytes) -> tuple[Stub, ...]:
        """07 §6.1 item 3: the last held run of each stream and branch, where the feed hasn't named it."""
        found = self.store.runs(
            "scope = ? AND taken IS NOT NULL AND named = 0 "
            "AND NOT EXISTS (SELECT 1 FROM run n WHERE n.stream = run.stream "
            "AND n.previous = run.hash AND n.taken IS NOT NULL) ORDER BY stream, last", scope)
        return tuple(Stub(r["stream"], r["last"], r["hash"]) for r in found)

    def unsent(self, scope: bytes) -> list:
        """07 §6.1 item 4: each behind those that it depends on; those of the hub's own streams first."""
        found = self.store.runs("scope = ? AND has = 0 AND taken IS NOT NULL ORDER BY taken", scope)
        key = bytes.fromhex(self.store.get("hubKey", ""))
        return sorted(found, key=lambda r: self.store.key_of(r["stream"]) != key)

    def to_give(self, scope: bytes) -> list:
        """07 §6.2: runs of which the hub is to get keys."""
        return self.store.runs("scope = ? AND give = 1 AND taken IS NOT NULL ORDER BY taken", scope)

    def brought_along(self, runs: list) -> list:
        """10 §4: first runs of streams that are kept aside and that no cut names, which these depend on."""
        found = {}
        for r in runs:
            for stream, _, run in Header.decode(r["header"]).deps:
                if self.store.held(run) or not self.trust.ends_of(stream) or self.trust.is_named(stream):
                    continue
                for first in self.store.runs("stream = ? AND first = 1 AND taken IS NULL LIMIT 1", stream):
                    found[first["hash"]] = first
        return list(found.values())

    def note_heads(self, heads: tuple[Stub, ...], gaps: set[bytes], brought: set[bytes]) -> bool:
        """07 §6.2 "Heads": what a head says stands; whether anything changed.

        Of the streams in gaps, and of those that the request didn't bring, the heads name all branches."""
        before = self.store.db.total_changes
        for stream in dict.fromkeys(head.stream for head in heads):
            named = [head for head in heads if head.stream == stream]
            known = [head for head in named if head.last and self.store.held(head.run)]
            if not known and any(head.last for head in named):
                continue  # a head that names a run which isn't held counts for nothing
            reached: set[bytes] = set()
            for head in known:
                reached |= self.chain(head.run)
            exact = stream in gaps or stream not in brought
            forks = self.forks(stream)
            for r in self.store.runs("stream = ?", stream):
                has = int(r["hash"] in reached)
                if r["has"] != has and (has or exact or not forks):
                    self.store.db.execute("UPDATE run SET has = ? WHERE id = ?", (has, r["id"]))
        return self.store.db.total_changes != before

    # Bundles (08 §6, §7)

    def heads(self, scope: bytes) -> tuple[Stub, ...]:
        """08 §3: the last held run of each stream and branch."""
        found = self.store.runs(
            "scope = ? AND taken IS NOT NULL AND NOT EXISTS (SELECT 1 FROM run n WHERE n.stream = run.stream "
            "AND n.previous = run.hash AND n.taken IS NOT NULL) ORDER BY stream, last", scope)
        return tuple(Stub(r["stream"], r["last"], r["hash"]) for r in found)

    def is_of_epoch(self, epoch: bytes | None) -> bool:
        """Whether a bundle of the hub counts: by the epoch of the cursors, or before there is one."""
        found = [each for each, in self.store.db.execute("SELECT DISTINCT epoch FROM cursor")]
        return epoch is not None and all(each == epoch for each in found)

    def note_receipts(self, heads: tuple[Stub, ...]) -> int:
        """The hub has what they name, and never less; how many runs weren't known to have arrived."""
        reached: set[bytes] = set()
        for head in heads:
            if self.store.held(head.run):
                reached |= self.chain(head.run)
        return sum(self.store.db.execute("UPDATE run SET has = 1 WHERE hash = ? AND has = 0", (run,)).rowcount
                   for run in reached)

    def note_said(self, device: bytes, heads: tuple[Stub, ...]) -> None:
        """What a device says last that it holds counts, whether more or less."""
        self.store.db.execute("DELETE FROM said WHERE device = ?", (device,))
        self.store.db.executemany("INSERT OR IGNORE INTO said VALUES (?, ?, ?, ?)",
                                  [(device, head.stream, head.last, head.run) for head in heads])

    def said_by(self, device: bytes) -> tuple[Stub, ...]:
        found = self.store.db.execute("SELECT stream, last, run FROM said WHERE device = ?", (device,))
        return tuple(Stub(*each) for each in found)

    # 10 §6 "What a device believes"

    def unnamed(self, scope: bytes) -> list:
        """Runs of streams that go on, which the hub is thought to have and its feed hasn't named."""
        found = self.store.runs("scope = ? AND taken IS NOT NULL AND has = 1 AND named = 0", scope)
        return [r for r in found if not self.trust.ends_of(r["stream"])]

    def read_anew(self, scope: bytes) -> None:
        self.store.db.execute("DELETE FROM cursor WHERE scope = ?", (scope,))
        self.store.db.execute("UPDATE run SET named = 0 WHERE scope = ?", (scope,))

    def offer_again(self, runs: list) -> None:
        self.store.db.executemany("UPDATE run SET has = 0 WHERE id = ?", [(r["id"],) for r in runs])

    def forks(self, stream: bytes) -> bool:
        return bool(self.store.db.execute("SELECT 1 FROM run WHERE stream = ? AND taken IS NOT NULL GROUP BY previous "
                                          "HAVING count(*) > 1", (stream,)).fetchone())

    def chain(self, run: bytes | None) -> set[bytes]:
        """The runs on the way to one, itself included."""
        found: set[bytes] = set()
        while run is not None and (at := self.store.run(run)):
            found.add(at["hash"])
            run = at["previous"]
        return found

    def named(self, run: bytes) -> None:
        """07 §6.2: what the feed has named, and the device holds, the hub has."""
        self.store.db.execute("UPDATE run SET has = 1, named = 1 WHERE hash = ?", (run,))

    def waiting(self) -> int:
        """Changesets that the hub isn't known to have."""
        sealed = self.store.db.execute("SELECT sum(last - first + 1) FROM run WHERE has = 0 AND taken IS NOT NULL")
        tails = self.store.db.execute("SELECT count(*) FROM tail")
        return (sealed.fetchone()[0] or 0) + tails.fetchone()[0]

    def drop_lost(self) -> list[bytes]:
        """09 §5: takes from the disk what is held of scopes that may be read no more, once the hub has all of it."""
        dropped, blobs = [], Blobs(self.replica)
        waiting = {scope for scope, _ in blobs.waiting()}
        if self.trust.root is None or self.store.get("scopes") is None:
            return dropped
        for scope, in self.store.db.execute("SELECT DISTINCT scope FROM run WHERE scope IS NOT NULL").fetchall():
            lane = self.store.db.execute("SELECT stream FROM lane WHERE scope = ?", (scope,)).fetchone()
            has_tail = lane and self.store.db.execute("SELECT 1 FROM tail WHERE stream = ?", lane).fetchone()
            if self.trust.may_read(scope) or self.unsent(scope) or has_tail or scope in waiting:
                continue
            blobs.drop(scope)
            self.store.db.execute("DELETE FROM live WHERE stream IN (SELECT id FROM stream WHERE scope = ?)", (scope,))
            for table in ("run", "stream", "lane", "cursor"):
                self.store.db.execute(f"DELETE FROM {table} WHERE scope = ?", (scope,))
            self.store.set("dropped", [*self.store.get("dropped", []), scope.decode()])
            self.store.set("scrub", True)
            dropped.append(scope)
        return dropped


def message(r) -> Run:
    return Run(r["header"], r["seal"], r["body"])


def size(r) -> int:
    """07 §6.1: header, seal and body as stored."""
    return len(r["header"]) + len(r["seal"]) + len(r["body"])
