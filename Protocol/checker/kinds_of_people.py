"""01 §6.11, §6.12: vectors about what is personal, and about erasures. Each gives what `expect` should be."""
from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from checker.body import BodyReader
from checker.encoding import Reader
from checker.erasures import Erasure, erasure_id
from checker.json_form import j_changeset, j_int, j_text, j_value, members, p_bytes, p_hex, p_int, p_text, p_value
from checker.kinds_of_bytes import agrees, library_verifies, need
from checker.kinds_of_trust import p_ms, signer
from checker.limits import MAX_LEVELS, MAX_NUMBER, MAX_SEQ, BadVector, Reject
from checker.personal import KEY, check, nonce, opened, pairs, seal, unseal


def cell(given) -> tuple:
    """A key, and the table, row and column that it serves."""
    return (p_hex(given["key"], KEY), p_int(given["table"], 0, MAX_NUMBER), p_hex(given["row"], 16),
            p_int(given["column"], 0, MAX_NUMBER))


def library_opens(key: bytes, table: int, row: bytes, column: int, box: bytes) -> bool:
    try:
        ChaCha20Poly1305(key).decrypt(nonce(table, row, column), box, None)
    except InvalidTag:
        return False
    return True


def check_personal(given, when):
    """01 §6.11."""
    match when:
        case "seal":
            members(given, "key table row column value")
            place, value = cell(given), p_value(given["value"])
            box = seal(*place, value)
            need(unseal(*place, box) == value, "what is sealed opens to the value")
            need(library_opens(*place, box), "the library opens it as well")
            return {"box": box.hex()}
        case "unseal":
            members(given, "key table row column box")
            place, box = cell(given), p_bytes(given["box"])
            value = unseal(*place, box)
            need(value is None or library_opens(*place, box), "the library opens it as well")
            return {"sealed": True} if value is None else {"value": j_value(value)}
        case "check":
            return {"check": check(p_hex(members(given, "key")["key"], KEY)).hex()}
        case "open":
            members(given, "stream firstSeq previousRun streams namespace body keys erased")
            previous = b"" if given["previousRun"] is None else p_hex(given["previousRun"], 32)
            said = BodyReader(
                p_bytes(given["body"]), p_hex(given["stream"], 16), p_int(given["firstSeq"], 1, MAX_SEQ), previous,
                [p_hex(s, 16) for s in given["streams"]], p_text(given["namespace"])).changesets()
            erased = {p_hex(row, 16) for row in given["erased"]}
            found, keys, left = opened(said, p_bytes(given["keys"]), erased)
            need(opened(said, keys, erased) == (found, keys, left), "the keys that are kept open the same")
            return {"subjects": [about.hex() for _, about in pairs(said)], "changesets": [j_changeset(c) for c in found],
                    "keys": keys.hex(), "sealed": left}
    raise BadVector(f"an unknown kind: {when!r}")


def p_erasure(x) -> Erasure:
    """01 §6.12: X."""
    members(x, "people decided author note hub")
    return Erasure(tuple(p_hex(row, 16) for row in x["people"]), p_ms(x["decided"]), p_text(x["author"]),
                   p_text(x["note"]), p_hex(x["hub"], 32))


def j_erasure(e: Erasure) -> dict:
    """01 §6.12: X."""
    return {"people": [row.hex() for row in e.people], "decided": j_int(e.decided), "author": j_text(e.author),
            "note": j_text(e.note), "hub": e.hub.hex()}


def check_erasures(given, when):
    """01 §6.12."""
    match when:
        case "sign":
            members(given, "seed erasure")
            erasure, (key, sign) = p_erasure(given["erasure"]), signer(p_hex(given["seed"], 32))
            need(key == erasure.hub, "the seed is the hub's")
            this = erasure_id(erasure.statement)
            data = erasure.encode(sign(this))
            need(Erasure.decode(data)[:2] == (erasure, erasure.statement), "what is written reads as the same")
            return {"bytes": data.hex(), "id": this.hex()}
        case "erasure":
            data = p_bytes(members(given, "bytes")["bytes"])
            try:
                found, statement, signature = Erasure.decode(data)
            except Reject as reason:
                return {"reject": str(reason)}
            this = erasure_id(statement)
            signed = found.is_signed(statement, signature)
            need(signed == library_verifies(signature, this, found.hub), "the library goes by the same equation")
            need(found.encode(signature) == data or statement[0] > 0x86, "what is accepted encodes to the same bytes")
            need(agrees(Reader(data).item(-MAX_LEVELS)), "another implementation of CBOR reads the same")
            return {"erasure": j_erasure(found), "id": this.hex(), "signed": signed}
    raise BadVector(f"an unknown kind: {when!r}")
