"""13 §3: brings a hub the blobs that it lacks, and fetches those that are lacking here."""
from __future__ import annotations

from dataclasses import dataclass, field

from checker.blobs import MAX_ASKS, MAX_BLOB, MAX_PART, Ask, BlobReply, BlobRequest, Holding, Part
from checker.kinds_of_trust import request as signature
from checker.limits import Reject
from checker.messages import Refusal

from pyclient.blobs import Blobs, Name
from pyclient.replica import Replica
from pyclient.store import wall
from pyclient.tls import Hub, HubRefused, NoHub, NoPath

PATH = "/v1/blobs"
TRIES = 3  # replies in which a blob didn't get further than it ever had
DAY = 86_400_000


@dataclass
class Moved:
    brought: int = 0
    fetched: int = 0
    waits: int = 0
    knows_nothing: bool = False  # the hub, of blobs: they wait
    reasons: list[str] = field(default_factory=list)


class BlobDriver:
    """Of one session; what can't be had or brought is asked for no more in it. Who is revoked asks for nothing."""
    who = "hub"
    by: bytes | None = None  # whose first bytes are gone on from

    def __init__(self, replica: Replica, hub: Hub, fetches: bool, is_revoked: bool = False):
        self.replica, self.hub, self.blobs = replica, hub, Blobs(replica)
        self.fetches, self.is_revoked = fetches and not is_revoked, is_revoked
        self.moved, self.held, self.began = Moved(), {}, wall()
        self.done: set[Name] = set()
        self.tries: dict[Name, int] = {}
        self.furthest: dict[Name, int] = {}

    def run(self) -> Moved:
        self.blobs.forget_erased()
        try:
            self.look()
            while (bring := self.next_part()) or self.wanted():
                self.exchange(bring)
            self.look_at_last()
        except NoPath:
            self.moved.knows_nothing = True
        except HubRefused as refused:
            self.moved.reasons.append(f"the {self.who} refused photos ({refused})")
        except NoHub as error:
            self.moved.reasons.append(f"photos: {error}")
        except Reject as reason:
            self.moved.reasons.append(f"the {self.who}'s reply about photos can't be read ({reason})")
        self.moved.waits = len(self.waiting())
        return self.moved

    def server_key(self) -> bytes:
        return bytes.fromhex(self.replica.store.get("hubKey"))

    def waiting(self) -> list[Name]:
        return self.blobs.waiting()

    def lacking(self) -> list[Name]:
        return self.blobs.lacking()

    def note_there(self, name: Name) -> None:
        self.blobs.note_had(name)

    def ask(self, request: BlobRequest) -> BlobReply:
        """Of a reply that goes beyond what was asked nothing is taken in."""
        body = request.encode()
        header = signature(self.replica.seed, self.server_key(), PATH.encode(), body).hex()
        reply = BlobReply.decode(self.hub.post(PATH, body, {"Karvan-Signature": header}))
        if len(reply.holdings) != len(request.asks) or (reply.taken is None) != (request.part is None):
            raise NoHub(f"the {self.who}'s reply about photos has other parts than the request")
        for ask, holding in zip(request.asks, reply.holdings):
            if holding and len(holding.data) > max(0, holding.size - start_of(ask, holding)):
                raise NoHub(f"the {self.who}'s reply about photos has more bytes than there are")
        self.note_asked(request)
        return reply

    def note_asked(self, request: BlobRequest) -> None:
        if request.asks:
            with self.replica.store.transaction():
                self.replica.store.set("asked", wall())

    def may_ask(self, name: Name) -> bool:
        return not self.is_revoked and self.replica.trust.may_read(name[0])

    # What the hub holds

    def look(self) -> None:
        """How much the hub holds of what waits here, and once more of what it had."""
        waiting = [name for name in self.waiting() if self.may_ask(name)]
        for i in range(0, len(waiting), MAX_ASKS):
            names = waiting[i:i + MAX_ASKS]
            self.look_at(names + self.again(MAX_ASKS - len(names)))

    def look_at(self, names: list[Name]) -> None:
        reply = self.ask(BlobRequest(tuple(Ask(*name, None) for name in names), None))
        for name, holding in zip(names, reply.holdings):
            self.note_again(name, holding)

    def look_at_last(self) -> None:
        """Once a day where there was no room beside others."""
        if self.replica.store.get("asked", 0) < wall() - DAY and (names := self.again(MAX_ASKS)):
            self.look_at(names)

    def again(self, room: int) -> list[Name]:
        """What the hub had, as it said the longest ago; each once in a session."""
        found = [] if self.is_revoked or room <= 0 else self.blobs.told_before(self.began)
        return [name for name in found if name not in self.done][:room]

    def note_again(self, name: Name, holding: Holding | None) -> None:
        if not holding or not holding.is_whole:
            self.blobs.note_lost(name)
        self.note(name, holding)

    def note(self, name: Name, holding: Holding | None) -> None:
        self.held[name] = holding.held if holding and holding.size == self.blobs.size(name) else 0
        if holding and holding.is_whole:
            self.done.add(name)
            if holding.size == self.blobs.size(name):
                self.note_there(name)

    def got_to(self, name: Name, place: int) -> None:
        """§3: three replies in which it got no further than ever, and it is given up."""
        if place > self.furthest.get(name, 0):
            self.furthest[name] = place
            self.tries.pop(name, None)
            return
        self.tries[name] = self.tries.get(name, 0) + 1
        if self.tries[name] >= TRIES:
            self.done.add(name)

    # What it brings

    def next_part(self) -> Name | None:
        return next((name for name in self.waiting() if name not in self.done), None)

    def part(self, name: Name) -> Part:
        offset = self.held.get(name, 0)
        return Part(*name, self.blobs.size(name), offset, self.blobs.read(name, offset, MAX_PART))

    def heed_taken(self, name: Name, taken: Refusal | Holding) -> None:
        if isinstance(taken, Refusal):
            self.done.add(name)
            self.heed_refusal(name, taken)
            return
        self.note(name, taken)
        self.got_to(name, self.held[name])
        self.moved.brought += taken.is_whole and taken.size == self.blobs.size(name)

    def heed_refusal(self, name: Name, taken: Refusal) -> None:
        if taken.name == "SCOPE" and not self.replica.trust.may_read(name[0]):
            self.blobs.note_had(name)

    # What it fetches

    def wanted(self) -> list[Name]:
        if not self.fetches:
            return []
        lacking = [name for name in self.lacking() if name not in self.done]
        return sorted(lacking, key=lambda name: self.blobs.first(name, self.by) is None)[:MAX_ASKS]

    def start(self, name: Name) -> int:
        found = self.blobs.first(name, self.by)
        return found[0] if found else 0

    def exchange(self, bring: Name | None) -> None:
        """A part each way, and asks about what the hub had where there is room beside those about others."""
        wanted = self.wanted()
        again = self.again(MAX_ASKS - len(wanted)) if wanted else []
        asks = tuple(Ask(*name, self.start(name)) for name in wanted) + tuple(Ask(*name, None) for name in again)
        part = self.part(bring) if bring else None
        reply = self.ask(BlobRequest(asks, part))
        if bring:
            self.heed_taken(bring, reply.taken)
        room = MAX_PART
        for ask, holding in zip(asks[:len(wanted)], reply.holdings):
            self.heed(ask, holding, room)
            room -= len(holding.data) if holding else 0
        for name, holding in zip(again, reply.holdings[len(wanted):]):
            self.note_again(name, holding)

    def heed(self, ask: Ask, holding: Holding | None, room: int) -> None:
        """Takes in what came; nothing may come of what is whole where the asks before took all the room."""
        name, first = (ask.scope, ask.digest), self.blobs.first((ask.scope, ask.digest), self.by)
        if not holding or not holding.is_whole or not 0 < holding.size <= MAX_BLOB:
            self.done.add(name)
        elif first and first[1] != holding.size:
            self.blobs.begin_anew(name, first[1], self.by)
            self.got_to(name, 0)
        elif not holding.data:
            if room > 0:
                self.got_to(name, ask.start)
        elif not self.blobs.append(name, holding.size, ask.start, holding.data, self.by):
            self.done.add(name)
            self.moved.reasons.append(f"what came as the photo {name[1].hex()[:12]} is something else")
        elif self.blobs.holds(name):
            self.note_there(name)
            self.moved.fetched += 1
        else:
            self.got_to(name, ask.start + len(holding.data))


def start_of(ask: Ask, holding: Holding) -> int:
    return holding.size if ask.start is None else ask.start
