"""00 §5, schema-registry.json: tables, columns, and whose rows lie where (02 §2.3)."""
from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache

from checker.conflicts import Column as Fold
from checker.identity import keyed_row

from pyclient import PROTOCOL

BASE = b"forum"
MARK = 4


class UsageError(Exception):
    """The caller asked for what can't be done; the words say what to do next."""


@dataclass(frozen=True)
class Column:
    """A column of schema-registry.json."""
    id: int
    name: str
    shape: str  # register, composite, set or counter
    type: str  # of a register or of a set's elements
    parts: tuple[tuple[str, str], ...]  # of a composite: names and types
    target: int | None  # the table that a reference names
    tolerance: int | None
    kind: int  # 05 §7: its class
    personal: bool

    @property
    def fold(self) -> Fold:
        """01 §6.7: what open_conflicts has to know."""
        return Fold(self.id, "register" if self.shape in ("register", "composite") else self.shape, self.tolerance)


@dataclass(frozen=True)
class Table:
    id: int
    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    divided: bool
    divided_by: str | None
    about: tuple[str, ...]
    blob: str | None  # 13 §1: the column that names blobs

    def column(self, name: str | int) -> Column:
        for column in self.columns:
            if name in (column.name, column.id, str(column.id)):
                return column
        raise UsageError(f"table {self.name} has no column {name!r}; it has "
                         + ", ".join(column.name for column in self.columns))

    def known(self, number: int) -> Column | None:
        return next((column for column in self.columns if column.id == number), None)

    @property
    def has_personal(self) -> bool:
        return any(column.personal for column in self.columns)


def parsed_column(c: dict) -> Column:
    shape, type_, parts, target = "register", c["type"], (), None
    if type_.startswith("set of "):
        shape, type_ = "set", type_.removeprefix("set of ")
    elif type_ == "counter":
        shape = "counter"
    elif type_.startswith("("):
        shape = "composite"
        parts = tuple(tuple(part.strip().split(" ")) for part in type_.strip("()").split(","))
    if type_.startswith("reference to "):
        target, type_ = int(type_.removeprefix("reference to ")), "reference"
    return Column(c["id"], c["name"], shape, type_, parts, target, c.get("earliest_within_ms"), c["class"],
                  c.get("personal", False))


class Schema:
    """The application's tables; of others nothing is known."""

    def __init__(self, registry: dict):
        self.name: bytes = registry["schema"].encode()
        self.version: int = registry["version"]
        self.tables = {t["id"]: Table(
            t["id"], t["name"], tuple(t["key"]), tuple(map(parsed_column, t["columns"])),
            t.get("divided", False) or "divided_by" in t, t.get("divided_by"), tuple(t.get("about", ())),
            t.get("blob"))
            for t in registry["tables"]}

    def table(self, name: str | int) -> Table:
        for table in self.tables.values():
            if name in (table.name, table.id, str(table.id)):
                return table
        raise UsageError(f"there is no table {name!r}; there are " + ", ".join(t.name for t in self.tables.values()))

    def keyed(self, table: int, key: list[tuple]) -> bytes:
        """02 §2.3: what follows from a natural key."""
        return keyed_row(self.name, table, key)

    @cache
    def mark(self, scope: bytes) -> bytes:
        """02 §2.3: the mark of a scope; empty for the base scope, and for a name that is no scope's (00 §1)."""
        table, slash, key = scope.partition(b"/")
        if not slash or not key or len(scope) > 64 or any(b <= 0x20 for b in scope) or table != b"delegation":
            return b""
        return self.keyed(self.table("delegation").id, [("text", key)])[-MARK:]

    def is_scope(self, scope: bytes) -> bool:
        return scope == BASE or bool(self.mark(scope))

    @property
    def device(self) -> Table:
        """09 §3: the table that the hub's words lie in."""
        return self.table("device")

    def device_row(self, device: bytes) -> bytes:
        """09 §3: the row of a device, by its id."""
        return self.keyed(self.device.id, [("text", device.hex().encode())])


@cache
def forum() -> Schema:
    return Schema(json.loads((PROTOCOL / "schema-registry.json").read_bytes()))
