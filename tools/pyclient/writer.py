"""03 §4, 05 §3-§4, 12 §1-§3: what a person writes becomes one changeset in each scope that it changes."""
from __future__ import annotations

import os
from dataclasses import dataclass, field, replace

from checker.author import Author
from checker.encoding import encode, is_unreadable
from checker.identity import Dot, clock_write, new_row
from checker.limits import INT_MAX, INT_MIN, MAX_AUTHOR, MAX_CHANGESET, MAX_DOT_ITEMS, MAX_PLACES, MAX_RUN
from checker.model import Changeset, Op, RowItem
from checker.personal import check, opened, pairs, seal

from pyclient.about import Subjects
from pyclient.body_rows import RowsWriter
from pyclient.replica import Replica
from pyclient.schema import MARK, Schema, Table, UsageError
from pyclient.sealing import Sealer
from pyclient.state import split_ids
from pyclient.store import wall

MAX_BODY = 520_192


@dataclass
class Target:
    """A row that is written to, and what is done to it: (verb, column or None, value, basis)."""
    table: Table
    row: bytes | None  # None: it is made under a derived id
    scope: bytes
    steps: list[tuple] = field(default_factory=list)


@dataclass
class Written:
    dot: Dot
    rows: list[bytes]


def keyed_id(schema: Schema, table: Table, key: list[tuple], scope: bytes | None) -> bytes:
    """02 §2.3 "Divided tables"."""
    found = schema.keyed(table.id, key)
    if table.divided_by:
        divider = key[table.key.index(table.divided_by)]
        if divider[0] != "blob" or len(divider[1]) != 16:
            raise UsageError(f"{table.divided_by} of {table.name} has to name a row")
        return found[:-MARK] + divider[1][-MARK:]
    if table.divided and scope and (mark := schema.mark(scope)):
        return found[:-MARK] + mark
    return found


