"""01 §6.9, §6.10: vectors about certificates and cuts. Each gives what `expect` should be."""
from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from checker import ed25519
from checker.certificates import DEVICE, HUB, Certificate, Grant, Statement, certificate_hash, may, token
from checker.cuts import Cut, CutStream, End, Origin, least_end
from checker.encoding import Reader, encode
from checker.identity import digest, sha256
from checker.json_form import j_hash, j_int, j_text, members, p_bytes, p_hex, p_int, p_text
from checker.kinds_of_bytes import agrees, library_verifies, need
from checker.limits import FORMAT, INT_MAX, INT_MIN, MAX_INCARNATION, MAX_LEVELS, MAX_NUMBER, MAX_SEQ, BadVector, Reject
from checker.pins import Stated, adopt


def p_ms(x) -> int:
    return p_int(x, INT_MIN, INT_MAX)


def p_grant(x) -> Grant:
    members(x, "scope role tables expiry")
    return Grant(p_text(x["scope"]), p_text(x["role"]), None if x["tables"] is None else tuple(p_tables(x["tables"])),
                 None if x["expiry"] is None else p_ms(x["expiry"]))


def p_tables(xs) -> list[int]:
    return [p_int(n, 0, MAX_NUMBER) for n in xs]


def p_statement(x) -> Statement:
    """01 §6.9: T."""
    members(x, "kind publicKey encryptionKey name issuer issued expiry grants")
    return Statement(p_int(x["kind"], HUB, DEVICE), p_hex(x["publicKey"], 32), p_hex(x["encryptionKey"], 32),
                     p_text(x["name"]), p_hex(x["issuer"], 32), p_ms(x["issued"]), p_ms(x["expiry"]),
                     tuple(map(p_grant, x["grants"])))


def j_statement(s: Statement) -> dict:
    """01 §6.9: T."""
    grants = [{"scope": j_text(g.scope), "role": j_text(g.role), "tables": None if g.tables is None else list(g.tables),
               "expiry": None if g.expiry is None else j_int(g.expiry)} for g in s.grants]
    return {"kind": s.kind, "publicKey": s.key.hex(), "encryptionKey": s.encryption_key.hex(), "name": j_text(s.name),
            "issuer": s.issuer.hex(), "issued": j_int(s.issued), "expiry": j_int(s.expiry), "grants": grants}


def j_fault(fault: str | None) -> dict:
    return {"true": False, "because": fault} if fault else {"true": True}


def p_certificate(x) -> Certificate:
    found = Certificate.decode(p_bytes(x))
    valid = library_verifies(found.signature, certificate_hash(found.raw), found.statement.issuer)
    need(valid == found.signed, "the library goes by the same equation")
    need(agrees(Reader(found.raw).item(-MAX_LEVELS)), "another implementation of CBOR reads the same")
    need(found.encode() == p_bytes(x), "a certificate that is accepted encodes to the same bytes")
    return found


def p_row(x) -> tuple[bytes, list[Certificate]]:
    """09 §3: elements that can't be read mean nothing."""
    members(x, "device certificates")
    found = []
    for element in x["certificates"]:
        try:
            found.append(p_certificate(element))
        except Reject:
            pass
    return p_hex(x["device"], 32), found


def readable(elements):
    """09 §8: what can't be read means nothing."""
    for element in elements:
        try:
            yield Stated.decode(p_bytes(element))
        except Reject:
            pass


def raw_public(key) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def signer(seed: bytes):
    """The Ed25519 public key of a seed, and what signs with it."""
    private = Ed25519PrivateKey.from_private_bytes(seed)
    key = raw_public(private)

    def sign(message: bytes) -> bytes:
        signature = private.sign(message)
        need(ed25519.verifies(signature, message, key), "what is signed is valid")
        return signature

    return key, sign


def enrolment(seed: bytes, secret: bytes, name: bytes) -> bytes:
    """09 §6, with the X25519 key of 09 §1 "Note"."""
    key, sign = signer(seed)
    encryption_key = raw_public(X25519PrivateKey.from_private_bytes(digest("karvan/1/encryption-key", seed)))
    signature = sign(digest("karvan/1/enrolment", secret, key, encryption_key, name))
    return encode(("array", (("int", FORMAT), ("blob", secret), ("blob", key), ("blob", encryption_key), ("text", name),
                             ("blob", signature))))


def request(seed: bytes, hub: bytes, path: bytes, body: bytes) -> bytes:
    """09 §7."""
    key, sign = signer(seed)
    return key + sign(digest("karvan/1/request", hub, path, sha256(body)))


