"""13 §5 "From device to device": blobs that go between laptops that have met, on either side."""
from __future__ import annotations

from checker.blobs import MAX_BLOB, MAX_PART, Ask, BlobReply, BlobRequest, Holding, Part
from checker.limits import CODES
from checker.messages import Refusal

from pyclient.blob_driver import BlobDriver
from pyclient.blobs import Blobs, Name
from pyclient.bundle_write import may_read
from pyclient.replica import Replica
from pyclient.tls import Hub
from pyclient.trust import Holder


class PeerDriver(BlobDriver):
    """Who comes: what the other one holds says nothing of the hub."""
    who = "laptop"

    def __init__(self, replica: Replica, line: Hub, other: Holder, fetches: bool):
        super().__init__(replica, line, fetches)
        self.other, self.by = other, other.device
        self.there: set[Name] = set()

    def server_key(self) -> bytes:
        return self.other.last.key

    def shared(self, names: list[Name]) -> list[Name]:
        """Of scopes that the other one may read: it is told of no others."""
        return [name for name in names if may_read(self.other.last, name[0])]

    def waiting(self) -> list[Name]:
        return [name for name in self.shared(self.blobs.all_held()) if name not in self.there]

    def lacking(self) -> list[Name]:
        return self.shared(self.blobs.lacking())

    def note_there(self, name: Name) -> None:
        self.there.add(name)

    def note_again(self, name: Name, holding: Holding | None) -> None:
        self.note(name, holding)

    def note_asked(self, request: BlobRequest) -> None:
        pass

    def look_at_last(self) -> None:
        pass

    def again(self, room: int) -> list[Name]:
        return []

    def heed_refusal(self, name: Name, taken: Refusal) -> None:
        pass


class BlobHost:
    """Who serves: the answer to one request of a laptop that has met this one."""

    def __init__(self, replica: Replica, other: Holder):
        self.blobs, self.other, self.by = Blobs(replica), other, other.device
        self.taken = 0

    def reply(self, request: BlobRequest) -> BlobReply:
        self.blobs.forget_erased()
        named = {name for name in self.blobs.names() if may_read(self.other.last, name[0])}
        taken = self.take(request.part, named) if request.part else None
        found, room = [], MAX_PART
        for ask in request.asks:
            found.append(self.holding(ask, room) if (ask.scope, ask.digest) in named else None)
            room -= len(found[-1].data) if found[-1] else 0
        return BlobReply(tuple(found), taken)

    def take(self, part: Part, named: set[Name]) -> Refusal | Holding:
        name = part.scope, part.digest
        if part.size > MAX_BLOB:
            return refused("TOO_LARGE", f"a blob has at most {MAX_BLOB} bytes")
        if name not in named:
            return refused("SCOPE", "no record here names it in a scope that you may read")
        was_there = self.blobs.holds(name)
        if not (found := self.blobs.take(part, self.by)):
            return refused("POISON", "what came isn't what the record names")
        self.taken += found.is_whole and not was_there
        return found

    def holding(self, ask: Ask, room: int) -> Holding | None:
        name = ask.scope, ask.digest
        if not self.blobs.holds(name):
            first = self.blobs.first(name, self.by)
            return first and Holding(*first, b"")
        size = self.blobs.size(name)
        is_asked = ask.start is not None and ask.start < size
        return Holding(size, size, self.blobs.read(name, ask.start, min(room, MAX_PART)) if is_asked else b"")


def refused(code: str, words: str) -> Refusal:
    return Refusal(CODES.index(code) + 1, words.encode())
