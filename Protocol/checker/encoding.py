"""01 §1, §2: deterministic CBOR, and values.

An item is a tuple: ("null",), ("bool", b), ("int", n), ("real", 64 bits as a number), ("text", UTF-8 bytes),
("blob", bytes), ("composite", parts), ("sealed", box, subject or None), ("erased",); in cbor.jsonl also
("array", items) and ("map", ((key, item), …)).
"""
from __future__ import annotations

import struct

from checker.limits import FORMAT, INT_MAX, INT_MIN, MAX_BOX, MAX_LEVELS, MAX_SCALAR, TAG as TAG_BYTES, Reject

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
        case ("sealed", box, subject):
            parts = [box] if subject is None else [box, subject]
            return encode_head(ARRAY, 1 + len(parts)) + b"\x04" + b"".join(encode(("blob", part)) for part in parts)
        case ("erased",):
            return b"\x81\x05"
        case ("map", entries):
            return encode_head(MAP, len(entries)) + b"".join(encode(("int", k)) + encode(v) for k, v in entries)
    raise ValueError(f"no item: {item!r}")


def is_unreadable(value: tuple) -> bool:
    """12 §8: whether it is sealed or erased."""
    return value[0] in ("sealed", "erased")


def element(value: tuple) -> bytes:
    """01 §4.3: a cell's element."""
    if is_unreadable(value):
        raise Reject("invalid")
    return encode(value)


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

    def peek(self) -> int:
        """The major type of the item that follows, where more than one kind may stand (01 §1)."""
        kind = self.kind()
        if kind == TAG or kind == SIMPLE and self.data[self.at] not in (0xF4, 0xF5, 0xF6, 0xF9, 0xFA, 0xFB):
            raise Reject("unsupported")
        return kind

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

    def boolean(self) -> bool:
        """False or true, where nothing else may stand."""
        if self.kind() != SIMPLE or self.data[self.at] not in (0xF4, 0xF5):
            raise Reject("unexpectedType")
        self.at += 1
        return self.data[self.at - 1] == 0xF5

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

    def fixed(self, count: int) -> None:
        """The head of an array of exactly so many items."""
        if self.array() != count:
            raise Reject("invalid")

    def at_least(self, count: int) -> int:
        """11 §2: the head of an array of so many items or more; how many more there are."""
        found = self.array()
        if found < count:
            raise Reject("invalid")
        return found - count

    def pass_over(self, count: int) -> None:
        """11 §2: further items."""
        for _ in range(count):
            self.item()

    def format(self) -> None:
        """11 §1: the number of a format."""
        found = self.unsigned()
        if found != FORMAT:
            raise Reject("later" if found > FORMAT else "invalid")

    def or_null(self, read):
        """Null, or what is read: a place of more than one kind."""
        self.peek()
        if not self.at_null():
            return read()
        self.at += 1
        return None

    def simple(self, booleans: bool) -> tuple:
        """An item of major type 7 where any kind may stand."""
        initial = self.data[self.at]
        if initial in (0xF4, 0xF5) and not booleans:
            raise Reject("unexpectedType")
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
        if level > MAX_LEVELS:
            raise Reject("tooDeep")
        match self.peek():
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
        return self.simple(booleans=True)

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
        match self.peek():
            case 0 | 1:
                return ("int", self.integer())
            case 2:
                return ("blob", self.blob(MAX_SCALAR))
            case 3:
                return ("text", self.text(MAX_SCALAR))
            case 4 | 5:
                raise Reject("unexpectedType")
        return self.simple(booleans=False)

    def form(self) -> tuple[int, int]:
        """The count of an array that is a value, and the number that it begins with."""
        count = self.array()
        if not count:
            raise Reject("invalid")
        return count, self.unsigned()

    def value(self) -> tuple:
        """01 §2: a value in its canonical form."""
        if self.peek() != ARRAY:
            return self.scalar()
        count, form = self.form()
        if form == 4:
            return self.sealed(count)
        if form == 5 and count == 1:
            return ("erased",)
        if form != 0:
            raise Reject("invalid")
        return ("composite", tuple(self.scalar() for _ in range(count - 1)))

    def sealed(self, count: int) -> tuple:
        """01 §2: what stands behind the 4 of a sealed value, of so many items."""
        if count not in (2, 3):
            raise Reject("invalid")
        box = self.blob(MAX_BOX)
        if len(box) <= TAG_BYTES:
            raise Reject("invalid")
        return ("sealed", box, self.exact(16) if count == 3 else None)

    def element(self) -> bytes:
        """01 §4.3: the canonical bytes of a value that can be read."""
        return element(self.value())

    def end(self) -> None:
        if self.left():
            raise Reject("trailing")
