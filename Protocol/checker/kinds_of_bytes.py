"""01 §6.1–§6.4: vectors about bytes. Each gives what `expect` should be."""
from __future__ import annotations

import struct

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from checker import ed25519
from checker.body import BodyReader
from checker.chain import Refused, Replica
from checker.columns import ColumnsReader
from checker.encoding import Reader, encode
from checker.identity import (
    conflict_id, device_id, digest, facts_key, keyed_row, new_row, rule_conflict_id, sha256, stream_id)
from checker.json_form import (
    j_changeset, j_fields, j_lasting, j_value, members, p_bytes, p_dot, p_fields, p_hex, p_int, p_text, p_time, p_value)
from checker.limits import MAX_LEVELS, MAX_NUMBER, MAX_SEQ, BadVector, Reject
from checker.runs import Header, expand, run_hash


def need(condition: bool, what: str) -> None:
    """A property that has to hold beside the answer itself."""
    if not condition:
        raise AssertionError(what)


def agrees(item: tuple) -> bool:
    """Whether cbor2 finds in the item's bytes what the item holds; it knows nothing of shortest forms."""
    return same_item(item, cbor2.loads(encode(item)))


def message_answer(kind, form, name: str, data: bytes) -> dict:
    """What is expected of a message's bytes: its form, and whether it is written so."""
    try:
        found = kind.decode(data)
    except Reject as reason:
        return {"reject": str(reason)}
    need(agrees(Reader(data).item(-MAX_LEVELS)), "another implementation of CBOR reads the same")
    need(kind.decode(found.encode()) == found, "what is written reads as the same")
    return {name: form(found), "same": found.encode() == data}


def same_item(item: tuple, found) -> bool:
    kind, *rest = item
    match kind:
        case "null":
            return found is None
        case "real":  # cbor2 converts by floating point, which may touch a NaN's bits
            bits = struct.unpack(">Q", struct.pack(">d", found))[0] if type(found) is float else -1
            is_nan = rest[0] & (1 << 63) - 1 > 0x7FF << 52
            return bits == rest[0] or is_nan and type(found) is float and found != found
        case "text":
            return type(found) is str and found.encode() == rest[0]
        case "array" | "composite":
            items = ([("int", 0)] if kind == "composite" else []) + list(rest[0])
            return type(found) is list and len(found) == len(items) and all(map(same_item, items, found))
        case "sealed":
            return found == [4, *(part for part in rest if part is not None)]
        case "erased":
            return found == [5]
        case "map":
            return (type(found) is dict and list(found) == [key for key, _ in rest[0]]
                    and all(same_item(value, found[key]) for key, value in rest[0]))
    return type(found) is {"bool": bool, "int": int, "blob": bytes}[kind] and found == rest[0]


