"""01 §6.16: vectors about waits, meetings, and who is to be found. Each gives what `expect` should be."""
from __future__ import annotations

from checker.json_form import j_int, j_text, members, p_bytes, p_hex, p_text
from checker.kinds_of_bundles import j_list
from checker.kinds_of_bytes import library_verifies, message_answer, need
from checker.kinds_of_messages import j_cursor
from checker.limits import BadVector
from checker.meetings import ROOT, Advertisement, Ends, Meeting, Statement, Wait


def j_wait(wait: Wait) -> dict:
    return {"patience": j_int(wait.patience),
            "places": [{"scope": j_text(p.scope), "cursor": p.cursor and j_cursor(p.cursor)} for p in wait.places]}


def j_ends(ends: Ends) -> dict:
    return {"wall": j_int(ends.wall), "scopes": [j_text(scope) for scope in ends.scopes],
            "cursors": [cursor and j_cursor(cursor) for cursor in ends.cursors]}


def j_statement(statement: Statement, root: bytes) -> dict:
    fault = statement.fault(root)
    signed = library_verifies(statement.signature, statement.message, statement.device.statement.key)
    need(signed or fault is not None, "the library goes by the same equation")
    return {"root": statement.root.hex(), "hub": statement.hub.encode().hex(),
            "device": statement.device.encode().hex(), "pin": statement.pin.hex(),
            "signature": statement.signature.hex(), "true": fault is None}


def j_meeting(meeting: Meeting) -> dict:
    return {"root": meeting.root.hex(), "hub": meeting.hub.encode().hex(), "device": meeting.device.encode().hex(),
            "list": j_list(meeting.list), "bundle": None if meeting.bundle is None else meeting.bundle.hex()}


def j_advertisement(found: Advertisement | None) -> dict:
    return {"forum": found and j_text(found.forum), "device": found and j_text(found.device)}


def p_strings(x) -> list[bytes]:
    """Of a TXT record: at most 255 bytes each (RFC 6763 §6.1)."""
    need(isinstance(x, list), "strings are an array")
    found = list(map(p_text, x))
    need(all(len(each) <= 255 for each in found), "a string has at most 255 bytes")
    return found


KINDS = {"wait": (Wait, j_wait), "ends": (Ends, j_ends), "meeting": (Meeting, j_meeting)}


def check_meetings(given, when):
    """01 §6.16."""
    if when == "news":
        members(given, "wait ends")
        wait, ends = Wait.decode(p_bytes(given["wait"])), Ends.decode(p_bytes(given["ends"]))
        return {"news": ends.is_news(wait)}
    if when == "advertise":
        members(given, "root device")
        said = Advertisement.by(p_hex(given["root"], ROOT), p_hex(given["device"], ROOT)).strings()
        return {"text": list(map(j_text, said))}
    if when == "advertisement":
        members(given, "text")
        return j_advertisement(Advertisement.read(p_strings(given["text"])))
    if when == "statement":
        members(given, "bytes root")
        root = p_hex(given["root"], ROOT)
        kind, form = Statement, lambda statement: j_statement(statement, root)
    elif when in KINDS:
        members(given, "bytes")
        kind, form = KINDS[when]
    else:
        raise BadVector(f"an unknown kind: {when!r}")
    return message_answer(kind, form, when, p_bytes(given["bytes"]))
