"""What a replica is: its file, its key, its schema, and how runs are opened."""
from __future__ import annotations

import os
from pathlib import Path

from checker.identity import device_id
from checker.kinds_of_trust import raw_public
from checker.messages import SIGNATURE
from checker.model import Changeset
from checker.personal import opened
from checker.runs import Header
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pyclient import native
from checker.reading import Bodies
from pyclient.schema import BASE, Schema, UsageError, forum
from pyclient.store import Store
from pyclient.trust import Trust

native.install()


def key_path(path: Path) -> Path:
    return path.with_name(path.name + ".key")


class Replica:
    """The parts that all acts share."""

    def __init__(self, path: Path, create: bool = False):
        self.schema: Schema = forum()
        self.store = Store(path, create)
        self.path = path
        if not create and not self.store.get("key"):
            raise UsageError(f"{path} was left half made: remove it and {key_path(path)}, then `init` again")
        self.trust = Trust(self.store, self.schema)
        self.bodies = Bodies(self.schema.name, self.schema.mark, self.header_and_body)

    @staticmethod
    def init(path: Path, name: str) -> "Replica":
        """09 §1: a device's key, and an empty replica."""
        if not name or len(name.encode()) > 200:
            raise UsageError("a name has 1 to 200 bytes")
        if key_path(path).exists():
            raise UsageError(f"{key_path(path)} is there already: it is the key of another replica")
        found = Replica(path, create=True)
        with found.store.transaction():
            seed = os.urandom(32)
            out = os.open(key_path(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(out, "wb") as file:
                file.write(seed.hex().encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            found.store.set("name", name)
            found.store.set("key", raw_public(Ed25519PrivateKey.from_private_bytes(seed)).hex())
            found.store.set("place", found.store.place())
            found.store.set("clock", 0)
        return found

    def close(self) -> None:
        if self.store.get("scrub"):
            from pyclient.blobs import Blobs  # which knows of replicas
            Blobs(self).forget_erased()  # 13 §4: before the note that it has to be done goes
        self.store.close()

    # Keys

    @property
    def seed(self) -> bytes:
        path = key_path(self.path)
        try:
            status, seed = path.stat(), bytes.fromhex(path.read_text().strip())
        except (OSError, ValueError) as error:
            raise UsageError(f"the device's key can't be read from {path}: {error}") from None
        if status.st_mode & 0o077:
            raise UsageError(f"others may read {path}: give it mode 0600")
        if raw_public(Ed25519PrivateKey.from_private_bytes(seed)).hex() != self.store.get("key"):
            raise UsageError(f"{path} is the key of another device than {self.path}")
        return seed

    @property
    def public_key(self) -> bytes:
        return bytes.fromhex(self.store.get("key"))

    @property
    def device(self) -> bytes:
        return device_id(self.public_key)

    def sign(self, message: bytes) -> bytes:
        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(message)

    # Runs

    def header_and_body(self, run: bytes) -> tuple[bytes, bytes]:
        return self.store.db.execute("SELECT header, body FROM run WHERE hash = ?", (run,)).fetchone()

    def scope_of(self, h: Header) -> bytes | None:
        return h.origin[1] if h.origin else self.store.scope_of(h.stream)

    def said(self, found, h: Header, called: list[bytes], scope: bytes) -> tuple[list[Changeset], bytes, int]:
        """12 §3: what a stored run says, the keys that may be kept, and how many values stay sealed."""
        changesets = self.bodies.open(h, found["body"], called, scope)
        return opened(changesets, found["seal"][SIGNATURE:], self.trust.erased())

    # Scopes

    def known_scopes(self) -> list[bytes]:
        """Scopes by name: those that may be read, are held, or have a delegation's record."""
        db, code = self.store.db, self.schema.table("delegation").column("code").id
        found = [scope for scope in self.trust.readable() if self.schema.is_scope(scope)]
        found += [scope for scope, in db.execute("SELECT DISTINCT scope FROM stream UNION SELECT scope FROM lane")]
        for row, in db.execute("SELECT DISTINCT row FROM live WHERE tbl = ?", (self.schema.table("delegation").id,)):
            for live in self.store.row(self.schema.table("delegation").id, row):
                if live.op.column == code and live.op.value and live.op.value[0] == "text":
                    scope = b"delegation/" + live.op.value[1]
                    if self.schema.mark(scope) == row[-4:]:
                        found.append(scope)
        return list(dict.fromkeys([BASE, *found]))

    def scope_of_row(self, table: int, row: bytes) -> bytes:
        """02 §2.3: the scope that a row lies in, as far as scopes are known."""
        known = self.schema.tables.get(table)
        if known and known.divided:
            for scope in self.known_scopes():
                if self.schema.mark(scope) == row[-4:]:
                    return scope
        return BASE


def tables_of(changesets: list[Changeset]) -> set[int]:
    return {item.table for c in changesets for item in c.rows}


def branch_free(store: Store) -> bool:
    """02 §8: whether no two runs that are held follow one."""
    return not store.get("forked", False)