def library_verifies(signature: bytes, message: bytes, public_key: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def check_cbor(given, when):
    """01 §6.1."""
    if when == "encode":
        value = p_value(members(given, "value")["value"])
        r = Reader(encode(value))
        need(r.value() == value and not r.left(), "what is encoded decodes to the value")
        need(agrees(value), "another implementation of CBOR reads the same")
        return {"bytes": encode(value).hex()}
    data = p_bytes(members(given, "bytes")["bytes"])
    r = Reader(data)
    try:
        item = {"item": r.item, "value": r.value}[when]()
        r.end()
    except Reject as reason:
        return {"reject": str(reason)}
    need(encode(item) == data, "an item that is accepted encodes to the same bytes")
    need(agrees(item), "another implementation of CBOR reads the same")
    return {when: j_value(item)}


def check_bodies(given, when):
    """01 §6.2."""
    if when not in ("read", "columns"):
        raise BadVector(f"an unknown kind: {when!r}")
    members(given, "stream firstSeq previousRun streams namespace body" + " earlier" * (when == "columns"))
    streams, namespace = [p_hex(s, 16) for s in given["streams"]], p_text(given["namespace"])

    def place(part) -> tuple:
        previous = b"" if part["previousRun"] is None else p_hex(part["previousRun"], 32)
        return (p_bytes(part["body"]), p_hex(given["stream"], 16), p_int(part["firstSeq"], 1, MAX_SEQ), previous,
                streams, namespace)

    try:
        if when == "read":
            return {"changesets": [j_changeset(c) for c in BodyReader(*place(given)).changesets()]}
        earlier = {}
        for part in given["earlier"]:
            members(part, "firstSeq previousRun body")
            said = ColumnsReader(*place(part)).vocabulary(len(p_bytes(part["body"])))
            earlier[said.last] = said
        return {"changesets": [j_changeset(c) for c in ColumnsReader(*place(given)).changesets(earlier)]}
    except Reject as reason:
        return {"reject": str(reason)}


def check_ids(given, when):
    """01 §6.3."""
    match when:
        case "digest":
            members(given, "domain parts")
            return {"hash": digest(given["domain"], *map(p_bytes, given["parts"])).hex()}
        case "device":
            return {"device": device_id(p_hex(members(given, "publicKey")["publicKey"], 32)).hex()}
        case "stream":
            members(given, "device scope incarnation")
            device, scope = p_hex(given["device"], 32), p_text(given["scope"])
            return {"stream": stream_id(device, scope, p_int(given["incarnation"])).hex()}
        case "keyedRow":
            members(given, "namespace table key")
            key = [p_value(v) for v in given["key"]]
            return {"row": keyed_row(p_text(given["namespace"]), p_int(given["table"], 0, MAX_NUMBER), key).hex()}
        case "newRow":
            members(given, "dot time previousRun index mark")
            mark = b"" if given["mark"] is None else p_hex(given["mark"], 4)
            previous = b"" if given["previousRun"] is None else p_hex(given["previousRun"], 32)
            return {"row": new_row(p_dot(given["dot"]), p_time(given["time"]), previous, p_int(given["index"]), mark).hex()}
        case "conflict":
            members(given, "table row column dots")
            return {"conflict": conflict_id(p_int(given["table"]), p_hex(given["row"], 16), p_int(given["column"]),
                                            [p_dot(d) for d in given["dots"]]).hex()}
        case "facts":
            members(given, "rule facts")
            return {"facts": facts_key(p_int(given["rule"], 0, MAX_NUMBER), [p_value(v) for v in given["facts"]]).hex()}
        case "ruleConflict":
            members(given, "rule facts shownFacts choices decisions")
            choices = [(p_text(members(c, "name edits")["name"]), [[p_value(v) for v in edit] for edit in c["edits"]])
                       for c in given["choices"]]
            return {"conflict": rule_conflict_id(
                p_int(given["rule"], 0, MAX_NUMBER), [p_value(v) for v in given["facts"]],
                [p_value(v) for v in given["shownFacts"]], choices, [p_dot(d) for d in given["decisions"]]).hex()}
    raise BadVector(f"an unknown kind: {when!r}")


def check_runs(given, when):
    """01 §6.4."""
    if when == "seal":
        members(given, "seed header body")
        h, body = p_fields(given["header"]), p_bytes(given["body"])
        need(sha256(body) == h.body_hash, "key 5 is the hash of the body")
        expand(body, h.encoding, h.size)
        header = h.encode()
        need(Header.decode(header) == h, "the header that is written reads as the same fields")
        signature = Ed25519PrivateKey.from_private_bytes(p_hex(given["seed"], 32)).sign(run_hash(header))
        return {"header": header.hex(), "hash": run_hash(header).hex(), "signature": signature.hex()}
    if when == "header":
        data = p_bytes(members(given, "header")["header"])
        try:
            found = Header.decode(data)
            form = {"later": j_lasting(found)} if found.later else {"fields": j_fields(found)}
            return form | {"hash": run_hash(data).hex()}
        except Reject as reason:
            return {"reject": str(reason)}
    if when == "verify":
        members(given, "publicKey message signature")
        key, message = p_hex(given["publicKey"]), p_hex(given["message"], 32)
        signature = p_hex(given["signature"], 64)
        valid = ed25519.verifies(signature, message, key)
        need(valid == library_verifies(signature, message, key), "the library goes by the same equation")
        return {"valid": valid}
    members(when, "offer")
    members(given, "namespace held")

    def run(r) -> list[bytes]:
        members(r, "header signature body")
        return [p_bytes(r[part]) for part in ("header", "signature", "body")]

    replica = Replica(p_text(given["namespace"]))
    for held in given["held"]:
        need(replica.offer(*run(held)) is not None, "each held run is taken")
    try:
        changesets = replica.offer(*run(when["offer"]))
        found = {"result": "duplicate"}
        if changesets is not None:
            found = {"result": "applied", "changesets": [j_changeset(c) for c in changesets]}
    except Refused as code:
        found = {"result": "refused", "code": str(code)}
    except Reject as reason:
        found = {"result": "unreadable", "reason": str(reason)}
    return found | {"stateHash": replica.state.hash().hex()}
