"""04: what a cell, a row and a counter show."""
from __future__ import annotations

from dataclasses import dataclass

from checker.encoding import encode, is_unreadable
from checker.identity import Dot
from checker.limits import INT_MAX, INT_MIN
from checker.merge import Live


def of(live: list[Live], *actions: str) -> list[Live]:
    return [l for l in live if l.op.action in actions]


def in_cell(live: list[Live], column: int, element: bytes = b"") -> list[Live]:
    return [l for l in live if l.op.cell == (column, element)]


def dots_of(live) -> set[Dot]:
    return {l.dot for l in live}


@dataclass
class Register:
    """04 §2: the fold of the live ops of one cell without an element."""
    candidates: list[Live]
    covered: list[Live]
    shown: Live | None
    conflict: bool
    within: bool
    shown_dots: set[Dot]
    all_dots: set[Dot]

    @staticmethod
    def fold(cell: list[Live], tolerance: int | None) -> "Register":
        settled = set().union(*(l.op.covers for l in of(cell, "resolve")))  # §2.1
        candidates = [l for l in of(cell, "put", "resolve") if l.op.action == "resolve" or l.dot not in settled]
        covered = [l for l in of(cell, "put") if l.dot in settled]
        conflict = len({encode(l.op.value) for l in candidates if not is_unreadable(l.op.value)}) > 1  # §2.2
        pool = [l for l in candidates if not is_unreadable(l.op.value)] or candidates  # §2.3
        earliest = False
        if tolerance is not None and candidates and all(l.op.value[0] == "int" for l in candidates):
            numbers = [l.op.value[1] for l in candidates]
            spread = max(numbers) - min(numbers)
            earliest = spread <= tolerance and spread <= INT_MAX
            if earliest:
                pool = [l for l in candidates if l.op.value[1] == min(numbers)]
        shown = max(pool, key=lambda l: l.order, default=None)
        equals = [l for l in candidates if shown and encode(l.op.value) == encode(shown.op.value)]  # §2.4
        beneath = set().union(*(l.op.covers for l in of(equals, "resolve")))
        return Register(candidates, covered, shown, conflict, conflict and earliest,
                        dots_of(equals) | dots_of(l for l in covered if l.dot in beneath),
                        dots_of(candidates) | dots_of(covered))


def set_elements(row: list[Live], column: int) -> list[bytes]:
    """04 §3."""
    return sorted({l.op.element for l in of(row, "put") if l.op.column == column and l.op.element})


def entry(live: Live) -> tuple[int, int] | None:
    """04 §4: [P, N] of an op that counts."""
    value = live.op.value
    if live.op.action == "put" and value[0] == "composite" and len(value[1]) == 2:
        if all(p[0] == "int" and p[1] >= 0 for p in value[1]):
            return value[1][0][1], value[1][1][1]
    return None


def counter_total(row: list[Live], column: int) -> int | None:
    """04 §4."""
    entries = [e for l in in_cell(row, column) if (e := entry(l))]
    if not entries:
        return None
    return min(max(sum(p - n for p, n in entries), INT_MIN), INT_MAX)


@dataclass
class Life:
    """04 §5."""
    deletes: list[Live]
    uncovered: list[Live]

    @staticmethod
    def fold(row: list[Live]) -> "Life":
        deletes = of(in_cell(row, 0), "delete")
        covers = set().union(*(l.op.covers for l in deletes))
        lives = [l for l in row if l.op.action != "delete" and l.place not in covers]
        return Life(deletes, lives if deletes else [])

    @property
    def hidden(self) -> bool:
        return bool(self.deletes) and not self.uncovered

    @property
    def conflict(self) -> bool:
        return bool(self.deletes) and bool(self.uncovered)
