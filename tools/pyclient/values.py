"""00 §5: values by the types of columns, as people and JSON write them."""
from __future__ import annotations

import re
import struct
import unicodedata
from datetime import datetime, timezone

from checker.encoding import NULL, Reader
from checker.limits import INT_MAX, INT_MIN, MAX_SCALAR

from pyclient.replica import Replica
from pyclient.schema import Column, Table, UsageError
from pyclient.writer import keyed_id


CODES = ("code", "badge")
DASHES = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"), "-")


def normal(column: Column, text: str) -> str:
    """02 §2.3 leaves it to the application what a normal key is. Codes and badges: capitals, plain width, hyphens."""
    if column.name in CODES:
        return unicodedata.normalize("NFKC", text).translate(DASHES).strip().upper()
    return text.strip()


def real(number: float) -> tuple:
    return ("real", struct.unpack(">Q", struct.pack(">d", number))[0])


def milliseconds(text: str) -> int:
    """A time as milliseconds since 1970, or in ISO 8601."""
    if re.fullmatch(r"-?[0-9]+", text):
        return int(text)
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise UsageError(f"{text!r} is no time: write it as 2026-05-01T10:30:00+04:00") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return round(moment.timestamp() * 1000)


class Values:
    def __init__(self, replica: Replica):
        self.replica, self.schema, self.store = replica, replica.schema, replica.store

    def scalar(self, type_: str, given, target: int | None = None) -> tuple:
        """One value of a type; `given` is a text, or what JSON has."""
        if given is None:
            return NULL
        text = str(given)
        match type_:
            case "text":
                found = ("text", text.encode())
            case "integer" | "time":
                found = ("int", milliseconds(text) if type_ == "time" else self.integer(text))
            case "real":
                found = self.real(text)
            case "blob":
                found = ("blob", self.hex(text))
            case "reference":
                found = ("blob", self.reference(target, given))
            case _:
                raise UsageError(f"columns of type {type_} take no single value")
        if len(found[1]) > MAX_SCALAR if found[0] in ("text", "blob") else \
                found[0] == "int" and not INT_MIN <= found[1] <= INT_MAX:
            raise UsageError(f"{text[:40]!r} is too long, or too great")
        return found

    @staticmethod
    def real(text: str) -> tuple:
        try:
            return real(float(text))
        except ValueError:
            raise UsageError(f"{text!r} is no number") from None

    @staticmethod
    def integer(text: str) -> int:
        try:
            return int(text)
        except ValueError:
            raise UsageError(f"{text!r} is no integer") from None

    @staticmethod
    def hex(text: str) -> bytes:
        try:
            return bytes.fromhex(text)
        except ValueError:
            raise UsageError(f"{text!r} aren't hexadecimal digits") from None

    def column(self, column: Column, given) -> tuple:
        """What a put to the column takes. A composite is a list of its parts, or these with commas between."""
        if given is None or column.shape != "composite":
            return self.scalar(column.type, given, column.target)
        parts = given if isinstance(given, list) else str(given).split(",")
        if len(parts) != len(column.parts):
            raise UsageError(f"{column.name} has the parts {', '.join(name for name, _ in column.parts)}")
        return ("composite", tuple(self.scalar(type_, part) for (_, type_), part in zip(column.parts, parts)))

    # Rows

    def reference(self, target: int | None, given) -> bytes:
        """A row by its natural key, or by the 32 hexadecimal digits of its id."""
        if target is None:
            raise UsageError("this reference names no table")
        table = self.schema.tables[target]
        if isinstance(given, str) and re.fullmatch(r"[0-9a-f]{32}", given):
            return bytes.fromhex(given)
        return self.row(table, given, None)

    def row(self, table: Table, given, scope: bytes | None) -> bytes:
        """A row by its key, which is a list or texts with / between, by its id, or by the start of that."""
        if isinstance(given, str) and re.fullmatch(r"[0-9a-f]{32}", given):
            return bytes.fromhex(given)
        if not table.key:
            return self.by_start(table, str(given))
        parts = given if isinstance(given, list) else str(given).split("/") if len(table.key) > 1 else [given]
        if len(parts) != len(table.key):
            raise UsageError(f"the key of {table.name} is {'/'.join(table.key)}")
        return keyed_id(self.schema, table, self.key(table, parts), scope)

    def key(self, table: Table, parts: list) -> list[tuple]:
        columns = [table.column(name) for name in table.key]
        return [self.column(column, normal(column, part) if isinstance(part, str) and column.type == "text" else part)
                for column, part in zip(columns, parts)]

    def by_start(self, table: Table, digits: str) -> bytes:
        found = [row for _, row in self.store.rows_of(table.id) if digits and row.hex().startswith(digits)]
        if len(found) != 1:
            raise UsageError(f"{'no' if not found else 'more than one'} row of {table.name} has an id that begins with "
                             f"{digits!r}")
        return found[0]


def text_of(value: tuple | None):
    """A value as JSON shows it to people."""
    match value:
        case None | ("null",):
            return None
        case ("int", n):
            return n
        case ("real", bits):
            return struct.unpack(">d", struct.pack(">Q", bits))[0]
        case ("text", raw):
            return raw.decode()
        case ("blob", raw):
            return raw.hex()
        case ("composite", parts):
            return [text_of(part) for part in parts]
        case ("sealed", *_):
            return {"sealed": True}
        case ("erased",):
            return {"erased": True}
    raise UsageError(f"no value: {value!r}")


def element_text(element: bytes):
    return text_of(Reader(element).value())
