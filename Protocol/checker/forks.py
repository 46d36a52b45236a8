"""02 §8: streams that fork."""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Callable

from checker.identity import Dot, branch_id
from checker.model import Changeset, Op
from checker.runs import Header


def entry(op: Op) -> tuple[int, int] | None:
    """02 §8 "Counters": both parts of an entry, by its bytes; None for another op."""
    if op.action != "put" or op.value[0] != "composite" or [part[0] for part in op.value[1]] != ["int", "int"]:
        return None
    up, down = (part[1] for part in op.value[1])
    return (up, down) if up >= 0 and down >= 0 else None


def counting(op: Op, branch: bytes, before: tuple[int, int] | None) -> Op:
    """02 §8 "Counters": an entry on a branch, less what its author had counted before."""
    if not (parts := entry(op)):
        return op
    rest = tuple(("int", max(0, part - less)) for part, less in zip(parts, before or (0, 0)))
    return replace(op, value=("composite", rest), over=frozenset(dot for dot in op.over if dot[0] == branch))


@dataclass
class Line:
    """A stream, or a branch: what its runs go on from, and what it begins with that is another one's."""
    name: bytes
    parent: "Line | None" = None
    base: int = 0  # the last seq before it
    shared: tuple = ()  # (last seq, Line), by rising seqs


class Names:
    """What the runs that are held are called."""

    def __init__(self, held: dict[bytes, Header]):
        self.held, self.line, self.lines = held, {}, {}
        self.next: dict[tuple, list[bytes]] = {}
        for run, header in held.items():
            self.next.setdefault((header.stream, header.previous), []).append(run)
        for runs in self.next.values():
            runs.sort()
        for stream in sorted({h.stream for h in held.values()}):
            self.walk(stream, None, self.add(Line(stream)))

    def add(self, line: Line) -> Line:
        self.lines[line.name] = line
        return line

    def walk(self, stream: bytes, previous: bytes | None, line: Line) -> None:
        while runs := self.next.get((stream, previous)):
            for run in runs[1:]:
                branch = self.add(Line(branch_id(stream, run), line, self.held[run].first - 1))
                self.line[run] = branch
                self.walk(stream, run, branch)
            self.line[runs[0]] = line
            previous = runs[0]

    def of(self, dep: tuple[bytes, int, bytes]) -> bytes:
        """What the dep's run is called."""
        return self.line[dep[2]].name

    def dot(self, dot: Dot) -> Dot:
        """A dot on the line that it lies on."""
        stream, seq = dot
        line = self.lines.get(stream)
        while line and line.parent:
            owner = line.parent if seq <= line.base else next((of for last, of in line.shared if seq <= last), None)
            if owner is None:
                break
            line = owner
        return (line.name if line else stream), seq

    def renamed(self, changeset: Changeset, stream: bytes, name: Callable[[Dot], Dot]) -> Changeset:
        def op(op: Op) -> Op:
            covers = ((*c[:2], name(c[2])) if op.action == "delete" else name(c) for c in op.covers)
            return replace(op, over=frozenset(map(name, op.over)), covers=frozenset(covers))

        rows = tuple(replace(item, ops=tuple(map(op, item.ops))) for item in changeset.rows)
        return replace(changeset, dot=(stream, changeset.dot[1]), rows=rows)

    def share(self, contents: dict[bytes, list[Changeset]]) -> None:
        """Finds what runs that follow one run begin with alike. What is alike may make others alike that name it."""
        while [self.share_of(runs, contents) for runs in self.next.values()].count(True):
            pass

    def share_of(self, runs: list[bytes], contents: dict[bytes, list[Changeset]]) -> bool:
        said, is_new = [[self.compared(c) for c in contents[run]] for run in runs], False
        for at, run in enumerate(runs[1:], 1):
            shared, most = [], 0
            for before in range(at):
                alike = next((n for n, (one, other) in enumerate(zip(said[before], said[at])) if one != other),
                             min(len(said[before]), len(said[at])))
                if alike > most:
                    most = alike
                    shared.append((self.held[run].first - 1 + alike, self.line[runs[before]]))
            is_new = is_new or len(shared) > 0 and self.line[run].shared != tuple(shared)
            self.line[run].shared = tuple(shared)
        return is_new

    def compared(self, changeset: Changeset) -> Changeset:
        """With the dots of its own stream as they are."""
        own = changeset.dot[0]
        return self.renamed(changeset, own, lambda dot: dot if dot[0] == own else self.dot(dot))

    def changesets(self, run: bytes, contents: dict[bytes, list[Changeset]]) -> list[Changeset]:
        """What a run says that no other one says, with all dots as they are called."""
        line, own = self.line[run], self.held[run].stream
        first = max((last for last, _ in line.shared), default=line.base)
        found = [self.renamed(c, line.name, lambda dot: self.dot((line.name, dot[1]) if dot[0] == own else dot))
                 for c in contents[run] if c.dot[1] > first]
        if line.parent is None:
            return found
        before = self.counted(run, first, contents)
        return [replace(c, rows=tuple(replace(item, ops=tuple(
            counting(op, line.name, before.get((item.table, item.row, *op.cell))) for op in item.ops))
            for item in c.rows)) for c in found]

    def counted(self, run: bytes, first: int, contents: dict[bytes, list[Changeset]]) -> dict[tuple, tuple]:
        """By cell the last entry of a counter that a branch's author had written before what the branch holds."""
        chain: list[bytes] = []
        this: bytes | None = run
        while this is not None:
            chain.insert(0, this)
            this = self.held[this].previous
        return {(item.table, item.row, *op.cell): entry(op)
                for changesets in map(contents.get, chain) for c in changesets if c.dot[1] <= first
                for item in c.rows for op in item.ops if entry(op)}