def check_certificates(given, when):
    """01 §6.9."""
    match when:
        case "sign":
            members(given, "seed statement")
            statement = p_statement(given["statement"])
            raw, (key, sign) = statement.encode(), signer(p_hex(given["seed"], 32))
            need(key == statement.issuer, "the seed is the issuer's")
            data = Certificate(raw, sign(certificate_hash(raw)), statement).encode()
            need(p_certificate(data.hex()).statement == statement, "what is written reads as the same")
            return {"bytes": data.hex()}
        case "certificate":
            members(given, "bytes")
            try:
                found = p_certificate(given["bytes"])
            except Reject as reason:
                return {"reject": str(reason)}
            return {"statement": j_statement(found.statement), "signed": found.signed}
        case "hub":
            members(given, "root certificate")
            return j_fault(p_certificate(given["certificate"]).hub_fault(p_hex(given["root"], 32)))
        case "device":
            members(given, "root device hub certificate")
            found, hub = p_certificate(given["certificate"]), p_certificate(given["hub"])
            return j_fault(found.device_fault(p_hex(given["root"], 32), p_hex(given["device"], 32), hub))
        case "may":
            members(given, "root held device scope certificatesTable tables")
            rows = dict(map(p_row, given["held"]))
            need(len(rows) == len(given["held"]), "one row for each device")
            answer = may(p_hex(given["root"], 32), rows, p_hex(given["device"], 32), p_text(given["scope"]),
                         p_int(given["certificatesTable"], 0, MAX_NUMBER), p_tables(given["tables"]))
            return {"stranger": True} if answer is None else {"may": answer}
        case "pins":
            data = p_bytes(members(given, "bytes")["bytes"])
            try:
                found = Stated.decode(data)
            except Reject as reason:
                return {"reject": str(reason)}
            need(found.encode() == data or data[0] > 0x83, "pins that are accepted encode to the same bytes")
            need(agrees(Reader(data).item(-MAX_LEVELS)), "another implementation of CBOR reads the same")
            return {"pins": [pin.hex() for pin in found.pins], "stated": j_int(found.time)}
        case "adopt":
            members(given, "trusted since said")
            trusted = tuple(p_hex(pin, 32) for pin in given["trusted"])
            pins, since = adopt(trusted, p_ms(given["since"]), list(readable(given["said"])))
            return {"trusted": [pin.hex() for pin in pins], "since": j_int(since)}
        case "token":
            members(given, "text")
            try:
                secret, pin, root, expiry = token(given["text"])
            except Reject:
                return {"reject": True}
            return {"secret": secret.hex(), "pin": pin.hex(), "root": root.hex(), "expiry": j_int(expiry),
                    "kept": digest("karvan/1/token", secret).hex()}
        case "enrolment":
            members(given, "seed secret name")
            seed, secret, name = p_hex(given["seed"], 32), p_hex(given["secret"], 32), p_text(given["name"])
            return {"bytes": enrolment(seed, secret, name).hex()}
        case "request":
            members(given, "seed hub path body")
            seed, hub, path = p_hex(given["seed"], 32), p_hex(given["hub"], 32), given["path"].encode("ascii")
            return {"header": request(seed, hub, path, p_bytes(given["body"])).hex()}
    raise BadVector(f"an unknown kind: {when!r}")


def p_origin(x) -> Origin:
    members(x, "publicKey scope incarnation")
    return p_hex(x["publicKey"], 32), p_text(x["scope"]), p_int(x["incarnation"], 0, MAX_INCARNATION)


def p_cut_stream(x) -> CutStream:
    members(x, "scope incarnation last run")
    end = p_int(x["last"], 0, MAX_SEQ), None if x["run"] is None else p_hex(x["run"], 32)
    return CutStream(p_text(x["scope"]), p_int(x["incarnation"], 0, MAX_INCARNATION), end)


def p_cut(x) -> Cut:
    """01 §6.10: K."""
    members(x, "reason publicKey streams whole decided note")
    if not isinstance(x["whole"], bool):
        raise BadVector(f"neither true nor false: {x['whole']!r}")
    cut = Cut(p_int(x["reason"], 1), p_hex(x["publicKey"], 32), tuple(map(p_cut_stream, x["streams"])),
              x["whole"], p_ms(x["decided"]), p_text(x["note"]))
    need(Cut.decode(cut.encode()) == cut, "what is written reads as the same")
    return cut


def j_cut(cut: Cut) -> dict:
    """01 §6.10: K."""
    streams = [{"scope": j_text(s.scope), "incarnation": j_int(s.incarnation)} | j_end(s.end) for s in cut.streams]
    return {"reason": j_int(cut.reason), "publicKey": cut.key.hex(), "streams": streams, "whole": cut.whole,
            "decided": j_int(cut.decided), "note": j_text(cut.note)}


def j_end(end: End) -> dict:
    last, run = end
    return {"last": j_int(last), "run": j_hash(run)}


def check_cuts(given, when):
    """01 §6.10."""
    match when:
        case "cut":
            data = p_bytes(members(given, "bytes")["bytes"])
            try:
                found = Cut.decode(data)
            except Reject as reason:
                return {"reject": str(reason)}
            need(found.encode() == data or data[0] > 0x87, "a cut that is accepted encodes to the same bytes")
            need(agrees(Reader(data).item(-MAX_LEVELS)), "another implementation of CBOR reads the same")
            return {"cut": j_cut(found)}
        case "encode":
            return {"bytes": p_cut(members(given, "cut")["cut"]).encode().hex()}
        case "end":
            members(given, "cuts streams")
            cuts = [p_cut(x) for x in given["cuts"]]
            ends = [least_end(cuts, p_origin(x)) for x in given["streams"]]
            return {"ends": [end and j_end(end) for end in ends]}
    raise BadVector(f"an unknown kind: {when!r}")
