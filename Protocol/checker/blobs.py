"""13 §2 and §5: what a device and a hub say of blobs, and what bundles have of them."""
from __future__ import annotations

from dataclasses import dataclass

from checker.encoding import NULL, Reader, encode
from checker.limits import FORMAT, MAX_SCOPE, Reject
from checker.messages import Refusal, array, several

DIGEST, MAX_ASKS, MAX_PART, MAX_BLOB = 32, 256, 262_144, 33_554_432
ASK, PART, REQUEST, HOLDING, REPLY, HOLDINGS, HELD = 3, 5, 3, 3, 3, 2, 2


@dataclass(frozen=True)
class Ask:
    """A name, and from where on bytes are asked for; None where none are."""
    scope: bytes
    digest: bytes
    start: int | None

    @classmethod
    def read(cls, r: Reader) -> "Ask":
        further = r.at_least(ASK)
        found = cls(r.text(MAX_SCOPE), r.exact(DIGEST), r.or_null(r.unsigned))
        r.pass_over(further)
        return found

    def item(self) -> tuple:
        start = NULL if self.start is None else ("int", self.start)
        return array(("text", self.scope), ("blob", self.digest), start)


@dataclass(frozen=True)
class Part:
    """The bytes of a blob from an offset on."""
    scope: bytes
    digest: bytes
    size: int
    offset: int
    data: bytes

    @classmethod
    def read(cls, r: Reader) -> "Part":
        further = r.at_least(PART)
        found = cls(r.text(MAX_SCOPE), r.exact(DIGEST), r.unsigned(), r.unsigned(), r.blob(MAX_PART))
        if not 0 < len(found.data) <= found.size - found.offset:
            raise Reject("outOfRange")
        r.pass_over(further)
        return found

    def item(self) -> tuple:
        return array(("text", self.scope), ("blob", self.digest), ("int", self.size), ("int", self.offset),
                     ("blob", self.data))

    @classmethod
    def decode(cls, data: bytes) -> "Part":
        """As a piece in a bundle."""
        r = Reader(data)
        found = cls.read(r)
        r.end()
        return found

    def encode(self) -> bytes:
        return encode(self.item())


@dataclass(frozen=True)
class Holdings:
    """Digests and sizes of blobs of a scope that a hub has."""
    scope: bytes
    blobs: tuple[tuple[bytes, int], ...]

    @staticmethod
    def read_blob(r: Reader) -> tuple[bytes, int]:
        further = r.at_least(HELD)
        found = r.exact(DIGEST), r.unsigned()
        r.pass_over(further)
        return found

    @classmethod
    def decode(cls, data: bytes) -> "Holdings":
        r = Reader(data)
        further = r.at_least(HOLDINGS)
        found = cls(r.text(MAX_SCOPE), tuple(cls.read_blob(r) for _ in range(r.array())))
        if not found.blobs:
            raise Reject("invalid")
        r.pass_over(further)
        r.end()
        return found

    def encode(self) -> bytes:
        blobs = (array(("blob", digest), ("int", size)) for digest, size in self.blobs)
        return encode(array(("text", self.scope), array(*blobs)))


@dataclass(frozen=True)
class BlobRequest:
    asks: tuple[Ask, ...]
    part: Part | None

    @classmethod
    def decode(cls, data: bytes) -> "BlobRequest":
        r = Reader(data)
        further = r.at_least(REQUEST)
        r.format()
        found = cls(several(r, Ask.read, MAX_ASKS), r.or_null(lambda: Part.read(r)))
        r.pass_over(further)
        r.end()
        return found

    def encode(self) -> bytes:
        part = NULL if self.part is None else self.part.item()
        return encode(array(("int", FORMAT), array(*(ask.item() for ask in self.asks)), part))


@dataclass(frozen=True)
class Holding:
    """How many of the first bytes are held, of how many; and bytes that were asked for."""
    held: int
    size: int
    data: bytes

    @classmethod
    def read(cls, r: Reader, count: int) -> "Holding":
        """What stands behind the head of an array of so many items."""
        if count < HOLDING:
            raise Reject("invalid")
        held, size = r.unsigned(), r.unsigned()
        if held > size:
            raise Reject("outOfRange")
        found = cls(held, size, r.blob(MAX_PART))
        r.pass_over(count - HOLDING)
        return found

    @property
    def is_whole(self) -> bool:
        return self.held == self.size

    def item(self) -> tuple:
        return array(("int", self.held), ("int", self.size), ("blob", self.data))


@dataclass(frozen=True)
class BlobReply:
    holdings: tuple[Holding | None, ...]
    taken: Refusal | Holding | None

    @staticmethod
    def read_taken(r: Reader) -> Refusal | Holding:
        count = r.array()
        return Refusal.read(r) if count == 1 else Holding.read(r, count)

    @classmethod
    def decode(cls, data: bytes) -> "BlobReply":
        r = Reader(data)
        further = r.at_least(REPLY)
        r.format()
        holdings = several(r, lambda r: r.or_null(lambda: Holding.read(r, r.array())), MAX_ASKS)
        found = cls(holdings, r.or_null(lambda: cls.read_taken(r)))
        r.pass_over(further)
        r.end()
        return found

    def encode(self) -> bytes:
        holdings = [NULL if holding is None else holding.item() for holding in self.holdings]
        taken = NULL if self.taken is None else self.taken.item()
        taken = array(taken) if isinstance(self.taken, Refusal) else taken
        return encode(array(("int", FORMAT), array(*holdings), taken))
