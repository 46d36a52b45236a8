#!/usr/bin/env python3
"""Checks the vectors of the Karvan protocol, format 0, by the text of this folder alone.

    check.py [--vectors DIR] [--only FILE] [-v]

Each answer is derived from `given` and `when` as the parts 00 to 05 say, and held against `expect`. Exit 1 on
a failure, on an unknown kind of vector, on an unreadable line, on a file that is empty or missing.
Needs Python 3.11, `cryptography` (Ed25519) and `zstandard`. CBOR is implemented here.
"""
from __future__ import annotations

import argparse
import hashlib
import json
import re
import struct
import sys
from dataclasses import dataclass, field
from pathlib import Path

import zstandard
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

# ---------------------------------------------------------------------------------------------------------
# 01 §3  Limits
# ---------------------------------------------------------------------------------------------------------

MAX_SCALAR, MAX_CHANGESET, MAX_NEW_ROWS, MAX_RUN = 65_536, 262_144, 65_536, 1_024
MAX_STORED, MAX_EXPANDED, MAX_HEADER = 524_288, 4_194_304, 65_536
MAX_AUTHOR, MAX_SCOPE, MAX_DOT_ITEMS, MAX_PLACES, MAX_LEVELS = 200, 64, 8_192, 4_096, 8
MAX_SEQ, MAX_MS, MAX_NUMBER = 2**63 - 1, 2**48 - 1, 2**32 - 1
INT_MIN, INT_MAX = -2**63, 2**63 - 1


class Reject(Exception):
    """A reader refuses bytes, with one of the reasons of 01 §1."""


class BadVector(Exception):
    """The line isn't in the form of 01 §6, or is of a kind that isn't known."""


# ---------------------------------------------------------------------------------------------------------
# 01 §1, §2  Deterministic CBOR, values
#
# An item is a tuple: ("null",), ("bool", b), ("int", n), ("real", 64 bits as a number), ("text", UTF-8 bytes),
# ("blob", bytes), ("composite", parts); in cbor.jsonl also ("array", items) and ("map", ((key, item), …)).
# ---------------------------------------------------------------------------------------------------------

NULL = ("null",)
UNSIGNED, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE = range(8)


def widen(bits: int, exponent_bits: int, fraction_bits: int) -> int:
    """01 §1 "Shortest reals": a binary16 or binary32 as the bits of the same binary64."""
    sign = bits >> (exponent_bits + fraction_bits)
    exponent = bits >> fraction_bits & (1 << exponent_bits) - 1
    fraction = bits & (1 << fraction_bits) - 1
    bias = (1 << exponent_bits - 1) - 1
    if exponent == (1 << exponent_bits) - 1:  # infinity, NaN: zeros are appended to the fraction
        wide = 0x7FF << 52 | fraction << 52 - fraction_bits
    elif exponent:
        wide = exponent - bias + 1023 << 52 | fraction << 52 - fraction_bits
    elif fraction:  # subnormal: its leading one becomes the hidden bit
        top = fraction.bit_length() - 1
        wide = top - fraction_bits + 1 - bias + 1023 << 52 | (fraction - (1 << top)) << 52 - top
    else:
        wide = 0
    return sign << 63 | wide


def narrow(bits: int, exponent_bits: int, fraction_bits: int) -> int | None:
    """01 §1 "Shortest reals": a binary64 in a narrower format, or None where it doesn't fit."""
    sign, exponent, fraction = bits >> 63, bits >> 52 & 0x7FF, bits & (1 << 52) - 1
    bias, top = (1 << exponent_bits - 1) - 1, (1 << exponent_bits) - 1
    if exponent == 0x7FF:
        candidate = top << fraction_bits | fraction >> 52 - fraction_bits
    elif 1 <= exponent - 1023 + bias < top:
        candidate = exponent - 1023 + bias << fraction_bits | fraction >> 52 - fraction_bits
    else:  # zero, perhaps a subnormal of the narrower format, or out of its range
        shift = 52 - fraction_bits + 1 - (exponent - 1023 + bias)
        candidate = ((1 << 52 | fraction) >> shift) if exponent and 0 < shift < 64 else 0
    candidate |= sign << exponent_bits + fraction_bits
    return candidate if widen(candidate, exponent_bits, fraction_bits) == bits else None


def encode_head(major: int, n: int) -> bytes:
    """01 §1 "Shortest numbers"."""
    if n < 24:
        return bytes([major << 5 | n])
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if n < 1 << 8 * size:
            return bytes([major << 5 | info]) + n.to_bytes(size, "big")
    raise ValueError("a number over 64 bits")


def encode(item: tuple) -> bytes:
    """01 §1, §2: the bytes of an item; of a value these are its canonical bytes."""
    match item:
        case ("null",):
            return b"\xf6"
        case ("bool", b):
            return b"\xf5" if b else b"\xf4"
        case ("int", n):
            return encode_head(UNSIGNED, n) if n >= 0 else encode_head(NEGATIVE, -1 - n)
        case ("real", bits):
            if (half := narrow(bits, 5, 10)) is not None:
                return b"\xf9" + struct.pack(">H", half)
            if (single := narrow(bits, 8, 23)) is not None:
                return b"\xfa" + struct.pack(">I", single)
            return b"\xfb" + struct.pack(">Q", bits)
        case ("text", raw):
            return encode_head(TEXT, len(raw)) + raw
        case ("blob", raw):
            return encode_head(BYTES, len(raw)) + raw
        case ("array", items):
            return encode_head(ARRAY, len(items)) + b"".join(map(encode, items))
        case ("composite", parts):
            return encode_head(ARRAY, 1 + len(parts)) + b"\x00" + b"".join(map(encode, parts))
        case ("map", entries):
            return encode_head(MAP, len(entries)) + b"".join(encode(("int", k)) + encode(v) for k, v in entries)
    raise ValueError(f"no item: {item!r}")


