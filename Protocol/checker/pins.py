"""09 §8: by which TLS keys a device knows its hub."""
from __future__ import annotations

from dataclasses import dataclass

from checker.encoding import Reader, encode
from checker.limits import FORMAT, Reject

MAX_PINS, MAX_BYTES = 4, 256


@dataclass(frozen=True)
class Stated:
    """09 §8: an element of the set."""
    pins: tuple[bytes, ...]
    time: int

    @staticmethod
    def decode(data: bytes) -> "Stated":
        if len(data) > MAX_BYTES:
            raise Reject("tooLong")
        r = Reader(data)
        further = r.at_least(3)
        r.format()
        pins = tuple(r.exact(32) for _ in range(r.array(MAX_PINS)))
        time = r.integer()
        r.pass_over(further)
        r.end()
        if not pins:
            raise Reject("invalid")
        return Stated(pins, time)

    def encode(self) -> bytes:
        pins = ("array", tuple(("blob", pin) for pin in self.pins))
        return encode(("array", (("int", FORMAT), pins, ("int", self.time))))


def adopt(trusted: tuple[bytes, ...], since: int, said: list[Stated]) -> tuple[tuple[bytes, ...], int]:
    """09 §8: what is trusted once this was heard, and since when."""
    if not said:
        return trusted, since
    last = max(said, key=lambda each: (each.time, each.encode()))
    if last.time > since or set(last.pins) & set(trusted):
        return last.pins, max(last.time, since)
    return trusted, since
