"""One SQLite file for all that a replica holds; each act is one transaction."""
from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import contextmanager
from pathlib import Path

import cbor2
from checker.encoding import Reader, encode
from checker.merge import Live
from checker.model import Op
from checker.runs import Header

from pyclient.schema import UsageError

TABLES = """
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE run(id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, stream BLOB NOT NULL, first INTEGER NOT NULL,
  last INTEGER NOT NULL, previous BLOB, scope BLOB, header BLOB NOT NULL, seal BLOB NOT NULL, body BLOB NOT NULL,
  received INTEGER, taken INTEGER, reason TEXT, has INTEGER NOT NULL DEFAULT 0, named INTEGER NOT NULL DEFAULT 0,
  give INTEGER NOT NULL DEFAULT 0, missing INTEGER NOT NULL DEFAULT 0);
CREATE INDEX run_chain ON run(stream, last);
CREATE INDEX run_unsent ON run(scope, has, taken);
CREATE TABLE stream(id BLOB PRIMARY KEY, key BLOB NOT NULL, scope BLOB NOT NULL, incarnation INTEGER NOT NULL)
  WITHOUT ROWID;
CREATE TABLE lane(scope BLOB PRIMARY KEY, stream BLOB NOT NULL, incarnation INTEGER NOT NULL,
  sealed INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE tail(stream BLOB, seq INTEGER, body BLOB NOT NULL, streams BLOB NOT NULL, keys BLOB NOT NULL,
  checks BLOB NOT NULL, PRIMARY KEY(stream, seq)) WITHOUT ROWID;
CREATE TABLE live(tbl INTEGER, row BLOB, col INTEGER, element BLOB, stream BLOB, seq INTEGER, time BLOB NOT NULL,
  action TEXT NOT NULL, value BLOB, covers BLOB, PRIMARY KEY(tbl, row, col, element, stream, seq)) WITHOUT ROWID;
CREATE TABLE cursor(scope BLOB PRIMARY KEY, epoch BLOB NOT NULL, offset INTEGER NOT NULL, chain BLOB NOT NULL)
  WITHOUT ROWID;
PRAGMA user_version = 1;
"""
SAID = """
CREATE TABLE IF NOT EXISTS said(device BLOB, stream BLOB, last INTEGER, run BLOB, PRIMARY KEY(device, run))
  WITHOUT ROWID;
"""
AT_HUB = """
CREATE TABLE IF NOT EXISTS at_hub(scope BLOB, digest BLOB, told INTEGER, PRIMARY KEY(scope, digest)) WITHOUT ROWID;
"""


