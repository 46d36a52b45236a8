"""Bodies as they are drawn: messages that devices send, and all that can be wrong with one."""
from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from checker.blobs import Ask, BlobRequest, Part
from checker.encoding import encode, encode_head
from checker.identity import digest, sha256, stream_id
from checker.kinds_of_trust import enrolment, raw_public
from checker.meetings import Place, Wait
from checker.messages import SIGNATURE, Cursor, Enrolment, Request, RequestPart, Run, Stub, array
from checker.runs import Header, run_hash
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pyclient.replica import device_id
from pyclient.store import wall

from http_check.world import Device, World, cursor_of, run_of

MOST = 4_194_304
ARRAY = 4  # 01 §1: the major type
WORDS = ("", "L1 door A", "Әсет", "İstanbul", "\0", "\u202e", "n" * 200, "n" * 201, "🚌" * 50)


@dataclass(frozen=True)
class Plan:
    """What a body is, and who signs the request: a seed, or None for nobody."""
    kind: str
    seed: bytes | None = None


class Plans:
    """A body follows from a few bytes, and from how many were drawn before: Hypothesis likes to give the same again."""

    def __init__(self, world: World):
        self.world = world
        self.known: dict[bytes, Plan] = {}
        self.drawn = 0
        self.runs = {device.name: {scope: [run_of(each) for each in runs] for scope, runs in device.runs.items()}
                     for device in world.devices}
        self.places = {scope: [cursor_of(each) for each in found] for scope, found in world.places.items()}

    def of(self, body) -> Plan | None:
        return self.known.get(sha256(body)) if isinstance(body, bytes) else None

    def draw(self, kinds: dict[str, tuple[int, Callable[[Random], tuple[bytes, bytes | None]]]], seed: bytes) -> bytes:
        self.drawn += 1
        rng = Random(seed + self.drawn.to_bytes(8, "big"))
        kind = rng.choices(list(kinds), [weight for weight, _ in kinds.values()])[0]
        body, signer = kinds[kind][1](rng)
        self.known[sha256(body)] = Plan(kind, signer)
        return body

    # Exchanges

    def exchange(self, seed: bytes) -> bytes:
        return self.draw({
            "request": (30, self.request), "other key": (3, lambda rng: (self.request(rng)[0], rng.randbytes(32))),
            "not signed": (3, lambda rng: (self.request(rng)[0], None)),
            "unknown cursor": (6, lambda rng: self.request(rng, cursor=unknown_cursor)),
            "other scope": (6, lambda rng: self.request(rng, scopes=[odd_scope(rng)])),
            "forged runs": (20, lambda rng: self.request(rng, runs=self.forged)),
            "damaged runs": (6, lambda rng: self.request(rng, runs=self.damaged)),
            "mutated": (10, lambda rng: changed(rng, self.request(rng), mutated)),
            "format": (3, lambda rng: changed(rng, self.request(rng), reformatted)),
            "further items": (3, lambda rng: changed(rng, self.request(rng), longer)),
            "odd": (5, lambda rng: (odd_request(rng), self.signer(rng))),
            "cbor": (3, lambda rng: (cbor(rng), self.signer(rng))),
            "bytes": (2, lambda rng: (rng.randbytes(rng.randrange(200)), self.signer(rng))),
            "too long": (1, lambda rng: (bytes(MOST + rng.choice([0, 1, 100_000])), self.signer(rng)))}, seed)

    def signer(self, rng: Random) -> bytes:
        return bytes.fromhex(rng.choice(self.world.devices).seed)

    def request(self, rng: Random, scopes: list[bytes] | None = None, cursor=None, runs=None) -> tuple[bytes, bytes]:
        device = rng.choice(self.world.devices[:2] * 3 + self.world.devices)
        if scopes is None:
            known = [scope.encode() for scope in self.world.scopes]
            scopes = rng.choice([known[:1], known, rng.sample(known, rng.randint(0, len(known)))])
        parts = tuple(RequestPart(scope, (cursor or self.cursor)(rng, scope), self.ahead(rng, scope),
                                  (runs or self.some_runs)(rng, device, scope)) for scope in scopes)
        clock = rng.choice([wall(), wall(), 0, -2**63, 2**63 - 1])
        made = Request(rng.choice([0, rng.randrange(100), 2**64 - 1]), clock, rng.choice([0, 6, 7, 2**64 - 1]), parts)
        return made.encode(), bytes.fromhex(device.seed)

    def cursor(self, rng: Random, scope: bytes) -> Cursor | None:
        found = self.places.get(scope.decode("utf-8", "replace"), [])
        return rng.choice(found) if found and rng.random() < 0.6 else None

    def ahead(self, rng: Random, scope: bytes) -> tuple[Stub, ...]:
        if rng.random() < 0.5:
            return ()
        odd = [Stub(rng.randbytes(16), rng.choice([1, 2**63 - 1]), rng.randbytes(32)) for _ in range(2)]
        known = [stub_of(run) for runs in self.runs.values() for run in runs.get(scope.decode("utf-8", "replace"), [])]
        return tuple(rng.sample(known + odd, rng.randint(0, 3) if known else 1))

    def any_run(self, rng: Random) -> tuple[Device, Run]:
        device = rng.choice([device for device in self.world.devices if device.runs])
        return device, rng.choice([run for runs in self.runs[device.name].values() for run in runs])

    def some_runs(self, rng: Random, device: Device, scope: bytes) -> tuple[Run, ...]:
        """The device's own in their order; or some of anybody's, in none."""
        own = self.runs[device.name].get(scope.decode("utf-8", "replace"), [])
        chance = rng.random()
        if chance < 0.6:
            first = rng.choice([0, 0, rng.randint(0, len(own))])
            return tuple(own[first:first + rng.randint(0, 4)])
        return tuple(self.any_run(rng)[1] for _ in range(rng.randint(0, 3))) if chance < 0.8 else ()

    def damaged(self, rng: Random, device: Device, scope: bytes) -> tuple[Run, ...]:
        """Changed on the way: a seal keeps its length, or the whole request couldn't be read."""
        run, what = self.any_run(rng)[1], rng.choice(["seal", "body"])
        bent = mutated(rng, getattr(run, what))
        return (replace(run, **{what: (bent + run.seal)[:len(run.seal)] if what == "seal" else bent}),)

    def forged(self, rng: Random, device: Device, scope: bytes) -> tuple[Run, ...]:
        """Signed by its device, and not what a run may be."""
        own = self.runs[device.name].get(scope.decode("utf-8", "replace"), [])
        if not own:
            return self.some_runs(rng, device, scope)
        run = rng.choice(own[:2] + own)
        return (*own[:own.index(run)], forged_run(rng, run, bytes.fromhex(device.seed), scope))

    # Waits

    def wait(self, seed: bytes) -> bytes:
        return self.draw({
            "wait": (20, self.some_wait), "other key": (3, lambda rng: (self.some_wait(rng)[0], rng.randbytes(32))),
            "not signed": (3, lambda rng: (self.some_wait(rng)[0], None)),
            "mutated": (8, lambda rng: changed(rng, self.some_wait(rng), mutated)),
            "format": (3, lambda rng: changed(rng, self.some_wait(rng), reformatted)),
            "further items": (3, lambda rng: changed(rng, self.some_wait(rng), longer)),
            "cbor": (3, lambda rng: (cbor(rng), self.signer(rng))),
            "too long": (1, lambda rng: (bytes(MOST + rng.choice([0, 1])), self.signer(rng)))}, seed)

    def some_wait(self, rng: Random) -> tuple[bytes, bytes]:
        """Of little patience, in any scopes, once each."""
        scopes = list(dict.fromkeys([scope.encode() for scope in self.world.scopes] + [odd_scope(rng)]))
        places = tuple(Place(scope, rng.choice([self.cursor, unknown_cursor])(rng, scope))
                       for scope in rng.sample(scopes, rng.randint(0, len(scopes))))
        return Wait(rng.choice([0, 1, 30]), places).encode(), self.signer(rng)

    # Blobs

    def blobs(self, seed: bytes) -> bytes:
        return self.draw({
            "blobs": (20, self.some_blobs), "other key": (3, lambda rng: (self.some_blobs(rng)[0], rng.randbytes(32))),
            "not signed": (3, lambda rng: (self.some_blobs(rng)[0], None)),
            "mutated": (8, lambda rng: changed(rng, self.some_blobs(rng), mutated)),
            "format": (3, lambda rng: changed(rng, self.some_blobs(rng), reformatted)),
            "further items": (3, lambda rng: changed(rng, self.some_blobs(rng), longer)),
            "cbor": (3, lambda rng: (cbor(rng), self.signer(rng))),
            "too long": (1, lambda rng: (bytes(MOST + rng.choice([0, 1])), self.signer(rng)))}, seed)

    def some_blobs(self, rng: Random) -> tuple[bytes, bytes]:
        """Asks of any scope, and a part or none, of any size."""
        def scope() -> bytes:
            return rng.choice([scope.encode() for scope in self.world.scopes] + [odd_scope(rng)])

        asks = tuple(Ask(scope(), rng.randbytes(32), rng.choice([None, 0, rng.getrandbits(40), (1 << 64) - 1]))
                     for _ in range(rng.choice([0, 1, 3, 256])))
        data = rng.randbytes(rng.choice([1, 9, 262_144]))
        offset = rng.choice([0, 0, 262_144, rng.getrandbits(62)])
        size = offset + len(data) + rng.choice([0, 0, 1, rng.getrandbits(30)])
        part = Part(scope(), rng.randbytes(32), size, offset, data) if rng.random() < 0.6 else None
        return BlobRequest(asks, part).encode(), self.signer(rng)

    # Enrolments

    def enrolment(self, seed: bytes) -> bytes:
        return self.draw({
            "fresh token": (8, lambda rng: self.enrolled(rng, self.fresh(rng))),
            "own token again": (6, self.again),
            "another's token": (4, lambda rng: self.enrolled(rng, bytes.fromhex(rng.choice(self.world.spent)[0]))),
            "unknown token": (3, lambda rng: self.enrolled(rng, rng.randbytes(32))),
            "other signature": (4, lambda rng: (self.any(rng)[0][:-64] + rng.randbytes(64), None)),
            "odd keys": (4, self.odd_keys),
            "mutated": (8, lambda rng: changed(rng, self.any(rng), mutated)),
            "format": (3, lambda rng: changed(rng, self.any(rng), reformatted)),
            "further items": (3, lambda rng: changed(rng, self.any(rng), longer)),
            "cbor": (3, lambda rng: (cbor(rng), None)),
            "bytes": (2, lambda rng: (rng.randbytes(rng.randrange(200)), None)),
            "too long": (1, lambda rng: (bytes(MOST + rng.choice([0, 1, 100_000])), None))}, seed)

    def fresh(self, rng: Random) -> bytes:
        """A secret that nobody used, as far as it wasn't drawn before."""
        return bytes.fromhex(rng.choice(self.world.fresh))

    def enrolled(self, rng: Random, secret: bytes) -> tuple[bytes, None]:
        return enrolment(rng.randbytes(32), secret, rng.choice(WORDS).encode()), None

    def again(self, rng: Random) -> tuple[bytes, None]:
        secret, seed = map(bytes.fromhex, rng.choice(self.world.spent))
        return enrolment(seed, secret, rng.choice(WORDS).encode()), None

    def any(self, rng: Random) -> tuple[bytes, None]:
        return self.again(rng) if rng.random() < 0.5 else self.enrolled(rng, self.fresh(rng))

    def odd_keys(self, rng: Random) -> tuple[bytes, None]:
        """Signed, with an X25519 key that isn't the device's, or none at all; or of an Ed25519 key that is no point."""
        private = Ed25519PrivateKey.from_private_bytes(rng.randbytes(32))
        public = raw_public(private) if rng.random() < 0.7 else rng.choice([bytes(32), b"\xff" * 32])
        secret, key, name = self.fresh(rng), rng.choice([bytes(32), b"\xff" * 32, rng.randbytes(32)]), b"odd"
        signature = private.sign(digest("karvan/1/enrolment", secret, public, key, name))
        return Enrolment(secret, public, key, name, signature).encode(), None


