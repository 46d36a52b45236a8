"""05: open conflicts, and settling them."""
from __future__ import annotations

from dataclasses import dataclass

from checker.conflicts import open_conflicts
from checker.folds import Life, Register, in_cell
from checker.merge import Live

from pyclient.replica import Replica
from pyclient.schema import Column, Table, UsageError
from pyclient.values import text_of
from pyclient.writer import Target

LABELS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass
class Conflict:
    """An open conflict; column None is the life of a row (05 §1)."""
    id: bytes
    table: Table
    row: bytes
    column: Column | None
    candidates: list[Live]
    within: bool

    @property
    def kind(self) -> int:
        """05 §7."""
        if not self.column:
            return 2
        return min(self.column.kind, 1) if self.within else self.column.kind

    @property
    def form(self) -> dict:
        return {"id": self.id.hex(), "table": self.table.name, "row": self.row.hex(),
                "column": self.column.name if self.column else None, "class": self.kind,
                "candidates": [{"label": label(i), "value": text_of(live.op.value), "action": live.op.action,
                                "dot": f"{live.dot[0].hex()}:{live.dot[1]}"} for i, live in enumerate(self.candidates)]}


def label(place: int) -> str:
    return LABELS[place] if place < len(LABELS) else str(place + 1)


def ordered(live: list[Live]) -> list[Live]:
    """05 §7: from the first to the last."""
    return sorted(live, key=lambda each: each.order)


def open_in(replica: Replica, table: Table, row: bytes) -> list[Conflict]:
    live, found = replica.store.row(table.id, row), []
    for number, conflict in open_conflicts(table.id, row, live, [column.fold for column in table.columns]):
        column = table.known(number)
        if column is None:
            life = Life.fold(live)
            found.append(Conflict(conflict, table, row, None, ordered(life.deletes + life.uncovered), False))
        else:
            fold = Register.fold(in_cell(live, number), column.tolerance)
            found.append(Conflict(conflict, table, row, column, ordered(fold.candidates), fold.within))
    return found


def all_open(replica: Replica) -> list[Conflict]:
    """05 §1: sorted by table, row and column."""
    return [conflict for number, row in replica.store.rows_of() if number in replica.schema.tables
            for conflict in open_in(replica, replica.schema.tables[number], row)]


def by_start(replica: Replica, digits: str) -> Conflict:
    """05 §2, §3: the open conflict of this id, which people type the start of."""
    found = [conflict for conflict in all_open(replica) if digits and conflict.id.hex().startswith(digits.lower())]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"several open conflicts begin with {digits}: type more of the id")
    raise UsageError(f"no open conflict has the id {digits}: a value may have changed since it was shown; look at "
                     "`conflicts` again")


def settlement(replica: Replica, conflict: Conflict, take: str | None, value: tuple | None) -> Target:
    """05 §3, §6: what settles a conflict: a resolution of a register, a delete or a restore of a row."""
    scope = replica.scope_of_row(conflict.table.id, conflict.row)
    if conflict.column is None:
        if take not in ("delete", "restore"):
            raise UsageError("this is about the row itself: settle it with --take delete or --take restore")
        return Target(conflict.table, conflict.row, scope, [(take, None, None, None)])
    if take is not None:
        chosen = [live for i, live in enumerate(conflict.candidates) if label(i) == take.upper()]
        if not chosen:
            raise UsageError(f"there is no candidate {take!r}")
        value = chosen[0].op.value
    return Target(conflict.table, conflict.row, scope, [("resolve", conflict.column, value, None)])
