"""07 §6: a device's side of the exchange with its hub."""
from __future__ import annotations

from dataclasses import dataclass, field

from checker.kinds_of_trust import request as signature
from checker.limits import Reject
from checker.messages import (
    CUT, NAME, WHOLE, Answer, Cursor, Refusal, Reply, Request, RequestPart, Run, Stub, chain_behind, chain_start)
from checker.runs import Header, run_hash

from pyclient.blob_driver import BlobDriver, Moved
from pyclient.ingest import ASIDE, DAMAGED, Ingest
from pyclient.peer import ROOM, Peer, message, size
from pyclient.replica import Replica
from pyclient.schema import BASE, UsageError
from pyclient.store import wall
from pyclient.tls import Hub, HubRefused, NoHub

PATH = "/v1/exchange"
IDLE, RESTARTS, MOST = 3, 2, 10_000
READS = 1  # 11 §3: how much of what others write this build can read


@dataclass
class Scope:
    """Where a session stands in one scope."""
    name: bytes
    done: bool = False
    why: str = ""
    gap: bool = False
    body_missing: bool = False
    damaged: bool = False
    idle: int = 0
    unheld: int = 0
    postponed: int = 0
    read_anew: bool = False
    again: bool = False
    rejected: dict[bytes, str] = field(default_factory=dict)  # run hash: why the hub doesn't take it


@dataclass
class Outcome:
    """What a session says about itself."""
    sent: int = 0
    received: int = 0
    waits: int = 0
    kept_aside: int = 0
    reasons: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    is_unreachable: bool = False
    photos: Moved = field(default_factory=Moved)
    is_revoked: bool = False
    is_hindered: bool = False  # 13 §3: by something else than runs that are rejected or kept aside

    @property
    def is_done(self) -> bool:
        return not self.waits and not self.reasons and not self.photos.waits