class Reader:
    """01 §1: the strict decoder. It reads from left to right and raises the first reason to refuse."""

    def __init__(self, data: bytes):
        self.data, self.at = data, 0

    def left(self) -> int:
        return len(self.data) - self.at

    def kind(self) -> int:
        """The major type of the item that follows."""
        if not self.left():
            raise Reject("truncated")
        return self.data[self.at] >> 5

    def at_null(self) -> bool:
        return bool(self.left()) and self.data[self.at] == 0xF6

    def take(self, n: int) -> bytes:
        if n > self.left():
            raise Reject("truncated")
        self.at += n
        return self.data[self.at - n:self.at]

    def head(self, *majors: int) -> int:
        """The argument of a head of one of these kinds, checked in the order of the note in 01 §1."""
        if self.kind() not in majors:
            raise Reject("unexpectedType")
        info = self.data[self.at] & 31
        self.at += 1
        if info == 31:
            raise Reject("indefinite")
        if info >= 28:
            raise Reject("unsupported")
        if info < 24:
            return info
        size = 1 << info - 24
        n = int.from_bytes(self.take(size), "big")
        if n < 24 or size > 1 and n < 1 << 4 * size:
            raise Reject("notShortest")
        return n

    def unsigned(self, low: int = 0, high: int = 2**64 - 1) -> int:
        n = self.head(UNSIGNED)
        if not low <= n <= high:
            raise Reject("outOfRange")
        return n

    def integer(self, low: int = INT_MIN, high: int = INT_MAX) -> int:
        negative = self.kind() == NEGATIVE
        n = self.head(UNSIGNED, NEGATIVE)
        n = -1 - n if negative else n
        if not low <= n <= high:
            raise Reject("outOfRange")
        return n

    def counted(self, major: int, limit: int | None = None) -> int:
        """A length or count: over its limit is tooLong, more than is left is truncated."""
        n = self.head(major)
        if limit is not None and n > limit:
            raise Reject("tooLong")
        if n > self.left():
            raise Reject("truncated")
        return n

    def blob(self, limit: int | None = None) -> bytes:
        return self.take(self.counted(BYTES, limit))

    def exact(self, size: int) -> bytes:
        """A byte string of one length: tooLong when longer, invalid when shorter (01 §4.2, 02 §4)."""
        raw = self.blob(size)
        if len(raw) < size:
            raise Reject("invalid")
        return raw

    def text(self, limit: int | None = None) -> bytes:
        raw = self.take(self.counted(TEXT, limit))
        try:
            raw.decode("utf-8")  # Python's decoder is RFC 3629: no surrogates, no overlong forms
        except UnicodeDecodeError:
            raise Reject("invalidUTF8") from None
        return raw

    def array(self, limit: int | None = None) -> int:
        return self.counted(ARRAY, limit)

    def simple(self, booleans: bool) -> tuple:
        """An item of major type 7 where any kind may stand."""
        initial = self.data[self.at]
        if initial in (0xF4, 0xF5) and not booleans:
            raise Reject("unexpectedType")
        if initial not in (0xF4, 0xF5, 0xF6, 0xF9, 0xFA, 0xFB):
            raise Reject("unsupported")
        self.at += 1
        match initial:
            case 0xF6:
                return NULL
            case 0xF9:
                return ("real", widen(struct.unpack(">H", self.take(2))[0], 5, 10))
            case 0xFA:
                item = ("real", widen(struct.unpack(">I", self.take(4))[0], 8, 23))
            case 0xFB:
                item = ("real", struct.unpack(">Q", self.take(8))[0])
            case _:
                return ("bool", initial == 0xF5)
        if encode(item)[0] != initial:
            raise Reject("notShortest")
        return item

    def item(self, level: int = 1) -> tuple:
        """Any item of 01 §1, of at most 8 levels: what is passed over, and the kind `item` of cbor.jsonl."""
        kind = self.kind()
        if level > MAX_LEVELS:
            raise Reject("tooDeep")
        match kind:
            case 0 | 1:
                return ("int", self.integer(-2**64, 2**64 - 1))
            case 2:
                return ("blob", self.blob())
            case 3:
                return ("text", self.text())
            case 4:
                return ("array", tuple(self.item(level + 1) for _ in range(self.array())))
            case 5:
                return ("map", tuple((k, self.item(level + 1)) for k in self.keys()))
            case 7:
                return self.simple(booleans=True)
        raise Reject("unsupported")

    def keys(self):
        """The keys of a map, strictly ascending; the caller reads each value before it goes on."""
        last = -1
        for _ in range(self.counted(MAP)):
            key = self.unsigned()
            if key <= last:
                raise Reject("keyOrder")
            last = key
            yield key

    def scalar(self) -> tuple:
        """01 §2: null, integer, real, text or blob."""
        match self.kind():
            case 0 | 1:
                return ("int", self.integer())
            case 2:
                return ("blob", self.blob(MAX_SCALAR))
            case 3:
                return ("text", self.text(MAX_SCALAR))
            case 4 | 5:
                raise Reject("unexpectedType")
            case 7:
                return self.simple(booleans=False)
        raise Reject("unsupported")

    def form(self) -> tuple[int, int]:
        """The count of an array that is a value, and the number that it begins with."""
        count = self.array()
        if not count:
            raise Reject("invalid")
        return count, self.unsigned()

    def value(self) -> tuple:
        """01 §2: a value in its canonical form."""
        if self.kind() != ARRAY:
            return self.scalar()
        count, form = self.form()
        if form != 0:
            raise Reject("invalid")
        return ("composite", tuple(self.scalar() for _ in range(count - 1)))

    def end(self) -> None:
        if self.left():
            raise Reject("trailing")


# ---------------------------------------------------------------------------------------------------------
# 02 §1–§3  Hashes, ids, clock
# ---------------------------------------------------------------------------------------------------------

Dot = tuple  # (stream of 16 bytes, seq); tuples sort as 02 §2.5 says


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def digest(domain: str, *parts: bytes) -> bytes:
    """02 §1: H."""
    return sha256(domain.encode("ascii") + b"\0" + b"".join(len(p).to_bytes(8, "big") + p for p in parts))


def cbor_unsigned(n: int) -> bytes:
    return encode_head(UNSIGNED, n)


def device_id(public_key: bytes) -> bytes:
    """02 §2.1."""
    return sha256(public_key)


def stream_id(device: bytes, scope: bytes, incarnation: int) -> bytes:
    """02 §2.2."""
    return digest("karvan/0/stream", device, scope, cbor_unsigned(incarnation))[:16]


def keyed_row(namespace: bytes, table: int, key: list) -> bytes:
    """02 §2.3."""
    return digest("karvan/0/keyed-row", namespace, cbor_unsigned(table) + encode(("array", tuple(key))))[:16]


def new_row(dot: Dot, time: int, previous: bytes, index: int) -> bytes:
    """02 §2.4."""
    middle = digest("karvan/0/new-rows", dot[0], cbor_unsigned(dot[1]), previous)[:8]
    return (time >> 16).to_bytes(6, "big") + middle + index.to_bytes(2, "big")


def conflict_id(table: int, row: bytes, column: int, dots: list[Dot]) -> bytes:
    """05 §2."""
    items = [("int", table), ("blob", row), ("int", column)]
    for stream, seq in sorted(dots):
        items += [("blob", stream), ("int", seq)]
    return digest("karvan/0/conflict", encode(("array", tuple(items))))


def hybrid(ms: int) -> int:
    """02 §3."""
    return min(max(ms, 0), MAX_MS) << 16


def clock_write(last: int, now: int) -> int:
    """02 §3 "Write"."""
    if last == 2**64 - 1:
        raise ValueError("a device at 2^64 - 1 can't write any more")
    return max(hybrid(now), last + 1)


def clock_take_over(last: int, time: int, now: int) -> int:
    """02 §3 "Take over"."""
    return max(last, min(time, hybrid(min(max(now, 0) + 600_000, INT_MAX))))


# ---------------------------------------------------------------------------------------------------------
# 00 §2, 01 §4  Ops, changesets, the body of a run
# ---------------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Op:
    """00 §2. Covers are dots in a resolve, (column, element, dot) in a delete."""
    column: int
    element: bytes
    action: str
    value: tuple | None = None
    over: frozenset = frozenset()
    covers: frozenset = frozenset()

    @property
    def cell(self) -> tuple[int, bytes]:
        return self.column, self.element

    def names(self) -> set[Dot]:
        """All dots that the op names, in over and covers."""
        return set(self.over) | {c[2] if self.action == "delete" else c for c in self.covers}


@dataclass(frozen=True)
class RowItem:
    table: int
    row: bytes
    new: bool
    ops: tuple[Op, ...]


