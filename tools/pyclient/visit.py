"""08 §8 "Who comes": a laptop that visits another one."""
from __future__ import annotations

from dataclasses import dataclass, field

from checker.kinds_of_trust import request as signature
from checker.limits import Reject

from pyclient.blob_driver import Moved
from pyclient.blob_peer import PeerDriver
from pyclient.bundle_read import BundleReader
from pyclient.bundle_write import BundleWriter, Lacking
from pyclient.company import Unwelcome, company, own_papers
from pyclient.meeting import MEETING_PATH, STATEMENT_PATH, Meeting, Statement
from pyclient.replica import Replica
from pyclient.schema import UsageError
from pyclient.tls import MAX_MESSAGE, Hub

UNREAD = "says what can't be read"
AROUND = 16  # the head of a byte string, in place of null
MEETINGS = 10_000
IDLE = 3  # meetings in a row in which nothing new came, and the other one doesn't lack less than ever
WORDS = {
    "otherRoot": "belongs to another forum",
    "kind": "shows a certificate that isn't one of a laptop, or not one of a hub",
    "unknownHub": "shows a certificate that another hub has issued",
    "signature": "shows something that isn't signed by the one that it names",
    "itself": "is this laptop itself, or a copy of it",
    "revoked": "was revoked: ask the hub's operator",
    "expired": "has certificates that have all expired: it has to sync with the hub first",
}


class Apart(UsageError):
    """The other one isn't met, and was told nothing."""

    def __init__(self, address: str, reason: str):
        super().__init__(f"the laptop at {address} {WORDS.get(reason, UNREAD)} ({reason}): "
                         "nothing was sent")
        self.reason = reason


class Neighbour(Hub):
    who = "laptop"
    strange = "Somebody may stand between"


@dataclass
class Visited:
    """What came of it."""
    name: str
    meetings: int = 0
    received: int = 0
    brought: int = 0  # runs
    lacks: int = 0  # runs that the other one still lacks
    left_out: bool = False
    photos: Moved = field(default_factory=Moved)

    @property
    def is_done(self) -> bool:
        return not self.lacks and not self.left_out and not self.photos.reasons


class Visit:
    def __init__(self, replica: Replica, address: str, timeout: float = 20.0, photos: str = "own"):
        self.replica, self.address, self.timeout = replica, address, timeout
        self.photos = photos  # which go: own (what the other one lacks), all (and what is lacking here) or none
        self.url = f"https://{address}"
        self.reader, self.writer = BundleReader(replica), BundleWriter(replica)
        self.papers = own_papers(replica)

    def statement(self) -> Statement:
        """Whoever answers is asked, and told nothing."""
        line = Neighbour(self.url, None, self.timeout)
        try:
            found = Statement.decode(line.get(STATEMENT_PATH))
        except Reject as reason:
            raise Apart(self.address, str(reason)) from None
        finally:
            line.close()
        if fault := found.fault(self.replica.trust.root, self.replica.device):
            raise Apart(self.address, fault)
        return found

    def run(self) -> Visited:
        said = self.statement()
        try:
            other = company(self.replica, said.device)
        except Unwelcome as reason:
            raise Apart(self.address, str(reason)) from None
        line, found = Neighbour(self.url, (said.pin,), self.timeout), Visited(other.name)
        lacking = self.writer.lacking(other, ())
        bundle = before = least = None
        idle = 0
        try:
            while found.meetings < MEETINGS:
                answer = self.meet(line, said, lacking, bundle)
                found.meetings += 1
                taken = self.reader.import_bytes(answer, f"the answer of {other.name}", other)
                found.received += taken.changesets
                other = company(self.replica, said.device)
                lacking = self.writer.lacking(other, self.reader.peer.said_by(other.device))
                found.brought += len(before - lacking.runs) if before else 0
                found.lacks, found.left_out = len(lacking.runs), not taken.is_last
                is_new = taken.changesets or least is None or len(lacking.runs) < least
                idle, least = 0 if is_new else idle + 1, min(len(lacking.runs), least or len(lacking.runs))
                is_done = taken.is_last and not lacking.runs
                if is_done or lacking.runs == before and not taken.changesets or idle == IDLE:
                    break
                before = lacking.runs
                bundle = self.bundle(other, lacking) if lacking.runs else None
            if self.photos != "none":
                found.photos = PeerDriver(self.replica, line, other, self.photos == "all").run()
        except Unwelcome as reason:
            raise Apart(self.address, str(reason)) from None
        finally:
            line.close()
        return found

    def bundle(self, other, lacking: Lacking) -> bytes:
        room = MAX_MESSAGE - AROUND - len(self.meeting(lacking, None).encode())
        return self.writer.in_one(other, lacking, room)

    def meeting(self, lacking: Lacking, bundle: bytes | None) -> Meeting:
        hub, device = self.papers
        return Meeting(self.replica.trust.root, hub, device, lacking.held, bundle)

    def meet(self, line: Neighbour, said: Statement, lacking: Lacking, bundle: bytes | None) -> bytes:
        body = self.meeting(lacking, bundle).encode()
        header = signature(self.replica.seed, said.device.statement.key, MEETING_PATH.encode(), body).hex()
        return line.post(MEETING_PATH, body, {"Karvan-Signature": header})
