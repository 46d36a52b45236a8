"""09 §2–§4, §6: certificates, who may write, tokens."""
from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cached_property

from checker import ed25519
from checker.encoding import NULL, Reader, encode
from checker.identity import device_id, digest
from checker.limits import CRITICAL, FORMAT, MAX_NUMBER, MAX_SCOPE, Reject

HUB, DEVICE = 1, 2
MAX_CERTIFICATE, MAX_NAME, MAX_GRANTS, MAX_TABLES = 16_384, 200, 64, 1_024
PREFIX = "karvan1-"


def ascending(r: Reader) -> tuple[int, ...]:
    """09 §2: the tables of a grant."""
    found: list[int] = []
    for _ in range(r.array(MAX_TABLES)):
        number = r.unsigned(0, MAX_NUMBER)
        if found and number <= found[-1]:
            raise Reject("keyOrder")
        found.append(number)
    return tuple(found)


@dataclass(frozen=True)
class Grant:
    """09 §2."""
    scope: bytes
    role: bytes
    tables: tuple[int, ...] | None
    expiry: int | None

    @staticmethod
    def read(r: Reader) -> "Grant":
        r.fixed(4)
        return Grant(r.text(MAX_SCOPE), r.text(MAX_NAME), r.or_null(lambda: ascending(r)), r.or_null(r.integer))

    def item(self) -> tuple:
        tables = NULL if self.tables is None else ("array", tuple(("int", n) for n in self.tables))
        expiry = NULL if self.expiry is None else ("int", self.expiry)
        return ("array", (("text", self.scope), ("text", self.role), tables, expiry))


@dataclass(frozen=True)
class Statement:
    """09 §2, in the order of its keys."""
    kind: int
    key: bytes
    encryption_key: bytes
    name: bytes
    issuer: bytes
    issued: int
    expiry: int
    grants: tuple[Grant, ...]

    @staticmethod
    def decode(data: bytes) -> "Statement":
        r, got = Reader(data), {}
        for key in r.keys():
            match key:
                case 0:
                    got[key] = r.format()
                case 1:
                    got[key] = r.unsigned(HUB, DEVICE)
                case 2 | 3 | 5:
                    got[key] = r.exact(32)
                case 4:
                    got[key] = r.text(MAX_NAME)
                case 6 | 7:
                    got[key] = r.integer()
                case 8:
                    got[key] = tuple(Grant.read(r) for _ in range(r.array(MAX_GRANTS)))
                case _ if key >= CRITICAL:
                    raise Reject("later")
                case _:
                    r.item()
        r.end()
        if len(got) < 9:
            raise Reject("missingKey")
        return Statement(*(got[key] for key in range(1, 9)))

    def grants_for(self, scope: bytes) -> list[Grant]:
        """09 §2: those that name the scope; where none does, those that name `*`."""
        named = [grant for grant in self.grants if grant.scope == scope]
        return named or [grant for grant in self.grants if grant.scope == b"*"]

    def encode(self) -> bytes:
        items = [("int", FORMAT), ("int", self.kind), ("blob", self.key), ("blob", self.encryption_key), ("text", self.name),
                 ("blob", self.issuer), ("int", self.issued), ("int", self.expiry),
                 ("array", tuple(grant.item() for grant in self.grants))]
        return encode(("map", tuple(enumerate(items))))


def certificate_hash(statement: bytes) -> bytes:
    """09 §2: what the issuer signs."""
    return digest("karvan/1/certificate", statement)


@dataclass(frozen=True)
class Certificate:
    """09 §2."""
    raw: bytes  # the statement as it is
    signature: bytes
    statement: Statement

    @staticmethod
    def decode(data: bytes) -> "Certificate":
        if len(data) > MAX_CERTIFICATE:
            raise Reject("tooLong")
        r = Reader(data)
        found = Certificate.read(r)
        r.end()
        return found

    @staticmethod
    def read(r: Reader) -> "Certificate":
        r.fixed(2)
        raw, signature = r.blob(MAX_CERTIFICATE), r.exact(64)
        return Certificate(raw, signature, Statement.decode(raw))

    def item(self) -> tuple:
        return ("array", (("blob", self.raw), ("blob", self.signature)))

    def encode(self) -> bytes:
        return encode(self.item())

    @cached_property
    def signed(self) -> bool:
        return ed25519.verifies(self.signature, certificate_hash(self.raw), self.statement.issuer)

    @property
    def holder(self) -> bytes:
        return device_id(self.statement.key)

    def hub_fault(self, root: bytes) -> str | None:
        """Why a hub's certificate isn't true; None for a true one."""
        if self.statement.kind != HUB:
            return "kind"
        if device_id(self.statement.issuer) != root:
            return "otherRoot"
        return None if self.signed else "signature"

    def device_fault(self, root: bytes, device: bytes, hub: "Certificate") -> str | None:
        """Why a device's certificate isn't true; None for a true one."""
        if fault := hub.hub_fault(root):
            return fault
        if self.statement.kind != DEVICE:
            return "kind"
        if self.holder != device:
            return "otherHolder"
        if self.statement.issuer != hub.statement.key:
            return "unknownHub"
        return None if self.signed else "signature"


def may(root: bytes, rows: dict[bytes, list[Certificate]], device: bytes, scope: bytes, own_table: int,
        tables: list[int]) -> list[bool] | None:
    """09 §4 step 9 for each table; None for a device without a true certificate. A device's certificates are taken
    from its own row, and a hub's makes a hub only of its holder; a hub's of any row vouches for devices."""
    own = rows.get(device, [])
    if any(c.hub_fault(root) is None and c.holder == device for c in own):
        return [True for _ in tables]
    hubs = [c for row in rows.values() for c in row if c.hub_fault(root) is None]
    true = [c.statement for c in own if any(c.device_fault(root, device, hub) is None for hub in hubs)]
    fit = [grant.tables for statement in true for grant in statement.grants_for(scope)]
    return [n != own_table and any(named is None or n in named for named in fit) for n in tables] if true else None


def token(text: str) -> tuple[bytes, bytes, bytes, int]:
    """09 §6. Base64url is taken strictly: what comes out has to encode to the same letters."""
    letters = text.removeprefix(PREFIX)
    try:
        data = base64.urlsafe_b64decode(letters + "=" * (-len(letters) % 4))
    except ValueError:
        raise Reject("invalid") from None
    if text != PREFIX + base64.urlsafe_b64encode(data).rstrip(b"=").decode():
        raise Reject("invalid")
    r = Reader(data)
    r.fixed(4)
    found = r.exact(32), r.exact(32), r.exact(32), r.integer()
    r.end()
    return found
