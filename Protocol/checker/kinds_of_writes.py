"""01 §6.8: vectors about what authors write, and stories of several replicas."""
from __future__ import annotations

from checker.author import Author
from checker.conflicts import Column, open_conflicts
from checker.folds import Life, Register, counter_total, in_cell, set_elements
from checker.identity import Dot
from checker.json_form import (
    j_dot, j_int, j_op, j_open, j_value, members, p_column, p_dot, p_hex, p_int, p_live, p_policy, p_time, p_value)
from checker.kinds_of_bytes import need
from checker.limits import INT_MAX, INT_MIN, BadVector
from checker.merge import Live, State
from checker.model import Changeset, Op, RowItem


def write_ops(w, row: list[Live], stream: bytes | None, dot) -> list[Op]:
    """01 §6.8 "One write": the ops of a write W. `dot` reads a dot of the vector."""
    author, do = Author(row), w.get("do")
    basis = {dot(d) for d in w["basis"]} if "basis" in w else None
    tolerance = p_policy(w.get("policy", "latest"))
    match do:
        case "put":
            members(w, "do column value", "policy basis deleteShown")
            return author.put(p_int(w["column"]), p_value(w["value"]), tolerance, basis, w.get("deleteShown", True))
        case "add" | "remove":
            members(w, "do column element")
            return getattr(author, do)(p_int(w["column"]), p_hex(w["element"]))
        case "count":
            members(w, "do column by" + ("" if stream else " stream"), "stream")
            own = p_hex(w["stream"], 16) if "stream" in w else stream
            return author.count(p_int(w["column"]), own, p_int(w["by"], INT_MIN, INT_MAX))
        case "delete" | "restore":
            members(w, "do")
            return getattr(author, do)()
        case "resolve":
            members(w, "do column value", "policy basis")
            return author.resolve(p_int(w["column"]), p_value(w["value"]), tolerance, basis)
        case "undo":
            return author.undo(p_int(members(w, "do column dot")["column"]), dot(w["dot"]))
    raise BadVector(f"an unknown write: {w!r}")


def check_resolutions(given, when):
    """01 §6.8."""
    if "do" in when:
        return {"ops": [j_op(o) for o in write_ops(when, p_live(members(given, "live")["live"]), None, p_dot)]}
    return story(given, members(when, "steps")["steps"])


def story(given, steps):
    """01 §6.8 "A story": several replicas that write, and take from each other."""
    members(given, "table row streams columns")
    table, row = p_int(given["table"]), p_hex(given["row"], 16)
    streams, columns = [p_hex(s, 16) for s in given["streams"]], [p_column(c) for c in given["columns"]]
    states, logs = [State() for _ in streams], [[] for _ in streams]  # a log: what is held, in the order it came
    wrote, dots = [], {}

    def take(i: int, changeset: Changeset) -> None:
        if changeset.dot[1] > states[i].held.get(changeset.dot[0], 0):
            states[i].deliver(changeset)
            logs[i].append(changeset)

    def dot(x) -> Dot:
        if isinstance(x, str):
            return p_dot(x)
        step = p_int(members(x, "step")["step"])
        if step not in dots:
            raise BadVector(f"step {step} wrote nothing")
        return dots[step]

    for k, step in enumerate(steps):
        if "write" in step:
            i, time = members(step, "at time write")["at"], p_time(step["time"])
            ops = []
            for w in step["write"]:
                ops += [op for op in write_ops(w, states[i].row(table, row), streams[i], dot)
                        if op.cell != (0, b"") or all(other.cell != op.cell for other in ops)]
            if ops:
                need(len({o.cell for o in ops}) == len(ops), "no two ops of one cell")
                dots[k] = streams[i], states[i].held.get(streams[i], 0) + 1
                take(i, Changeset(dots[k], time, (RowItem(table, row, False, tuple(ops)),)))
                wrote.append({"step": k, "dot": j_dot(dots[k]), "ops": [j_op(o) for o in ops]})
            continue
        if "from" in step:
            pairs = [(members(step, "at from")["at"], step["from"])]
        elif members(step, "meet")["meet"] is True:
            pairs = [(i, j) for i in range(len(streams)) for j in range(len(streams))]
        for i, changesets in [(i, list(logs[j])) for i, j in pairs]:
            for changeset in changesets:
                take(i, changeset)

    return {"wrote": wrote, "replicas": [replica_end(s, table, row, columns) for s in states]}


def replica_end(state: State, table: int, row_id: bytes, columns: list[Column]) -> dict:
    """01 §6.8: E, by 04 §6 and 05 §1."""
    row = state.row(table, row_id)
    hidden, shown = Life.fold(row).hidden, []
    for c in sorted(columns, key=lambda c: c.number) if row and not hidden else []:
        if c.shape == "set":
            shown.append({"column": c.number, "elements": [e.hex() for e in set_elements(row, c.number)]})
        elif c.shape == "counter":
            if (total := counter_total(row, c.number)) is not None:
                shown.append({"column": c.number, "value": j_int(total)})
        elif winner := Register.fold(in_cell(row, c.number), c.tolerance).shown:
            shown.append({"column": c.number, "value": j_value(winner.op.value)})
    return {"hidden": hidden, "shown": shown, "open": j_open(open_conflicts(table, row_id, row, columns)),
            "stateHash": state.hash().hex()}