@dataclass(frozen=True)
class Changeset:
    dot: Dot
    time: int
    rows: tuple[RowItem, ...]
    author: bytes = b""
    claimed: int = 0
    action: bytes | None = None
    source: bytes = b""


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
            raise Reject("invalid" if self.left() else "truncated")
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
        if self.at_null():
            self.at += 1
            return {}
        read = {0: lambda: self.text(MAX_AUTHOR), 1: self.integer,
                2: lambda: self.exact(16), 3: lambda: self.text(MAX_AUTHOR)}
        return {key: read.get(key, self.item)() for key in self.keys()}

    def row_item(self) -> RowItem:
        """01 §4.2."""
        count = self.array()
        if count < 3:
            raise Reject("invalid")
        table = self.unsigned(0, MAX_NUMBER)
        row, new = self.row_name(table)
        ops, cells, left = [], set(), count - 2
        while left:
            op, taken = self.op(left - 1)
            if op.cell in cells:
                raise Reject("invalid")
            cells.add(op.cell)
            ops.append(op)
            left -= 1 + taken
        return RowItem(table, row, new, tuple(ops))

    def row_name(self, table: int) -> tuple[bytes, bool]:
        if self.at_null():
            self.at += 1
            if self.new_rows >= MAX_NEW_ROWS:
                raise Reject("tooLong")
            self.new_rows += 1
            return new_row((self.stream, self.seq), self.time, self.previous, self.new_rows - 1), True
        match self.kind():
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
                op = Op(column, encode(self.value()), "put", NULL)
            case 6:
                op = Op(column, encode(self.value()), "put", NULL, self.dots())
            case 7:
                op = Op(column, encode(self.value()), "retract", None, self.dots())
        return op, taken

    def wire_value(self) -> tuple:
        """01 §4.4."""
        if self.kind() != ARRAY:
            return self.scalar()
        count, form = self.form()
        if form == 0:
            return ("composite", tuple(self.scalar() for _ in range(count - 1)))
        if form > 3 or (count < 2 if form == 1 else count != 2):
            raise Reject("invalid")
        if form == 1:
            table = self.unsigned(0, MAX_NUMBER)
            return ("blob", self.enter(keyed_row(self.namespace, table, [self.scalar() for _ in range(count - 2)])))
        if form == 2:
            if self.kind() not in (UNSIGNED, BYTES):
                raise Reject("unexpectedType")
            return ("blob", self.numbered_row() if self.kind() == UNSIGNED else self.enter(self.exact(16)))
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
        if self.kind() == UNSIGNED:
            return self.unsigned(0, MAX_NUMBER), b""
        if self.array() != 2:
            raise Reject("invalid")
        return self.unsigned(0, MAX_NUMBER), encode(self.value())


# ---------------------------------------------------------------------------------------------------------
# 01 §5, 02 §4, §7  Compression, header, chain, taking a run
# ---------------------------------------------------------------------------------------------------------

def expand(stored: bytes, encoding: int, size: int) -> bytes:
    """01 §5. Raises Reject when the stored body isn't one frame of exactly this size."""
    if encoding == 0:
        if len(stored) != size:
            raise Reject("invalid")
        return stored
    try:
        frame = zstandard.get_frame_parameters(stored)
        if stored[:4] != b"\x28\xb5\x2f\xfd" or frame.content_size != size or frame.dict_id:
            raise Reject("invalid")
        decoder, out = zstandard.ZstdDecompressor().decompressobj(), b""
        for at in range(0, len(stored), 64):
            if decoder.eof:
                raise Reject("trailing")
            out += decoder.decompress(stored[at:at + 64])
            if len(out) > size or decoder.unused_data:
                raise Reject("invalid")
    except zstandard.ZstdError:
        raise Reject("invalid") from None
    if not decoder.eof or len(out) != size:
        raise Reject("invalid")
    return out


@dataclass
class Header:
    """02 §4."""
    stream: bytes
    first: int
    count: int
    previous: bytes | None
    body_hash: bytes
    deps: list[tuple[bytes, int, bytes]]
    schema: int
    encoding: int
    size: int
    origin: tuple[bytes, bytes, int] | None  # public key, scope, incarnation

    @property
    def last(self) -> int:
        return self.first + self.count - 1

    @staticmethod
    def decode(data: bytes) -> "Header":
        r, got = Reader(data), {}
        for key in r.keys():
            match key:
                case 0:
                    got[key] = r.unsigned()
                    if got[key] != 0:
                        raise Reject("invalid")
                case 1:
                    got[key] = r.exact(16)
                case 2:
                    got[key] = r.unsigned(1, MAX_SEQ - 1)
                case 3:
                    got[key] = r.unsigned(1, MAX_RUN)
                case 4 | 5 | 9:
                    got[key] = r.exact(32)
                case 6:
                    got[key] = [Header.dep(r) for _ in range(r.array())]
                case 7 | 11:
                    got[key] = r.unsigned()
                case 8:
                    if r.array() != 2:
                        raise Reject("invalid")
                    got[key] = r.unsigned(0, 1), r.unsigned(0, MAX_EXPANDED)
                case 10:
                    got[key] = r.text(MAX_SCOPE)
                case _:
                    r.item()
        r.end()
        origin = {9, 10, 11} & got.keys()
        if not {0, 1, 2, 3, 5, 6, 7, 8} <= got.keys() or len(origin) not in (0, 3):
            raise Reject("missingKey")
        if (4 in got) == (got[2] == 1) or bool(origin) != (got[2] == 1):
            raise Reject("invalid")
        if origin and stream_id(device_id(got[9]), got[10], got[11]) != got[1]:
            raise Reject("invalid")
        return Header(got[1], got[2], got[3], got.get(4), got[5], got[6], got[7], *got[8],
                      (got[9], got[10], got[11]) if origin else None)

    @staticmethod
    def dep(r: Reader) -> tuple[bytes, int, bytes]:
        if r.array() != 3:
            raise Reject("invalid")
        return r.exact(16), r.unsigned(), r.exact(32)

    def encode(self) -> bytes:
        array = lambda *items: ("array", tuple(items))
        entries = {0: ("int", 0), 1: ("blob", self.stream), 2: ("int", self.first), 3: ("int", self.count)}
        if self.previous is not None:
            entries[4] = ("blob", self.previous)
        entries[5] = ("blob", self.body_hash)
        entries[6] = array(*(array(("blob", s), ("int", n), ("blob", h)) for s, n, h in self.deps))
        entries[7] = ("int", self.schema)
        entries[8] = array(("int", self.encoding), ("int", self.size))
        if self.origin:
            entries |= {9: ("blob", self.origin[0]), 10: ("text", self.origin[1]), 11: ("int", self.origin[2])}
        return encode(("map", tuple(entries.items())))


def run_hash(header: bytes) -> bytes:
    """02 §4."""
    return digest("karvan/0/run", header)


class Refused(Exception):
    """A run isn't taken, with one of the codes of 02 §7."""


@dataclass
class Replica:
    """02 §7, 03 §2: runs that are held, and the state. It has no stream of its own (so step 5 never refuses)."""
    namespace: bytes
    scopes: tuple[bytes, ...] = (b"forum",)
    state: "State" = field(default_factory=lambda: State())
    runs: dict = field(default_factory=dict)  # stream: {last seq: run hash}, in order
    keys: dict = field(default_factory=dict)  # stream: public key

    def held(self, stream: bytes) -> int:
        return max(self.runs.get(stream, {}), default=0)

    def offer(self, header: bytes, signature: bytes, body: bytes) -> list[Changeset] | None:
        """Takes a run: its changesets, or None for a duplicate. Raises Reject (unreadable) or Refused."""
        h = Header.decode(header)  # step 1
        this, held, mine = run_hash(header), self.held(h.stream), self.runs.get(h.stream, {})
        if h.first <= held:  # step 2
            if mine.get(h.last) == this:
                return None
            raise Refused("FORK")
        if h.first != held + 1:  # step 3
            raise Refused("GAP")
        if h.previous != mine.get(held):  # step 4; both None when nothing is held
            raise Refused("FORK")
        for stream, seq, dep in h.deps:  # step 6
            if self.held(stream) < seq:
                raise Refused("GAP")
            if self.runs.get(stream, {}).get(seq) != dep:
                raise Refused("FORK")
        if h.origin and h.origin[1] not in self.scopes:  # step 7
            raise Refused("SCOPE")
        key = h.origin[0] if h.origin else self.keys[h.stream]
        try:  # step 8
            changesets = self.open(h, header, this, signature, body, key)
        except (Reject, InvalidSignature, ValueError):
            raise Refused("POISON") from None
        self.runs.setdefault(h.stream, {})[h.last] = this
        self.keys[h.stream] = key
        for changeset in changesets:
            self.state.deliver(changeset)
        return changesets

    def open(self, h, header, this, signature, body, key) -> list[Changeset]:
        """02 §7 step 8."""
        if len(body) > MAX_STORED or len(header) > MAX_HEADER or len(signature) != 64 or sha256(body) != h.body_hash:
            raise Reject("invalid")
        Ed25519PublicKey.from_public_bytes(key).verify(signature, this)
        streams, bounds = [d[0] for d in h.deps], {}
        for stream, seq, _ in h.deps:
            bounds[stream] = max(bounds.get(stream, 0), seq)
        plain = expand(body, h.encoding, h.size)
        changesets = BodyReader(plain, h.stream, h.first, h.previous or b"", streams, self.namespace).changesets()
        if len(changesets) != h.count:
            raise Reject("invalid")
        for op in (op for c in changesets for item in c.rows for op in item.ops):
            for stream, seq in op.names():
                if stream != h.stream and seq > bounds.get(stream, 0):
                    raise Reject("invalid")
        return changesets


