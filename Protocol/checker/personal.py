"""12 §2, §3: sealed values, and the keys beside a run."""
from __future__ import annotations

from dataclasses import replace

from checker import chacha
from checker.encoding import Reader, encode, is_unreadable
from checker.identity import cbor_unsigned, digest
from checker.limits import CHECK, Reject
from checker.model import Changeset, Op

KEY, PAD = 32, 16
MISSING = bytes(KEY)
DOMAIN = "karvan/1/personal"


def nonce(table: int, row: bytes, column: int) -> bytes:
    return digest(DOMAIN, cbor_unsigned(table) + cbor_unsigned(column), row)[:12]


def check(key: bytes) -> bytes:
    return digest(DOMAIN, key)[:CHECK]


def seal(key: bytes, table: int, row: bytes, column: int, value: tuple) -> bytes:
    """The box of a value in a cell."""
    plaintext = encode(value)
    return chacha.seal(key, nonce(table, row, column), plaintext + bytes(-len(plaintext) % PAD))


def unseal(key: bytes, table: int, row: bytes, column: int, box: bytes) -> tuple | None:
    """The value in a box; None where the key doesn't open it."""
    plaintext = chacha.unseal(key, nonce(table, row, column), box)
    if key == MISSING or plaintext is None:
        return None
    reader = Reader(plaintext)
    try:
        value = reader.value()
    except Reject:
        return None
    return None if is_unreadable(value) or any(reader.take(reader.left())) else value


def subject(row: bytes, op: Op) -> bytes | None:
    """Whom the value of an op is about; None where it isn't sealed."""
    if op.value is None or op.value[0] != "sealed":
        return None
    return op.value[2] or row


def pairs(changesets: list[Changeset]) -> list[tuple[int, bytes]]:
    """The pairs of changeset and subject, in the order in which the run names them first."""
    found = [(c.dot[1], about) for c in changesets for item in c.rows for op in item.ops
             if (about := subject(item.row, op)) is not None]
    return list(dict.fromkeys(found))


def opened(changesets: list[Changeset], keys: bytes, erased: set[bytes]) -> tuple[list[Changeset], bytes, int]:
    """12 §3, items 3 and 4: what the run says, the keys that may be kept, and how many values stay sealed."""
    places = pairs(changesets)
    known = dict.fromkeys(places, MISSING)
    if len(keys) == KEY * len(places):
        known = {pair: keys[KEY * i:KEY * (i + 1)] for i, pair in enumerate(places)}
    used: set[tuple] = set()
    left = 0

    def op_opened(seq: int, table: int, row: bytes, op: Op) -> Op:
        nonlocal left
        about = subject(row, op)
        if about is None:
            return op
        if about in erased:
            return replace(op, value=("erased",))
        value = unseal(known[seq, about], table, row, op.column, op.value[1])
        if value is None:
            left += 1
            return op
        used.add((seq, about))
        return replace(op, value=value)

    found = [replace(c, rows=tuple(
        replace(item, ops=tuple(op_opened(c.dot[1], item.table, item.row, op) for op in item.ops)) for item in c.rows))
        for c in changesets]
    return found, b"".join(known[pair] if pair in used else MISSING for pair in places), left
