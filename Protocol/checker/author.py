"""03 §3, §4, 05 §3, §4: what an author writes."""
from __future__ import annotations

from checker.encoding import NULL
from checker.folds import Life, Register, dots_of, entry, in_cell, of, set_elements
from checker.identity import Dot
from checker.limits import INT_MAX
from checker.merge import Live
from checker.model import Op


class Author:
    """Decides ops on the live ops of one row, as the author's replica holds it."""

    def __init__(self, row: list[Live]):
        self.row, self.life = row, Life.fold(row)

    def retracts(self, column: int, element: bytes = b"") -> set[Dot]:
        return dots_of(of(in_cell(self.row, column, element), "retract"))

    def restoring(self) -> Op:
        """03 §4.2, §4.5: a retract in the cell of life."""
        return Op(0, b"", "retract", None, frozenset(dots_of(self.life.deletes) | self.retracts(0)))

    def with_restore(self, op: Op, delete_shown: bool = True) -> list[Op]:
        return [self.restoring(), op] if self.life.hidden and delete_shown else [op]

    def put(self, column: int, value: tuple, tolerance: int | None, basis: set[Dot] | None,
            delete_shown: bool) -> list[Op]:
        """03 §4.1, §4.2."""
        cell = in_cell(self.row, column)
        if basis is None:
            basis = Register.fold(cell, tolerance).shown_dots | self.retracts(column)
        over = dots_of(cell) if self.life.hidden and delete_shown else dots_of(cell) & basis
        return self.with_restore(Op(column, b"", "put", value, frozenset(over)), delete_shown)

    def add(self, column: int, element: bytes) -> list[Op]:
        """03 §4.3."""
        if element in set_elements(self.row, column):
            return []
        over = frozenset(dots_of(in_cell(self.row, column, element)))
        return self.with_restore(Op(column, element, "put", NULL, over))

    def remove(self, column: int, element: bytes) -> list[Op]:
        """03 §4.3."""
        if element not in set_elements(self.row, column):
            return []
        over = frozenset(dots_of(in_cell(self.row, column, element)))
        return self.with_restore(Op(column, element, "retract", None, over))

    def count(self, column: int, stream: bytes, by: int) -> list[Op]:
        """03 §4.4."""
        own = [l for l in in_cell(self.row, column) if l.dot[0] == stream and entry(l)]
        p = sum(entry(l)[0] for l in own) + max(by, 0)
        n = sum(entry(l)[1] for l in own) + max(-by, 0)
        if by == 0 or max(p, n) > INT_MAX:
            return []
        value = ("composite", (("int", p), ("int", n)))
        return self.with_restore(Op(column, b"", "put", value, frozenset(dots_of(own))))

    def delete(self) -> list[Op]:
        """03 §4.5."""
        if not self.row or self.life.hidden:
            return []
        covers = frozenset(l.place for l in self.row if l.op.action != "delete")
        return [Op(0, b"", "delete", None, frozenset(dots_of(self.life.deletes)), covers)]

    def restore(self) -> list[Op]:
        """03 §4.5."""
        return [self.restoring()] if self.life.deletes else []

    def resolve(self, column: int, value: tuple, tolerance: int | None, basis: set[Dot] | None) -> list[Op]:
        """05 §3."""
        cell = in_cell(self.row, column)
        if basis is None:
            basis = Register.fold(cell, tolerance).all_dots
        puts = {l.dot for l in of(cell, "put") if l.dot in basis}
        resolutions = [l for l in of(cell, "resolve") if l.dot in basis]
        taken_along = set().union(*(l.op.covers for l in resolutions)) & dots_of(cell)
        over = frozenset(dots_of(resolutions) | self.retracts(column))
        return [Op(column, b"", "resolve", value, over, frozenset(puts | taken_along))]

    def undo(self, column: int, dot: Dot | None) -> list[Op]:
        """05 §4."""
        if dot not in dots_of(of(in_cell(self.row, column), "resolve")):
            return []
        return [Op(column, b"", "retract", None, frozenset({dot} | self.retracts(column)))]
