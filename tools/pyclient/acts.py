"""What the commands write: JSON and words to targets of one act (03 §4.7)."""
from __future__ import annotations

import re

from checker.encoding import Reader, encode
from checker.limits import Reject

from pyclient.replica import Replica
from pyclient.schema import BASE, MARK, Table, UsageError
from pyclient.values import Values, normal
from pyclient.writer import Target, keyed_id

VERBS = ("put", "add", "remove", "count", "undo", "resolve")


class Acts:
    def __init__(self, replica: Replica):
        self.replica, self.schema, self.values = replica, replica.schema, Values(replica)

    def dot(self, text: str) -> tuple[bytes, int]:
        if not isinstance(text, str) or not re.fullmatch(r"[0-9a-f]{32}:[1-9][0-9]*", text):
            raise UsageError(f"{text!r} is no dot: it looks like STREAM:SEQ, as `show` prints it")
        return bytes.fromhex(text[:32]), int(text[33:])

    def scope(self, name: str | None) -> bytes:
        table, slash, key = (name or BASE.decode()).partition("/")
        scope = (table + slash + normal(self.schema.table("delegation").column("code"), key)).encode()
        if not self.schema.is_scope(scope):
            raise UsageError(f"{name} is no scope: name it as delegation/CODE")
        if scope not in self.replica.known_scopes():
            raise UsageError(f"{name} isn't known here: sync, or record the delegation first")
        return scope

    def existing(self, table: Table, key, scope: bytes | None) -> Target:
        row = self.values.row(table, key, scope)
        found = Target(table, row, self.replica.scope_of_row(table.id, row))
        if table.divided_by and not self.replica.store.row(table.id, row):
            self.known_divider(table, row, found)
        return found

    def inserted(self, table: Table, key: list | None, scope: bytes | None, columns: dict) -> Target:
        """A new row: under its natural key, whose columns it puts too, or under a derived id."""
        scope = scope or BASE
        if not table.key:
            if scope != BASE and not table.divided:
                raise UsageError(f"rows of {table.name} lie in {BASE.decode()}")
            return Target(table, None, scope)
        if not key:
            raise UsageError(f"a row of {table.name} is named by its key: {'/'.join(table.key)}")
        parts = key if isinstance(key, list) else str(key).split("/") if len(table.key) > 1 else [key]
        if len(parts) != len(table.key):
            raise UsageError(f"the key of {table.name} is {'/'.join(table.key)}")
        values = self.values.key(table, parts)
        row = keyed_id(self.schema, table, values, scope)
        found = Target(table, row, self.replica.scope_of_row(table.id, row))
        if table.divided_by:
            self.known_divider(table, row, found)
        found.steps = [("put", table.column(name), value, None) for name, value in zip(table.key, values)
                       if name not in columns and not self.shows(table, row, name, value)]
        return found

    def known_divider(self, table: Table, row: bytes, target: Target) -> None:
        """02 §2.3: a row isn't made as long as its scope isn't known."""
        is_scope = table.column(table.divided_by).target == self.schema.table("delegation").id
        if is_scope and self.schema.mark(target.scope) != row[-MARK:]:
            raise UsageError(f"{table.divided_by} names a delegation that isn't known here: sync, or record it first")

    def shows(self, table: Table, row: bytes, name: str, value: tuple) -> bool:
        column = table.column(name)
        return any(live.op.column == column.id and live.op.action == "put" and live.op.value == value
                   for live in self.replica.store.row(table.id, row))

    def steps(self, target: Target, verb: str, columns: dict, basis: dict) -> None:
        for name, given in columns.items():
            column = target.table.column(name)
            shapes = {"add": ("set",), "remove": ("set",), "count": ("counter",)}.get(verb, ("register", "composite"))
            if column.shape not in shapes:
                raise UsageError(f"{column.name} is a {column.shape}: {verb} is for a {' or a '.join(shapes)}")
            seen = {self.dot(dot) for dot in basis[name]} if name in basis else None
            for each in given if verb in ("add", "remove") and isinstance(given, list) else [given]:
                target.steps.append((verb, column, self.value(verb, column, each), seen))

    def value(self, verb: str, column, given):
        if verb == "count":
            return self.values.integer(str(given))
        if verb == "undo":
            return self.dot(given)
        if verb in ("add", "remove"):
            found = self.values.scalar(column.type, given)
            if found == ("null",):
                raise UsageError("an element of a set is not null")
            try:
                Reader(encode(found)).value()
            except Reject as reason:
                raise UsageError(f"this is no element: {reason}") from None
            return found
        return self.values.column(column, given)

    def row(self, form: dict) -> Target:
        """One row of `write`: {"table", "key" or "id" or "new": true, "scope"?, VERB: {column: value}, …}."""
        if not isinstance(form, dict) or "table" not in form:
            raise UsageError("each row is an object with a table")
        unknown = form.keys() - {"table", "key", "id", "new", "scope", "basis", "delete", "restore", *VERBS}
        if unknown:
            raise UsageError(f"a row has no member {sorted(unknown)[0]!r}")
        for verb in ("basis", *VERBS):
            if not isinstance(form.get(verb, {}), dict):
                raise UsageError(f"{verb} is an object of columns")
        table = self.schema.table(form["table"])
        scope = self.scope(form["scope"]) if "scope" in form else None
        if form.get("new"):
            target = self.inserted(table, form.get("key"), scope, form.get("put", {}))
        else:
            target = self.existing(table, form.get("id", form.get("key")), scope)
        for verb in VERBS:
            self.steps(target, verb, form.get(verb, {}), form.get("basis", {}))
        target.steps += [(verb, None, None, None) for verb in ("delete", "restore") if form.get(verb)]
        return target
