"""01 §6.13, §6.14: vectors about messages and feeds. Each gives what `expect` should be."""
from __future__ import annotations

from checker.chain import Replica
from checker.encoding import Reader, encode
from checker.identity import digest
from checker.json_form import j_int, j_text, members, p_bytes, p_hex, p_int, p_text
from checker.kinds_of_bytes import agrees, library_verifies, need
from checker.limits import MAX_LEVELS, MAX_OFFSET, MAX_SEQ, BadVector, Reject
from checker.messages import (
    WHOLE, Answer, Cursor, Enrolled, Enrolment, Refusal, Reply, Request, Run, Stub, chains)
from checker.runs import Header, run_hash

KINDS = ("whole", "name", "cut", "later")


def j_run(run: Run) -> dict:
    """01 §6.13: W."""
    return {"header": run.header.hex(), "seal": run.seal.hex(), "body": run.body.hex()}


def j_stub(stub: Stub) -> dict:
    """01 §6.13: N."""
    return {"stream": stub.stream.hex(), "last": j_int(stub.last), "run": stub.run.hex()}


def p_stub(x) -> Stub:
    members(x, "stream last run")
    return Stub(p_hex(x["stream"], 16), p_int(x["last"], 1, MAX_SEQ), p_hex(x["run"], 32))


def j_cursor(cursor: Cursor) -> dict:
    """01 §6.13: U."""
    return {"epoch": cursor.epoch.hex(), "offset": j_int(cursor.offset), "chain": cursor.chain.hex()}


def p_cursor(x) -> Cursor:
    members(x, "epoch offset chain")
    return Cursor(p_hex(x["epoch"], 16), p_int(x["offset"], 0, MAX_OFFSET), p_hex(x["chain"], 32))


def j_refusal(refusal: Refusal) -> dict:
    """01 §6.13: Z."""
    return {"code": refusal.name, "explanation": j_text(refusal.explanation)}


def j_request(request: Request) -> dict:
    parts = [{"scope": j_text(p.scope), "cursor": p.cursor and j_cursor(p.cursor), "ahead": [j_stub(s) for s in p.ahead],
              "runs": [j_run(run) for run in p.runs]} for p in request.parts]
    return {"pending": j_int(request.pending), "wall": j_int(request.wall), "schemaVersion": j_int(request.version),
            "parts": parts}


def j_part(part: Refusal | Answer | None) -> dict | None:
    if part is None:
        return None
    if isinstance(part, Refusal):
        return {"refused": j_refusal(part)}
    entries = [{KINDS[kind]: j_run(item) if kind == WHOLE else j_stub(item)} for kind, item in part.entries]
    return {"heads": [j_stub(head) for head in part.heads],
            "rejections": [{"run": j_stub(stub), "refusal": j_refusal(why)} for stub, why in part.rejections],
            "entries": entries, "cursor": j_cursor(part.cursor), "more": part.more}


def j_reply(reply: Reply) -> dict:
    return {"wall": j_int(reply.wall), "scopes": [j_text(scope) for scope in reply.scopes],
            "parts": [j_part(part) for part in reply.parts]}


def j_enrolment(e: Enrolment) -> dict:
    message = digest("karvan/1/enrolment", e.secret, e.key, e.encryption_key, e.name)
    need(e.signed == library_verifies(e.signature, message, e.key), "the library goes by the same equation")
    return {"secret": e.secret.hex(), "publicKey": e.key.hex(), "encryptionKey": e.encryption_key.hex(),
            "name": j_text(e.name), "signature": e.signature.hex(), "signed": e.signed}


def j_enrolled(e: Enrolled) -> dict:
    return {"hub": e.hub.encode().hex(), "device": e.device.encode().hex(), "wall": j_int(e.wall)}


def decode_refusal(data: bytes) -> Refusal:
    r = Reader(data)
    found = Refusal.read(r)
    r.end()
    return found


def encode_refusal(refusal: Refusal) -> bytes:
    return encode(refusal.item())


MESSAGES = {"request": (Request.decode, j_request, Request.encode), "reply": (Reply.decode, j_reply, Reply.encode),
            "refusal": (decode_refusal, j_refusal, encode_refusal),
            "enrolment": (Enrolment.decode, j_enrolment, Enrolment.encode),
            "enrolled": (Enrolled.decode, j_enrolled, Enrolled.encode)}


def check_messages(given, when):
    """01 §6.13."""
    if when not in MESSAGES:
        raise BadVector(f"an unknown kind: {when!r}")
    decode, form, written = MESSAGES[when]
    data = p_bytes(members(given, "bytes")["bytes"])
    try:
        found = decode(data)
    except Reject as reason:
        return {"reject": str(reason)}
    need(agrees(Reader(data).item(-MAX_LEVELS)), "another implementation of CBOR reads the same")
    need(decode(written(found)) == found, "what is written reads as the same")
    return {when: form(found), "same": written(found) == data}


def check_feed(given, when):
    """01 §6.14."""
    if when == "chain":
        members(given, "epoch scope entries")
        found = chains(p_hex(given["epoch"], 16), p_text(given["scope"]), [p_stub(x) for x in given["entries"]])
        return {"chains": [chain.hex() for chain in found]}
    members(when, "cursor")
    members(given, "epoch namespace held")
    epoch, replica, entries = p_hex(given["epoch"], 16), Replica(p_text(given["namespace"])), []
    for r in given["held"]:
        members(r, "header signature body")
        header = p_bytes(r["header"])
        taken = replica.offer(header, p_bytes(r["signature"]), p_bytes(r["body"]))
        need(taken is not None, "each held run is taken")
        entries.append(Stub(Header.decode(header).stream, Header.decode(header).last, run_hash(header)))
    known = chains(epoch, b"forum", entries)
    cursor = Cursor(epoch, 0, known[0]) if when["cursor"] is None else p_cursor(when["cursor"])
    if cursor.epoch != epoch or cursor.offset >= len(known) or known[cursor.offset] != cursor.chain:
        return {"refused": "EPOCH"}
    return {"behind": [j_stub(entry) for entry in entries[cursor.offset:]],
            "cursor": j_cursor(Cursor(epoch, len(entries), known[-1]))}