# ---------------------------------------------------------------------------------------------------------
# 03 §1, §2, §5  Live ops, delivery, state hash
# ---------------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Live:
    """03 §1: a live op."""
    dot: Dot
    time: int
    op: Op

    @property
    def order(self) -> tuple:
        """04 §1."""
        return (self.time, *self.dot)

    @property
    def place(self) -> tuple:
        """As the covers of a delete name it: (column, element, dot)."""
        return (*self.op.cell, self.dot)


class State:
    """The live ops by (table, row) and cell, and the seq up to which each stream is held."""

    def __init__(self):
        self.rows: dict[tuple, dict[tuple, dict[Dot, Live]]] = {}
        self.held: dict[bytes, int] = {}

    def copy(self) -> "State":
        other = State()
        other.rows = {r: {c: dict(ops) for c, ops in cells.items()} for r, cells in self.rows.items()}
        other.held = dict(self.held)
        return other

    def deliver(self, changeset: Changeset) -> None:
        """03 §2."""
        stream, seq = changeset.dot
        if seq <= self.held.get(stream, 0):
            return
        self.held[stream] = seq
        for item in changeset.rows:
            cells = self.rows.setdefault((item.table, item.row), {})
            for op in item.ops:
                cell = cells.setdefault(op.cell, {})
                for dot in op.over:
                    cell.pop(dot, None)
                cell.setdefault(changeset.dot, Live(changeset.dot, changeset.time, op))

    def live(self) -> list[tuple[tuple, Live]]:
        """All live ops with their (table, row), in the order of 03 §5."""
        found = [(key, op) for key, cells in self.rows.items() for cell in cells.values() for op in cell.values()]
        return sorted(found, key=lambda f: (*f[0], *f[1].op.cell, *f[1].dot))

    def row(self, table: int, row: bytes) -> list[Live]:
        return [op for cell in self.rows.get((table, row), {}).values() for op in cell.values()]

    def hash(self) -> bytes:
        """03 §5."""
        out = [b"karvan/0/state\0"]
        for (table, row), live in self.live():
            out.append(encode(("array", (
                ("int", table), ("blob", row), ("int", live.op.column), ("blob", live.op.element),
                ("blob", live.dot[0]), ("int", live.dot[1]), ("int", live.time),
                live.op.value if live.op.action in ("put", "resolve") else NULL))))
        return sha256(b"".join(out))


# ---------------------------------------------------------------------------------------------------------
# 04  Folds
# ---------------------------------------------------------------------------------------------------------

def of(live: list[Live], *actions: str) -> list[Live]:
    return [l for l in live if l.op.action in actions]


def in_cell(live: list[Live], column: int, element: bytes = b"") -> list[Live]:
    return [l for l in live if l.op.cell == (column, element)]


def dots_of(live) -> set[Dot]:
    return {l.dot for l in live}


@dataclass
class Register:
    """04 §2: the fold of the live ops of one cell without an element."""
    candidates: list[Live]
    covered: list[Live]
    shown: Live | None
    conflict: bool
    within: bool
    shown_dots: set[Dot]
    all_dots: set[Dot]

    @staticmethod
    def fold(cell: list[Live], tolerance: int | None) -> "Register":
        settled = set().union(*(l.op.covers for l in of(cell, "resolve")))  # §2.1
        candidates = [l for l in of(cell, "put", "resolve") if l.op.action == "resolve" or l.dot not in settled]
        covered = [l for l in of(cell, "put") if l.dot in settled]
        conflict = len({encode(l.op.value) for l in candidates}) > 1  # §2.2
        pool, earliest = candidates, False  # §2.3
        if tolerance is not None and candidates and all(l.op.value[0] == "int" for l in candidates):
            numbers = [l.op.value[1] for l in candidates]
            spread = max(numbers) - min(numbers)
            earliest = spread <= tolerance and spread <= INT_MAX
            if earliest:
                pool = [l for l in candidates if l.op.value[1] == min(numbers)]
        shown = max(pool, key=lambda l: l.order, default=None)
        equals = [l for l in candidates if shown and encode(l.op.value) == encode(shown.op.value)]  # §2.4
        beneath = set().union(*(l.op.covers for l in of(equals, "resolve")))
        return Register(candidates, covered, shown, conflict, conflict and earliest,
                        dots_of(equals) | dots_of(l for l in covered if l.dot in beneath),
                        dots_of(candidates) | dots_of(covered))


def set_elements(row: list[Live], column: int) -> list[bytes]:
    """04 §3."""
    return sorted({l.op.element for l in of(row, "put") if l.op.column == column and l.op.element})


def entry(live: Live) -> tuple[int, int] | None:
    """04 §4: [P, N] of an op that counts."""
    value = live.op.value
    if live.op.action == "put" and value[0] == "composite" and len(value[1]) == 2:
        if all(p[0] == "int" and p[1] >= 0 for p in value[1]):
            return value[1][0][1], value[1][1][1]
    return None


def counter_total(row: list[Live], column: int) -> int | None:
    """04 §4."""
    entries = [e for l in in_cell(row, column) if (e := entry(l))]
    if not entries:
        return None
    return min(max(sum(p - n for p, n in entries), INT_MIN), INT_MAX)


@dataclass
class Life:
    """04 §5."""
    deletes: list[Live]
    uncovered: list[Live]

    @staticmethod
    def fold(row: list[Live]) -> "Life":
        deletes = of(in_cell(row, 0), "delete")
        covers = set().union(*(l.op.covers for l in deletes))
        lives = [l for l in row if l.op.action != "delete" and l.place not in covers]
        return Life(deletes, lives if deletes else [])

    @property
    def hidden(self) -> bool:
        return bool(self.deletes) and not self.uncovered

    @property
    def conflict(self) -> bool:
        return bool(self.deletes) and bool(self.uncovered)


# ---------------------------------------------------------------------------------------------------------
# 05 §1  Open conflicts
# ---------------------------------------------------------------------------------------------------------

def open_conflicts(table: int, row_id: bytes, row: list[Live], columns: list["Column"]) -> list[tuple[int, bytes]]:
    """05 §1, §2: (column, conflict id) of each conflict that is open in a row of a known table."""
    life, found = Life.fold(row), []
    if life.hidden:
        return []
    if life.conflict:
        found.append((0, conflict_id(table, row_id, 0, [l.dot for l in life.deletes + life.uncovered])))
    for column in columns:
        if column.shape == "register":
            fold = Register.fold(in_cell(row, column.number), column.tolerance)
            if fold.conflict:
                dots = [l.dot for l in fold.candidates]
                found.append((column.number, conflict_id(table, row_id, column.number, dots)))
    return sorted(found)


