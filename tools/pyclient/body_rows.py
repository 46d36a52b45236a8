"""01 §4: the writer's half of a body by rows: the tail of a stream lies so."""
from __future__ import annotations

from itertools import groupby

from checker.encoding import NULL, encode, encode_head, ARRAY
from checker.identity import Dot, cbor_unsigned as unsigned
from checker.model import Changeset, Op, RowItem

Numbers = dict  # the number of each stream that is named, in the order of the deps


def array(items: list[bytes]) -> bytes:
    return encode_head(ARRAY, len(items)) + b"".join(items)


def shape_of(op: Op) -> int:
    """01 §4.3: a writer takes shape 0 or 5 when `over` is empty."""
    match op.action:
        case "put":
            return (5 if op.element else 0) + (1 if op.over else 0)
        case "resolve":
            return 2
        case "retract":
            return 7 if op.element else 3
    return 4


def dot_items(dot: Dot, own: Dot, streams: Numbers) -> list[bytes]:
    """01 §4.6."""
    if dot[0] == own[0]:
        return [unsigned(2 * (own[1] - dot[1]))]
    return [unsigned(2 * streams[dot[0]] + 1), unsigned(dot[1])]


def dots(found: frozenset, own: Dot, streams: Numbers) -> bytes:
    return array([item for dot in sorted(found) for item in dot_items(dot, own, streams)])


def cell_dots(covers: frozenset, own: Dot, streams: Numbers) -> bytes:
    """01 §4.6: groups by dot, places by (column, element)."""
    groups = []
    for dot, places in groupby(sorted((dot, column, element) for column, element, dot in covers), lambda c: c[0]):
        found = [array([unsigned(column), element]) if element else unsigned(column) for _, column, element in places]
        groups.append(array(dot_items(dot, own, streams) + found))
    return array(groups)


class RowsWriter:
    """01 §4: keeps what a reader keeps through one body."""

    def __init__(self, streams: list[bytes]):
        self.streams: Numbers = {name: i for i, name in enumerate(streams)}
        self.last_time, self.rows = 0, {}

    def changeset(self, c: Changeset) -> bytes:
        """01 §4.1. The streams that it names for the first time get the next numbers."""
        for name in named(c):
            self.streams.setdefault(name, len(self.streams))
        ms, counter = c.time >> 16, c.time & 0xFFFF
        h = 2 * (ms - (self.last_time >> 16)) + (counter > 0)
        self.last_time = c.time
        items = [unsigned(h)] + ([unsigned(counter)] if counter else []) + [self.meta(c, ms)]
        return array(items + [self.row_item(item, c.dot) for item in c.rows])

    def meta(self, c: Changeset, ms: int) -> bytes:
        found = {0: ("text", c.author) if c.author else None, 1: ("int", c.claimed) if c.claimed != ms else None,
                 2: ("blob", c.action) if c.action else None, 3: ("text", c.source) if c.source else None}
        entries = tuple((key, value) for key, value in found.items() if value)
        return encode(("map", entries) if entries else NULL)

    def enter(self, row: bytes) -> None:
        self.rows.setdefault(row, len(self.rows))

    def row_item(self, item: RowItem, own: Dot) -> bytes:
        """01 §4.2."""
        if item.new:
            name = b"\xf6"
        elif item.row in self.rows:
            name = unsigned(self.rows[item.row])
        else:
            name = encode(("blob", item.row))
            self.enter(item.row)
        return array([unsigned(item.table), name, *(part for op in item.ops for part in self.op(op, own))])

    def op(self, op: Op, own: Dot) -> list[bytes]:
        """01 §4.3."""
        shape = shape_of(op)
        code = unsigned(op.column << 4 | shape)
        if shape == 0:
            return [code, encode(op.value)]
        if shape == 5:
            return [code, op.element]
        over = dots(op.over, own, self.streams)
        match shape:
            case 1:
                return [code, encode(op.value), over]
            case 2:
                return [code, encode(op.value), over, dots(op.covers, own, self.streams)]
            case 3:
                return [code, over]
            case 4:
                return [code, over, cell_dots(op.covers, own, self.streams)]
        return [code, op.element, over]


def named(c: Changeset) -> list[bytes]:
    """01 §4.6: other streams, in the order in which the changeset first names them, `over` before covers."""
    found: dict[bytes, None] = {}
    for item in c.rows:
        for op in item.ops:
            covers = sorted(place[2] for place in op.covers) if op.action == "delete" else sorted(op.covers)
            for stream, _ in [*sorted(op.over), *covers]:
                if stream != c.dot[0]:
                    found.setdefault(stream)
    return list(found)