class Store:
    """The file. Readers see whole transactions alone."""

    def __init__(self, path: Path, create: bool = False):
        self.path = path
        if create and path.exists():
            raise UsageError(f"{path} is there already: take another name, or use the replica that it is")
        if not create and not path.is_file():
            raise UsageError(f"there is no replica at {path}: make one with `init`")
        self.db = sqlite3.connect(path, timeout=60, isolation_level=None)
        if create:
            path.chmod(0o600)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=FULL")
        self.db.execute("PRAGMA secure_delete=ON")
        if create:
            self.db.executescript("BEGIN IMMEDIATE;" + TABLES + "COMMIT;")
        elif self.db.execute("PRAGMA user_version").fetchone()[0] != 1:
            raise UsageError(f"{path} isn't a replica that this program made")
        self.db.execute(SAID)
        self.db.execute(AT_HUB)
        self.depth = 0

    def close(self) -> None:
        if self.get("scrub"):
            self.scrub()
        self.db.close()

    @contextmanager
    def transaction(self):
        """One act: all of it is durable, or none. Inner ones are part of the outer one."""
        if self.depth:
            yield
            return
        self.db.execute("BEGIN IMMEDIATE")
        self.depth = 1
        try:
            yield
            count = self.get("commits", 0) + 1
            self.set("commits", count)
            self.db.execute("COMMIT")
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        finally:
            self.depth = 0
        self.note_beside(count)

    # 00 §1: whether the file was copied or put back

    @property
    def beside(self) -> Path:
        return self.path.with_name(self.path.name + ".mark")

    def note_beside(self, count: int) -> None:
        """What was committed last, in a file beside: one that is put back stands before it."""
        temporary = self.beside.with_name(self.beside.name + ".new")
        temporary.write_text(f"{count}\n")
        os.replace(temporary, self.beside)

    def place(self) -> list[int]:
        status = self.path.stat()
        return [status.st_dev, status.st_ino]

    def was_copied(self) -> bool:
        try:
            noted = int(self.beside.read_text())
        except (OSError, ValueError):
            noted = 0
        return self.get("place") != self.place() or noted > self.get("commits", 0)

    # Small things

    def get(self, name: str, default=None):
        found = self.db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return json.loads(found[0]) if found else default

    def set(self, name: str, value) -> None:
        self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, json.dumps(value)))

    def scrub(self) -> None:
        """12 §6: what was removed leaves the disk; the log is cut to nothing as soon as no reader is in the way."""
        busy = self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if not busy:
            with self.transaction():
                self.set("scrub", False)
            self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    # Runs

    def run(self, hash_: bytes) -> sqlite3.Row | None:
        cursor = self.db.execute("SELECT * FROM run WHERE hash = ?", (hash_,))
        cursor.row_factory = sqlite3.Row
        return cursor.fetchone()

    def runs(self, where: str, *values) -> list[sqlite3.Row]:
        cursor = self.db.execute(f"SELECT * FROM run WHERE {where}", values)
        cursor.row_factory = sqlite3.Row
        return cursor.fetchall()

    def run_keys(self, h: Header) -> bytes:
        """12 §3: the keys beside the held run of a stream without branches."""
        found = self.db.execute("SELECT seal FROM run WHERE stream = ? AND last = ? AND taken IS NOT NULL",
                                (h.stream, h.last)).fetchone()
        return found[0][64:]

    def held(self, hash_: bytes) -> sqlite3.Row | None:
        found = self.run(hash_)
        return found if found and found["taken"] is not None else None

    def next_taken(self) -> int:
        return (self.db.execute("SELECT max(taken) FROM run").fetchone()[0] or 0) + 1

    def tip(self, stream: bytes) -> sqlite3.Row | None:
        """The last held run of a stream without branches."""
        found = self.runs("stream = ? AND taken IS NOT NULL ORDER BY last DESC LIMIT 1", stream)
        return found[0] if found else None

    def key_of(self, stream: bytes) -> bytes | None:
        found = self.db.execute("SELECT key FROM stream WHERE id = ?", (stream,)).fetchone()
        return found[0] if found else None

    def scope_of(self, stream: bytes) -> bytes | None:
        found = self.db.execute("SELECT scope FROM stream WHERE id = ?", (stream,)).fetchone()
        return found[0] if found else None

    def note_stream(self, h: Header) -> None:
        if h.origin:
            self.db.execute("INSERT OR IGNORE INTO stream VALUES (?, ?, ?, ?)",
                            (h.stream, h.origin[0], h.origin[1], h.origin[2]))

    # Live ops

    def add_live(self, table: int, row: bytes, live: Live) -> None:
        op = live.op
        value = encode(op.value) if op.value is not None else None
        covers = cbor2.dumps([[*c[:2], *c[2]] for c in sorted(op.covers)] if op.action == "delete"
                             else [list(c) for c in sorted(op.covers)]) if op.covers else None
        self.db.execute("INSERT OR IGNORE INTO live VALUES (?,?,?,?,?,?,?,?,?,?)", (
            table, row, op.column, op.element, *live.dot, live.time.to_bytes(8, "big"), op.action, value, covers))

    def drop_live(self, table: int, row: bytes, op: Op) -> None:
        for stream, seq in op.over:
            self.db.execute("DELETE FROM live WHERE tbl=? AND row=? AND col=? AND element=? AND stream=? AND seq=?",
                            (table, row, op.column, op.element, stream, seq))

    @staticmethod
    def parsed(found: tuple) -> tuple[int, bytes, Live]:
        table, row, column, element, stream, seq, at, action, value, covers = found
        value = Reader(value).value() if value is not None else None
        covers = cbor2.loads(covers) if covers else []
        places = frozenset((c[0], c[1], (c[2], c[3])) if action == "delete" else (c[0], c[1]) for c in covers)
        return table, row, Live((stream, seq), int.from_bytes(at, "big"),
                                Op(column, element, action, value, frozenset(), places))

    def row(self, table: int, row: bytes) -> list[Live]:
        """03 §1: all that lives in a row."""
        found = self.db.execute("SELECT * FROM live WHERE tbl = ? AND row = ?", (table, row)).fetchall()
        return [self.parsed(each)[2] for each in found]

    def elements(self, table: int, column: int) -> list[tuple[bytes, bytes]]:
        """04 §3: (row, element) of what is in a set, in any row."""
        return self.db.execute("SELECT DISTINCT row, element FROM live WHERE tbl=? AND col=? AND action='put' "
                               "AND element != x'' ORDER BY row, element", (table, column)).fetchall()

    def rows_of(self, table: int | None = None) -> list[tuple[int, bytes]]:
        where, values = ("WHERE tbl = ?", (table,)) if table is not None else ("", ())
        return self.db.execute(f"SELECT DISTINCT tbl, row FROM live {where} ORDER BY tbl, row", values).fetchall()

    def all_live(self):
        """In the order of 03 §5."""
        for found in self.db.execute("SELECT * FROM live ORDER BY tbl, row, col, element, stream, seq"):
            yield self.parsed(found)


def wall() -> int:
    return time.time_ns() // 1_000_000
