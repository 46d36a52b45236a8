"""07 §2–§4, 09 §6: what a device and a hub say to each other, and places in a feed."""
from __future__ import annotations

from dataclasses import dataclass

from checker import ed25519
from checker.certificates import MAX_NAME, Certificate
from checker.encoding import NULL, Reader, encode
from checker.identity import cbor_unsigned, digest, sha256
from checker.limits import (
    CODES, FORMAT, MAX_HEADER, MAX_KEYS, MAX_OFFSET, MAX_SCALAR, MAX_SCOPE, MAX_SCOPES, MAX_SEQ, MAX_STORED, Reject)
from checker.runs import Header

SIGNATURE, KEY, BODY_HASH = 64, 32, 5


def array(*items: tuple) -> tuple:
    return ("array", tuple(items))


def several(r: Reader, read, limit: int | None = None) -> tuple:
    """An array of what is read."""
    return tuple(read(r) for _ in range(r.array(limit)))


def place_of_body_hash(header: bytes) -> int:
    """02 §5: where the entry of key 5 begins in a header, or would."""
    r = Reader(header)
    r.counted(5)
    while r.left():
        place = r.at
        if r.unsigned() >= BODY_HASH:
            return place
        r.item()
    return r.at


def body_hash_entry(body: bytes) -> bytes:
    return cbor_unsigned(BODY_HASH) + encode(("blob", sha256(body)))


@dataclass(frozen=True)
class Run:
    """07 §3: header, seal and body, with the header as it was signed."""
    header: bytes
    seal: bytes
    body: bytes

    @staticmethod
    def read(r: Reader) -> "Run":
        r.fixed(3)
        short, seal = r.blob(MAX_HEADER), r.blob(SIGNATURE + MAX_KEYS)
        if len(seal) < SIGNATURE or (len(seal) - SIGNATURE) % KEY:
            raise Reject("invalid")
        body = r.blob(MAX_STORED)
        place = place_of_body_hash(short)
        if short[place:place + 1] == bytes([BODY_HASH]):
            raise Reject("invalid")
        header = short[:place] + body_hash_entry(body) + short[place:]
        Header.decode(header)
        return Run(header, seal, body)

    def item(self) -> tuple:
        place = place_of_body_hash(self.header)
        short = self.header[:place] + self.header[place + len(body_hash_entry(self.body)):]
        return array(("blob", short), ("blob", self.seal), ("blob", self.body))


@dataclass(frozen=True)
class Stub:
    """07 §3."""
    stream: bytes
    last: int
    run: bytes

    @staticmethod
    def read_head(r: Reader) -> "Stub":
        r.fixed(3)
        found = Stub(r.exact(16), r.unsigned(0, MAX_SEQ), r.exact(32))
        if found.last == 0 and any(found.run):
            raise Reject("outOfRange")
        return found

    @staticmethod
    def read(r: Reader) -> "Stub":
        found = Stub.read_head(r)
        if found.last == 0:
            raise Reject("outOfRange")
        return found

    def item(self) -> tuple:
        return array(("blob", self.stream), ("int", self.last), ("blob", self.run))


@dataclass(frozen=True)
class Cursor:
    """07 §3, §4."""
    epoch: bytes
    offset: int
    chain: bytes


class Epochs:
    """07 §3: the epoch of the cursor before in a message."""

    def __init__(self):
        self.last: bytes | None = None

    def read(self, r: Reader) -> Cursor:
        r.fixed(3)
        epoch = r.or_null(lambda: r.exact(16))
        if epoch == self.last:  # null in the first, or bytes that repeat it
            raise Reject("invalid")
        self.last = epoch or self.last
        return Cursor(self.last, r.unsigned(0, MAX_OFFSET), r.exact(32))

    def item(self, cursor: Cursor) -> tuple:
        epoch = NULL if cursor.epoch == self.last else ("blob", cursor.epoch)
        self.last = cursor.epoch
        return array(epoch, ("int", cursor.offset), ("blob", cursor.chain))


@dataclass(frozen=True)
class Refusal:
    """07 §2: a code that isn't known is UPGRADE."""
    code: int
    explanation: bytes

    @staticmethod
    def read(r: Reader) -> "Refusal":
        further = r.at_least(2)
        code = r.unsigned()
        found = Refusal(code if 1 <= code <= len(CODES) else 1 + CODES.index("UPGRADE"), r.text(MAX_SCALAR))
        r.pass_over(further)
        return found

    @property
    def name(self) -> str:
        return CODES[self.code - 1]

    def item(self) -> tuple:
        return array(("int", self.code), ("text", self.explanation))


@dataclass(frozen=True)
class RequestPart:
    """07 §3 "Request"."""
    scope: bytes
    cursor: Cursor | None
    ahead: tuple[Stub, ...]
    runs: tuple[Run, ...]

    def item(self, epochs: Epochs) -> tuple:
        cursor = NULL if self.cursor is None else epochs.item(self.cursor)
        return array(("text", self.scope), cursor, array(*(s.item() for s in self.ahead)),
                     array(*(run.item() for run in self.runs)))