def stub_of(run: Run) -> Stub:
    header = Header.decode(run.header)
    return Stub(header.stream, header.last, run_hash(run.header))


def unknown_cursor(rng: Random, scope: bytes) -> Cursor:
    return Cursor(rng.randbytes(16), rng.choice([0, 1, 2**62 - 1]), rng.randbytes(32))


def odd_scope(rng: Random) -> bytes:
    return rng.choice([b"", b"*", b"delegation/", b"delegation/XX", b"delegation/kz", b"later/KZ", b"forum/KZ", b"\0",
                       "делегация/KZ".encode(), b"delegation/" + b"K" * 53])


def changed(rng: Random, found: tuple[bytes, bytes | None], change) -> tuple[bytes, bytes | None]:
    return change(rng, found[0]), found[1]


def mutated(rng: Random, data: bytes) -> bytes:
    """Other bytes, less of them, or more of them."""
    for _ in range(rng.choice([1, 1, 2])):
        at, new = rng.randint(0, len(data)), rng.randbytes(rng.randint(1, 4))
        data = rng.choice([data[:at] + new + data[at + len(new):], data[:at] + new + data[at:],
                           data[:at] + data[at + rng.randint(1, 40):], data[:at]])
    return data


def reformatted(rng: Random, body: bytes) -> bytes:
    """The first item of the array, which is a small number, becomes another one."""
    return body[:1] + encode_head(0, rng.choice([0, 2, 23, 24, 2**64 - 1])) + body[2:]


