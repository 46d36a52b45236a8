#!/usr/bin/env python3
"""Judges replicas by the definitions alone: live = ops - everything named in any over, then folds.

usage: oracle.py FILE...

Each FILE is an export of a replica, or says what authors were shown (06-export.md). From the
changesets of an export follow its state hash, the rows shown and the open conflicts; they are held
against what the export says of itself, changesets are held against each other, and each op against
what its author was shown. Prints what differs, then counts; exit 1 when anything differs.
"""
import collections
import hashlib
import json
import sys

from forms import Real, Unreadable, canonical, head, is_entry, is_item, ops, value

LIFE = (0, b"")


def live(row, held=None):
    """What lives in each cell; with `held`, for someone who holds no more of each stream."""
    found = {}
    for cell, known in row.items():
        if held is not None:
            known = [op for op in known if op.dot[1] <= held.get(op.dot[0], 0)]
        gone = set().union(*(op.over for op in known))
        if standing := [op for op in known if op.dot not in gone]:
            found[cell] = standing
    return found


def life(cells):
    """Shown, hidden or in conflict; the deletes, and all that a delete has to cover."""
    deletes = [op for op in cells.get(LIFE, ()) if op.kind == "delete"]
    others = {(cell, op.dot) for cell in cells for op in cells[cell] if op.kind != "delete"}
    is_covered = others <= set().union(*(op.covers for op in deletes))
    return "shown" if not deletes else "hidden" if is_covered else "conflict", deletes, others


def register(standing, policy=None):
    """The candidates, and which of them is shown."""
    settled = {name for op in standing if op.kind == "resolve" for name in op.covers}
    candidates = [op for op in standing if op.kind == "resolve"
                  or op.kind == "put" and (op.cell, op.dot) not in settled]
    best = [op for op in candidates if not isinstance(op.value, Unreadable)] or candidates
    if policy and candidates and all(type(op.value) is int for op in candidates):
        least, most = min(op.value for op in candidates), max(op.value for op in candidates)
        if most - least <= int(policy["earliest"]):
            best = [op for op in candidates if op.value == least]
    return candidates, max(best, key=lambda op: (op.time, op.dot), default=None)


def shown_dots(standing, policy):
    """What someone was shown who read a register as a plain value."""
    candidates, shown = register(standing, policy)
    equals = [op for op in candidates if op.bytes == shown.bytes]
    covered = {name[1] for op in equals if op.kind == "resolve" for name in op.covers}
    return {op.dot for op in equals} | {op.dot for op in standing if op.kind == "put" and op.dot in covered}


def is_shown(cells, columns, found):
    """Whether the SQL columns show what the folds give."""
    found = iter(found)
    for column in columns:
        number, standing = column["column"], cells.get((column["column"], b""), [])
        if column["shape"] == "set":
            elements = sorted(e for (c, e), put in cells.items()
                              if c == number and any(op.kind == "put" for op in put))
            items = json.loads(value(next(found)) or "[]")
            if len(items) != len(elements) or not all(map(is_item, items, elements)):
                return False
            continue
        if column["shape"] == "counter":
            entries = [op.value for op in standing if op.kind == "put" and is_entry(op.value)]
            total = min(max(sum(plus - minus for plus, minus in entries), -2**63), 2**63 - 1)
            parts = (total if entries else None,)
        else:
            shown = register(standing, column.get("policy"))[1]
            # What nobody can read is not in the table.
            parts = (None if shown is None or isinstance(shown.value, Unreadable) else shown.value,)
            if column["shape"] == "composite":
                parts = parts[0] or (None,) * column["parts"]
            # SQLite makes NULL of a NaN and 0 of -0: such a value is not in the table.
            if any(isinstance(p, Real) and (p == 1 << 63 or p % (1 << 63) > 0x7FF << 52) for p in parts):
                parts = (None,) * len(parts)
        if any(canonical(part) != canonical(value(next(found))) for part in parts):
            return False
    return True


def is_basis(op, rows, row, columns, seen):
    """Whether the op replaces and covers what its author was shown, never more and never less."""
    now = live(rows[row], seen["held"] | {op.dot[0]: op.dot[1] - 1})
    standing, is_form = now.get(op.cell, []), row[1] in seen.get("forms", ())
    view = live(rows[row], seen["formHeld"]).get(op.cell, []) if is_form else standing
    alive, column = {o.dot for o in standing}, columns.get((row[0], op.cell[0]), {})
    state, deletes, others = life(now)
    if op.kind == "delete":
        return op.covers == others and op.over == {o.dot for o in deletes}
    if op.kind == "resolve":
        puts = {o.dot for o in standing if o.kind == "put"}
        return op.over == alive - puts and op.covers == {(op.cell, name) for name in puts}
    if column.get("shape") == "counter":
        return op.over == {o.dot for o in standing if o.dot[0] == op.dot[0] and is_entry(o.value)}
    retracts = {o.dot for o in view if o.kind == "retract"}
    if op.kind == "retract" and op.cell != LIFE and not op.cell[1]:
        return [o.kind for o in standing if o.dot in op.over - retracts] == ["resolve"] and op.over <= alive
    if op.cell == LIFE or op.cell[1] or state == "hidden" and not is_form:
        return op.over == alive & {o.dot for o in view}
    # What was erased since may have been several values.
    return any(isinstance(o.value, Unreadable) for o in view) or op.over == alive & (retracts | shown_dots(view, column.get("policy")))


