"""12 §5: the word of a hub that a person is erased."""
from __future__ import annotations

from dataclasses import dataclass

from checker import ed25519
from checker.certificates import MAX_NAME
from checker.encoding import Reader, encode
from checker.identity import digest
from checker.limits import FORMAT, MAX_ERASED, MAX_ERASURE, Reject


def erasure_id(statement: bytes) -> bytes:
    """12 §5: what the hub signs."""
    return digest("karvan/1/erasure", statement)


@dataclass(frozen=True)
class Erasure:
    """12 §5, in the order of its items; the signature stands apart."""
    people: tuple[bytes, ...]
    decided: int
    author: bytes
    note: bytes
    hub: bytes

    @staticmethod
    def decode(data: bytes) -> tuple["Erasure", bytes, bytes]:
        """An erasure, its statement as it lies, and its signature."""
        if len(data) > MAX_ERASURE:
            raise Reject("tooLong")
        r = Reader(data)
        r.fixed(2)
        start = r.at
        further = r.at_least(6)
        r.format()
        found = Erasure(tuple(r.exact(16) for _ in range(r.array(MAX_ERASED))), r.integer(), r.text(MAX_NAME),
                        r.text(MAX_NAME), r.exact(32))
        r.pass_over(further)
        statement = data[start:r.at]
        signature = r.exact(64)
        r.end()
        return found, statement, signature

    def item(self) -> tuple:
        return ("array", (("int", FORMAT), ("array", tuple(("blob", row) for row in self.people)), ("int", self.decided),
                          ("text", self.author), ("text", self.note), ("blob", self.hub)))

    @property
    def statement(self) -> bytes:
        return encode(self.item())

    def is_signed(self, statement: bytes, signature: bytes) -> bool:
        return ed25519.verifies(signature, erasure_id(statement), self.hub)

    def encode(self, signature: bytes) -> bytes:
        return encode(("array", (self.item(), ("blob", signature))))
