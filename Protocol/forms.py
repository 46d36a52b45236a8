"""Reads changesets in the JSON form of 01-encoding, and gives values their canonical bytes."""
import collections
import struct

# What `over` names lies in the op's own cell; `covers` are (cell, dot).
Op = collections.namedtuple("Op", "dot time kind value bytes over covers cell")


class Real(int):
    """The bits of an IEEE 754 binary64: a float would lose the payload of a NaN."""


class Unreadable(bytes):
    """The canonical bytes of what is sealed or was erased."""


def value(form):
    if not isinstance(form, dict):
        return form
    (kind, form), = form.items()
    if kind == "erased":
        return Unreadable(b"\x81\x05")
    if kind == "sealed":
        parts = [bytes.fromhex(part) for part in form]
        return Unreadable(head(4, 1 + len(parts)) + b"\x04" + b"".join(head(2, len(p)) + p for p in parts))
    if kind == "composite":
        return tuple(map(value, form))
    blob = bytes.fromhex(form) if kind in ("text", "blob") else b""
    return {"int": int, "real": lambda bits: Real(bits, 16), "blob": lambda _: blob,
            "text": lambda _: blob.decode()}[kind](form)


def head(major, count):
    if count < 24:
        return bytes([major << 5 | count])
    size = next(size for size in (1, 2, 4, 8) if count < 1 << 8 * size)
    return bytes([major << 5 | 23 + size.bit_length()]) + count.to_bytes(size, "big")


def real(bits):
    """The narrowest of 16, 32 and 64 bits that gives back every bit."""
    sign, fraction = bits >> 63, bits & (1 << 52) - 1
    number = struct.unpack(">d", bits.to_bytes(8, "big"))[0]
    for first, form, size, exponent, kept in ((b"\xf9", ">e", 2, 31, 10), (b"\xfa", ">f", 4, 255, 23)):
        if number != number and fraction % (1 << 52 - kept) == 0:
            narrow = sign << 8 * size - 1 | exponent << kept | fraction >> 52 - kept
            return first + narrow.to_bytes(size, "big")
        try:
            if struct.unpack(form, packed := struct.pack(form, number))[0] == number:
                return first + packed
        except OverflowError:
            pass
    return b"\xfb" + bits.to_bytes(8, "big")


def canonical(v):
    if v is None:
        return b"\xf6"
    if isinstance(v, tuple):
        return head(4, len(v) + 1) + b"\x00" + b"".join(map(canonical, v))
    if isinstance(v, Unreadable):
        return bytes(v)
    if isinstance(v, Real):
        return real(v)
    if isinstance(v, int):
        return head(0, v) if v >= 0 else head(1, -1 - v)
    encoded = v.encode() if isinstance(v, str) else v
    return head(3 if isinstance(v, str) else 2, len(encoded)) + encoded


def dot(text):
    return (text[:32], int(text[33:]))


def place(cell):
    return cell["column"], bytes.fromhex(cell.get("element", ""))


def ops(changeset):
    """The ops of a changeset, each behind its row."""
    milliseconds, counter = map(int, changeset["time"].split("."))
    for row in changeset["rows"]:
        for op in row["ops"]:
            cell, v, covers = place(op), value(op.get("value")), op.get("covers", ())
            covers = {(place(c), dot(c["dot"])) if isinstance(c, dict) else (cell, dot(c)) for c in covers}
            yield (row["table"], row["row"]), Op(
                dot(changeset["dot"]), milliseconds << 16 | counter, op["op"], v, canonical(v),
                set(map(dot, op["over"])), covers, cell)


def is_entry(v):
    """Whether a counter's column may hold it."""
    return isinstance(v, tuple) and len(v) == 2 and all(type(part) is int and part >= 0 for part in v)


def is_item(found, element):
    """Whether an item of the JSON array in a set's SQL column is this element."""
    if isinstance(found, float):
        found = Real.from_bytes(struct.pack(">d", found), "big")
    return found is None or element == canonical(bytes.fromhex(found) if element[0] >> 5 == 2 else found)