class Replica:
    """An export: its changesets, and what it says of the state that they give."""

    def __init__(self, path):
        self.path, self.rows, self.count = path, collections.defaultdict(dict), 0
        self.tables, self.shown, self.open, self.end = {}, {}, [], {}
        self.ends = collections.defaultdict(lambda: float("inf"))

    def take(self, line, world):
        """One line; what is wrong with it."""
        if not line.startswith('{"dot":'):
            return self.note(json.loads(line), world)
        content, name = line[:line.rindex(',"received":')], line[8:line.index('"', 8)]
        if name not in world.known:
            world.known[name] = content, list(ops(json.loads(line)))
            for row, op in world.known[name][1]:
                world.rows[row].setdefault(op.cell, []).append(op)
        for row, op in world.known[name][1]:
            self.rows[row].setdefault(op.cell, []).append(op)
        self.count += 1
        return [] if world.known[name][0] == content else [f"{name} has two contents"]

    def note(self, record, world):
        if "export" in record:
            self.tables = {table["table"]: table["columns"] for table in record["tables"]}
            world.columns.update({(t, c["column"]): c for t in self.tables for c in self.tables[t]})
        elif "ends" in record:
            self.ends.update({stream: int(seq) for stream, seq in record["ends"].items()})
        elif "shown" in record:
            self.shown[record["table"], record["row"]] = record["shown"]
        elif "open" in record:
            self.open.append(tuple(record["open"].values()))
        elif "wrote" in record:
            return [f"{op} of row {row} does not replace what its author was shown"
                    for row, op in world.known[record["wrote"]][1]
                    if not is_basis(op, world.rows, row, world.columns, record)]
        self.end = record.get("end", self.end)
        return []

    def faults(self):
        """Where the export differs from what its changesets give."""
        digest, conflicts = hashlib.sha256(b"karvan/1/state\0"), []
        for (table, row), written in sorted(self.rows.items()):
            cells, columns, shown = live(written), self.tables.get(table), self.shown.get((table, row))
            for cell in sorted(cells):
                for op in sorted(cells[cell]):
                    name = table, bytes.fromhex(row), *cell, bytes.fromhex(op.dot[0]), op.dot[1], op.time
                    digest.update(head(4, 8) + b"".join(map(canonical, name)) + op.bytes)
            for cell in written.values():
                held = {op.dot for op in cell}
                for stream, seq in sorted(held.union(*(op.over for op in cell))):
                    if ((stream, seq) in held) != (seq <= self.ends[stream]):
                        yield f"row {row} lacks {stream}:{seq}, or has it behind the end of its stream"
            if columns is None:
                continue
            state = life(cells)[0]
            if (state == "hidden") != (shown is None) or shown and not is_shown(cells, columns, shown):
                yield f"row {row} ({state}) shows {shown}; what lives is {cells}"
            conflicts += [(table, row, 0)] * (state == "conflict")
            for c in columns if shown else ():
                candidates = register(cells.get((c["column"], b""), []))[0]
                if c["shape"] in ("register", "composite") and len({op.bytes for op in candidates if not isinstance(op.value, Unreadable)}) > 1:
                    conflicts.append((table, row, c["column"]))
        if conflicts != self.open or not self.shown.keys() <= self.rows.keys():
            yield f"these conflicts are open, or are said to be: {set(conflicts) ^ set(self.open)}"
        said = [self.end.get(k) for k in ("stateHash", "changesets", "shown", "open")]
        if said != (found := [digest.hexdigest(), self.count, len(self.shown), len(self.open)]):
            yield f"it says {said}, and {found} is right"


def main(paths):
    world = collections.namedtuple("World", "known rows columns")({}, collections.defaultdict(dict), {})
    problems, totals = [], [0, 0, 0, 0]
    for path in paths:
        replica = Replica(path)
        with open(path, encoding="ascii") as lines:
            problems += [f"{path}: {fault}" for line in lines for fault in replica.take(line, world)]
        if replica.end or replica.count:
            problems += [f"{path}: {fault}" for fault in replica.faults()]
            found = 1, replica.count, len(replica.rows), len(replica.open)
            totals = [*map(sum, zip(totals, found))]
    print("\n".join(problems[:20] + ["%d exports, %d changesets, %d rows, %d open" % tuple(totals)]))
    print(f"{len(problems)} differences")
    sys.exit(1 if problems or not totals[0] else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
