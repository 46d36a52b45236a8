"""01 §6.15: vectors about bundles. Each gives what `expect` should be."""
from __future__ import annotations

from checker.bundles import (
    BOX, KEY, Batch, Contents, File, Head, Held, List, Recipient, box_info, open_box, public_key, read, write)
from checker.encoding import Reader
from checker.identity import device_id
from checker.json_form import j_hash, j_int, j_text, members, p_bytes, p_hex, p_int, p_text
from checker.kinds_of_blobs import j_holdings, j_part, p_holdings, p_part
from checker.kinds_of_bytes import agrees, library_verifies, need
from checker.kinds_of_messages import j_run, j_stub, p_stub
from checker.kinds_of_trust import p_ms, signer
from checker.limits import MAX_LEVELS, BadVector, Reject
from checker.messages import Run


def p_run(x) -> Run:
    """01 §6.13: W."""
    members(x, "header seal body")
    return Run(p_bytes(x["header"]), p_bytes(x["seal"]), p_bytes(x["body"]))


def p_list(x) -> List:
    """01 §6.15: L."""
    members(x, "schemaVersion epoch scopes")
    scopes = [members(held, "scope heads") for held in x["scopes"]]
    return List(p_int(x["schemaVersion"]), None if x["epoch"] is None else p_hex(x["epoch"], 16),
                tuple(Held(p_text(held["scope"]), tuple(map(p_stub, held["heads"]))) for held in scopes))


def j_list(x: List) -> dict:
    """01 §6.15: L."""
    scopes = [{"scope": j_text(held.scope), "heads": [j_stub(head) for head in held.heads]} for held in x.scopes]
    return {"schemaVersion": j_int(x.version), "epoch": j_hash(x.epoch), "scopes": scopes}


def p_batch(x) -> Batch:
    members(x, "scope runs")
    return Batch(p_text(x["scope"]), tuple(map(p_run, x["runs"])))


def j_batch(batch: Batch) -> dict:
    return {"scope": j_text(batch.scope), "runs": [j_run(run) for run in batch.runs]}


def p_recipient(x) -> Recipient:
    members(x, "device enc box")
    return Recipient(p_hex(x["device"], 32), p_hex(x["enc"], 32), p_hex(x["box"], BOX))


def j_bundle(file: File, contents: Contents) -> dict:
    head = file.head
    blobs = {"pieces": [j_part(piece) for piece in contents.pieces],
             "holdings": [j_holdings(holdings) for holdings in contents.holdings]}
    return {"sender": head.sender.hex(), "made": j_int(head.made), "series": head.series.hex(),
            "part": j_int(head.part), "last": file.foot.last, "recipients": [x.device.hex() for x in head.recipients],
            "list": j_list(contents.list), "frames": [j_batch(batch) for batch in contents.batches],
            **{name: some for name, some in blobs.items() if some}}


def held_against(file: File, content_key: bytes, contents: Contents) -> None:
    """What has to hold of a bundle that is read."""
    need(library_verifies(file.foot.signature, file.foot.message, file.head.sender),
         "the library goes by the same equation")
    need(Head.decode(file.head.encode()) == file.head, "the head that is written reads as the same")
    need(Contents.decode(contents.plaintexts()) == contents, "the contents that are written read as the same")
    plaintexts = [plaintext for _, plaintext in file.plaintexts(content_key)]
    for payload in [file.head.encode(), *plaintexts, file.foot.encode()]:
        need(agrees(Reader(payload).item(-MAX_LEVELS)), "another implementation of CBOR reads the same")


def check_bundles(given, when):
    """01 §6.15."""
    match when:
        case "read":
            members(given, "bytes seed root")
            try:
                file, key, contents = read(p_bytes(given["bytes"]), p_hex(given["seed"], 32), p_hex(given["root"], 32))
            except Reject as reason:
                return {"reject": str(reason)}
            held_against(file, key, contents)
            return j_bundle(file, contents)
        case "write":
            members(given, "seed contentKey root made series part recipients list frames last", "pieces holdings")
            (sender, sign), key = signer(p_hex(given["seed"], 32)), p_hex(given["contentKey"], KEY)
            if not isinstance(given["last"], bool):
                raise BadVector(f"neither true nor false: {given['last']!r}")
            head = Head(sender, p_hex(given["root"], 32), p_ms(given["made"]), p_hex(given["series"], 16),
                        p_int(given["part"]), tuple(map(p_recipient, given["recipients"])))
            contents = Contents(p_list(given["list"]), tuple(map(p_batch, given["frames"])),
                                tuple(map(p_part, given.get("pieces", []))),
                                tuple(map(p_holdings, given.get("holdings", []))))
            data = write(head, key, contents, given["last"], sign)
            file = File.decode(data)
            found = file.head, file.foot.last, file.signed, Contents.decode(file.plaintexts(key))
            need(found == (head, given["last"], True, contents), "what is written reads as the same")
            held_against(file, key, contents)
            return {"bytes": data.hex()}
        case "box":
            members(given, "seed sender root series part enc box")
            seed = p_hex(given["seed"], 32)
            info = box_info(p_hex(given["sender"], 32), p_hex(given["root"], 32), p_hex(given["series"], 16),
                            p_int(given["part"]), device_id(public_key(seed)))
            try:
                return {"contentKey": open_box(seed, p_hex(given["enc"], 32), p_hex(given["box"], BOX), info).hex()}
            except Reject as reason:
                return {"reject": str(reason)}
    raise BadVector(f"an unknown kind: {when!r}")