def longer(rng: Random, body: bytes) -> bytes:
    """11 §2: one item more behind those that are known."""
    return bytes([body[0] + 1]) + body[1:] + encode(("text", b"later"))


def forged_run(rng: Random, run: Run, seed: bytes, scope: bytes) -> Run:
    """One that can be read, with something changed before it was signed; its own where nothing else can be made."""
    key, header, body = Ed25519PrivateKey.from_private_bytes(seed), Header.decode(run.header), run.body
    keys = run.seal[SIGNATURE:]
    match rng.choice(["body", "count", "deps", "unknown deps", "encoding", "size", "schema", "checks", "origin",
                      "previous", "later", "nothing"]):
        case "body":
            body = rng.choice([b"", mutated(rng, body), rng.randbytes(300)])
            header = replace(header, body_hash=sha256(body))
        case "count":
            header = replace(header, count=rng.choice([1, 2, 1_024]))
        case "deps":
            header = replace(header, deps=[])
        case "unknown deps":
            header = replace(header, deps=[(rng.randbytes(16), rng.choice([1, 2**63 - 1]), rng.randbytes(32))])
        case "encoding":
            header = replace(header, encoding=rng.choice([0, 1, 2, 3, 4, 255]))
        case "size":
            header = replace(header, size=rng.choice([0, header.size + 1, 4_194_304]))
        case "schema":
            header = replace(header, schema=rng.choice([0, 99, 2**64 - 1]))
        case "checks":
            header, keys = replace(header, checks=rng.randbytes(16 * 3)), rng.randbytes(32 * rng.choice([0, 1, 3]))
        case "origin":
            number = rng.choice([1, 2**63 - 1])
            other = rng.choice([scope, odd_scope(rng)])
            header = replace(header, first=1, previous=None, origin=(raw_public(key), other, number),
                             stream=stream_id(device_id(raw_public(key)), other, number))
        case "previous" if header.previous:
            header = replace(header, previous=rng.randbytes(32), first=header.first + rng.choice([0, 1, 2**40]))
        case "later":
            header = replace(header, encoding=7)
    made = header.encode()
    return Run(made, key.sign(run_hash(made)) + keys, body)