class Session:
    def __init__(self, replica: Replica, timeout: float = 20.0, most: int = MOST, url: str | None = None,
                 photos: str = "own"):
        self.replica, self.store, self.peer = replica, replica.store, Peer(replica)
        if not self.store.get("url"):
            raise UsageError("this replica knows no hub: join one with `enrol URL TOKEN`")
        self.url, self.timeout, self.most = url or self.store.get("url"), timeout, most
        self.photos = photos  # which go: own, all or none
        self.scopes: dict[bytes, Scope] = {}
        self.outcome = Outcome()
        self.restarts, self.confirmed = 0, False
        if self.store.get("reads", READS) < READS:
            with self.store.transaction():
                self.store.db.execute("DELETE FROM cursor")
                self.store.db.execute("UPDATE run SET named = 0")
                self.store.set("reads", READS)

    def run(self) -> Outcome:
        hub = Hub(self.url, self.replica.trust.adopt_pins(), self.timeout)
        waited, rounds, parts = self.peer.waiting(), 0, []
        try:
            while (parts := self.parts()) and rounds < self.most:
                self.exchange(hub, parts)
                rounds += 1
            if not parts and self.photos != "none" and not self.outcome.is_hindered:
                driver = BlobDriver(self.replica, hub, self.photos == "all", self.outcome.is_revoked)
                self.outcome.photos = driver.run()
                self.outcome.reasons += self.outcome.photos.reasons
        except NoHub as error:
            parts, self.outcome.is_unreachable = [], True
            self.outcome.reasons.append(str(error))
        finally:
            hub.close()
            self.outcome.waits = self.peer.waiting()
            self.outcome.sent = max(0, waited - self.outcome.waits - self.outcome.kept_aside)
        if parts:
            self.outcome.reasons.append("stopped early, as was asked for")
        self.finish()
        return self.outcome

    def fail(self, scope: Scope, why: str, code: str = "") -> None:
        """Ends a scope: after REVOKED too photos are brought."""
        scope.done, scope.why = True, why
        self.outcome.is_revoked |= code == "REVOKED"
        self.outcome.is_hindered |= code != "REVOKED"

    def finish(self) -> None:
        with self.store.transaction():
            self.outcome.dropped = [scope.decode() for scope in self.peer.drop_lost()]
            if self.url != self.store.get("url"):
                self.store.set("url", self.url)
        self.outcome.reasons = list(dict.fromkeys(self.outcome.reasons))
        self.outcome.reasons += [f"{scope.name.decode()}: {scope.why}" for scope in self.scopes.values() if scope.why]
        if self.outcome.waits and not self.outcome.reasons:
            self.outcome.reasons.append("the hub isn't known to have it yet: sync again")

    # 07 §6.1

    def parts(self) -> list[tuple[Scope, list, list]]:
        """For each scope that goes on: the runs that it may send, and those of which the hub is to get keys."""
        with self.store.transaction():
            Ingest(self.replica).sealer.renew_if_copied()
            Ingest(self.replica).sealer.seal_all()
        for name in self.peer.wanted():
            self.scopes.setdefault(name, Scope(name))
        found = [(scope, self.sendable(scope), self.peer.to_give(scope.name)) for scope in self.open_scopes()]
        if not found and self.peer.doubts() and not self.confirmed and not any(s.why for s in self.scopes.values()):
            self.confirmed = True
            return [(self.scopes[BASE], [], [])]
        return found

    def open_scopes(self) -> list[Scope]:
        return sorted((scope for scope in self.scopes.values() if not scope.done), key=lambda scope: scope.name != BASE)

    def sendable(self, scope: Scope) -> list:
        """Runs that the hub isn't known to have, but for what it rejected and what depends on that."""
        blocked, found = set(scope.rejected), []
        for r in self.peer.unsent(scope.name):
            h = Header.decode(r["header"])
            if r["hash"] in blocked or h.previous in blocked or any(dep[2] in blocked for dep in h.deps):
                blocked.add(r["hash"])
            else:
                found.append(r)
        return found

    def request(self, parts: list[tuple[Scope, list, list]]) -> tuple[Request, dict[bytes, list]]:
        """07 §6.1 item 4: runs as far as there is room; the parts before come first."""
        room, is_first, brought, made = ROOM, True, {}, []
        for scope, runs, give in parts:
            chosen = []
            for r in [*give, *runs]:
                if not is_first and size(r) > room:
                    break
                room, is_first = room - size(r), False
                chosen.append(r)
            brought[scope.name] = chosen
            ahead = () if scope.body_missing else self.peer.ahead(scope.name)
            along = [r for r in self.peer.brought_along(chosen)]
            made.append(RequestPart(scope.name, self.peer.cursor(scope.name), ahead,
                                    tuple(message(r) for r in [*along, *chosen])))
        brings = sum(r["last"] - r["first"] + 1 for runs in brought.values() for r in runs if not r["has"])
        pending = max(0, self.peer.waiting() - brings)
        return Request(pending, wall(), self.replica.schema.version, tuple(made)), brought

    def exchange(self, hub: Hub, parts: list[tuple[Scope, list, list]]) -> None:
        request, brought = self.request(parts)
        body = request.encode()
        key = bytes.fromhex(self.store.get("hubKey"))
        header = signature(self.replica.seed, key, PATH.encode(), body).hex()
        try:
            reply = Reply.decode(hub.post(PATH, body, {"Karvan-Signature": header}))
        except HubRefused as refused:
            self.refused(refused)
            return
        except Reject as reason:
            self.end_all(f"the hub's reply can't be read ({reason}): a later build of this program may be needed")
            return
        if len(reply.parts) != len(parts):
            self.end_all("the hub's reply has other parts than the request")
            return
        with self.store.transaction():
            self.peer.note_scopes([scope.decode() for scope in reply.scopes])
        for (scope, _, _), asked, part in zip(parts, request.parts, reply.parts):
            self.heed(scope, asked, part, brought[scope.name])

    def refused(self, refused: HubRefused) -> None:
        if refused.code in ("EPOCH", "REWOUND"):
            self.start_over()
            return
        words = {"REVOKED": "the hub doesn't let this laptop in: ask its operator for a token",
                 "RETRY": "try again later", "UPGRADE": "a later build of this program is needed"}
        next_ = words.get(refused.code, "tell the hub's operator")
        self.end_all(f"the hub refused it ({refused}): {next_}", refused.code)

    def end_all(self, why: str, code: str = "") -> None:
        for scope in self.scopes.values():
            scope.done, scope.why = True, why if scope.name == BASE else scope.why
        self.fail(self.scopes[BASE], why, code)

    def start_over(self) -> None:
        """07 §6.3 "EPOCH"."""
        self.restarts += 1
        if self.restarts > RESTARTS:
            self.end_all("the hub's feeds began anew again and again: sync later")
            return
        with self.store.transaction():
            self.peer.start_over()
        self.scopes.clear()

    # 07 §6.2

    def heed(self, scope: Scope, asked: RequestPart, part: Refusal | Answer | None, brought: list) -> None:
        if self.scopes.get(scope.name) is not scope:
            return  # the session started over meanwhile
        if part is None:
            scope.postponed += 1
            if scope.postponed >= IDLE and all(s.postponed for s in self.open_scopes()):
                self.fail(scope, "the hub postpones it: sync again later")
            return
        scope.postponed = 0
        if isinstance(part, Refusal):
            self.heed_refusal(scope, part, brought)
            return
        with self.store.transaction():
            if self.peer.cursor(scope.name) != asked.cursor:
                return  # another process went on meanwhile
            changed, entries = self.take_in(scope, asked, part, brought)
        self.go_on(scope, part, changed, entries)

    def heed_refusal(self, scope: Scope, refusal: Refusal, brought: list) -> None:
        if refusal.name in ("EPOCH", "REWOUND"):
            self.start_over()
        elif refusal.name == "SCOPE" and scope.name != BASE:
            scope.done = not (self.sendable(scope) and not brought)
            if scope.done and self.sendable(scope):
                self.fail(scope, f"the hub refused it (SCOPE: {refusal.explanation.decode()})")
        else:
            self.fail(scope, f"the hub refused it ({refusal.name}: {refusal.explanation.decode()})", refusal.name)

    def take_in(self, scope: Scope, asked: RequestPart, part: Answer, brought: list) -> tuple[bool, int]:
        """One transaction for entries, cursor and heads; whether heads changed, and how many entries came."""
        ingest = Ingest(self.replica)
        ingest.sealer.seal_all()
        places = self.places(scope.name, asked.cursor, part)
        scope.body_missing = scope.damaged = False
        if places is None:
            self.fail(scope, "the hub's entries don't lead to where it says (POISON): tell its operator")
            return False, 0
        self.entries(ingest, scope, part, places)
        ingest.reconsider()
        self.outcome.received += ingest.received
        for r in brought:
            if r["give"]:
                self.store.db.execute("UPDATE run SET give = 0 WHERE id = ?", (r["id"],))
        gaps = {stub.stream for stub, refusal in part.rejections if refusal.name == "GAP"}
        changed = self.peer.note_heads(part.heads, gaps, {Header.decode(run.header).stream for run in asked.runs})
        scope.gap = bool(gaps)
        self.rejections(scope, part, [message(r) for r in brought])
        if not (part.more or part.rejections or scope.body_missing or scope.damaged):
            changed = self.hold_to_feed(scope) or changed
        return changed, len(part.entries)

    def hold_to_feed(self, scope: Scope) -> bool:
        """10 §6: a hub holds what its feed has named, and no more; the feed is read anew first, once."""
        beyond = self.peer.unnamed(scope.name) if self.replica.trust.may_read(scope.name) else []
        scope.again = bool(beyond) and not scope.read_anew
        if scope.again:
            scope.read_anew = True
            self.peer.read_anew(scope.name)
        else:
            self.peer.offer_again(beyond)
        return bool(beyond)

    @staticmethod
    def places(scope: bytes, cursor: Cursor | None, part: Answer) -> list[Cursor] | None:
        """07 §4, §6.2: the cursor before each entry and behind the last; None where they don't lead to the reply's."""
        at = cursor or Cursor(part.cursor.epoch, 0, chain_start(part.cursor.epoch, scope))
        found = [at]
        for kind, item in part.entries:
            stub = item
            if kind == WHOLE:
                h = Header.decode(item.header)
                stub = Stub(h.stream, h.last, run_hash(item.header))
            at = Cursor(at.epoch, at.offset + 1, chain_behind(at.chain, stub))
            found.append(at)
        return found if at == part.cursor else None

    def entries(self, ingest: Ingest, scope: Scope, part: Answer, places: list[Cursor]) -> None:
        stands = None
        for i, (kind, item) in enumerate(part.entries):
            if kind == NAME:
                held = self.store.held(item.run)
                if not held or held["missing"]:
                    scope.body_missing = True
                    scope.unheld = scope.unheld + 1
                    stands = i if stands is None else stands
                    break
                self.peer.named(item.run)
            elif kind == WHOLE:
                what, this = ingest.offer(item)
                if what == DAMAGED:
                    scope.damaged = True
                    stands = i if stands is None else stands
                    continue
                if what == ASIDE:
                    ingest.reconsider()
                self.peer.named(this)
            elif kind != CUT:
                self.store.set("reads", READS)  # a build that can read more reads the feed anew
        if not scope.body_missing:
            scope.unheld = 0
        self.peer.move(scope.name, places[len(part.entries) if stands is None else stands])

    def rejections(self, scope: Scope, part: Answer, brought: list[Run]) -> None:
        """07 §3: those that the hub doesn't keep aside; what it kept needs to be sent no more."""
        headers = {run_hash(run.header): Header.decode(run.header) for run in brought}
        follows = {this: h.previous for this, h in headers.items()}
        kept: set[bytes] = set()
        for head in part.heads:
            at = head.run
            while at in follows:
                kept.add(at)
                at = follows[at]
        for stub, refusal in part.rejections:
            if stub.run in kept:
                self.outcome.kept_aside += headers[stub.run].count if stub.run in headers else 0
                self.outcome.is_revoked |= refusal.name == "REVOKED"
                self.outcome.reasons.append(f"the hub keeps changesets aside, which count nowhere ({refusal.name}: "
                                            f"{refusal.explanation.decode()})")
                self.store.db.execute("UPDATE run SET has = 1 WHERE hash = ?", (stub.run,))
            elif refusal.name != "GAP":
                scope.rejected[stub.run] = f"{refusal.name}: {refusal.explanation.decode()}"

    # 07 §6.3

    def go_on(self, scope: Scope, part: Answer, changed: bool, entries: int) -> None:
        if scope.done:
            return
        scope.idle = 0 if changed or entries else scope.idle + 1
        refused = [why for why in scope.rejected.values()]
        left, give = self.sendable(scope), self.peer.to_give(scope.name)
        if refused and not scope.gap and not part.more:
            scope.done, scope.why = True, f"the hub doesn't take it ({refused[0]})"
        elif scope.idle >= IDLE and (part.more or left or give or scope.gap or scope.body_missing):
            self.fail(scope, "nothing moves any more: sync again later, and tell the hub's operator if it stays so")
        elif scope.unheld >= IDLE:
            self.fail(scope, "the hub names what it doesn't give: tell its operator")
        elif scope.damaged and not left:
            self.fail(scope, "what came was changed on the way: sync again")
        else:
            scope.done = not (part.more or scope.gap or scope.body_missing or scope.again or left or give)