# ---------------------------------------------------------------------------------------------------------
# 03 §3, §4, 05 §3, §4  What an author writes
# ---------------------------------------------------------------------------------------------------------

class Author:
    """Decides ops on the live ops of one row, as the author's replica holds it."""

    def __init__(self, row: list[Live]):
        self.row, self.life = row, Life.fold(row)

    def retracts(self, column: int, element: bytes = b"") -> set[Dot]:
        return dots_of(of(in_cell(self.row, column, element), "retract"))

    def restoring(self) -> Op:
        """03 §4.2, §4.5: a retract in the cell of life."""
        return Op(0, b"", "retract", None, frozenset(dots_of(self.life.deletes) | self.retracts(0)))

    def with_restore(self, op: Op, delete_shown: bool = True) -> list[Op]:
        return [self.restoring(), op] if self.life.hidden and delete_shown else [op]

    def put(self, column: int, value: tuple, tolerance: int | None, basis: set[Dot] | None,
            delete_shown: bool) -> list[Op]:
        """03 §4.1, §4.2."""
        cell = in_cell(self.row, column)
        if basis is None:
            basis = Register.fold(cell, tolerance).shown_dots | self.retracts(column)
        over = dots_of(cell) if self.life.hidden and delete_shown else dots_of(cell) & basis
        return self.with_restore(Op(column, b"", "put", value, frozenset(over)), delete_shown)

    def add(self, column: int, element: bytes) -> list[Op]:
        """03 §4.3."""
        if element in set_elements(self.row, column):
            return []
        over = frozenset(dots_of(in_cell(self.row, column, element)))
        return self.with_restore(Op(column, element, "put", NULL, over))

    def remove(self, column: int, element: bytes) -> list[Op]:
        """03 §4.3."""
        if element not in set_elements(self.row, column):
            return []
        over = frozenset(dots_of(in_cell(self.row, column, element)))
        return self.with_restore(Op(column, element, "retract", None, over))

    def count(self, column: int, stream: bytes, by: int) -> list[Op]:
        """03 §4.4."""
        own = [l for l in in_cell(self.row, column) if l.dot[0] == stream and entry(l)]
        p = sum(entry(l)[0] for l in own) + max(by, 0)
        n = sum(entry(l)[1] for l in own) + max(-by, 0)
        if by == 0 or max(p, n) > INT_MAX:
            return []
        value = ("composite", (("int", p), ("int", n)))
        return self.with_restore(Op(column, b"", "put", value, frozenset(dots_of(own))))

    def delete(self) -> list[Op]:
        """03 §4.5."""
        if not self.row or self.life.hidden:
            return []
        covers = frozenset(l.place for l in self.row if l.op.action != "delete")
        return [Op(0, b"", "delete", None, frozenset(dots_of(self.life.deletes)), covers)]

    def restore(self) -> list[Op]:
        """03 §4.5."""
        return [self.restoring()] if self.life.deletes else []

    def resolve(self, column: int, value: tuple, tolerance: int | None, basis: set[Dot] | None) -> list[Op]:
        """05 §3."""
        cell = in_cell(self.row, column)
        if basis is None:
            basis = Register.fold(cell, tolerance).all_dots
        puts = {l.dot for l in of(cell, "put") if l.dot in basis}
        resolutions = [l for l in of(cell, "resolve") if l.dot in basis]
        taken_along = set().union(*(l.op.covers for l in resolutions)) & dots_of(cell)
        over = frozenset(dots_of(resolutions) | self.retracts(column))
        return [Op(column, b"", "resolve", value, over, frozenset(puts | taken_along))]

    def undo(self, column: int, dot: Dot | None) -> list[Op]:
        """05 §4."""
        if dot not in dots_of(of(in_cell(self.row, column), "resolve")):
            return []
        return [Op(column, b"", "retract", None, frozenset({dot} | self.retracts(column)))]


# ---------------------------------------------------------------------------------------------------------
# 01 §6  JSON form of vectors: reading
# ---------------------------------------------------------------------------------------------------------

def members(obj, required: str, optional: str = "") -> dict:
    """An object with exactly these members, or BadVector."""
    if not isinstance(obj, dict):
        raise BadVector(f"no object: {obj!r}")
    need = set(required.split())
    if not need <= obj.keys() <= need | set(optional.split()):
        raise BadVector(f"members {sorted(obj)} where {required} ({optional}) belong")
    return obj


def p_int(x, low: int = 0, high: int = 2**64 - 1) -> int:
    """01 §6 "Numbers"."""
    if isinstance(x, str) and re.fullmatch(r"-?[1-9][0-9]*", x) and abs(int(x)) >= 2**53:
        x = int(x)
    elif type(x) is not int or abs(x) >= 2**53:
        raise BadVector(f"no number: {x!r}")
    if not low <= x <= high:
        raise BadVector(f"a number out of range: {x}")
    return x