def odd_request(rng: Random) -> bytes:
    """In the form of a request, against its rules: too many parts, one scope twice, the base scope behind others."""
    some = [b"forum", b"delegation/KZ", b"*", b"", b"n" * 65]
    many = [f"delegation/{n}".encode() for n in range(rng.randint(250, 260))]
    parts = [array(("text", scope), ("null",), array(), array())
             for scope in rng.choice([rng.choices(some, k=rng.randint(0, 5)), many])]
    numbers = [("int", rng.choice([0, 7, -1, -2**63, 2**63 - 1, 2**63, 2**64 - 1])) for _ in range(3)]
    return encode(array(("int", 1), *numbers, array(*parts)))


def cbor(rng: Random, depth: int = 0) -> bytes:
    """Items of every kind, nested; also deeper than 01 §1 lets them be, and as it lets none be."""
    if depth < rng.choice([1, 3, 12]):
        items = [cbor(rng, depth + 1) for _ in range(rng.choice([0, 1, 1, 4, 5, 6]))]
        return encode_head(ARRAY, len(items)) + b"".join(items)
    return rng.choice([
        encode(("int", rng.randint(-2**63, 2**63))), encode(("blob", rng.randbytes(rng.choice([0, 16, 32, 64])))),
        encode(("text", rng.choice(WORDS).encode())), encode_head(ARRAY, 2**40), encode_head(2, 2**63), b"\xf4",
        b"\xf6", b"\xf7", b"\x9f\xff", b"\xbf\xff", b"\xc0\x60", b"\xfb" + bytes(8), b"\x18\x01", b"\x61\xff"])


def load() -> Plans:
    """The world that the check made; its file is named in the environment."""
    return Plans(World.load(Path(os.environ["KARVAN_HTTP_WORLD"])))
