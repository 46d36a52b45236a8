"""06, 04 §6: all that a replica holds, and what its tables show."""
from __future__ import annotations

import json
from typing import TextIO

from checker.encoding import is_unreadable
from checker.folds import Life, Register, counter_total, in_cell, set_elements
from checker.json_form import j_changeset, j_int, j_value
from checker.merge import Live

from pyclient.conflicts import all_open
from pyclient.replica import Replica
from pyclient.schema import BASE, Column, Table
from pyclient.sealing import Sealer
from pyclient.state import State
from pyclient.values import element_text, text_of

MINUS_ZERO, INFINITY = 1 << 63, 0x7FF << 52


def line(out: TextIO, form) -> None:
    out.write(json.dumps(form, separators=(",", ":"), ensure_ascii=True) + "\n")


def schema_form(table: Table) -> dict:
    """06: T."""
    return {"table": table.id, "columns": [
        {"column": c.id, "shape": c.shape} | ({"parts": len(c.parts)} if c.parts else {})
        | ({"policy": {"earliest": c.tolerance}} if c.tolerance is not None else {}) for c in table.columns]}


def unkept(value: tuple | None) -> bool:
    """06: whether SQL can't keep it, or nobody can read it."""
    if value is None or is_unreadable(value):
        return True
    if value[0] == "composite":
        return any(map(unkept, value[1]))
    return value[0] == "real" and (value[1] == MINUS_ZERO or value[1] % MINUS_ZERO > INFINITY)


def shown(row: list[Live], column: Column) -> list:
    """04 §6: the SQL columns of one column, as JSON values (01 §6)."""
    if column.shape == "set":
        elements = [element_text(element) for element in set_elements(row, column.id)]
        return [json_text(json.dumps(elements, separators=(",", ":"), ensure_ascii=False)) if elements else None]
    if column.shape == "counter":
        total = counter_total(row, column.id)
        return [None if total is None else j_value(("int", total))]
    winner = Register.fold(in_cell(row, column.id), column.tolerance).shown
    value = winner.op.value if winner else None
    if column.shape == "composite":
        if unkept(value) or value[0] != "composite" or len(value[1]) != len(column.parts):
            return [None] * len(column.parts)
        return [j_value(part) for part in value[1]]
    return [None if unkept(value) else j_value(value)]


def json_text(text: str):
    return j_value(("text", text.encode()))


def visible(replica: Replica):
    """04 §6: (table, row, live ops) of each row that a table shows."""
    for number, row in replica.store.rows_of():
        if table := replica.schema.tables.get(number):
            live = replica.store.row(number, row)
            if not Life.fold(live).hidden:
                yield table, row, live


def export(replica: Replica, out: TextIO) -> None:
    with replica.store.transaction():
        stream = Sealer(replica).lane(BASE)[0]
    state, counts = State(replica), {"changesets": 0, "shown": 0, "open": 0}
    line(out, {"export": 1, "schema": replica.schema.name.decode(), "version": replica.schema.version,
               "stream": stream.hex(), "tables": list(map(schema_form, replica.schema.tables.values()))})
    if ends := ends_of(replica):
        line(out, {"ends": ends})
    for changeset, received in state.contents():
        line(out, j_changeset(changeset) | {"received": received})
        counts["changesets"] += 1
    for table, row, live in visible(replica):
        values = [value for column in table.columns for value in shown(live, column)]
        line(out, {"table": table.id, "row": row.hex(), "shown": values})
        counts["shown"] += 1
    for conflict in all_open(replica):
        line(out, {"open": {"table": conflict.table.id, "row": conflict.row.hex(),
                            "column": conflict.column.id if conflict.column else 0}})
        counts["open"] += 1
    line(out, {"end": {"stateHash": state.hash().hex()} | counts})


def ends_of(replica: Replica) -> dict:
    """06: the last seq of each stream that a hub has ended, of those too that cuts name and nothing is held of."""
    found, trust = {}, replica.trust
    known = {stream for stream, in replica.store.db.execute("SELECT id FROM stream")}
    for stream in sorted(known | {trust.named_stream(c.key, s) for c in trust.cuts() for s in c.streams}):
        if ends := trust.ends_of(stream):
            found[stream.hex()] = j_int(min(max(last for last, _ in each) for each in ends))
    return found


def show(replica: Replica, table: Table, row: bytes) -> dict:
    """A row as people look at it: each column's fold, with the dots that were shown (03 §4.1)."""
    live = replica.store.row(table.id, row)
    life = Life.fold(live)
    columns = {}
    for column in table.columns:
        if column.shape == "set":
            columns[column.name] = [element_text(element) for element in set_elements(live, column.id)]
        elif column.shape == "counter":
            columns[column.name] = counter_total(live, column.id)
        else:
            columns[column.name] = register_form(live, column)
    return {"table": table.name, "row": row.hex(), "scope": replica.scope_of_row(table.id, row).decode(),
            "known": bool(live), "hidden": life.hidden, "life": "conflict" if life.conflict else "settled",
            "columns": columns}


def register_form(live: list[Live], column: Column) -> dict | None:
    fold = Register.fold(in_cell(live, column.id), column.tolerance)
    if not fold.shown:
        return None
    retracts = {l.dot for l in in_cell(live, column.id) if l.op.action == "retract"}
    return {"value": text_of(fold.shown.op.value), "conflict": fold.conflict,
            "resolved": fold.shown.op.action == "resolve", "dot": dot_text(fold.shown.dot),
            "basis": [dot_text(dot) for dot in sorted(fold.shown_dots | retracts)]}


def dot_text(dot: tuple) -> str:
    return f"{dot[0].hex()}:{dot[1]}"
