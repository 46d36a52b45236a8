"""07 §7, 08 §8: what devices say that wait for news, meet each other, or are to be found."""
from __future__ import annotations

import re
from dataclasses import dataclass

from checker import ed25519
from checker.bundles import List
from checker.certificates import Certificate
from checker.encoding import NULL, Reader, encode
from checker.identity import digest
from checker.limits import FORMAT, MAX_SCOPE, MAX_SCOPES, Reject
from checker.messages import Cursor, Epochs, array, several

PIN, SIGNATURE, ROOT = 32, 64, 32
ANY = b"*"
VERSION, DIGITS = b"1", 16


@dataclass(frozen=True)
class Place:
    """07 §7: a scope, and where the device stands in its feed."""
    scope: bytes
    cursor: Cursor | None


@dataclass(frozen=True)
class Wait:
    """07 §7."""
    patience: int
    places: tuple[Place, ...]

    @classmethod
    def decode(cls, data: bytes) -> "Wait":
        r, epochs, seen = Reader(data), Epochs(), set()
        further = r.at_least(3)
        r.format()
        patience = r.unsigned()

        def place(r: Reader) -> Place:
            r.fixed(2)
            found = Place(r.text(MAX_SCOPE), r.or_null(lambda: epochs.read(r)))
            if found.scope in seen:
                raise Reject("invalid")
            seen.add(found.scope)
            return found

        found = cls(patience, several(r, place, MAX_SCOPES))
        r.pass_over(further)
        r.end()
        return found

    def encode(self) -> bytes:
        epochs = Epochs()
        places = [array(("text", p.scope), epochs.item(p.cursor) if p.cursor else NULL) for p in self.places]
        return encode(array(("int", FORMAT), ("int", self.patience), array(*places)))


@dataclass(frozen=True)
class Ends:
    """07 §7."""
    wall: int
    scopes: tuple[bytes, ...]
    cursors: tuple[Cursor | None, ...]

    @classmethod
    def decode(cls, data: bytes) -> "Ends":
        r, epochs = Reader(data), Epochs()
        further = r.at_least(4)
        r.format()
        wall = r.integer()
        scopes = several(r, lambda r: r.text(MAX_SCOPE), MAX_SCOPES)
        found = cls(wall, scopes, several(r, lambda r: r.or_null(lambda: epochs.read(r)), MAX_SCOPES))
        r.pass_over(further)
        r.end()
        return found

    def encode(self) -> bytes:
        epochs = Epochs()
        cursors = [epochs.item(c) if c else NULL for c in self.cursors]
        return encode(array(("int", FORMAT), ("int", self.wall), array(*(("text", s) for s in self.scopes)),
                            array(*cursors)))

    def is_news(self, wait: Wait) -> bool:
        """Whether something is new for who stands at these places."""
        if set(self.scopes) - {ANY} - {place.scope for place in wait.places}:
            return True
        return any(end is not None and (end.offset > 0 if place.cursor is None else end != place.cursor)
                   for place, end in zip(wait.places, self.cursors))


@dataclass(frozen=True)
class Statement:
    """08 §8: who serves, and with which TLS key."""
    root: bytes
    hub: Certificate
    device: Certificate
    pin: bytes
    signature: bytes

    @classmethod
    def decode(cls, data: bytes) -> "Statement":
        r = Reader(data)
        further = r.at_least(6)
        r.format()
        found = cls(r.exact(ROOT), Certificate.read(r), Certificate.read(r), r.exact(PIN), r.exact(SIGNATURE))
        r.pass_over(further)
        r.end()
        return found

    def encode(self) -> bytes:
        return encode(array(("int", FORMAT), ("blob", self.root), self.hub.item(), self.device.item(),
                            ("blob", self.pin), ("blob", self.signature)))

    @property
    def message(self) -> bytes:
        """What is signed."""
        return digest("karvan/1/peer", self.root, self.pin)

    def fault(self, root: bytes) -> str | None:
        """Why a device of this forum doesn't go on with it; None where it does."""
        if self.root != root:
            return "otherRoot"
        if fault := self.device.device_fault(root, self.device.holder, self.hub):
            return fault
        signed = ed25519.verifies(self.signature, self.message, self.device.statement.key)
        return None if signed else "signature"


@dataclass(frozen=True)
class Meeting:
    """08 §8: what the one who comes brings."""
    root: bytes
    hub: Certificate
    device: Certificate
    list: List
    bundle: bytes | None

    @classmethod
    def decode(cls, data: bytes) -> "Meeting":
        r = Reader(data)
        further = r.at_least(6)
        r.format()
        found = cls(r.exact(ROOT), Certificate.read(r), Certificate.read(r), List.decode(r.blob()),
                        r.or_null(r.blob))
        r.pass_over(further)
        r.end()
        return found

    def encode(self) -> bytes:
        bundle = NULL if self.bundle is None else ("blob", self.bundle)
        return encode(array(("int", FORMAT), ("blob", self.root), self.hub.item(), self.device.item(),
                            ("blob", self.list.encode()), bundle))


@dataclass(frozen=True)
class Advertisement:
    """08 §8 "To be found": the first digits of whose forum's root and device's id a TXT record has."""
    forum: bytes
    device: bytes

    @classmethod
    def by(cls, root: bytes, device: bytes) -> "Advertisement":
        return cls(*(each.hex().encode()[:DIGITS] for each in (root, device)))

    @classmethod
    def read(cls, strings: list[bytes]) -> "Advertisement | None":
        """None for one that is left alone, whatever else it is."""
        found: dict[bytes, bytes] = {}
        for key, equals, value in (each.partition(b"=") for each in strings):
            if key and equals:
                found.setdefault(key.lower(), value)
        digits = [found.get(key, b"") for key in (b"forum", b"device")]
        if found.get(b"txtvers") != VERSION or not all(re.fullmatch(rb"[0-9a-f]{16}", each) for each in digits):
            return None
        return cls(*digits)

    def strings(self) -> list[bytes]:
        return [b"txtvers=" + VERSION, b"forum=" + self.forum, b"device=" + self.device]
