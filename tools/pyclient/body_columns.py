"""01 §7: the writer's half of a body by columns. It refers to no earlier run."""
from __future__ import annotations

from checker.columns import HAS_VALUE, IDS, INTEGERS, ITEMS, TEXTS, DIFFERENCES, TIMES, wrapped
from checker.encoding import NULL, Reader, encode
from checker.identity import cbor_unsigned as unsigned
from checker.model import Changeset, Op, RowItem

from pyclient.body_rows import cell_dots, shape_of


def zigzag(n: int) -> int:
    """01 §7.1."""
    return 2 * n if n >= 0 else -2 * n - 1


def numbers(found: list[int]) -> bytes:
    """01 §7.1: the shortest of the forms."""
    if not found:
        return b""
    top = max(found)
    if top == 0:
        return b"\0"
    size = (top.bit_length() + 7) // 8
    forms = [bytes([size]) + b"".join(bytes(n >> 8 * p & 255 for n in found) for p in range(size))]
    if min(found) == top:
        forms.append(bytes([0x10 + size]) + top.to_bytes(size, "little"))
    if (bits := top.bit_length()) < 64:
        packed = sum(n << i * bits for i, n in enumerate(found))
        forms.append(bytes([0x40 + bits]) + packed.to_bytes((len(found) * bits + 7) // 8, "little"))
    return min(forms, key=len)


def numbered(values: list) -> tuple[list[int], list]:
    """01 §7.4: a number for each value, 0 where it stands for the first time, and those that stand."""
    places: dict = {}
    found, spelled = [], []
    for value in values:
        if place := places.get(value):
            found.append(place)
        else:
            found.append(0)
            spelled.append(value)
            places[value] = len(spelled)
    return found, spelled


def texts(values: list[tuple]) -> bytes:
    found, spelled = numbered(values)
    return (unsigned(TEXTS) + numbers(found) + numbers([len(text) for _, text in spelled])
            + b"".join(text for _, text in spelled))


def integers(values: list[int], milliseconds: list[int]) -> bytes:
    """01 §7.4: forms 6, 7 and 8, whichever is shortest."""
    before = [0, *values[:-1]]
    plain = numbers([zigzag(n) for n in values])
    times = numbers([zigzag(wrapped(n - ms)) for n, ms in zip(values, milliseconds)])
    steps = numbers([zigzag(wrapped(n - last)) for n, last in zip(values, before)])
    form, data = min(((INTEGERS, plain), (TIMES, times), (DIFFERENCES, steps)), key=lambda each: len(each[1]))
    return unsigned(form) + data


def column(values: list[tuple], milliseconds: list[int]) -> bytes:
    """01 §7.4: the values of a column, each with the milliseconds of its changeset."""
    kinds = {value[0] for value in values}
    if kinds == {"int"}:
        return integers([value[1] for value in values], milliseconds)
    if kinds == {"text"}:
        return texts(values)
    found, spelled = numbered(values)
    if kinds == {"blob"} and all(len(value[1]) == 16 for value in values):
        return unsigned(IDS) + numbers(found) + b"".join(raw for _, raw in spelled)
    return unsigned(ITEMS) + numbers(found) + b"".join(map(encode, spelled))


def value_of(op: Op) -> tuple:
    """01 §7.4: of shapes 5, 6 and 7 the element is the value."""
    return Reader(op.element).value() if op.element else op.value or NULL


class Columns:
    """Lays changesets out; the streams are called as the deps of the run are, in their order."""

    def __init__(self, changesets: list[Changeset], stream: bytes, streams: list[bytes]):
        self.changesets, self.stream = changesets, stream
        self.numbers = {name: i for i, name in enumerate(streams)}
        self.items: list[tuple[Changeset, RowItem]] = [(c, item) for c in changesets for item in c.rows]
        self.shape_numbers, self.shapes = [], {}
        for _, item in self.items:
            shape = item.table, not item.new, tuple(op.column << 4 | shape_of(op) for op in item.ops)
            self.shape_numbers.append(self.shapes.setdefault(shape, len(self.shapes)))

    def encode(self) -> bytes:
        parts = self.heads(), self.forms(), self.names(), self.columns(), self.dots(), self.covers()
        return unsigned(0) + b"".join(parts)

    def heads(self) -> bytes:
        """01 §7.2."""
        all_ = self.changesets
        ms = [c.time >> 16 for c in all_]
        actions = list(dict.fromkeys(c.action for c in all_ if c.action))
        return b"".join((
            unsigned(len(all_)), unsigned(ms[0]), numbers([b - a for a, b in zip(ms, ms[1:])]),
            numbers([c.time & 0xFFFF for c in all_]), texts([("text", c.author) for c in all_]),
            numbers([zigzag(wrapped(c.claimed - m)) for c, m in zip(all_, ms)]),
            numbers([1 + actions.index(c.action) if c.action else 0 for c in all_]),
            unsigned(len(actions)), *actions, texts([("text", c.source) for c in all_]),
            numbers([len(c.rows) for c in all_])))

    def forms(self) -> bytes:
        """01 §7.3."""
        arrays = [encode(("array", tuple(("int", n) for n in (table, int(named), *codes))))
                  for table, named, codes in self.shapes]
        return unsigned(len(arrays)) + b"".join(arrays) + numbers(self.shape_numbers)

    def names(self) -> bytes:
        """01 §7.5."""
        out = []
        for table in dict.fromkeys(table for table, named, _ in self.shapes if named):
            places: dict[bytes, int] = {}
            found, spelled, before, size = [], [], 0, 0
            for _, item in self.items:
                if item.table != table:
                    continue
                if not item.new and item.row in places:
                    found.append(1 + zigzag(places[item.row] - before))
                    before = 1 + places[item.row]
                    continue
                if not item.new:
                    found.append(0)
                    spelled.append(item.row)
                places.setdefault(item.row, size)
                size += 1
            out.append(numbers(found) + unsigned(IDS) + b"".join(spelled))
        return b"".join(out)

    def columns(self) -> bytes:
        """01 §7.4."""
        order = dict.fromkeys((table, code >> 4) for table, _, codes in self.shapes for code in codes
                              if code & 15 in HAS_VALUE)
        found: dict[tuple, list] = {key: [] for key in order}
        for changeset, item in self.items:
            for op in item.ops:
                if shape_of(op) in HAS_VALUE:
                    found[item.table, op.column].append((value_of(op), changeset.time >> 16))
        return b"".join(column([value for value, _ in each], [ms for _, ms in each]) for each in found.values())

    def dots(self) -> bytes:
        """01 §7.7."""
        lengths, streams, seqs = [], [], []
        for changeset, item in self.items:
            for op in item.ops:
                lists = {0: (), 5: (), 2: (op.over, op.covers)}.get(shape_of(op), (op.over,))
                for dots in lists:
                    lengths.append(len(dots))
                    for stream, seq in sorted(dots):
                        own = stream == self.stream
                        streams.append(0 if own else 1 + self.numbers[stream])
                        seqs.append(changeset.dot[1] - seq if own else seq)
        return numbers(lengths) + numbers(streams) + numbers(seqs)

    def covers(self) -> bytes:
        """01 §7.7: those of deletes."""
        return b"".join(cell_dots(op.covers, changeset.dot, self.numbers) for changeset, item in self.items
                        for op in item.ops if op.action == "delete")