def p_hex(x, size: int | None = None) -> bytes:
    if not isinstance(x, str) or not re.fullmatch(r"([0-9a-f]{2})*", x) or size not in (None, len(x) // 2):
        raise BadVector(f"no hex digits: {x!r}")
    return bytes.fromhex(x)


def p_bytes(x) -> bytes:
    """01 §6 "Bytes"."""
    parts = [x] if isinstance(x, str) else x
    if not isinstance(parts, list):
        raise BadVector(f"no bytes: {x!r}")
    return b"".join(p_hex(p) if isinstance(p, str) else p_hex(p[0]) * p_int(p[1]) for p in parts)


def p_value(x) -> tuple:
    """01 §6 "Values"."""
    if x is None:
        return NULL
    if isinstance(x, str):
        if len(x) > 1000 or not all(" " <= c <= "~" for c in x):
            raise BadVector(f"a text that has to be bytes: {x!r}")
        return ("text", x.encode("ascii"))
    if not isinstance(x, dict):
        return ("int", p_int(x, INT_MIN, INT_MAX))
    match list(x.items()):
        case [("int", digits)] if isinstance(digits, str):
            return ("int", p_int(digits, INT_MIN, INT_MAX))
        case [("real", bits)]:
            return ("real", int.from_bytes(p_hex(bits, 8), "big"))
        case [("text" | "blob" as kind, raw)]:
            return (kind, p_bytes(raw))
        case [("composite", parts)] if isinstance(parts, list):
            return ("composite", tuple(map(p_value, parts)))
    raise BadVector(f"no value: {x!r}")


def p_text(x) -> bytes:
    kind, raw = (*p_value(x), None)[:2]
    if kind != "text":
        raise BadVector(f"no text: {x!r}")
    return raw


def p_dot(x) -> Dot:
    if not isinstance(x, str) or not re.fullmatch(r"[0-9a-f]{32}:[1-9][0-9]*", x) or int(x[33:]) > MAX_SEQ:
        raise BadVector(f"no dot: {x!r}")
    return bytes.fromhex(x[:32]), int(x[33:])


def p_time(x) -> int:
    found = re.fullmatch(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)", x) if isinstance(x, str) else None
    if not found or int(found[1]) > MAX_MS or int(found[2]) > 65_535:
        raise BadVector(f"no time: {x!r}")
    return int(found[1]) << 16 | int(found[2])


def p_element(x) -> bytes:
    return p_hex(x) if x is not None else b""


def p_op(x, live: bool = False) -> Op:
    """01 §6 "Ops"; a live op stands without `over`."""
    action = x.get("op")
    extra = {"put": " value", "resolve": " value covers", "retract": "", "delete": " covers"}.get(action)
    if extra is None:
        raise BadVector(f"no op: {x!r}")
    members(x, "column op" + extra + (" dot time" if live else " over"), "element table row")
    covers = x.get("covers", [])
    covers = map(p_place, covers) if action == "delete" else map(p_dot, covers)
    return Op(p_int(x["column"], 0, MAX_NUMBER), p_element(x.get("element")), action,
              p_value(x["value"]) if "value" in x else None, frozenset(map(p_dot, x.get("over", []))), frozenset(covers))


def p_place(x) -> tuple:
    members(x, "column dot", "element")
    return p_int(x["column"], 0, MAX_NUMBER), p_element(x.get("element")), p_dot(x["dot"])


def p_live(xs) -> list[Live]:
    return [Live(p_dot(x["dot"]), p_time(x["time"]), p_op(x, live=True)) for x in xs]


def p_policy(x) -> int | None:
    """The tolerance of 04 §2.3, or None for the policy `latest`."""
    return None if x == "latest" else p_int(members(x, "earliest")["earliest"], 0, INT_MAX)


@dataclass(frozen=True)
class Column:
    """01 §6.7: a column that is known."""
    number: int
    shape: str
    tolerance: int | None

    @staticmethod
    def parse(x) -> "Column":
        members(x, "column shape", "policy")
        if x["shape"] not in ("register", "set", "counter"):
            raise BadVector(f"no shape: {x!r}")
        return Column(p_int(x["column"]), x["shape"], p_policy(x.get("policy", "latest")))


# ---------------------------------------------------------------------------------------------------------
# 01 §6  JSON form of vectors: writing and comparing
# ---------------------------------------------------------------------------------------------------------

def j_int(n: int):
    return n if abs(n) < 2**53 else str(n)


def j_value(item: tuple):
    match item:
        case ("null",):
            return None
        case ("bool", b):
            return b
        case ("int", n):
            return n if abs(n) < 2**53 else {"int": str(n)}
        case ("real", bits):
            return {"real": f"{bits:016x}"}
        case ("text", raw):
            return j_text(raw)
        case ("blob", raw):
            return {"blob": raw.hex()}
        case ("composite", parts):
            return {"composite": [j_value(p) for p in parts]}
        case ("array", items):
            return [j_value(i) for i in items]
        case ("map", entries):
            return {"map": [[j_value(("int", k)), j_value(v)] for k, v in entries]}


def j_text(raw: bytes):
    plain = len(raw) <= 1000 and all(0x20 <= b <= 0x7E for b in raw)
    return raw.decode("ascii") if plain else {"text": raw.hex()}


def j_dot(dot: Dot) -> str:
    return f"{dot[0].hex()}:{dot[1]}"


def j_dots(dots) -> list[str]:
    return [j_dot(d) for d in sorted(dots)]


def j_time(time: int) -> str:
    return f"{time >> 16}.{time & 0xFFFF}"


def j_hash(raw: bytes | None):
    return None if raw is None else raw.hex()


def j_place(place: tuple) -> dict:
    column, element, dot = place
    return {"column": column, **({"element": element.hex()} if element else {}), "dot": j_dot(dot)}


def j_op(op: Op, live: bool = False) -> dict:
    out = {"column": op.column, **({"element": op.element.hex()} if op.element else {}), "op": op.action}
    if op.action in ("put", "resolve"):
        out["value"] = j_value(op.value)
    if not live:
        out["over"] = j_dots(op.over)
    if op.action == "resolve":
        out["covers"] = j_dots(op.covers)
    if op.action == "delete":
        out["covers"] = [j_place(c) for c in sorted(op.covers)]
    return out


def j_changeset(c: Changeset) -> dict:
    rows = [{"table": i.table, "row": i.row.hex(), "new": i.new, "ops": [j_op(o) for o in i.ops]} for i in c.rows]
    return {"dot": j_dot(c.dot), "time": j_time(c.time), "author": j_text(c.author), "claimed": j_int(c.claimed),
            "action": j_hash(c.action), "source": j_text(c.source), "rows": rows}


def j_open(found: list[tuple[int, bytes]]) -> list[dict]:
    return [{"column": column, "conflict": conflict.hex()} for column, conflict in found]


SETS = {"over", "covers", "candidates", "covered", "shownDots", "allDots", "deletes", "uncovered"}
LONG = {"bytes", "header", "body", "signature", "text", "blob"}


def normal(x, key: str = "", unordered: tuple = ()):
    """For comparing: sets without order and repetitions, lists of ops in any order where a kind says so, bytes whole."""
    if isinstance(x, dict):
        return {k: normal(v, k, unordered) for k, v in x.items()}
    if key in LONG:
        return p_bytes(x).hex()
    if isinstance(x, list):
        items = [normal(v, "", unordered) for v in x]
        if key in SETS or key in unordered:
            texts = [json.dumps(v, sort_keys=True) for v in items]
            items = sorted(set(texts)) if key in SETS else sorted(texts)
        return items
    return x


def same(a, b) -> bool:
    """Equality that keeps true and 1 apart."""
    return json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


# ---------------------------------------------------------------------------------------------------------
# 01 §6.1–§6.8  The kinds of vectors: each gives what `expect` should be
# ---------------------------------------------------------------------------------------------------------

def need(condition: bool, what: str) -> None:
    """A property that has to hold beside the answer itself."""
    if not condition:
        raise AssertionError(what)


def check_cbor(given, when):
    """01 §6.1."""
    if when == "encode":
        value = p_value(members(given, "value")["value"])
        r = Reader(encode(value))
        need(r.value() == value and not r.left(), "what is encoded decodes to the value")
        return {"bytes": encode(value).hex()}
    data = p_bytes(members(given, "bytes")["bytes"])
    r = Reader(data)
    try:
        item = {"item": r.item, "value": r.value}[when]()
        r.end()
    except Reject as reason:
        return {"reject": str(reason)}
    need(encode(item) == data, "an item that is accepted encodes to the same bytes")
    return {when: j_value(item)}


def check_bodies(given, when):
    """01 §6.2."""
    if when != "read":
        raise BadVector(f"an unknown kind: {when!r}")
    members(given, "stream firstSeq previousRun streams namespace body")
    previous = b"" if given["previousRun"] is None else p_hex(given["previousRun"], 32)
    r = BodyReader(p_bytes(given["body"]), p_hex(given["stream"], 16), p_int(given["firstSeq"], 1, MAX_SEQ), previous,
                   [p_hex(s, 16) for s in given["streams"]], p_text(given["namespace"]))
    try:
        return {"changesets": [j_changeset(c) for c in r.changesets()]}
    except Reject as reason:
        return {"reject": str(reason)}


def check_ids(given, when):
    """01 §6.3."""
    match when:
        case "digest":
            members(given, "domain parts")
            return {"hash": digest(given["domain"], *map(p_bytes, given["parts"])).hex()}
        case "device":
            return {"device": device_id(p_hex(members(given, "publicKey")["publicKey"], 32)).hex()}
        case "stream":
            members(given, "device scope incarnation")
            device, scope = p_hex(given["device"], 32), p_text(given["scope"])
            return {"stream": stream_id(device, scope, p_int(given["incarnation"])).hex()}
        case "keyedRow":
            members(given, "namespace table key")
            key = [p_value(v) for v in given["key"]]
            return {"row": keyed_row(p_text(given["namespace"]), p_int(given["table"], 0, MAX_NUMBER), key).hex()}
        case "newRow":
            members(given, "dot time previousRun index")
            previous = b"" if given["previousRun"] is None else p_hex(given["previousRun"], 32)
            return {"row": new_row(p_dot(given["dot"]), p_time(given["time"]), previous, p_int(given["index"])).hex()}
        case "conflict":
            members(given, "table row column dots")
            return {"conflict": conflict_id(p_int(given["table"]), p_hex(given["row"], 16), p_int(given["column"]),
                                            [p_dot(d) for d in given["dots"]]).hex()}
    raise BadVector(f"an unknown kind: {when!r}")


def p_fields(f) -> Header:
    """01 §6.4: F."""
    members(f, "stream firstSeq count previous bodyHash deps schemaVersion encoding size origin")
    origin = f["origin"] and members(f["origin"], "publicKey scope incarnation")
    deps = [members(d, "stream seq run") for d in f["deps"]]
    return Header(
        p_hex(f["stream"], 16), p_int(f["firstSeq"]), p_int(f["count"]),
        None if f["previous"] is None else p_hex(f["previous"], 32), p_hex(f["bodyHash"], 32),
        [(p_hex(d["stream"], 16), p_int(d["seq"]), p_hex(d["run"], 32)) for d in deps], p_int(f["schemaVersion"]),
        p_int(f["encoding"]), p_int(f["size"]),
        origin and (p_hex(origin["publicKey"], 32), p_text(origin["scope"]), p_int(origin["incarnation"])))


def j_fields(h: Header) -> dict:
    """01 §6.4: F."""
    deps = [{"stream": s.hex(), "seq": j_int(n), "run": r.hex()} for s, n, r in h.deps]
    origin = h.origin and {"publicKey": h.origin[0].hex(), "scope": j_text(h.origin[1]), "incarnation": j_int(h.origin[2])}
    return {"stream": h.stream.hex(), "firstSeq": j_int(h.first), "count": h.count, "previous": j_hash(h.previous),
            "bodyHash": h.body_hash.hex(), "deps": deps, "schemaVersion": j_int(h.schema), "encoding": h.encoding,
            "size": h.size, "origin": origin}


def check_runs(given, when):
    """01 §6.4."""
    if when == "seal":
        members(given, "seed header body")
        h, body = p_fields(given["header"]), p_bytes(given["body"])
        need(sha256(body) == h.body_hash, "key 5 is the hash of the body")
        expand(body, h.encoding, h.size)
        header = h.encode()
        need(Header.decode(header) == h, "the header that is written reads as the same fields")
        signature = Ed25519PrivateKey.from_private_bytes(p_hex(given["seed"], 32)).sign(run_hash(header))
        return {"header": header.hex(), "hash": run_hash(header).hex(), "signature": signature.hex()}
    if when == "header":
        data = p_bytes(members(given, "header")["header"])
        try:
            return {"fields": j_fields(Header.decode(data)), "hash": run_hash(data).hex()}
        except Reject as reason:
            return {"reject": str(reason)}
    members(when, "offer")
    members(given, "namespace held")
    run = lambda r: [p_bytes(members(r, "header signature body")[k]) for k in ("header", "signature", "body")]
    replica = Replica(p_text(given["namespace"]))
    for held in given["held"]:
        need(replica.offer(*run(held)) is not None, "each held run is taken")
    try:
        changesets = replica.offer(*run(when["offer"]))
        found = {"result": "duplicate"}
        if changesets is not None:
            found = {"result": "applied", "changesets": [j_changeset(c) for c in changesets]}
    except Refused as code:
        found = {"result": "refused", "code": str(code)}
    except Reject as reason:
        found = {"result": "unreadable", "reason": str(reason)}
    return found | {"stateHash": replica.state.hash().hex()}


def check_clock(given, when):
    """01 §6.5."""
    last, found = p_time(members(given, "last")["last"]), []
    for step in when:
        if "next" in members(step, "", "next observe wall"):
            last = clock_write(last, p_int(members(step, "next")["next"], INT_MIN, INT_MAX))
        else:
            members(step, "observe wall")
            last = clock_take_over(last, p_time(step["observe"]), p_int(step["wall"], INT_MIN, INT_MAX))
        found.append(j_time(last))
    return {"last": found}


def check_merge(given, when):
    """01 §6.6: every causal order, and after each step everything delivered once more."""
    if when != "deliver":
        raise BadVector(f"an unknown kind: {when!r}")
    changesets, needs = {}, {}
    for x in members(given, "changesets")["changesets"]:
        members(x, "dot time after rows")
        rows = tuple(RowItem(p_int(r["table"]), p_hex(r["row"], 16), False, tuple(map(p_op, r["ops"])))
                     for r in (members(r, "table row ops") for r in x["rows"]))
        dot = p_dot(x["dot"])
        changesets[dot], needs[dot] = Changeset(dot, p_time(x["time"]), rows), {p_dot(d) for d in x["after"]}
    for dot in changesets:  # the one before it in its stream, and of all only what is in the list
        before = max((d for d in changesets if d[0] == dot[0] and d < dot), default=None)
        needs[dot] = (needs[dot] | {before}) & changesets.keys()
    orders, ends = 0, {}

    def deliver(done: list[Dot], once: State, again: State) -> None:
        nonlocal orders
        ready = [d for d in changesets if d not in done and needs[d] <= set(done)]
        if not ready:
            need(len(done) == len(changesets), "every changeset can be delivered")
            orders += 1
            for state in (once, again):
                live = [{"table": key[0], "row": key[1].hex(), "dot": j_dot(l.dot), "time": j_time(l.time),
                         **j_op(l.op, live=True)} for key, l in state.live()]
                ends[json.dumps(live)] = {"live": live, "stateHash": state.hash().hex()}
            return
        for dot in ready:
            one, two = once.copy(), again.copy()
            one.deliver(changesets[dot])
            for d in [*done, dot, *done, dot]:
                two.deliver(changesets[d])
            deliver([*done, dot], one, two)

    deliver([], State(), State())
    need(len(ends) == 1, f"all orders end in one state, not in {len(ends)}")
    return {"orders": orders, **next(iter(ends.values()))}


def check_folds(given, when):
    """01 §6.7."""
    kind = when if isinstance(when, str) else next(iter(when)) if isinstance(when, dict) and len(when) == 1 else None
    members(given, "table row live" if kind == "conflicts" else "live")
    live = p_live(given["live"])
    match kind:
        case "register":
            fold = Register.fold(live, p_policy(when["register"]))
            value = {"value": j_value(fold.shown.op.value)} if fold.shown else {}
            return {"shown": fold.shown and j_dot(fold.shown.dot), **value, "candidates": j_dots(dots_of(fold.candidates)),
                    "covered": j_dots(dots_of(fold.covered)), "conflict": fold.conflict, "withinTolerance": fold.within,
                    "shownDots": j_dots(fold.shown_dots), "allDots": j_dots(fold.all_dots)}
        case "set":
            return {"elements": [e.hex() for e in set_elements(live, p_int(when["set"]))]}
        case "counter":
            total = counter_total(live, p_int(when["counter"]))
            return {"total": None if total is None else j_int(total)}
        case "life":
            life = Life.fold(live)
            return {"hidden": life.hidden, "conflict": life.conflict, "deletes": j_dots(dots_of(life.deletes)),
                    "uncovered": [j_place(l.place) for l in life.uncovered]}
        case "conflicts":
            columns = [Column.parse(c) for c in when["conflicts"]]
            return {"open": j_open(open_conflicts(p_int(given["table"]), p_hex(given["row"], 16), live, columns))}
    raise BadVector(f"an unknown kind: {when!r}")


def write_ops(w, row: list[Live], stream: bytes | None, dot) -> list[Op]:
    """01 §6.8 "One write": the ops of a write W. `dot` reads a dot of the vector."""
    author, do = Author(row), w.get("do")
    basis = {dot(d) for d in w["basis"]} if "basis" in w else None
    tolerance = p_policy(w.get("policy", "latest"))
    match do:
        case "put":
            members(w, "do column value", "policy basis deleteShown")
            return author.put(p_int(w["column"]), p_value(w["value"]), tolerance, basis, w.get("deleteShown", True))
        case "add" | "remove":
            members(w, "do column element")
            return getattr(author, do)(p_int(w["column"]), p_hex(w["element"]))
        case "count":
            members(w, "do column by" + ("" if stream else " stream"), "stream")
            own = p_hex(w["stream"], 16) if "stream" in w else stream
            return author.count(p_int(w["column"]), own, p_int(w["by"], INT_MIN, INT_MAX))
        case "delete" | "restore":
            members(w, "do")
            return getattr(author, do)()
        case "resolve":
            members(w, "do column value", "policy basis")
            return author.resolve(p_int(w["column"]), p_value(w["value"]), tolerance, basis)
        case "undo":
            return author.undo(p_int(members(w, "do column dot")["column"]), dot(w["dot"]))
    raise BadVector(f"an unknown write: {w!r}")


def check_resolutions(given, when):
    """01 §6.8."""
    if "do" in when:
        return {"ops": [j_op(o) for o in write_ops(when, p_live(members(given, "live")["live"]), None, p_dot)]}
    return story(given, members(when, "steps")["steps"])


def story(given, steps):
    """01 §6.8 "A story": several replicas that write, and take from each other."""
    members(given, "table row streams columns")
    table, row = p_int(given["table"]), p_hex(given["row"], 16)
    streams, columns = [p_hex(s, 16) for s in given["streams"]], [Column.parse(c) for c in given["columns"]]
    states, logs = [State() for _ in streams], [[] for _ in streams]  # a log: what is held, in the order it came
    wrote, dots = [], {}

    def take(i: int, changeset: Changeset) -> None:
        if changeset.dot[1] > states[i].held.get(changeset.dot[0], 0):
            states[i].deliver(changeset)
            logs[i].append(changeset)

    def dot(x) -> Dot | None:
        return p_dot(x) if isinstance(x, str) else dots.get(p_int(members(x, "step")["step"]))

    for k, step in enumerate(steps):
        if "write" in step:
            i, time = members(step, "at time write")["at"], p_time(step["time"])
            ops = []
            for w in step["write"]:
                ops += [op for op in write_ops(w, states[i].row(table, row), streams[i], dot)
                        if not (op in ops and op.action == "retract" and op.cell == (0, b""))]
            if ops:
                need(len({o.cell for o in ops}) == len(ops), "no two ops of one cell")
                dots[k] = streams[i], states[i].held.get(streams[i], 0) + 1
                take(i, Changeset(dots[k], time, (RowItem(table, row, False, tuple(ops)),)))
                wrote.append({"step": k, "dot": j_dot(dots[k]), "ops": [j_op(o) for o in ops]})
            continue
        if "from" in step:
            pairs = [(members(step, "at from")["at"], step["from"])]
        elif members(step, "meet")["meet"] is True:
            pairs = [(i, j) for i in range(len(streams)) for j in range(len(streams))]
        for i, changesets in [(i, list(logs[j])) for i, j in pairs]:
            for changeset in changesets:
                take(i, changeset)

    return {"wrote": wrote, "replicas": [replica_end(s, table, row, columns) for s in states]}


def replica_end(state: State, table: int, row_id: bytes, columns: list[Column]) -> dict:
    """01 §6.8: E, by 04 §6 and 05 §1."""
    row = state.row(table, row_id)
    hidden, shown = Life.fold(row).hidden, []
    for c in sorted(columns, key=lambda c: c.number) if row and not hidden else []:
        if c.shape == "set":
            shown.append({"column": c.number, "elements": [e.hex() for e in set_elements(row, c.number)]})
        elif c.shape == "counter":
            if (total := counter_total(row, c.number)) is not None:
                shown.append({"column": c.number, "value": j_int(total)})
        elif winner := Register.fold(in_cell(row, c.number), c.tolerance).shown:
            shown.append({"column": c.number, "value": j_value(winner.op.value)})
    return {"hidden": hidden, "shown": shown, "open": j_open(open_conflicts(table, row_id, row, columns)),
            "stateHash": state.hash().hex()}


# ---------------------------------------------------------------------------------------------------------
# README "The vectors", 01 §6: files, lines, the command line
# ---------------------------------------------------------------------------------------------------------

KINDS = {"cbor": (check_cbor, ()), "bodies": (check_bodies, ()), "ids": (check_ids, ()), "runs": (check_runs, ()),
         "clock": (check_clock, ()), "merge": (check_merge, ("live",)), "folds": (check_folds, ()),
         "resolutions": (check_resolutions, ("ops",))}


def strict(pairs) -> dict:
    obj = dict(pairs)
    if len(obj) != len(pairs):
        raise BadVector("a member comes twice")
    return obj


def no_number(text: str):
    raise BadVector(f"a number that isn't allowed: {text}")


def parse_line(line: bytes) -> dict:
    """01 §6: strict JSON, integers only, no member twice."""
    vector = json.loads(line.decode("utf-8"), object_pairs_hook=strict, parse_float=no_number, parse_constant=no_number)
    members(vector, "name given when expect")
    if not isinstance(vector["name"], str):
        raise BadVector("a name that isn't a text")
    return vector


def check_file(path: Path, verbose: bool) -> tuple[int, int]:
    """How many vectors of a file pass and fail; each failure is printed."""
    passed = failed = 0
    names = set()

    def fail(name, **what) -> None:
        nonlocal failed
        failed += 1
        print(f"FAIL {path.name}: {name}")
        for key, value in what.items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            print(f"  {key + ':':9} {text if verbose or len(text) <= 1500 else text[:1500] + ' … (-v for all)'}")

    data = path.read_bytes() if path.is_file() else b""
    if path.stem not in KINDS or not data.strip():
        fail("the file", found="no file of a known name with vectors")
        return passed, failed
    if not data.endswith(b"\n"):
        fail("the file", found="the last line doesn't end with 0x0a")
    check, unordered = KINDS[path.stem]
    for number, line in enumerate(data.removesuffix(b"\n").split(b"\n"), 1):
        try:
            v = parse_line(line)
        except Exception as error:
            fail(f"line {number}", found=f"can't be read: {error!r}")
            continue
        if v["name"] in names:
            fail(v["name"], found=f"the name of line {number} stands there before")
            continue
        names.add(v["name"])
        try:
            found = check(v["given"], v["when"])
            good = same(normal(found, "", unordered), normal(v["expect"], "", unordered))
        except Exception as error:  # BadVector: a form that isn't known; anything else: no answer is a failure too
            found, good = f"{type(error).__name__}: {error}", False
        if good:
            passed += 1
            if verbose:
                print(f"ok   {path.name}: {v['name']}")
        else:
            fail(v["name"], given=v["given"], when=v["when"], expected=v["expect"], found=found)
    return passed, failed


def main() -> int:
    parser = argparse.ArgumentParser(description="Checks the vectors of the protocol.")
    parser.add_argument("--vectors", type=Path, default=Path(__file__).resolve().parent / "vectors")
    parser.add_argument("--only", metavar="FILE", help="one file of the folder, such as cbor.jsonl")
    parser.add_argument("-v", action="store_true", help="name what passes, and print failures whole")
    args = parser.parse_args()
    names = {f"{stem}.jsonl" for stem in KINDS} | {p.name for p in args.vectors.glob("*.jsonl")}
    if args.only:
        names = {Path(args.only).stem + ".jsonl"}
    bad = 0
    for name in sorted(names):
        passed, failed = check_file(args.vectors / name, args.v)
        print(f"{name:20} {passed:4} pass {failed:4} fail")
        bad += failed
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
