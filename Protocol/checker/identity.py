"""02 §1–§3: hashes, ids, the clock."""
from __future__ import annotations

import hashlib

from checker.encoding import UNSIGNED, encode, encode_head
from checker.limits import INT_MAX, MAX_MS

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
    return digest("karvan/1/stream", device, scope, cbor_unsigned(incarnation))[:16]


def branch_id(stream: bytes, first_run: bytes) -> bytes:
    """02 §8."""
    return digest("karvan/1/branch", stream, first_run)[:16]


def keyed_row(namespace: bytes, table: int, key: list) -> bytes:
    """02 §2.3."""
    return digest("karvan/1/keyed-row", namespace, cbor_unsigned(table) + encode(("array", tuple(key))))[:16]


def new_row(dot: Dot, time: int, previous: bytes, index: int, mark: bytes = b"") -> bytes:
    """02 §2.4."""
    middle = digest("karvan/1/new-rows", dot[0], cbor_unsigned(dot[1]), previous)[:8]
    return (time >> 16).to_bytes(6, "big") + middle[:8 - len(mark)] + index.to_bytes(2, "big") + mark


def conflict_id(table: int, row: bytes, column: int, dots: list[Dot]) -> bytes:
    """05 §2."""
    items = [("int", table), ("blob", row), ("int", column)]
    for stream, seq in sorted(dots):
        items += [("blob", stream), ("int", seq)]
    return digest("karvan/1/conflict", encode(("array", tuple(items))))


def facts_key(rule: int, facts: list) -> bytes:
    """05 §8: what a rule's facts are known by."""
    return digest("karvan/1/clash", encode(("array", (("int", rule), ("array", tuple(facts))))))


def rule_conflict_id(rule: int, facts: list, shown: list, choices: list, decisions: list[Dot]) -> bytes:
    """05 §8. A choice is a name and its edits."""
    named = [("array", (("text", name), *(("array", tuple(edit)) for edit in edits))) for name, edits in choices]
    items = [("blob", facts_key(rule, facts)), ("array", tuple(shown)), ("array", tuple(named))]
    for stream, seq in sorted(decisions):
        items += [("blob", stream), ("int", seq)]
    return digest("karvan/1/rule-conflict", encode(("array", tuple(items))))


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
