"""A forum that a check makes by itself, so that it can sign whatever it wants to show."""
from __future__ import annotations

import base64
import os
from pathlib import Path

from checker import hpke
from checker.bundles import encryption_key, public_key
from checker.certificates import DEVICE, HUB, PREFIX, Certificate, Grant, Statement, certificate_hash
from checker.cuts import Cut
from checker.encoding import encode
from checker.identity import device_id
from checker.limits import Reject
from checker.messages import Enrolled, Enrolment
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pyclient.bundle_write import BundleWriter
from pyclient.enrolment import note
from pyclient.fleet_laptops import Laptop
from pyclient.replica import Replica
from pyclient.schema import BASE
from pyclient.store import wall
from pyclient.tls_serve import Answered, Asked, Front, Paths, TLSKey, message, refusal
from pyclient.trust import REVOKED
from pyclient.writer import Target, Writer

DAY = 86_400_000
ALL = tuple(Grant(scope, b"coordinator", None, None) for scope in (BASE, b"*"))


class Forum:
    """A root, and a hub that lets in whoever asks, and takes part in no session."""

    def __init__(self, folder: Path):
        self.folder, self.root_seed = folder, os.urandom(32)
        self.root = device_id(public_key(self.root_seed))
        self.hub = Replica.init(folder / "hub", "hub")
        self.hub_seed, self.hub_key, self.issued = self.hub.seed, self.hub.public_key, 0
        self.of_hub = self.certificate(self.root_seed, HUB, self.hub_key, hpke.public(encryption_key(self.hub_seed)),
                                       b"hub", DAY, ())
        with self.hub.store.transaction():
            for name, value in {"root": self.root.hex(), "hub": device_id(self.hub_key).hex(), "url": "https://[::1]:1",
                                "hubKey": self.hub_key.hex(), "certificates": [self.of_hub.encode().hex()]}.items():
                self.hub.store.set(name, value)
        self.hub.trust.forget()
        self.record(self.hub_key, "certificates", self.of_hub.encode())

    def certificate(self, seed: bytes, kind: int, key: bytes, encryption: bytes, name: bytes, lasts: int,
                    grants: tuple[Grant, ...], earlier: int = 0) -> Certificate:
        self.issued = max(self.issued + 1, wall())
        issued = self.issued - earlier
        made = Statement(kind, key, encryption, name, public_key(seed), issued, wall() + lasts, grants)
        raw = made.encode()
        signature = Ed25519PrivateKey.from_private_bytes(seed).sign(certificate_hash(raw))
        return Certificate(raw, signature, made)

    def of_device(self, key: bytes, encryption: bytes, name: bytes, lasts: int = 30 * DAY,
                  grants: tuple[Grant, ...] = ALL, earlier: int = 0) -> Certificate:
        return self.certificate(self.hub_seed, DEVICE, key, encryption, name, lasts, grants, earlier)

    # What the hub says in its records

    def record(self, key: bytes, column: str, data: bytes) -> None:
        table, device = self.hub.schema.device, device_id(key)
        steps = [("put", table.column(table.key[0]), ("text", device.hex().encode()), None),
                 ("add", table.column(column), ("blob", data), None)]
        row = self.hub.schema.device_row(device)
        if self.hub.store.row(table.id, row):
            steps = steps[1:]
        Writer(self.hub).write([Target(table, row, BASE, steps)])
        self.hub.trust.forget()

    def revoke(self, key: bytes) -> None:
        self.record(key, "cuts", Cut(REVOKED, key, (), True, wall(), b"lost").encode())

    def words(self, device: bytes) -> Path:
        """A bundle of the hub with all that it says."""
        path = self.folder / f"words-{os.urandom(4).hex()}"
        BundleWriter(self.hub).export(path, device.hex(), True, None, None)
        return path

    # Who comes

    def let_in(self, replica: Replica, lasts: int = 30 * DAY, is_known: bool = True,
               grants: tuple[Grant, ...] = ALL) -> Certificate:
        """As an enrolment does; `is_known` where the hub records it."""
        encryption = hpke.public(encryption_key(replica.seed))
        found = self.of_device(replica.public_key, encryption, replica.store.get("name").encode(), lasts, grants)
        if is_known:
            self.record(replica.public_key, "certificates", found.encode())
        note(replica, "https://[::1]:1", self.root, bytes(32), Enrolled(self.of_hub, found, wall()))
        return found

    def join(self, laptop: Laptop) -> Certificate:
        """Another program's laptop: by `enrol`, and by a bundle of what the hub says."""
        secret, tls = os.urandom(32), TLSKey()
        front = Front(("127.0.0.1", 0), tls, Paths({"/v1/enrol": "POST"}, self.enrolled))
        front.start()
        try:
            laptop.must("init", "--name", laptop.name)
            parts = ("blob", secret), ("blob", tls.pin), ("blob", self.root), ("int", wall() + DAY)
            text = base64.urlsafe_b64encode(encode(("array", parts))).rstrip(b"=").decode()
            laptop.must("enrol", f"https://127.0.0.1:{front.port}", PREFIX + text)
        finally:
            front.stop()
        self.record(self.came.statement.key, "certificates", self.came.encode())
        laptop.must("bundle import", str(self.words(self.came.holder)))
        return self.came

    def enrolled(self, asked: Asked) -> Answered:
        try:
            came = Enrolment.decode(asked.body)
        except Reject as reason:
            return refusal("POISON", str(reason))
        self.came = self.of_device(came.key, came.encryption_key, came.name)
        return message(Enrolled(self.of_hub, self.came, wall()).encode())