class Writer:
    def __init__(self, replica: Replica):
        self.replica, self.store, self.schema = replica, replica.store, replica.schema
        self.sealer = Sealer(replica)
        self.state = self.sealer.state

    def write(self, targets: list[Target], author: str = "", claimed: int | None = None,
              source: str = "") -> list[Written]:
        """03 §4.7: durable when it returns."""
        if max(len(author.encode()), len(source.encode())) > MAX_AUTHOR:
            raise UsageError(f"an author and a source have at most {MAX_AUTHOR} bytes each")
        if claimed is not None and not (isinstance(claimed, int) and INT_MIN <= claimed <= INT_MAX):
            raise UsageError("the claimed time is a number of milliseconds since 1970")
        by_scope: dict[bytes, list[Target]] = {}
        for target in targets:
            by_scope.setdefault(target.scope, []).append(target)
        action, found = os.urandom(16) if len(by_scope) > 1 else None, []
        with self.store.transaction():
            self.sealer.renew_if_copied()
            for scope, each in by_scope.items():
                if made := self.changeset(scope, each, author.encode(), claimed, action, source.encode()):
                    found.append(made)
        return found

    def changeset(self, scope: bytes, targets: list[Target], author: bytes, claimed: int | None, action: bytes | None,
                  source: bytes) -> Written | None:
        self.allowed(scope, targets)
        time = clock_write(self.store.get("clock", 0), wall())
        while True:
            stream = self.sealer.lane(scope)[0]
            seq = self.state.held_to(stream) + 1
            tip = self.store.tip(stream)
            items = self.items(targets, (stream, seq), time, tip["hash"] if tip else b"", self.schema.mark(scope))
            if not items:
                return None
            c = Changeset((stream, seq), time, tuple(items), author, time >> 16 if claimed is None else claimed, action,
                          source)
            lying, keys = self.sealed(c)
            if self.keep(lying, keys, len(targets)):
                break
            self.sealer.seal(scope)  # it has no room in the run to come: ids of new rows follow from the next one
        self.store.set("clock", time)
        clear = opened([lying], keys, set())[0]
        self.state.apply(clear)
        return Written(c.dot, [item.row for item in items])

    def allowed(self, scope: bytes, targets: list[Target]) -> None:
        """09 §4: refuses what the own certificates don't allow."""
        if scope != self.schema.name and not self.schema.is_scope(scope):
            raise UsageError(f"{scope.decode()} is no scope")
        fault = self.replica.trust.fault(self.replica.device, scope, {target.table.id for target in targets})
        if fault:
            tables = ", ".join(sorted({target.table.name for target in targets}))
            raise UsageError(f"this laptop may not write {tables} in {scope.decode()}: ask the hub's operator for "
                             "another role, or write it on a laptop that may")

    def items(self, targets: list[Target], dot: Dot, time: int, previous: bytes, mark: bytes) -> list[RowItem]:
        found, made = [], 0
        for target in targets:
            row, is_new = target.row, target.row is None
            if is_new:
                row = new_row(dot, time, previous, made, mark)
                made += 1
            ops: list[Op] = []
            earlier = {op.cell for item in found if (item.table, item.row) == (target.table.id, row) for op in item.ops}
            for step in target.steps:
                for op in self.ops(target.table, row, dot[0], *step):
                    if op.cell in earlier or any(op.cell == other.cell for other in ops):
                        if op.cell == (0, b""):
                            continue
                        raise UsageError("one act writes a cell once: write the second value in another act")
                    ops.append(op)
            if ops:
                found.append(RowItem(target.table.id, row, is_new, tuple(ops)))
            elif is_new:
                raise UsageError("a new row has at least one value")
        return found

    def ops(self, table: Table, row: bytes, stream: bytes, verb: str, column, value,
            basis: set[Dot] | None) -> list[Op]:
        """03 §4.2-§4.6."""
        author = Author(self.store.row(table.id, row))
        match verb:
            case "put":
                found = author.put(column.id, value, column.tolerance, basis, basis is None)
            case "add" | "remove":
                found = getattr(author, verb)(column.id, encode(value))
            case "count":
                found = author.count(column.id, stream, value)
            case "delete" | "restore":
                found = getattr(author, verb)()
            case "resolve":
                found = author.resolve(column.id, value, column.tolerance, basis)
            case "undo":
                found = author.undo(column.id, value)
            case _:
                raise UsageError(f"there is no act {verb!r}")
        for op in found:
            if max(len(op.over), 0 if op.action == "delete" else len(op.covers)) > MAX_DOT_ITEMS // 2 \
                    or op.action == "delete" and len(op.covers) > MAX_PLACES:
                raise UsageError("too much lives in this row for one changeset")
            if op.value is not None and is_unreadable(op.value):
                raise UsageError("a value that can't be read can't be written again: give another one")
        return found

    # 12 §1-§3

    def sealed(self, c: Changeset) -> tuple[Changeset, bytes]:
        """The changeset as it lies in a body, and the keys beside it."""
        subjects, keys = Subjects(self.replica, c), {}

        def op(item: RowItem, op: Op) -> Op:
            column = self.schema.tables[item.table].known(op.column)
            if op.value is None or not column or not column.personal or op.value in (("null",), ("text", b"")):
                return op
            about = subjects.of(item.table, item.row)
            if about is None:
                return op
            if about in self.replica.trust.erased():
                raise UsageError("the person was erased for good: nothing personal can be recorded about them")
            key = keys.setdefault(about, os.urandom(32))
            box = seal(key, item.table, item.row, op.column, op.value)
            return replace(op, value=("sealed", box, None if about == item.row else about))

        rows = tuple(replace(item, ops=tuple(op(item, each) for each in item.ops)) for item in c.rows)
        lying = replace(c, rows=rows)
        return lying, b"".join(keys[about] for _, about in pairs([lying]))

    def keep(self, c: Changeset, keys: bytes, rows: int) -> bool:
        """01 §4: puts it at the end of the tail; False where the tail has no room for it."""
        stream = c.dot[0]
        tail = self.state.tail(stream)
        known = self.store.db.execute("SELECT streams FROM tail WHERE stream = ? ORDER BY seq DESC LIMIT 1",
                                      (stream,)).fetchone()
        writer = RowsWriter(split_ids(known[0]) if known else [])
        size = sum(len(writer.changeset(each)) for each in tail)
        body = writer.changeset(c)
        if len(body) > MAX_CHANGESET:
            raise UsageError(f"{rows} rows are too many for one act: write them in several")
        if tail and (len(tail) >= MAX_RUN or size + len(body) > MAX_BODY):
            return False
        streams = b"".join(writer.streams)
        checks = b"".join(check(keys[i:i + 32]) for i in range(0, len(keys), 32))
        self.store.db.execute("INSERT INTO tail VALUES (?, ?, ?, ?, ?, ?)",
                              (stream, c.dot[1], body, streams, keys, checks))
        return True
