"""02 §5, §6: lanes, which are the own streams, and their tails made into runs."""
from __future__ import annotations

import secrets

import zstandard
from checker.forks import Names
from checker.identity import sha256, stream_id
from checker.limits import MAX_INCARNATION, MAX_STORED
from checker.model import Changeset
from checker.runs import Header, run_hash

from pyclient.body_columns import Columns as ColumnsWriter
from pyclient.body_rows import RowsWriter
from checker.reading import Columns, Rows
from pyclient.replica import Replica
from pyclient.schema import UsageError
from pyclient.state import State, split_ids

MAX_DEPS = 1_024
LEVEL = 3


class Sealer:
    """Inside of the caller's transaction."""

    def __init__(self, replica: Replica):
        self.replica, self.store, self.state = replica, replica.store, State(replica)

    # Lanes (00 §1)

    def lane(self, scope: bytes) -> tuple[bytes, int, int]:
        """The own stream of a scope: its id, its incarnation, and up to where its deps are known."""
        found = self.store.db.execute("SELECT stream, incarnation, sealed FROM lane WHERE scope = ?",
                                      (scope,)).fetchone()
        if found:
            return found
        again = self.store.get("copied", False) or scope.decode() in self.store.get("dropped", [])
        return self.open_lane(scope, secrets.randbelow(MAX_INCARNATION) + 1 if again else 0)

    def open_lane(self, scope: bytes, incarnation: int) -> tuple[bytes, int, int]:
        stream = stream_id(self.replica.device, scope, incarnation)
        self.store.db.execute("INSERT OR REPLACE INTO lane VALUES (?, ?, ?, 0)", (scope, stream, incarnation))
        return stream, incarnation, 0

    def renew(self, stream: bytes) -> None:
        """00 §1, 02 §6: goes on as a new incarnation where a run of the own stream comes that wasn't held: this file,
        or another copy of it, was put back."""
        found = self.store.db.execute("SELECT scope FROM lane WHERE stream = ?", (stream,)).fetchone()
        if found:
            self.open_lane(found[0], secrets.randbelow(MAX_INCARNATION) + 1)

    def renew_if_copied(self) -> None:
        """00 §1: a file that was copied or put back goes on under other incarnations."""
        if self.store.was_copied():
            self.seal_all()
            self.store.db.execute("DELETE FROM lane")
            self.store.set("copied", True)
            self.store.set("place", self.store.place())
            noted = self.store.beside.read_text() if self.store.beside.exists() else "0"
            self.store.set("commits", max(self.store.get("commits", 0), int(noted.strip() or 0)))

    # Runs

    def seal_all(self) -> None:
        for scope, in self.store.db.execute("SELECT scope FROM lane").fetchall():
            self.seal(scope)

    def seal(self, scope: bytes) -> None:
        """02 §5: the whole tail of a scope becomes one run."""
        stream, incarnation, sealed = self.lane(scope)
        changesets = self.state.tail(stream)
        if not changesets:
            return
        names, tip = self.state.names(), self.store.tip(stream)
        listed = split_ids(self.store.db.execute("SELECT streams FROM tail WHERE stream = ? ORDER BY seq DESC LIMIT 1",
                                                 (stream,)).fetchone()[0])
        tips = self.tips(scope, names)
        fresh = sorted((row["stream"], name) for name, row in tips.items()
                       if name not in listed and row["taken"] > sealed and row["stream"] != stream)
        called = (listed + [name for _, name in fresh])[:max(MAX_DEPS, len(listed))]
        left = [tips[name]["taken"] for _, name in fresh if name not in called]
        deps = [(tips[name]["stream"], tips[name]["last"], tips[name]["hash"]) for name in called]
        previous = tip["hash"] if tip else None
        encoding, size, body = self.body(changesets, stream, previous, called, scope)
        checks = b"".join(c for c, in self.store.db.execute("SELECT checks FROM tail WHERE stream = ? ORDER BY seq",
                                                            (stream,)))
        origin = None if tip else (self.replica.public_key, scope, incarnation)
        h = Header(stream, changesets[0].dot[1], len(changesets), previous, sha256(body), deps,
                   self.replica.schema.version, encoding, size, origin, checks)
        header = h.encode()
        if Header.decode(header) != h or len(body) > MAX_STORED:
            raise UsageError("the tail can't be sealed: a header or body came out that no reader takes")
        self.store_run(h, header, scope, body, left)

    def store_run(self, h: Header, header: bytes, scope: bytes, body: bytes, left: list[int]) -> None:
        this, keys, taken = run_hash(header), self.state.tail_keys(h.stream), self.store.next_taken()
        self.store.note_stream(h)
        self.store.db.execute(
            "INSERT INTO run(hash, stream, first, last, previous, scope, header, seal, body, received, taken) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, ?)",
            (this, h.stream, h.first, h.last, h.previous, scope, header, self.replica.sign(this) + keys, body, taken))
        self.store.db.execute("DELETE FROM tail WHERE stream = ?", (h.stream,))
        self.store.db.execute("UPDATE lane SET sealed = ? WHERE stream = ?",
                              (min(left, default=taken + 1) - 1, h.stream))

    def tips(self, scope: bytes, names: Names | None) -> dict:
        """02 §6: the last held run of each stream and branch of a scope, by name."""
        found = {}
        for row in self.store.runs("scope = ? AND taken IS NOT NULL ORDER BY last", scope):
            name = row["stream"] if names is None else names.line[row["hash"]].name
            found[name] = row
        return found

    def body(self, changesets: list[Changeset], stream: bytes, previous: bytes | None, called: list[bytes],
             scope: bytes) -> tuple[int, int, bytes]:
        """01 §5, §7: by columns, and by rows where a reader wouldn't find the same in these."""
        place = stream, changesets[0].dot[1], previous or b"", called, self.replica.schema.name
        mark, packed = self.replica.schema.mark(scope), zstandard.ZstdCompressor(level=LEVEL, write_content_size=True)
        plain, encoding = ColumnsWriter(changesets, stream, called).encode(), 2
        try:
            same = Columns(plain, *place, mark=mark).changesets({}) == changesets
        except Exception:
            same = False
        if not same:
            writer = RowsWriter(called)
            plain, encoding = b"".join(map(writer.changeset, changesets)), 0
            if Rows(plain, *place, mark=mark).changesets() != changesets:
                raise UsageError("the tail can't be sealed: it doesn't read as it was written")
        stored = packed.compress(plain)
        return (encoding + 1, len(plain), stored) if len(stored) < len(plain) else (encoding, len(plain), plain)
