"""02 §7, 10 §3-§5, 11 §3, 12 §4, §6: taking runs, keeping them aside, and what a hub's words change."""
from __future__ import annotations

from checker import ed25519
from checker.forks import Names
from checker.identity import clock_take_over, device_id, sha256
from checker.limits import MAX_STORED, Reject
from checker.messages import KEY, SIGNATURE, Run
from checker.model import Changeset
from checker.personal import MISSING, opened
from checker.runs import Header, run_hash

from checker.reading import fitting, hold, split
from pyclient.replica import Replica, tables_of
from pyclient.schema import BASE
from pyclient.sealing import Sealer
from pyclient.store import wall

TAKEN, DUPLICATE, ASIDE, DAMAGED, REFUSED = "taken", "duplicate", "aside", "damaged", "refused"
FINAL = ("POISON", "UPGRADE")  # what others bring changes nothing of these
WAITING = ("GAP", "UPGRADE", "END")  # 08 §7, 10 §3: of a bundle, no other run is kept aside
MAX_BRANCHES = 64


class Refused(Exception):
    """02 §7: a code."""


class Damaged(Exception):
    """10 §3: the run was changed on the way."""


class Ingest:
    """Inside of the caller's transaction."""

    def __init__(self, replica: Replica):
        self.replica, self.store, self.trust, self.schema = replica, replica.store, replica.trust, replica.schema
        self.sealer = Sealer(replica)
        self.state = self.sealer.state
        self.received, self.why = 0, ""

    def offer(self, run: Run, frame: bytes | None = None) -> tuple[str, bytes]:
        """What became of a run that came, and its hash; `frame` is the scope of a bundle's frame (08 §3)."""
        h, this = Header.decode(run.header), run_hash(run.header)
        found = self.store.run(this)
        try:
            if found:
                self.fill(found, h, run, frame is None)
                return (DUPLICATE if found["taken"] is not None else ASIDE), this
            self.genuine(h, this, run)
        except Damaged:
            return DAMAGED, this
        try:
            self.take(h, this, run)
            return TAKEN, this
        except Refused as code:
            self.why = str(code)
            if frame is not None and self.why not in WAITING:
                return REFUSED, this
            self.keep_aside(h, this, run, self.why, frame)
            return ASIDE, this

    def genuine(self, h: Header, this: bytes, run: Run) -> None:
        """10 §3: signature and keys as far as a reader can tell, before anything is kept."""
        if len(run.body) > MAX_STORED or sha256(run.body) != h.body_hash:
            raise Damaged
        key = h.origin[0] if h.origin else self.store.key_of(h.stream)
        if key and not ed25519.verifies(run.seal[:SIGNATURE], this, key):
            raise Damaged
        if not h.later and not fitting(h.checks, run.seal[SIGNATURE:]):
            raise Damaged

    # 02 §7

    def take(self, h: Header, this: bytes, run: Run, aside=None) -> list[Changeset]:
        if not self.is_kept(h, this):
            raise Refused("END")
        if h.later:
            raise Refused("UPGRADE")
        before = self.store.held(h.previous) if h.previous else None
        if h.previous and (not before or (before["stream"], before["last"]) != (h.stream, h.first - 1)):  # step 3
            raise Refused("GAP")
        scope = self.replica.scope_of(h)
        self.meet(h, scope)
        if not self.may_lie_here(h, scope):
            raise Refused("SCOPE")
        names = self.state.names()
        changesets = self.read(h, run, scope, names)
        fault = self.trust.fault(self.device_of(h), scope, tables_of(changesets))  # step 9
        if fault:
            raise Refused(fault)
        is_fork = bool(self.store.runs("stream = ? AND previous IS ? AND taken IS NOT NULL", h.stream, h.previous))
        if is_fork and self.branches(device_id(self.key_of(h))) >= MAX_BRANCHES:
            raise Refused("FORK")
        self.sealer.renew(h.stream)
        self.store_run(h, this, run, scope, changesets, aside)
        self.apply(h, changesets, is_fork, names)
        self.store.set("clock", clock_take_over(self.store.get("clock", 0), changesets[-1].time, wall()))
        if self.schema.device.id in tables_of(changesets):
            self.heed()
        return changesets

    def key_of(self, h: Header) -> bytes:
        return h.origin[0] if h.origin else self.store.key_of(h.stream)

    def device_of(self, h: Header) -> bytes:
        return device_id(self.key_of(h))

    def meet(self, h: Header, scope: bytes) -> None:
        """02 §7 step 4, and 10 §3 of streams that end."""
        for stream, seq, run in h.deps:
            known = self.store.scope_of(stream)
            if known is not None and known != scope:
                raise Refused("POISON")
            found = self.store.held(run)
            if found and (found["stream"], found["last"]) == (stream, seq):
                continue
            if not self.held_to_end(stream):
                raise Refused("GAP")

    def held_to_end(self, stream: bytes) -> bool:
        """10 §3: whether a stream ends, and is held up to there; of several cuts the least end counts."""
        ends = self.trust.ends_of(stream)
        if not ends:
            return False
        least = min(ends, key=lambda each: max((last, run or b"") for last, run in each))
        return all(last == 0 or self.store.held(run) for last, run in least)

    def may_lie_here(self, h: Header, scope: bytes) -> bool:
        """02 §7 step 5."""
        if scope == BASE:
            return True
        is_own = self.key_of(h) == self.replica.public_key
        return bool(self.schema.mark(scope)) and (is_own or self.trust.may_read(scope))

    def read(self, h: Header, run: Run, scope: bytes, names: Names | None) -> list[Changeset]:
        """02 §7 step 6: what the run says, values as they lie."""
        called, mark = self.state.called(h, names), self.schema.mark(scope)
        try:
            changesets = self.replica.bodies.open(h, run.body, called, scope)
            hold(h, changesets, called)
        except (Reject, ValueError):
            raise Refused("POISON") from None
        for item in (item for c in changesets for item in c.rows) if mark else ():
            known = self.schema.tables.get(item.table)
            if item.row[-4:] != mark or known and not known.divided:
                raise Refused("POISON")
        return changesets

    def branches(self, device: bytes) -> int:
        """02 §7: how many branches a device has."""
        found = self.store.db.execute(
            "SELECT r.stream, s.key, count(*) - 1 FROM run r JOIN stream s ON s.id = r.stream "
            "WHERE r.taken IS NOT NULL GROUP BY r.stream, r.previous HAVING count(*) > 1").fetchall()
        return sum(n for _, key, n in found if device_id(key) == device)

    def store_run(self, h: Header, this: bytes, run: Run, scope: bytes, changesets: list[Changeset], aside) -> None:
        _, keys, left = opened(changesets, run.seal[SIGNATURE:], self.trust.erased())
        seal, taken = run.seal[:SIGNATURE] + keys, self.store.next_taken()
        self.store.note_stream(h)
        if aside:
            self.store.db.execute("UPDATE run SET seal = ?, taken = ?, reason = NULL, scope = ?, missing = ? "
                                  "WHERE id = ?", (seal, taken, scope, left, aside["id"]))
        else:
            self.insert(h, this, run, scope, seal, taken=taken, missing=left)
        self.received += h.count

    def insert(self, h: Header, this: bytes, run: Run, scope: bytes | None, seal: bytes, **more) -> None:
        values = {"hash": this, "stream": h.stream, "first": h.first, "last": h.last, "previous": h.previous,
                  "scope": scope, "header": run.header, "seal": seal, "body": run.body, "received": wall()} | more
        marks = ", ".join("?" * len(values))
        self.store.db.execute(f"INSERT INTO run({', '.join(values)}) VALUES ({marks})", tuple(values.values()))

    def apply(self, h: Header, changesets: list[Changeset], is_fork: bool, names: Names | None) -> None:
        if is_fork:
            self.store.set("forked", True)
        if is_fork or names:
            self.state.rebuild()
            return
        keys = self.store.run_keys(h)
        self.state.apply(self.state.settled(opened(changesets, keys, self.trust.erased())[0]))

    # 10 §3, §5

    def is_kept(self, h: Header, this: bytes) -> bool:
        """10 §2: whether a run isn't behind an end of its stream: each cut has to keep it."""
        return all(any(self.on_the_way(this, h.last, *end) for end in ends) for ends in self.trust.ends_of(h.stream))

    def on_the_way(self, this: bytes, last: int, end: int, run: bytes | None) -> bool:
        if end == 0 or last > end:
            return False
        if this == run:
            return True
        at = self.store.held(run)
        if not at:
            return last < end
        while at and at["last"] > last:
            at = self.store.held(at["previous"]) if at["previous"] else None
        return bool(at) and at["hash"] == this

    def keep_aside(self, h: Header, this: bytes, run: Run, reason: str, frame: bytes | None) -> None:
        """Stored as it came, outside of the state; keys of what is erased are not (12 §4, §6)."""
        keys = run.seal[SIGNATURE:]
        if self.trust.erased() and any(keys):
            try:
                streams, scope = [dep[0] for dep in h.deps], self.replica.scope_of(h) or b""
                changesets = self.replica.bodies.open(h, run.body, streams, scope)
                keys = opened(changesets, keys, self.trust.erased())[1]
            except Exception:
                keys = bytes(len(keys))
        self.store.note_stream(h)
        self.insert(h, this, run, self.replica.scope_of(h) or frame, run.seal[:SIGNATURE] + keys, reason=reason)

    def reconsider(self) -> int:
        """09 §4, 10 §5: looks again at what is kept aside, for as long as any of it is taken."""
        total, moved = 0, True
        while moved:
            moved = False
            for found in self.store.runs("taken IS NULL ORDER BY id"):
                if found["reason"] in FINAL:
                    continue
                h = Header.decode(found["header"])
                run = Run(found["header"], found["seal"], found["body"])
                try:
                    self.genuine(h, found["hash"], run)
                    self.take(h, found["hash"], run, aside=found)
                    total, moved = total + 1, True
                except Damaged:
                    self.store.db.execute("DELETE FROM run WHERE id = ?", (found["id"],))
                except Refused as code:
                    self.store.db.execute("UPDATE run SET reason = ? WHERE id = ?", (str(code), found["id"]))
        return total

    # What a hub's words change

    def heed(self) -> None:
        """10 §3, 12 §6: certificates, cuts and erasures that a run may have brought count from here on."""
        self.trust.forget()
        anew = False
        for stream, in self.store.db.execute("SELECT DISTINCT stream FROM run WHERE taken IS NOT NULL").fetchall():
            if self.trust.ends_of(stream):
                anew = self.end(stream) or anew
        erased = sorted(row.hex() for row in self.trust.erased())
        if erased != self.store.get("erased", []):
            self.state.keep_keys()
            self.store.set("erased", erased)
            self.store.set("scrub", True)
            anew = True
        if anew:
            self.state.rebuild()

    def end(self, stream: bytes) -> bool:
        """10 §3: takes the runs behind the end out of the state; whether there were any."""
        gone = [r["id"] for r in self.store.runs("stream = ? AND taken IS NOT NULL", stream)
                if not self.is_kept(Header.decode(r["header"]), r["hash"])]
        for number in gone:
            self.store.db.execute("UPDATE run SET taken = NULL, reason = 'END' WHERE id = ?", (number,))
        return bool(gone)

    # 12 §4

    def fill(self, found, h: Header, run: Run, is_feed: bool) -> None:
        """Takes keys that are missing here, and notes whether the hub lacks some, by its feed."""
        came, here = run.seal[SIGNATURE:], found["seal"][SIGNATURE:]
        if run.body != found["body"] or not fitting(h.checks, came):
            raise Damaged
        size = len(h.checks) // 16
        came, here = came or bytes(size * KEY), here or bytes(size * KEY)
        both = b"".join(b if a == MISSING else a for a, b in zip(split(here), split(came)))
        if found["taken"] is None:
            if both != here:
                self.store.db.execute("UPDATE run SET seal = ? WHERE id = ?",
                                      (found["seal"][:SIGNATURE] + both, found["id"]))
            return
        scope, names = found["scope"], self.state.names()
        changesets = self.replica.bodies.open(h, found["body"], self.state.called(h, names), scope)
        _, kept, left = opened(changesets, both, self.trust.erased())
        if kept != here:
            self.store.db.execute("UPDATE run SET seal = ?, missing = ? WHERE id = ?",
                                  (found["seal"][:SIGNATURE] + kept, left, found["id"]))
            self.state.rebuild()
        if is_feed and any(a != MISSING and b == MISSING for a, b in zip(split(kept), split(came))):
            self.store.db.execute("UPDATE run SET give = 1 WHERE id = ?", (found["id"],))
