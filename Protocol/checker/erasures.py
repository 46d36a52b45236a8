"""12 §5: the word of a hub that a person is erased."""
from __future__ import annotations

from dataclasses import dataclass

from checker import ed25519
from checker.certificates import MAX_NAME, fixed
from checker.encoding import Reader, encode
from checker.identity import digest
from checker.limits import MAX_ERASED, MAX_ERASURE, Reject


@dataclass(frozen=True)
class Erasure:
    """12 §5, in the order of its items; the signature stands apart."""
    people: tuple[bytes, ...]
    decided: int
    author: bytes
    note: bytes
    hub: bytes

    @staticmethod
    def decode(data: bytes) -> tuple["Erasure", bytes]:
        """An erasure, and its signature."""
        if len(data) > MAX_ERASURE:
            raise Reject("tooLong")
        r = Reader(data)
        fixed(r, 2)
        fixed(r, 5)
        found = Erasure(tuple(r.exact(16) for _ in range(r.array(MAX_ERASED))), r.integer(), r.text(MAX_NAME),
                        r.text(MAX_NAME), r.exact(32))
        signature = r.exact(64)
        r.end()
        return found, signature

    def item(self) -> tuple:
        return ("array", (("array", tuple(("blob", row) for row in self.people)), ("int", self.decided),
                          ("text", self.author), ("text", self.note), ("blob", self.hub)))

    @property
    def id(self) -> bytes:
        return digest("karvan/1/erasure", encode(self.item()))

    def is_signed(self, signature: bytes) -> bool:
        return ed25519.verifies(signature, self.id, self.hub)

    def encode(self, signature: bytes) -> bytes:
        return encode(("array", (self.item(), ("blob", signature))))
