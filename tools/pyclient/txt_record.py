"""08 §8 "To be found": the bytes of a TXT record, and what is shown of a name that anybody may have chosen."""
from __future__ import annotations


def record(strings: list[bytes]) -> bytes:
    """RFC 6763 §6.1: one empty string where there is none."""
    return b"".join(bytes([len(each)]) + each for each in strings or [b""])


def strings_of(data: bytes) -> list[bytes]:
    """Nothing of a record that breaks off within a string."""
    found, at = [], 0
    while at < len(data):
        end = at + 1 + data[at]
        if end > len(data):
            return []
        found.append(data[at + 1:end])
        at = end
    return found


def printable(name: str) -> str:
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in name)
