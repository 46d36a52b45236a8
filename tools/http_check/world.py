"""What a check begins with: a hub, devices of every standing, runs that wait to be sent, places in feeds, tokens."""
from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from checker.certificates import token
from checker.kinds_of_trust import raw_public, request
from checker.messages import Cursor, Reply, Request, RequestPart, Run
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pyclient.acts import Acts
from pyclient.enrolment import enrol
from pyclient.fleet_laptops import HubProcess
from pyclient.peer import Peer, message
from pyclient.replica import Replica
from pyclient.schema import BASE
from pyclient.sealing import Sealer
from pyclient.session import Session
from pyclient.store import wall
from pyclient.tls import Hub
from pyclient.writer import Writer

DELEGATIONS = ("KZ", "UZ")
RUNS = 24  # of each device that records
FRESH = 60  # tokens that nobody used


class FreeWriter(Writer):
    """Writes what its own certificate doesn't allow: the hub has to refuse it."""

    def allowed(self, scope, targets) -> None:
        pass


@dataclass
class Device:
    """Hex throughout. Of each scope: the runs that the hub hasn't seen, and the places in its feed."""
    name: str
    seed: str
    runs: dict[str, list[list[str]]] = field(default_factory=dict)

    @property
    def public_key(self) -> bytes:
        return raw_public(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(self.seed)))


@dataclass
class World:
    hub_key: str
    devices: list[Device]
    places: dict[str, list[list]]  # scope: [epoch, offset, chain]
    fresh: list[str]  # secrets of tokens
    spent: list[list[str]]  # secret, and the seed of the device that used it
    scopes: list[str]

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @staticmethod
    def load(path: Path) -> "World":
        form = json.loads(path.read_text())
        return World(**form | {"devices": [Device(**each) for each in form["devices"]]})


def rows(scope: str, n: int) -> list[dict]:
    """One small act of a scope."""
    if scope == BASE.decode():
        return [{"table": "item", "new": True, "key": f"P{n:02}", "put": {"title_en": f"Item {n}"}}]
    code = scope.removeprefix("delegation/")
    if n % 2:
        return [{"table": "visit", "new": True, "key": [f"P{n:02}", code], "put": {"headcount": str(n)}}]
    return [{"table": "note", "new": True, "scope": scope, "put": {"text": f"Note {n} of {code}"}}]


class Maker:
    """Makes the world in a folder, with a hub that serves."""

    def __init__(self, hub: HubProcess, folder: Path):
        self.hub, self.folder = hub, folder
        self.replicas: dict[str, Replica] = {}
        self.spent: list[list[str]] = []

    def close(self) -> None:
        for replica in self.replicas.values():
            replica.close()

    def secret(self, role: str, scopes: list[str] | None = None) -> tuple[str, str]:
        text = self.hub.token(role, scopes or [])
        return text, token(text)[0].hex()

    def joined(self, name: str, role: str, scopes: list[str] | None = None) -> Replica:
        replica = self.replicas[name] = Replica.init(self.folder / f"{name}.sqlite", name)
        text, secret = self.secret(role, scopes)
        enrol(replica, self.hub.url, text)
        self.spent.append([secret, replica.seed.hex()])
        return replica

    def write(self, replica: Replica, forms: list[dict]) -> None:
        acts = Acts(replica)
        FreeWriter(replica).write([acts.row(form) for form in forms], "Ayla")

    def record(self, name: str, scopes: list[str]) -> None:
        """Runs of the device that the hub hasn't seen yet, each on the one before."""
        replica = self.replicas[name]
        for n in range(RUNS):
            scope = scopes[n % len(scopes)]
            self.write(replica, rows(scope, n))
            with replica.store.transaction():
                Sealer(replica).seal(scope.encode())

    def device(self, name: str, scopes: list[str]) -> Device:
        replica = self.replicas[name]
        runs = {scope: [[run.header.hex(), run.seal.hex(), run.body.hex()] for run in
                        map(message, Peer(replica).unsent(scope.encode()))] for scope in scopes}
        return Device(name, replica.seed.hex(), {scope: each for scope, each in runs.items() if each})

    def places(self, replica: Replica, scopes: list[str]) -> dict[str, list[list]]:
        """All places in each feed, by one exchange from its start."""
        body = Request(0, wall(), replica.schema.version,
                       tuple(RequestPart(scope.encode(), None, (), ()) for scope in scopes)).encode()
        header = request(replica.seed, bytes.fromhex(replica.store.get("hubKey")), b"/v1/exchange", body).hex()
        hub = Hub(self.hub.url, replica.trust.adopt_pins())
        try:
            reply = Reply.decode(hub.post("/v1/exchange", body, {"Karvan-Signature": header}))
        finally:
            hub.close()
        return {scope: [[at.epoch.hex(), at.offset, at.chain.hex()] for at in
                        Session.places(scope.encode(), None, part) or []] for scope, part in zip(scopes, reply.parts)}

    def make(self) -> World:
        divided = [f"delegation/{code}" for code in DELEGATIONS]
        scopes = [BASE.decode(), *divided]
        first = self.joined("coordinator", "coordinator")
        self.write(first, [{"table": "delegation", "new": True, "key": code, "put": {"name_en": code}}
                           for code in DELEGATIONS])
        for scope in divided:
            self.write(first, rows(scope, 99))
        Session(first).run()
        self.joined("lead", "lead", divided[:1])
        self.joined("viewer", "viewer")
        self.joined("revoked", "recorder")
        for name in ("lead", "viewer", "revoked"):
            Session(self.replicas[name]).run()
        own = {"coordinator": scopes, "lead": [scopes[0], divided[0]], "viewer": scopes[:1], "revoked": scopes[:1]}
        for name, each in own.items():
            self.record(name, each)
        self.hub.call("device", "revoke", "revoked", "--reason", "lost")
        self.replicas["stranger"] = Replica.init(self.folder / "stranger.sqlite", "stranger")
        devices = [self.device(name, each) for name, each in (own | {"stranger": []}).items()]
        fresh = [self.secret("recorder")[1] for _ in range(FRESH)]
        return World(first.store.get("hubKey"), devices, self.places(first, scopes), fresh, self.spent, scopes)


def run_of(form: list[str]) -> Run:
    return Run(*map(bytes.fromhex, form))


def cursor_of(form: list) -> Cursor:
    return Cursor(bytes.fromhex(form[0]), form[1], bytes.fromhex(form[2]))

