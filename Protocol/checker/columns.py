"""01 §7: the body of a run by columns, after decompression."""
from __future__ import annotations

from dataclasses import dataclass, field

from checker.body import BodyReader
from checker.encoding import ARRAY, NULL, Reader, element
from checker.identity import keyed_row, new_row
from checker.limits import (
    MAX_AUTHOR, MAX_BODY_DOTS, MAX_BODY_OPS, MAX_BODY_ROWS, MAX_BODY_VALUES, MAX_DOT_ITEMS, MAX_MS, MAX_NEW_ROWS,
    MAX_NUMBER, MAX_RUN, MAX_SCALAR, MAX_SEQ, MAX_SOURCE_BYTES, MAX_SOURCES, Reject)
from checker.model import Changeset, Op, RowItem

ITEMS, IDS, TEXTS, ITEMS_ONCE, IDS_ONCE, TEXTS_ONCE, INTEGERS, TIMES, DIFFERENCES = range(9)
AUTHOR, SOURCE = "author", "source"
HAS_VALUE = {0, 1, 2, 5, 6, 7}
DOT_LISTS = {0: 0, 1: 1, 2: 2, 3: 1, 4: 1, 5: 0, 6: 1, 7: 1}


def unzigzag(n: int) -> int:
    return n >> 1 ^ -(n & 1)


def wrapped(n: int) -> int:
    """The number in −2^63…2^63 − 1 that is n but for multiples of 2^64."""
    return (n + 2**63) % 2**64 - 2**63


@dataclass
class Vocabulary:
    """01 §7.6: what a run says in full."""
    first: int
    last: int
    size: int
    names: dict = field(default_factory=dict)  # table: rows
    values: dict = field(default_factory=dict)  # (table, column), AUTHOR or SOURCE: values
    by_columns: bool = True


class Column:
    """01 §7.4: a column's values, in their order."""

    def __init__(self, form: int, numbers: list, spelled: list, earlier: list):
        self.form, self.numbers, self.spelled, self.earlier = form, iter(numbers), spelled, earlier
        self.said, self.before = 0, 0

    def next(self, ms: int) -> tuple:
        if self.form in (ITEMS_ONCE, IDS_ONCE, TEXTS_ONCE):
            return self.say()
        number = next(self.numbers)
        if self.form == INTEGERS:
            return ("int", unzigzag(number))
        if self.form == TIMES:
            return ("int", wrapped(ms + unzigzag(number)))
        if self.form == DIFFERENCES:
            self.before = wrapped(self.before + unzigzag(number))
            return ("int", self.before)
        known = self.earlier + self.spelled[:self.said]
        if number > len(known):
            raise Reject("outOfRange")
        return known[number - 1] if number else self.say()

    def say(self) -> tuple:
        self.said += 1
        return self.spelled[self.said - 1]


