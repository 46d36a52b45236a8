"""03 §1, §2, 02 §8: the state as a function of the runs that are held."""
from __future__ import annotations

from dataclasses import replace

from checker.forks import Line, Names
from checker.identity import Dot, sha256
from checker.encoding import NULL, encode
from checker.merge import Live
from checker.messages import SIGNATURE
from checker.model import Changeset
from checker.personal import KEY, opened
from checker.runs import Header

from checker.reading import Rows
from pyclient.replica import Replica, branch_free



class State:
    """Applies what runs and the tail say, and makes all of it anew where order alone doesn't do."""

    def __init__(self, replica: Replica):
        self.replica, self.store = replica, replica.store
        self.nowhere: dict[bytes, tuple[bytes, int]] = {}

    # Names (02 §8)

    def names(self) -> Names | None:
        """What the held runs are called; None as long as no stream forks."""
        if branch_free(self.store):
            return None
        return Names({bytes(r["hash"]): Header.decode(r["header"]) for r in self.store.runs("taken IS NOT NULL")})

    def called(self, h: Header, names: Names | None) -> list[bytes]:
        """What the streams of a run's deps are called."""
        if not self.replica.trust.cuts():
            return [names.of(dep) if names else dep[0] for dep in h.deps]
        return [self.called_dep(dep, names) for dep in h.deps]

    def called_dep(self, dep: tuple[bytes, int, bytes], names: Names | None) -> bytes:
        """10 §3: also of a dep that is met because its stream ends, on a run that isn't held."""
        stream, seq, run = dep
        if self.store.held(run):
            return names.of(dep) if names else stream
        places = [line.base for line in names.lines.values()
                  if line.parent and self.root(line) == stream] if names else []
        if not places and seq > self.held_to(stream):
            return stream
        marker = sha256(stream + run)[:16]
        self.nowhere[marker] = stream, min(places, default=0)
        return marker

    def settled(self, changesets: list[Changeset]) -> list[Changeset]:
        """10 §3: dots of a branch that counts nowhere are the stream's up to the lowest place, and nobody's above."""
        def name(dot: Dot) -> Dot:
            stream, lowest = self.nowhere.get(dot[0], (None, 0))
            return (stream, dot[1]) if stream and dot[1] <= lowest else dot

        return [Names({}).renamed(c, c.dot[0], name) for c in changesets] if self.nowhere else changesets

    @staticmethod
    def root(line: Line) -> bytes:
        """02 §8: the stream that a branch goes back to."""
        while line.parent:
            line = line.parent
        return line.name

    # What is held

    def held_to(self, stream: bytes) -> int:
        last = self.store.db.execute("SELECT max(last) FROM run WHERE stream = ? AND taken IS NOT NULL", (stream,))
        tail = self.store.db.execute("SELECT max(seq) FROM tail WHERE stream = ?", (stream,))
        return max(last.fetchone()[0] or 0, tail.fetchone()[0] or 0)

    def apply(self, changesets: list[Changeset]) -> None:
        """03 §2: of changesets that come in causal order."""
        for changeset in changesets:
            for item in changeset.rows:
                for op in item.ops:
                    self.store.drop_live(item.table, item.row, op)
                    self.store.add_live(item.table, item.row, Live(changeset.dot, changeset.time, op))

    # The tail (01 §4, 12 §3)

    def tail(self, stream: bytes) -> list[Changeset]:
        """The changesets that no run holds, as they lie: sealed values sealed."""
        found = self.store.db.execute("SELECT seq, body, streams FROM tail WHERE stream = ? ORDER BY seq",
                                      (stream,)).fetchall()
        if not found:
            return []
        tip, scope = self.store.tip(stream), self.store.db.execute(
            "SELECT scope FROM lane WHERE stream = ?", (stream,)).fetchone()[0]
        streams = split_ids(found[-1][2])
        return Rows(b"".join(body for _, body, _ in found), stream, found[0][0], tip["hash"] if tip else b"", streams,
                    self.replica.schema.name, mark=self.replica.schema.mark(scope)).changesets()

    def tail_keys(self, stream: bytes) -> bytes:
        found = self.store.db.execute("SELECT keys FROM tail WHERE stream = ? ORDER BY seq", (stream,))
        return b"".join(keys for keys, in found)

    def tails(self) -> list[tuple[list[Changeset], bytes]]:
        """Changesets and keys of each tail that isn't empty."""
        found = self.store.db.execute("SELECT DISTINCT stream FROM tail").fetchall()
        return [(self.tail(stream), self.tail_keys(stream)) for stream, in found]

    # All of it

    def contents(self) -> list[tuple[Changeset, int | None]]:
        """Every changeset that counts under the names of now, opened, with when it came; stream by stream."""
        names, raw, found = self.names(), {}, []
        runs = self.store.runs("taken IS NOT NULL ORDER BY taken")
        headers = {bytes(r["hash"]): Header.decode(r["header"]) for r in runs}
        for r in runs:
            h = headers[bytes(r["hash"])]
            said = self.replica.bodies.open(h, r["body"], self.called(h, names), r["scope"])
            raw[bytes(r["hash"])] = self.settled(said)
        if names:
            names.share(raw)
        for r in runs:
            this = bytes(r["hash"])
            clear, _, _ = opened(raw[this], r["seal"][SIGNATURE:], self.replica.trust.erased())
            said = clear if names is None else unsealed(names.changesets(this, raw), raw[this], clear)
            found += [(c, r["received"]) for c in said]
        for changesets, keys in self.tails():
            found += [(c, None) for c in opened(changesets, keys, self.replica.trust.erased())[0]]
        return sorted(found, key=lambda each: each[0].dot)

    def rebuild(self) -> None:
        """03 §1 by its definition, whatever came first."""
        ops, gone = {}, {}
        for changeset, _ in self.contents():
            for item in changeset.rows:
                for op in item.ops:
                    cell = item.table, item.row, *op.cell
                    ops.setdefault(cell, {}).setdefault(changeset.dot, Live(changeset.dot, changeset.time, op))
                    gone.setdefault(cell, set()).update(op.over)
        self.store.db.execute("DELETE FROM live")
        for cell, lives in ops.items():
            for dot, live in lives.items():
                if dot not in gone[cell]:
                    self.store.add_live(cell[0], cell[1], live)

    def keep_keys(self) -> None:
        """12 §6 item 1, §3 item 4: overwrites the keys of what is erased, in runs and tails."""
        erased, names = self.replica.trust.erased(), self.names()
        for r in self.store.runs("length(seal) > ?", SIGNATURE):
            h = Header.decode(r["header"])
            self.store_keys(r, h, names, erased)
        for stream, in self.store.db.execute("SELECT DISTINCT stream FROM tail").fetchall():
            self.keep_tail_keys(stream, erased)

    def store_keys(self, r, h: Header, names: Names | None, erased: set[bytes]) -> None:
        seal, left = r["seal"], 0
        try:
            called = self.called(h, names) if r["taken"] is not None else [dep[0] for dep in h.deps]
            changesets = self.replica.bodies.open(h, r["body"], called, self.replica.scope_of(h) or b"")
            _, keys, left = opened(changesets, seal[SIGNATURE:], erased)
        except Exception:
            if r["taken"] is not None:
                raise
            keys = bytes(len(seal) - SIGNATURE)  # nobody can say whom they are about
        self.store.db.execute("UPDATE run SET seal = ?, missing = ? WHERE id = ?",
                              (seal[:SIGNATURE] + keys, left, r["id"]))

    def keep_tail_keys(self, stream: bytes, erased: set[bytes]) -> None:
        changesets, keys = self.tail(stream), self.tail_keys(stream)
        _, kept, _ = opened(changesets, keys, erased)
        at = 0
        for seq, checks in self.store.db.execute("SELECT seq, checks FROM tail WHERE stream = ? ORDER BY seq",
                                                 (stream,)).fetchall():
            size = len(checks) // 16 * KEY
            self.store.db.execute("UPDATE tail SET keys = ? WHERE stream = ? AND seq = ?",
                                  (kept[at:at + size], stream, seq))
            at += size

    def hash(self, of: set[bytes] | None = None) -> bytes:
        """03 §5; of some scopes it is that of the live ops whose streams are of these."""
        scopes = {stream: where for stream, where in self.store.db.execute(
            "SELECT id, scope FROM stream UNION SELECT stream, scope FROM lane")}
        if names := self.names():
            for line in names.lines.values():
                scopes[line.name] = scopes.get(self.root(line))
        out = [b"karvan/1/state\0"]
        for table, row, live in self.store.all_live():
            if of is None or scopes.get(live.dot[0]) in of:
                value = live.op.value if live.op.action in ("put", "resolve") else NULL
                out.append(encode(("array", (
                    ("int", table), ("blob", row), ("int", live.op.column), ("blob", live.op.element),
                    ("blob", live.dot[0]), ("int", live.dot[1]), ("int", live.time), value))))
        return sha256(b"".join(out))


def split_ids(data: bytes) -> list[bytes]:
    return [data[i:i + 16] for i in range(0, len(data), 16)]


def unsealed(said: list[Changeset], raw: list[Changeset], clear: list[Changeset]) -> list[Changeset]:
    """Values that lie sealed are what they open to; all else stays as 02 §8 made it."""
    before, after = ({c.dot[1]: c for c in each} for each in (raw, clear))

    def changeset(c: Changeset) -> Changeset:
        rows = [replace(item, ops=tuple(
            replace(op, value=known.value) if lies.value and lies.value[0] == "sealed" else op
            for op, lies, known in zip(item.ops, was.ops, now.ops)))
            for item, was, now in zip(c.rows, before[c.dot[1]].rows, after[c.dot[1]].rows)]
        return replace(c, rows=tuple(rows))

    return [changeset(c) for c in said]
