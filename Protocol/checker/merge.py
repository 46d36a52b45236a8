"""03 §1, §2, §5: live ops, delivery, the state hash."""
from __future__ import annotations

from dataclasses import dataclass

from checker.encoding import NULL, encode
from checker.identity import Dot, sha256
from checker.model import Changeset, Op


@dataclass(frozen=True)
class Live:
    """03 §1: a live op."""
    dot: Dot
    time: int
    op: Op

    @property
    def order(self) -> tuple:
        """04 §1."""
        return (self.time, *self.dot)

    @property
    def place(self) -> tuple:
        """As the covers of a delete name it: (column, element, dot)."""
        return (*self.op.cell, self.dot)


class State:
    """The live ops by (table, row) and cell, and the seq up to which each stream is held."""

    def __init__(self):
        self.rows: dict[tuple, dict[tuple, dict[Dot, Live]]] = {}
        self.held: dict[bytes, int] = {}

    def copy(self) -> "State":
        other = State()
        other.rows = {r: {c: dict(ops) for c, ops in cells.items()} for r, cells in self.rows.items()}
        other.held = dict(self.held)
        return other

    def deliver(self, changeset: Changeset) -> None:
        """03 §2."""
        stream, seq = changeset.dot
        if seq <= self.held.get(stream, 0):
            return
        self.held[stream] = seq
        for item in changeset.rows:
            cells = self.rows.setdefault((item.table, item.row), {})
            for op in item.ops:
                cell = cells.setdefault(op.cell, {})
                for dot in op.over:
                    cell.pop(dot, None)
                cell.setdefault(changeset.dot, Live(changeset.dot, changeset.time, op))

    def live(self) -> list[tuple[tuple, Live]]:
        """All live ops with their (table, row), in the order of 03 §5."""
        found = [(key, op) for key, cells in self.rows.items() for cell in cells.values() for op in cell.values()]
        return sorted(found, key=lambda f: (*f[0], *f[1].op.cell, *f[1].dot))

    def row(self, table: int, row: bytes) -> list[Live]:
        return [op for cell in self.rows.get((table, row), {}).values() for op in cell.values()]

    def hash(self) -> bytes:
        """03 §5."""
        out = [b"karvan/1/state\0"]
        for (table, row), live in self.live():
            out.append(encode(("array", (
                ("int", table), ("blob", row), ("int", live.op.column), ("blob", live.op.element),
                ("blob", live.dot[0]), ("int", live.dot[1]), ("int", live.time),
                live.op.value if live.op.action in ("put", "resolve") else NULL))))
        return sha256(b"".join(out))