@dataclass(frozen=True)
class Request:
    """07 §3 "Request"."""
    pending: int
    wall: int
    version: int
    parts: tuple[RequestPart, ...]

    @staticmethod
    def decode(data: bytes) -> "Request":
        r, epochs, parts = Reader(data), Epochs(), []
        further = r.at_least(5)
        r.format()
        numbers = r.unsigned(), r.integer(), r.unsigned()
        for _ in range(r.array(MAX_SCOPES)):
            more = r.at_least(4)
            scope = r.text(MAX_SCOPE)
            part = RequestPart(scope, r.or_null(lambda: epochs.read(r)), several(r, Stub.read), several(r, Run.read))
            r.pass_over(more)
            if any(scope == other.scope for other in parts):
                raise Reject("invalid")
            parts.append(part)
        r.pass_over(further)
        r.end()
        return Request(*numbers, tuple(parts))

    def encode(self) -> bytes:
        epochs = Epochs()
        return encode(array(("int", FORMAT), ("int", self.pending), ("int", self.wall), ("int", self.version),
                            array(*(part.item(epochs) for part in self.parts))))


WHOLE, NAME, CUT, LATER = range(4)


@dataclass(frozen=True)
class Answer:
    """07 §3 "Reply": a part that is neither postponed nor refused. Entries are pairs of kind and item."""
    heads: tuple[Stub, ...]
    rejections: tuple[tuple[Stub, Refusal], ...]
    entries: tuple[tuple[int, Run | Stub], ...]
    cursor: Cursor
    more: bool

    @staticmethod
    def rejection(r: Reader) -> tuple[Stub, Refusal]:
        further = r.at_least(2)
        found = Stub.read(r), Refusal.read(r)
        r.pass_over(further)
        return found

    @staticmethod
    def entry(r: Reader) -> tuple[int, Run | Stub]:
        further = r.at_least(2)
        kind = min(r.unsigned(), LATER)
        found = kind, Run.read(r) if kind == WHOLE else Stub.read(r)
        r.pass_over(further)
        return found

    @staticmethod
    def read(r: Reader, epochs: Epochs) -> "Answer":
        return Answer(several(r, Stub.read_head), several(r, Answer.rejection), several(r, Answer.entry),
                      epochs.read(r), r.boolean())

    def item(self, epochs: Epochs) -> tuple:
        return array(array(*(head.item() for head in self.heads)),
                     array(*(array(stub.item(), refusal.item()) for stub, refusal in self.rejections)),
                     array(*(array(("int", kind), item.item()) for kind, item in self.entries)),
                     epochs.item(self.cursor), ("bool", self.more))


@dataclass(frozen=True)
class Reply:
    """07 §3 "Reply". A part is None where it is postponed."""
    wall: int
    scopes: tuple[bytes, ...]
    parts: tuple[Refusal | Answer | None, ...]

    @staticmethod
    def part(r: Reader, epochs: Epochs) -> Refusal | Answer:
        count = r.array()
        if count == 1:
            return Refusal.read(r)
        if count < 5:
            raise Reject("invalid")
        found = Answer.read(r, epochs)
        r.pass_over(count - 5)
        return found

    @staticmethod
    def decode(data: bytes) -> "Reply":
        r, epochs = Reader(data), Epochs()
        further = r.at_least(4)
        r.format()
        found = Reply(r.integer(), several(r, lambda r: r.text(MAX_SCOPE), MAX_SCOPES),
                      several(r, lambda r: r.or_null(lambda: Reply.part(r, epochs)), MAX_SCOPES))
        r.pass_over(further)
        r.end()
        return found

    def encode(self) -> bytes:
        epochs = Epochs()

        def item(part) -> tuple:
            if part is None:
                return NULL
            return array(part.item()) if isinstance(part, Refusal) else part.item(epochs)

        return encode(array(("int", FORMAT), ("int", self.wall), array(*(("text", scope) for scope in self.scopes)),
                            array(*map(item, self.parts))))


@dataclass(frozen=True)
class Enrolment:
    """09 §6: what a device sends."""
    secret: bytes
    key: bytes
    encryption_key: bytes
    name: bytes
    signature: bytes

    @staticmethod
    def decode(data: bytes) -> "Enrolment":
        r = Reader(data)
        further = r.at_least(6)
        r.format()
        found = Enrolment(r.exact(32), r.exact(32), r.exact(32), r.text(MAX_NAME), r.exact(64))
        r.pass_over(further)
        r.end()
        return found

    @property
    def signed(self) -> bool:
        message = digest("karvan/1/enrolment", self.secret, self.key, self.encryption_key, self.name)
        return ed25519.verifies(self.signature, message, self.key)

    def encode(self) -> bytes:
        return encode(array(("int", FORMAT), ("blob", self.secret), ("blob", self.key), ("blob", self.encryption_key),
                            ("text", self.name), ("blob", self.signature)))


@dataclass(frozen=True)
class Enrolled:
    """09 §6: the hub's answer."""
    hub: Certificate
    device: Certificate
    wall: int

    @staticmethod
    def decode(data: bytes) -> "Enrolled":
        r = Reader(data)
        further = r.at_least(4)
        r.format()
        found = Enrolled(Certificate.read(r), Certificate.read(r), r.integer())
        r.pass_over(further)
        r.end()
        return found

    def encode(self) -> bytes:
        return encode(array(("int", FORMAT), self.hub.item(), self.device.item(), ("int", self.wall)))


def chain_start(epoch: bytes, scope: bytes) -> bytes:
    """07 §4."""
    return digest("karvan/1/feed", epoch, scope)


def chain_behind(chain: bytes, entry: Stub) -> bytes:
    """07 §4."""
    return digest("karvan/1/feed", chain, entry.stream, cbor_unsigned(entry.last), entry.run)


def chains(epoch: bytes, scope: bytes, entries: list[Stub]) -> list[bytes]:
    """07 §4: the chain at each offset of a feed."""
    found = [chain_start(epoch, scope)]
    for entry in entries:
        found.append(chain_behind(found[-1], entry))
    return found
