"""01 §4: the body of a run, after decompression."""
from __future__ import annotations

from checker.encoding import ARRAY, BYTES, NULL, Reader, encode
from checker.identity import Dot, keyed_row, new_row
from checker.limits import (
    INT_MAX, INT_MIN, MAX_AUTHOR, MAX_CHANGESET, MAX_DOT_ITEMS, MAX_MS, MAX_NEW_ROWS, MAX_NUMBER, MAX_PLACES, MAX_SEQ,
    Reject)
from checker.model import Changeset, Op, RowItem


class BodyReader(Reader):
    """01 §4: the body of a run, after decompression."""

    def __init__(self, data, stream, first_seq, previous, deps, namespace):
        super().__init__(data)
        self.stream, self.seq, self.previous = stream, first_seq, previous
        self.deps, self.namespace = deps, namespace
        self.last_time, self.time, self.rows, self.new_rows = 0, 0, [], 0

    def changesets(self) -> list[Changeset]:
        found = []
        while self.left():
            start = self.at
            found.append(self.changeset())
            if self.at - start > MAX_CHANGESET:
                raise Reject("tooLong")
            self.seq += 1
        return found

    def changeset(self) -> Changeset:
        """01 §4.1."""
        count = self.array()
        if not count:
            raise Reject("invalid")
        h, used = self.unsigned(), 1
        counter = 0
        if h & 1:
            if count < 2:
                raise Reject("invalid")
            counter, used = self.unsigned(1, 65_535), 2
        ms = (self.last_time >> 16) + (h >> 1)
        if ms > MAX_MS:
            raise Reject("outOfRange")
        self.time = ms << 16 | counter
        if self.time <= self.last_time or count <= used:
            raise Reject("invalid")
        meta = {0: b"", 1: ms, 2: None, 3: b""} | self.meta()
        self.last_time, self.new_rows = self.time, 0
        rows = tuple(self.row_item() for _ in range(count - used - 1))
        cells = [(row.table, row.row, op.cell) for row in rows for op in row.ops]
        if len(set(cells)) < len(cells):
            raise Reject("invalid")
        return Changeset((self.stream, self.seq), self.time, rows, meta[0], meta[1], meta[2], meta[3])

    def meta(self) -> dict:
        self.peek()
        if self.at_null():
            self.at += 1
            return {}
        read = {0: lambda: self.text(MAX_AUTHOR), 1: self.integer,
                2: lambda: self.exact(16), 3: lambda: self.text(MAX_AUTHOR)}
        found = {}
        for key in self.keys():
            if key not in read:
                raise Reject("unknownKey")
            found[key] = read[key]()
        return found

    def row_item(self) -> RowItem:
        """01 §4.2."""
        count = self.array()
        if count < 3:
            raise Reject("invalid")
        table = self.unsigned(0, MAX_NUMBER)
        row, new = self.row_name(table)
        ops, left = [], count - 2
        while left:
            op, taken = self.op(left - 1)
            ops.append(op)
            left -= 1 + taken
        if len({op.cell for op in ops}) < len(ops):
            raise Reject("invalid")
        return RowItem(table, row, new, tuple(ops))

    def row_name(self, table: int) -> tuple[bytes, bool]:
        kind = self.peek()
        if self.at_null():
            self.at += 1
            if self.new_rows >= MAX_NEW_ROWS:
                raise Reject("tooLong")
            self.new_rows += 1
            return new_row((self.stream, self.seq), self.time, self.previous, self.new_rows - 1), True
        match kind:
            case 0:
                return self.numbered_row(), False
            case 2:
                return self.enter(self.exact(16)), False
            case 4:
                return self.enter(keyed_row(self.namespace, table, [self.scalar() for _ in range(self.array())])), False
        raise Reject("unexpectedType")

    def numbered_row(self) -> bytes:
        n = self.unsigned()
        if n >= len(self.rows):
            raise Reject("outOfRange")
        return self.rows[n]

    def enter(self, row: bytes) -> bytes:
        self.rows.append(row)
        return row

    def op(self, left: int) -> tuple[Op, int]:
        """01 §4.3, §4.5: an op, and how many items stood behind its code."""
        code = self.unsigned()
        column, shape = code >> 4, code & 15
        if shape > 7 or column > MAX_NUMBER:
            raise Reject("invalid")
        taken = (1, 2, 3, 1, 2, 1, 2, 2)[shape]
        if taken > left or shape == 4 and column or shape in (0, 1, 2) and not column:
            raise Reject("invalid")
        match shape:
            case 0:
                op = Op(column, b"", "put", self.wire_value())
            case 1:
                op = Op(column, b"", "put", self.wire_value(), self.dots())
            case 2:
                op = Op(column, b"", "resolve", self.wire_value(), self.dots(), self.dots())
            case 3:
                op = Op(column, b"", "retract", None, self.dots())
            case 4:
                op = Op(column, b"", "delete", None, self.dots(), self.cell_dots())
            case 5:
                op = Op(column, self.element(), "put", NULL)
            case 6:
                op = Op(column, self.element(), "put", NULL, self.dots())
            case 7:
                op = Op(column, self.element(), "retract", None, self.dots())
        return op, taken

    def wire_value(self) -> tuple:
        """01 §4.4."""
        if self.peek() != ARRAY:
            return self.scalar()
        count, form = self.form()
        if form == 0:
            return ("composite", tuple(self.scalar() for _ in range(count - 1)))
        if form == 4:
            return self.sealed(count)
        if form > 4 or (count < 2 if form == 1 else count != 2):
            raise Reject("invalid")
        if form == 1:
            table = self.unsigned(0, MAX_NUMBER)
            return ("blob", self.enter(keyed_row(self.namespace, table, [self.scalar() for _ in range(count - 2)])))
        if form == 2:
            is_whole = self.peek() == BYTES
            return ("blob", self.enter(self.exact(16)) if is_whole else self.numbered_row())
        total = (self.time >> 16) + self.integer()
        if not INT_MIN <= total <= INT_MAX:
            raise Reject("outOfRange")
        return ("int", total)

    def dot(self, left: int) -> tuple[Dot, int]:
        """01 §4.6: a dot out of an array with `left` items left, and how many it took."""
        n = self.unsigned()
        if n & 1 == 0:
            distance = n >> 1
            if not 1 <= distance <= self.seq - 1:
                raise Reject("outOfRange")
            return (self.stream, self.seq - distance), 1
        if n >> 1 >= len(self.deps) or left < 2:
            raise Reject("outOfRange")
        if self.deps[n >> 1] == self.stream:
            raise Reject("invalid")
        return (self.deps[n >> 1], self.unsigned(1, MAX_SEQ)), 2

    def dots(self) -> frozenset:
        left, found = self.array(MAX_DOT_ITEMS), set()
        while left:
            dot, taken = self.dot(left)
            found.add(dot)
            left -= taken
        return frozenset(found)

    def cell_dots(self) -> frozenset:
        found, places = set(), 0
        for _ in range(self.array()):
            left = self.array()
            if not left:
                raise Reject("invalid")
            dot, taken = self.dot(left)
            places += left - taken
            if places > MAX_PLACES:
                raise Reject("tooLong")
            for _ in range(left - taken):
                found.add((*self.place(), dot))
        return frozenset(found)

    def place(self) -> tuple[int, bytes]:
        if self.peek() != ARRAY:
            return self.unsigned(0, MAX_NUMBER), b""
        if self.array() != 2:
            raise Reject("invalid")
        return self.unsigned(0, MAX_NUMBER), encode(self.value())
