"""09, 10 §1-§2, 12 §5: what the hub's words in the records mean to a replica."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from checker.certificates import DEVICE, Certificate, Statement
from checker.cuts import Cut
from checker.encoding import Reader
from checker.erasures import Erasure
from checker.identity import device_id, stream_id
from checker.limits import Reject
from checker.pins import Stated, adopt

from pyclient.schema import BASE, Schema
from pyclient.store import Store


REVOKED = 1  # 10 §1: the reason of a cut


@lru_cache(maxsize=4096)
def certificate(data: bytes) -> Certificate | None:
    """09 §3: what can't be read means nothing."""
    try:
        return Certificate.decode(data)
    except Reject:
        return None


@lru_cache(maxsize=4096)
def cut(data: bytes) -> Cut | None:
    try:
        return Cut.decode(data)
    except Reject:
        return None


@lru_cache(maxsize=4096)
def stated(data: bytes) -> Stated | None:
    try:
        return Stated.decode(data)
    except Reject:
        return None


@lru_cache(maxsize=4096)
def erased_by(data: bytes) -> tuple[bytes, ...]:
    """12 §5: the rows that an erasure names; none when it can't be read, or isn't signed by its hub."""
    try:
        found, statement, signature = Erasure.decode(data)
    except Reject:
        return ()
    return found.people if found.is_signed(statement, signature) else ()


def blob(element: bytes) -> bytes | None:
    """The byte string that an element is."""
    try:
        kind, *rest = Reader(element).value()
    except Reject:
        return None
    return rest[0] if kind == "blob" else None


def fit(statement, scope: bytes) -> list:
    """09 §2: a certificate's grants for a scope."""
    named = [grant for grant in statement.grants if grant.scope == scope]
    return named or [grant for grant in statement.grants if grant.scope == b"*"]


def true_statements(root: bytes, of: Callable[[bytes], list[Certificate]], device: bytes) -> list:
    """09 §2: the statements of a device's true certificates; `of` gives what lies in a device's row, and the hub's
    certificate that one is held against lies in the row of its issuer (09 §4)."""
    return [c.statement for c in of(device) if c.statement.kind == DEVICE and any(
        c.device_fault(root, device, hub) is None for hub in of(device_id(c.statement.issuer)))]


def judged(root: bytes, of: Callable[[bytes], list[Certificate]], device: bytes, scope: bytes, own_table: int,
           tables: set[int]) -> str | None:
    """09 §4 step 9: why a device may not write to these tables of a scope."""
    if any(c.hub_fault(root) is None and c.holder == device for c in of(device)):
        return None
    true = true_statements(root, of, device)
    if not true:
        return "GAP"
    grants = [grant.tables for statement in true for grant in fit(statement, scope)]
    if not tables:
        return None if any(named is None or named for named in grants) else "SCOPE"
    is_let = all(n != own_table and any(named is None or n in named for named in grants) for n in tables)
    return None if is_let else "SCOPE"


@dataclass(frozen=True)
class Holder:
    """08 §6, §7: a device or a hub by its true certificates in the records."""
    device: bytes
    is_hub: bool
    statements: tuple[Statement, ...]

    @property
    def last(self) -> Statement:
        return max(self.statements, key=lambda statement: statement.issued)

    @property
    def name(self) -> str:
        return self.last.name.decode()


