"""12 §1: whom a personal value is about."""
from __future__ import annotations

from checker.folds import Register, in_cell
from checker.model import Changeset

from pyclient.replica import Replica
from pyclient.schema import Table

FOLLOWED = 4


class Subjects:
    """Of the rows of one changeset: what it puts, and else what is shown here."""

    def __init__(self, replica: Replica, changeset: Changeset):
        self.schema, self.store = replica.schema, replica.store
        self.put = {(item.table, item.row, op.column): op.value for item in changeset.rows for op in item.ops
                    if op.action in ("put", "resolve") and not op.element}

    def value(self, table: Table, row: bytes, name: str) -> tuple | None:
        column = table.column(name)
        if (table.id, row, column.id) in self.put:
            return self.put[table.id, row, column.id]
        shown = Register.fold(in_cell(self.store.row(table.id, row), column.id), column.tolerance).shown
        return shown.op.value if shown else None

    def of(self, table_id: int, row: bytes, followed: int = 0) -> bytes | None:
        """The subject's row; None for nobody."""
        table = self.schema.tables[table_id]
        if not table.about:
            return row
        named = self.value(table, row, table.about[0])
        if named is None or named[0] != "blob" or len(named[1]) != 16:
            return row
        target = table.column(table.about[0]).target
        if len(table.about) == 2:
            number = self.value(table, row, table.about[1])
            target = number[1] if number and number[0] == "int" else None
        pointed = self.schema.tables.get(target)
        if pointed is None:
            return named[1]
        if not pointed.has_personal:
            return None
        if not pointed.about or followed == FOLLOWED:
            return named[1]
        return self.of(target, named[1], followed + 1)
