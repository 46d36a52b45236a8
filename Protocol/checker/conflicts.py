"""05 §1: which conflicts are open."""
from __future__ import annotations

from dataclasses import dataclass

from checker.folds import Life, Register, in_cell
from checker.identity import conflict_id
from checker.merge import Live


@dataclass(frozen=True)
class Column:
    """01 §6.7: a column that is known."""
    number: int
    shape: str
    tolerance: int | None


def open_conflicts(table: int, row_id: bytes, row: list[Live], columns: list[Column]) -> list[tuple[int, bytes]]:
    """05 §1, §2: (column, conflict id) of each conflict that is open in a row of a known table."""
    life, found = Life.fold(row), []
    if life.hidden:
        return []
    if life.conflict:
        found.append((0, conflict_id(table, row_id, 0, [l.dot for l in life.deletes + life.uncovered])))
    for column in columns:
        if column.shape == "register":
            fold = Register.fold(in_cell(row, column.number), column.tolerance)
            if fold.conflict:
                dots = [l.dot for l in fold.candidates]
                found.append((column.number, conflict_id(table, row_id, column.number, dots)))
    return sorted(found)