class Trust:
    """Reads the records of the device table. What is kept goes stale when a run, or another process, writes there."""

    def __init__(self, store: Store, schema: Schema):
        self.store, self.schema = store, schema
        self.found: dict[str, object] = {}
        self.version = 0

    def forget(self) -> None:
        self.found.clear()

    @property
    def kept(self) -> dict[str, object]:
        version = self.store.db.execute("PRAGMA data_version").fetchone()[0]
        if version != self.version:
            self.forget()
            self.version = version
        return self.found

    @property
    def root(self) -> bytes | None:
        found = self.store.get("root")
        return bytes.fromhex(found) if found else None

    @property
    def device(self) -> bytes:
        return device_id(bytes.fromhex(self.store.get("key")))

    @property
    def own(self) -> list[Certificate]:
        """09 §4: what the own enrolment gave: the hub's certificate, and the device's."""
        return [c for c in (certificate(bytes.fromhex(data)) for data in self.store.get("certificates", [])) if c]

    def said(self, column: str) -> list[tuple[bytes, bytes]]:
        """(row, byte string) of each element of one of the device table's sets."""
        table = self.schema.device
        found = self.store.elements(table.id, table.column(column).id)
        return [(row, data) for row, element in found if (data := blob(element)) is not None]

    def in_rows(self) -> dict[bytes, list[Certificate]]:
        """09 §3, §4: certificates by the row that they lie in, or count as if they lay in."""
        if "certificates" not in self.kept:
            rows: dict[bytes, list[Certificate]] = {}
            for row, data in self.said("certificates"):
                if found := certificate(data):
                    rows.setdefault(row, []).append(found)
            for found in self.own:
                rows.setdefault(self.schema.device_row(found.holder), []).append(found)
            self.kept["certificates"] = rows
        return self.kept["certificates"]

    def of(self, device: bytes) -> list[Certificate]:
        return self.in_rows().get(self.schema.device_row(device), [])

    def fault(self, device: bytes, scope: bytes, tables: set[int]) -> str | None:
        """09 §4 step 9; a replica that knows no root takes it."""
        return judged(self.root, self.of, device, scope, self.schema.device.id, tables) if self.root else None

    def holders(self) -> dict[bytes, Holder]:
        """08 §6: who is known by a true certificate; one that is both counts as a hub."""
        found: dict[bytes, Holder] = {}
        if self.root is None:
            return found
        for device in {c.holder for each in self.in_rows().values() for c in each}:
            hub = [c.statement for c in self.of(device) if c.hub_fault(self.root) is None and c.holder == device]
            if true := hub or true_statements(self.root, self.of, device):
                found[device] = Holder(device, bool(hub), tuple(true))
        return found

    def revoked(self) -> set[bytes]:
        """10 §4: a whole cut with reason 1 says it, and no other."""
        return {device_id(c.key) for c in self.cuts() if c.whole and c.reason == REVOKED}

    # 09 §5: which scopes may be read

    def readable(self) -> list[bytes]:
        """The list that was noted last, and before the first reply what the last enrolment's certificate names."""
        noted = self.store.get("scopes")
        if noted is not None:
            return [scope.encode() for scope in noted]
        mine = [c.statement for c in self.own if c.statement.kind == DEVICE]
        return list(dict.fromkeys([BASE, *(grant.scope for statement in mine for grant in statement.grants)]))

    def may_read(self, scope: bytes) -> bool:
        scopes = self.readable()
        return self.root is None or scope == BASE or scope in scopes or b"*" in scopes

    # 09 §8

    def stated_times(self, row: bytes) -> list[int]:
        return [s.time for where, data in self.said("pins") if where == row and (s := stated(data))]

    def adopt_pins(self) -> tuple[bytes, ...]:
        """By which keys the hub is known, once its row was looked at."""
        trusted, since = tuple(map(bytes.fromhex, self.store.get("pins", []))), self.store.get("since", 0)
        hub = self.store.get("hub")
        if not hub:
            return trusted
        row = self.schema.device_row(bytes.fromhex(hub))
        found = [s for where, data in self.said("pins") if where == row and (s := stated(data))]
        pins, later = adopt(trusted, since, found)
        if (pins, later) != (trusted, since):
            with self.store.transaction():
                self.store.set("pins", [pin.hex() for pin in pins])
                self.store.set("since", later)
        return pins

    # 10 §2

    def cuts(self) -> list[Cut]:
        """10 §1: the cuts that count."""
        if self.root is None:
            return []
        if "cuts" not in self.kept:
            found = ((row, cut(data)) for row, data in self.said("cuts"))
            self.kept["cuts"] = [c for row, c in found if c and self.schema.device_row(device_id(c.key)) == row]
        return self.kept["cuts"]

    def ends_of(self, stream: bytes) -> list[list[tuple]]:
        """10 §1: for each cut that ends the stream, the ends that it gives it. The own streams have none (10 §2)."""
        found = []
        origin = self.store.db.execute("SELECT key, scope, incarnation FROM stream WHERE id = ?", (stream,)).fetchone()
        for c in self.cuts():
            if device_id(c.key) == self.device:
                continue
            named = [s.end for s in c.streams if self.named_stream(c.key, s) == stream]
            if named:
                found.append(named)
            elif c.whole and origin and origin[0] == c.key:
                found.append([(0, None)])
        return found

    @staticmethod
    @lru_cache(maxsize=65_536)
    def named_stream(key: bytes, stream) -> bytes:
        return stream_id(device_id(key), stream.scope, stream.incarnation)

    def is_named(self, stream: bytes) -> bool:
        """10 §4: whether some cut names the stream itself."""
        return any(self.named_stream(c.key, s) == stream for c in self.cuts() for s in c.streams)

    # 12 §5

    def erased(self) -> set[bytes]:
        """The rows that are erased."""
        if self.root is None:
            return set()
        if "erased" not in self.kept:
            self.kept["erased"] = {row for _, data in self.said("erasures") for row in erased_by(data)}
        return self.kept["erased"]
