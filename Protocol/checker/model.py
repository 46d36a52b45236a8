"""00 §2: ops and changesets."""
from __future__ import annotations

from dataclasses import dataclass

from checker.identity import Dot


@dataclass(frozen=True)
class Op:
    """00 §2. Covers are dots in a resolve, (column, element, dot) in a delete."""
    column: int
    element: bytes
    action: str
    value: tuple | None = None
    over: frozenset = frozenset()
    covers: frozenset = frozenset()

    @property
    def cell(self) -> tuple[int, bytes]:
        return self.column, self.element

    def names(self) -> set[Dot]:
        """All dots that the op names, in over and covers."""
        return set(self.over) | {c[2] if self.action == "delete" else c for c in self.covers}


@dataclass(frozen=True)
class RowItem:
    table: int
    row: bytes
    new: bool
    ops: tuple[Op, ...]


@dataclass(frozen=True)
class Changeset:
    dot: Dot
    time: int
    rows: tuple[RowItem, ...]
    author: bytes = b""
    claimed: int = 0
    action: bytes | None = None
    source: bytes = b""
