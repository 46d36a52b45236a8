"""13 §3: brings a hub the blobs that it lacks, and fetches those that are lacking here."""
from __future__ import annotations

from dataclasses import dataclass, field

from checker.blobs import MAX_ASKS, MAX_BLOB, MAX_PART, Ask, BlobReply, BlobRequest, Holding, Part
from checker.kinds_of_trust import request as signature
from checker.limits import Reject
from checker.messages import Refusal

from pyclient.blobs import Blobs, Name
from pyclient.replica import Replica
from pyclient.tls import Hub, HubRefused, NoHub

PATH = "/v1/blobs"
TRIES = 4  # parts of one blob that the hub answers with no more bytes than before


@dataclass
class Moved:
    brought: int = 0
    fetched: int = 0
    waits: int = 0
    reasons: list[str] = field(default_factory=list)


class BlobDriver:
    """Of one session; what can't be had or brought is asked for no more in it."""

    def __init__(self, replica: Replica, hub: Hub, fetches: bool):
        self.replica, self.hub, self.fetches, self.blobs = replica, hub, fetches, Blobs(replica)
        self.moved, self.held = Moved(), {}
        self.done: set[Name] = set()
        self.tries: dict[Name, int] = {}

    def run(self) -> Moved:
        self.blobs.forget_erased()
        try:
            self.look()
            while (bring := self.next_part()) or self.wanted():
                self.exchange(bring)
        except HubRefused as refused:
            self.moved.reasons.append(f"the hub refused photos ({refused})")
        except NoHub as error:
            self.moved.reasons.append(f"photos: {error}")
        except Reject as reason:
            self.moved.reasons.append(f"the hub's reply about photos can't be read ({reason})")
        self.moved.waits = len(self.blobs.waiting())
        return self.moved

    def ask(self, request: BlobRequest) -> BlobReply:
        body, key = request.encode(), bytes.fromhex(self.replica.store.get("hubKey"))
        header = signature(self.replica.seed, key, PATH.encode(), body).hex()
        reply = BlobReply.decode(self.hub.post(PATH, body, {"Karvan-Signature": header}))
        if len(reply.holdings) != len(request.asks) or (reply.taken is None) != (request.part is None):
            raise NoHub("the hub's reply about photos has other parts than the request")
        return reply

    # What it brings

    def look(self) -> None:
        """How much the hub holds of what waits here."""
        waiting = self.blobs.waiting()
        for i in range(0, len(waiting), MAX_ASKS):
            names = waiting[i:i + MAX_ASKS]
            reply = self.ask(BlobRequest(tuple(Ask(*name, None) for name in names), None))
            for name, holding in zip(names, reply.holdings):
                self.note(name, holding)

    def note(self, name: Name, holding: Holding | None) -> None:
        self.held[name] = holding.held if holding and holding.size == self.blobs.size(name) else 0
        if holding and holding.is_whole:
            self.done.add(name)
            if holding.size == self.blobs.size(name):
                self.blobs.note_had(name)

    def next_part(self) -> Name | None:
        return next((name for name in self.blobs.waiting() if name not in self.done), None)

    def part(self, name: Name) -> Part:
        offset = self.held.get(name, 0)
        return Part(*name, self.blobs.size(name), offset, self.blobs.read(name, offset, MAX_PART))

    def heed_taken(self, name: Name, part: Part, taken: Refusal | Holding) -> None:
        if isinstance(taken, Refusal):
            self.done.add(name)
            if taken.name == "SCOPE" and not self.replica.trust.may_read(name[0]):
                self.blobs.note_had(name)
            return
        self.note(name, taken)
        if self.held[name] == part.offset + len(part.data):
            self.tries.pop(name, None)
        else:
            self.tries[name] = self.tries.get(name, 0) + 1
        if self.tries.get(name, 0) >= TRIES:
            self.done.add(name)
        self.moved.brought += name in self.blobs.had()

    # What it fetches

    def wanted(self) -> list[Name]:
        if not self.fetches:
            return []
        lacking = [name for name in self.blobs.lacking() if name not in self.done]
        return sorted(lacking, key=lambda name: self.blobs.first(name) is None)[:MAX_ASKS]

    def start(self, name: Name) -> int:
        found = self.blobs.first(name)
        return found[0] if found else 0

    def exchange(self, bring: Name | None) -> None:
        """A part each way."""
        wanted = self.wanted()
        asks = tuple(Ask(*name, self.start(name)) for name in wanted)
        part = self.part(bring) if bring else None
        reply = self.ask(BlobRequest(asks, part))
        if bring:
            self.heed_taken(bring, part, reply.taken)
        room = MAX_PART
        for ask, holding in zip(asks, reply.holdings):
            self.heed(ask, holding, room)
            room -= len(holding.data) if holding else 0

    def heed(self, ask: Ask, holding: Holding | None, room: int) -> None:
        """Takes in what came; nothing may come of what is whole where the asks before took all the room."""
        name, first = (ask.scope, ask.digest), self.blobs.first((ask.scope, ask.digest))
        if not holding or not holding.is_whole or not 0 < holding.size <= MAX_BLOB:
            self.done.add(name)
        elif first and first[1] != holding.size:
            self.blobs.begin_anew(name, first[1])
        elif not holding.data and room <= 0:
            return
        elif not holding.data or ask.start + len(holding.data) > holding.size:
            self.done.add(name)
        elif not self.blobs.append(name, holding.size, ask.start, holding.data):
            self.done.add(name)
            self.moved.reasons.append(f"what came as the photo {name[1].hex()[:12]} is something else")
        elif self.blobs.holds(name):
            self.blobs.note_had(name)
            self.moved.fetched += 1
