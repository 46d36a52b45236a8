"""01 §6.5–§6.7: vectors about the clock, delivery and folds. Each gives what `expect` should be."""
from __future__ import annotations

import json

from checker.conflicts import open_conflicts
from checker.folds import Life, Register, counter_total, dots_of, set_elements
from checker.identity import Dot, clock_take_over, clock_write
from checker.json_form import (
    j_dot, j_dots, j_int, j_op, j_open, j_place, j_time, j_value, members, p_column, p_dot, p_hex, p_int, p_live, p_op,
    p_policy, p_time)
from checker.kinds_of_bytes import need
from checker.limits import INT_MAX, INT_MIN, BadVector
from checker.merge import State
from checker.model import Changeset, RowItem


def check_clock(given, when):
    """01 §6.5."""
    last, found = p_time(members(given, "last")["last"]), []
    for step in when:
        if "next" in members(step, "", "next observe wall"):
            last = clock_write(last, p_int(members(step, "next")["next"], INT_MIN, INT_MAX))
        else:
            members(step, "observe wall")
            last = clock_take_over(last, p_time(step["observe"]), p_int(step["wall"], INT_MIN, INT_MAX))
        found.append(j_time(last))
    return {"last": found}


def check_merge(given, when):
    """01 §6.6: every causal order, and after each step everything delivered once more."""
    if when != "deliver":
        raise BadVector(f"an unknown kind: {when!r}")
    changesets, needs = {}, {}
    for x in members(given, "changesets")["changesets"]:
        members(x, "dot time after rows")
        rows = tuple(RowItem(p_int(r["table"]), p_hex(r["row"], 16), False, tuple(map(p_op, r["ops"])))
                     for r in (members(r, "table row ops") for r in x["rows"]))
        dot = p_dot(x["dot"])
        changesets[dot], needs[dot] = Changeset(dot, p_time(x["time"]), rows), {p_dot(d) for d in x["after"]}
    for stream, seq in changesets:  # the one before it in its stream, and of all only what is in the list
        if seq > 1 and (stream, seq - 1) not in changesets:
            raise BadVector(f"a hole before {j_dot((stream, seq))}")
        needs[stream, seq] = (needs[stream, seq] | {(stream, seq - 1)}) & changesets.keys()
    orders, ends = 0, {}

    def deliver(done: list[Dot], once: State, again: State) -> None:
        nonlocal orders
        ready = [d for d in changesets if d not in done and needs[d] <= set(done)]
        if not ready:
            need(len(done) == len(changesets), "every changeset can be delivered")
            orders += 1
            for state in (once, again):
                live = [{"table": key[0], "row": key[1].hex(), "dot": j_dot(l.dot), "time": j_time(l.time),
                         **j_op(l.op, live=True)} for key, l in state.live()]
                ends[json.dumps(live)] = {"live": live, "stateHash": state.hash().hex()}
            return
        for dot in ready:
            one, two = once.copy(), again.copy()
            one.deliver(changesets[dot])
            for d in [*done, dot, *done, dot]:
                two.deliver(changesets[d])
            deliver([*done, dot], one, two)

    deliver([], State(), State())
    need(len(ends) == 1, f"all orders end in one state, not in {len(ends)}")
    return {"orders": orders, **next(iter(ends.values()))}


def check_folds(given, when):
    """01 §6.7."""
    kind = when if isinstance(when, str) else next(iter(when)) if isinstance(when, dict) and len(when) == 1 else None
    members(given, "table row live" if kind == "conflicts" else "live")
    live = p_live(given["live"])
    match kind:
        case "register":
            fold = Register.fold(live, p_policy(when["register"]))
            value = {"value": j_value(fold.shown.op.value)} if fold.shown else {}
            return {"shown": fold.shown and j_dot(fold.shown.dot), **value, "candidates": j_dots(dots_of(fold.candidates)),
                    "covered": j_dots(dots_of(fold.covered)), "conflict": fold.conflict, "withinTolerance": fold.within,
                    "shownDots": j_dots(fold.shown_dots), "allDots": j_dots(fold.all_dots)}
        case "set":
            return {"elements": [e.hex() for e in set_elements(live, p_int(when["set"]))]}
        case "counter":
            total = counter_total(live, p_int(when["counter"]))
            return {"total": None if total is None else j_int(total)}
        case "life":
            life = Life.fold(live)
            return {"hidden": life.hidden, "conflict": life.conflict, "deletes": j_dots(dots_of(life.deletes)),
                    "uncovered": [j_place(l.place) for l in life.uncovered]}
        case "conflicts":
            columns = [p_column(c) for c in when["conflicts"]]
            return {"open": j_open(open_conflicts(p_int(given["table"]), p_hex(given["row"], 16), live, columns))}
    raise BadVector(f"an unknown kind: {when!r}")
