"""01 §6.17: vectors about blobs. Each gives what `expect` should be."""
from __future__ import annotations

from checker.blobs import BlobReply, BlobRequest, Holding, Holdings, Part
from checker.json_form import j_int, j_text, members, p_bytes, p_hex, p_int, p_text
from checker.kinds_of_bytes import message_answer
from checker.kinds_of_messages import j_refusal
from checker.limits import BadVector
from checker.messages import Refusal


def j_blob_request(request: BlobRequest) -> dict:
    asks = [{"scope": j_text(ask.scope), "digest": ask.digest.hex(),
             "from": None if ask.start is None else j_int(ask.start)} for ask in request.asks]
    return {"asks": asks, "part": request.part and j_part(request.part)}


def j_part(part: Part) -> dict:
    return {"scope": j_text(part.scope), "digest": part.digest.hex(), "size": j_int(part.size),
            "offset": j_int(part.offset), "bytes": part.data.hex()}


def p_part(x) -> Part:
    members(x, "scope digest size offset bytes")
    return Part(p_text(x["scope"]), p_hex(x["digest"], 32), p_int(x["size"]), p_int(x["offset"]), p_bytes(x["bytes"]))


def j_holdings(holdings: Holdings) -> dict:
    blobs = [{"digest": digest.hex(), "size": j_int(size)} for digest, size in holdings.blobs]
    return {"scope": j_text(holdings.scope), "blobs": blobs}


def p_holdings(x) -> Holdings:
    members(x, "scope blobs")
    for blob in x["blobs"]:
        members(blob, "digest size")
    return Holdings(p_text(x["scope"]), tuple((p_hex(blob["digest"], 32), p_int(blob["size"])) for blob in x["blobs"]))


def j_holding(holding: Holding | None) -> dict | None:
    """01 §6.17: H."""
    return holding and {"held": j_int(holding.held), "size": j_int(holding.size), "bytes": holding.data.hex()}


def j_blob_reply(reply: BlobReply) -> dict:
    taken = reply.taken
    return {"holdings": list(map(j_holding, reply.holdings)),
            "taken": j_refusal(taken) if isinstance(taken, Refusal) else j_holding(taken)}


KINDS = {"blob request": (BlobRequest, j_blob_request), "blob reply": (BlobReply, j_blob_reply)}


def check_blobs(given, when):
    """01 §6.17."""
    if when not in KINDS:
        raise BadVector(f"an unknown kind: {when!r}")
    kind, form = KINDS[when]
    return message_answer(kind, form, when, p_bytes(members(given, "bytes")["bytes"]))