class ColumnsReader(Reader):
    """01 §7: first what lies in the body, then its changesets."""

    def __init__(self, data, stream, first_seq, previous, deps, namespace):
        super().__init__(data)
        self.stream, self.first, self.previous, self.deps, self.namespace = stream, first_seq, previous, deps, namespace
        self.names, self.columns = {}, {}
        self.read_sources()
        self.read_changesets()
        self.read_shapes()
        self.read_rows()
        self.read_dots()

    # 01 §7.1

    def numbers(self, count: int) -> list[int]:
        if not count:
            return []
        form = self.take(1)[0]
        if form == 0:
            return [0] * count
        if form <= 8:
            planes = self.take(form * count)
            return [sum(planes[p * count + i] << 8 * p for p in range(form)) for i in range(count)]
        if 0x11 <= form <= 0x18:
            return [int.from_bytes(self.take(form & 15), "little")] * count
        if not 0x41 <= form <= 0x7F:
            raise Reject("invalid")
        bits = form & 63
        packed = int.from_bytes(self.take((count * bits + 7) // 8), "little")
        if packed >> count * bits:
            raise Reject("invalid")
        return [packed >> i * bits & (1 << bits) - 1 for i in range(count)]

    # 01 §7.2

    def read_sources(self) -> None:
        self.sources, seq = [], self.first
        for distance in self.numbers(self.unsigned(0, MAX_SOURCES)):
            if not 0 < distance < seq:
                raise Reject("outOfRange")
            seq -= distance
            self.sources.insert(0, seq)

    def read_changesets(self) -> None:
        count = self.unsigned(1, MAX_RUN)
        ms, differences = self.unsigned(), self.numbers(count - 1)
        counters, self.times, last = self.numbers(count), [], 0
        for i, counter in enumerate(counters):
            ms += differences[i - 1] if i else 0
            if ms > MAX_MS or counter > 65_535:
                raise Reject("outOfRange")
            if (time := ms << 16 | counter) <= last:
                raise Reject("invalid")
            self.times.append(time)
            last = time
        authors = self.names_of_changesets(count)
        self.claims, actions = self.numbers(count), self.numbers(count)
        known = [self.take(16) for _ in range(self.unsigned(0, count))]
        if max(actions) > len(known):
            raise Reject("outOfRange")
        self.actions = [known[n - 1] if n else None for n in actions]
        self.columns = {AUTHOR: authors, SOURCE: self.names_of_changesets(count)}
        left, self.row_counts = MAX_BODY_ROWS, self.numbers(count)
        for n in self.row_counts:
            if n > left:
                raise Reject("tooLong")
            left -= n

    def names_of_changesets(self, count: int) -> tuple:
        form, numbers, spelled = self.column(count)
        if form not in (TEXTS, TEXTS_ONCE) or any(len(text) > MAX_AUTHOR for _, text in spelled):
            raise Reject("invalid")
        return form, numbers, spelled

    # 01 §7.3

    def read_shapes(self) -> None:
        rows = sum(self.row_counts)
        self.codes_left = MAX_BODY_OPS
        self.shapes = [self.shape() for _ in range(self.unsigned(0, rows))]
        self.shape_numbers = self.numbers(rows)
        if self.shape_numbers and max(self.shape_numbers) >= len(self.shapes):
            raise Reject("outOfRange")
        self.uses = [0] * len(self.shapes)
        for n in self.shape_numbers:
            self.uses[n] += 1
        if sum(n * len(codes) for n, (_, _, codes) in zip(self.uses, self.shapes)) > MAX_BODY_OPS:
            raise Reject("tooLong")

    def shape(self) -> tuple:
        count = self.array(2 + self.codes_left)
        if count < 3:
            raise Reject("invalid")
        self.codes_left -= count - 2
        table, named = self.unsigned(0, MAX_NUMBER), self.unsigned(0, 1)
        codes, plain = [], set()
        for _ in range(count - 2):
            code = self.unsigned()
            column, shape = code >> 4, code & 15
            if shape > 7 or column > MAX_NUMBER or shape == 4 and column or shape in (0, 1, 2) and not column:
                raise Reject("invalid")
            if shape < 5:
                if column in plain:
                    raise Reject("invalid")
                plain.add(column)
            codes.append((column, shape))
        return table, bool(named), codes

    # 01 §7.4, §5.5

    def read_rows(self) -> None:
        tables, columns = {}, {}
        for uses, (table, named, codes) in zip(self.uses, self.shapes):
            if named:
                tables[table] = tables.get(table, 0) + uses
            for column, shape in codes:
                if shape in HAS_VALUE:
                    columns[table, column] = columns.get((table, column), 0) + uses
        for table, count in tables.items():
            self.names[table] = self.row_names(table, count)
        for key, count in columns.items():
            self.columns[key] = self.column(count)

    def row_names(self, table: int, count: int) -> tuple:
        numbers = self.numbers(count)
        if not count:
            return [], []
        if (form := self.unsigned()) not in (ITEMS, IDS):
            raise Reject("invalid")
        return numbers, [self.take(16) if form == IDS else self.row_name(table) for n in numbers if n == 0]

    def row_name(self, table: int) -> bytes:
        match self.peek():
            case 2:
                return self.exact(16)
            case 4:
                return keyed_row(self.namespace, table, [self.scalar() for _ in range(self.array())])
        raise Reject("unexpectedType")

    def column(self, count: int) -> tuple:
        if not count:
            return ITEMS, [], []
        form = self.unsigned(0, DIFFERENCES)
        if form in (ITEMS, IDS, TEXTS):
            numbers = self.numbers(count)
            return form, numbers, self.spelled(form, numbers.count(0))
        if form in (ITEMS_ONCE, IDS_ONCE, TEXTS_ONCE):
            return form, [], self.spelled(form - 3, count)
        return form, self.numbers(count), []

    def spelled(self, form: int, count: int) -> list:
        if form == ITEMS:
            if count > self.left():
                raise Reject("truncated")
            return [self.column_item() for _ in range(count)]
        if form == IDS:
            raw = self.take(16 * count)
            return [("blob", raw[i:i + 16]) for i in range(0, len(raw), 16)]
        found = []
        for length in self.numbers(count):
            if length > MAX_SCALAR:
                raise Reject("tooLong")
            found.append(("text", self.bare_text(length)))
        return found

    def bare_text(self, length: int) -> bytes:
        raw = self.take(length)
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError:
            raise Reject("invalidUTF8") from None
        return raw

    def column_item(self) -> tuple:
        if self.peek() != ARRAY:
            return self.scalar()
        count, form = self.form()
        if form == 0:
            return ("composite", tuple(self.scalar() for _ in range(count - 1)))
        if form == 4:
            return self.sealed(count)
        if form != 1 or count < 2:
            raise Reject("invalid")
        table = self.unsigned(0, MAX_NUMBER)
        return ("blob", keyed_row(self.namespace, table, [self.scalar() for _ in range(count - 2)]))

    # 01 §7.7

    def read_dots(self) -> None:
        lists = sum(n * sum(DOT_LISTS[shape] for _, shape in codes)
                    for n, (_, _, codes) in zip(self.uses, self.shapes))
        left, self.dot_counts = MAX_BODY_DOTS, self.numbers(lists)
        for n in self.dot_counts:
            if n > min(left, MAX_DOT_ITEMS):
                raise Reject("tooLong")
            left -= n
        count = MAX_BODY_DOTS - left
        self.dots = list(zip(self.numbers(count), self.numbers(count)))

    # Changesets

    def vocabulary(self, size: int) -> Vocabulary:
        """01 §7.6: needs no run before."""
        rows, shapes = {}, iter(self.shape_numbers)
        names = {table: (iter(numbers), iter(spelled)) for table, (numbers, spelled) in self.names.items()}
        for i, count in enumerate(self.row_counts):
            new = 0
            for _ in range(count):
                table, named, _ = self.shapes[next(shapes)]
                if not named:
                    rows.setdefault(table, []).append(self.new_row(i, new))
                    new += 1
                elif next(names[table][0]) == 0:
                    rows.setdefault(table, []).append(next(names[table][1]))
        values = {key: spelled for key, (form, _, spelled) in self.columns.items() if form in (ITEMS, IDS, TEXTS)}
        return Vocabulary(self.first, self.first + len(self.times) - 1, size, rows, values)

    def new_row(self, changeset: int, index: int) -> bytes:
        return new_row((self.stream, self.first + changeset), self.times[changeset], self.previous, index)

    def changesets(self, earlier: dict) -> list[Changeset]:
        """`earlier` has the vocabularies of the stream's runs by their last seqs."""
        used = [earlier.get(seq) for seq in self.sources]
        if not all(v and v.by_columns for v in used) or sum(v.size for v in used) > MAX_SOURCE_BYTES:
            raise Reject("invalid")
        said = {key: Column(*column, [v for run in used for v in run.values.get(key, [])])
                for key, column in self.columns.items()}
        rows = {table: [r for run in used for r in run.names.get(table, [])] for table, _, _ in self.shapes}
        names = {table: (iter(numbers), iter(spelled)) for table, (numbers, spelled) in self.names.items()}
        assembly = Assembly(self, said, rows, names)
        found = [assembly.changeset(i) for i in range(len(self.times))]
        self.end()
        return found


class Assembly:
    """Puts changesets together out of what lies in the body, in the order of their row items and ops."""

    def __init__(self, body: ColumnsReader, said: dict, rows: dict, names: dict):
        self.body, self.said, self.rows, self.names = body, said, rows, names
        self.shapes, self.dot_counts, self.dots = iter(body.shape_numbers), iter(body.dot_counts), iter(body.dots)
        self.last, self.value_bytes = {}, 0

    def changeset(self, i: int) -> Changeset:
        body = self.body
        self.seq, self.ms, self.index, self.new = body.first + i, body.times[i] >> 16, i, 0
        author, source = self.said[AUTHOR].next(0), self.said[SOURCE].next(0)
        rows = tuple(self.row_item() for _ in range(body.row_counts[i]))
        cells = [(row.table, row.row, op.cell) for row in rows for op in row.ops]
        if len(set(cells)) < len(cells):
            raise Reject("invalid")
        claimed = wrapped(self.ms + unzigzag(body.claims[i]))
        return Changeset((body.stream, self.seq), body.times[i], rows, author[1], claimed, body.actions[i], source[1])

    def row_item(self) -> RowItem:
        table, named, codes = self.body.shapes[next(self.shapes)]
        row = self.name(table) if named else self.new_row(table)
        return RowItem(table, row, not named, tuple(self.op(table, column, shape) for column, shape in codes))

    def new_row(self, table: int) -> bytes:
        if self.new >= MAX_NEW_ROWS:
            raise Reject("tooLong")
        self.new += 1
        row = self.body.new_row(self.index, self.new - 1)
        self.rows[table].append(row)
        return row

    def name(self, table: int) -> bytes:
        numbers, spelled = self.names[table]
        if (number := next(numbers)) == 0:
            self.rows[table].append(next(spelled))
            return self.rows[table][-1]
        position = self.last.get(table, -1) + 1 + unzigzag(number - 1)
        if not 0 <= position < len(self.rows[table]):
            raise Reject("outOfRange")
        self.last[table] = position
        return self.rows[table][position]

    def value(self, table: int, column: int) -> tuple:
        value = self.said[table, column].next(self.ms)
        parts = value[1] if value[0] == "composite" else (value,)
        self.value_bytes += sum(len(part[1]) for part in parts if part[0] in ("text", "blob", "sealed"))
        if self.value_bytes > MAX_BODY_VALUES:
            raise Reject("tooLong")
        return value

    def op(self, table: int, column: int, shape: int) -> Op:
        value = self.value(table, column) if shape in HAS_VALUE else None
        if shape == 0:
            return Op(column, b"", "put", value)
        if shape == 5:
            return Op(column, element(value), "put", NULL)
        over = self.dot_list()
        match shape:
            case 1:
                return Op(column, b"", "put", value, over)
            case 2:
                return Op(column, b"", "resolve", value, over, self.dot_list())
            case 3:
                return Op(column, b"", "retract", None, over)
            case 4:
                return Op(column, b"", "delete", None, over, self.covers())
            case 6:
                return Op(column, element(value), "put", NULL, over)
        return Op(column, element(value), "retract", None, over)

    def dot_list(self) -> frozenset:
        return frozenset(self.dot(*next(self.dots)) for _ in range(next(self.dot_counts)))

    def dot(self, number: int, seq: int) -> tuple:
        body = self.body
        if number == 0:
            if not 1 <= seq < self.seq:
                raise Reject("outOfRange")
            return body.stream, self.seq - seq
        if number > len(body.deps) or not 1 <= seq <= MAX_SEQ:
            raise Reject("outOfRange")
        if body.deps[number - 1] == body.stream:
            raise Reject("invalid")
        return body.deps[number - 1], seq

    def covers(self) -> frozenset:
        """The covers of a delete lie at the end, as items of 01 §4.6."""
        body = self.body
        items = BodyReader(body.data, body.stream, self.seq, body.previous, body.deps, body.namespace)
        items.at = body.at
        found = items.cell_dots()
        body.at = items.at
        return found
