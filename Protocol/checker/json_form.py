"""01 §6: the JSON form of vectors, read and written."""
from __future__ import annotations

import json
import re

from checker.conflicts import Column
from checker.encoding import NULL
from checker.identity import Dot
from checker.limits import INT_MAX, INT_MIN, MAX_MS, MAX_NUMBER, MAX_SEQ, BadVector
from checker.merge import Live
from checker.model import Changeset, Op
from checker.runs import Header


def members(obj, required: str, optional: str = "") -> dict:
    """An object with exactly these members, or BadVector."""
    if not isinstance(obj, dict):
        raise BadVector(f"no object: {obj!r}")
    need = set(required.split())
    if not need <= obj.keys() <= need | set(optional.split()):
        raise BadVector(f"members {sorted(obj)} where {required} ({optional}) belong")
    return obj


def p_int(x, low: int = 0, high: int = 2**64 - 1) -> int:
    """01 §6 "Numbers"."""
    if isinstance(x, str) and re.fullmatch(r"-?[1-9][0-9]*", x) and abs(int(x)) >= 2**53:
        x = int(x)
    elif type(x) is not int or abs(x) >= 2**53:
        raise BadVector(f"no number: {x!r}")
    if not low <= x <= high:
        raise BadVector(f"a number out of range: {x}")
    return x


def p_hex(x, size: int | None = None) -> bytes:
    if not isinstance(x, str) or not re.fullmatch(r"([0-9a-f]{2})*", x) or size not in (None, len(x) // 2):
        raise BadVector(f"no hex digits: {x!r}")
    return bytes.fromhex(x)


def p_bytes(x) -> bytes:
    """01 §6 "Bytes"."""
    parts = [x] if isinstance(x, str) else x
    if not isinstance(parts, list):
        raise BadVector(f"no bytes: {x!r}")
    return b"".join(p_hex(p) if isinstance(p, str) else p_hex(p[0]) * p_int(p[1]) for p in parts)


def p_value(x) -> tuple:
    """01 §6 "Values"."""
    if x is None:
        return NULL
    if isinstance(x, str):
        if len(x) > 1000 or not all(" " <= c <= "~" for c in x):
            raise BadVector(f"a text that has to be bytes: {x!r}")
        return ("text", x.encode("ascii"))
    if not isinstance(x, dict):
        return ("int", p_int(x, INT_MIN, INT_MAX))
    match list(x.items()):
        case [("int", digits)] if isinstance(digits, str):
            return ("int", p_int(digits, INT_MIN, INT_MAX))
        case [("real", bits)]:
            return ("real", int.from_bytes(p_hex(bits, 8), "big"))
        case [("text" | "blob" as kind, raw)]:
            return (kind, p_bytes(raw))
        case [("composite", parts)] if isinstance(parts, list):
            return ("composite", tuple(map(p_value, parts)))
        case [("sealed", [box])]:
            return ("sealed", p_bytes(box), None)
        case [("sealed", [box, subject])]:
            return ("sealed", p_bytes(box), p_hex(subject, 16))
        case [("erased", True)]:
            return ("erased",)
    raise BadVector(f"no value: {x!r}")


def p_text(x) -> bytes:
    kind, raw = (*p_value(x), None)[:2]
    if kind != "text":
        raise BadVector(f"no text: {x!r}")
    return raw


def p_dot(x) -> Dot:
    if not isinstance(x, str) or not re.fullmatch(r"[0-9a-f]{32}:[1-9][0-9]*", x) or int(x[33:]) > MAX_SEQ:
        raise BadVector(f"no dot: {x!r}")
    return bytes.fromhex(x[:32]), int(x[33:])


def p_time(x) -> int:
    found = re.fullmatch(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)", x) if isinstance(x, str) else None
    if not found or int(found[1]) > MAX_MS or int(found[2]) > 65_535:
        raise BadVector(f"no time: {x!r}")
    return int(found[1]) << 16 | int(found[2])


def p_element(x) -> bytes:
    return p_hex(x) if x is not None else b""


def p_op(x, live: bool = False) -> Op:
    """01 §6 "Ops"; a live op stands without `over`."""
    action = x.get("op")
    extra = {"put": " value", "resolve": " value covers", "retract": "", "delete": " covers"}.get(action)
    if extra is None:
        raise BadVector(f"no op: {x!r}")
    members(x, "column op" + extra + (" dot time" if live else " over"), "element table row")
    covers = x.get("covers", [])
    covers = map(p_place, covers) if action == "delete" else map(p_dot, covers)
    return Op(p_int(x["column"], 0, MAX_NUMBER), p_element(x.get("element")), action,
              p_value(x["value"]) if "value" in x else None, frozenset(map(p_dot, x.get("over", []))), frozenset(covers))


def p_place(x) -> tuple:
    members(x, "column dot", "element")
    return p_int(x["column"], 0, MAX_NUMBER), p_element(x.get("element")), p_dot(x["dot"])


def p_live(xs) -> list[Live]:
    return [Live(p_dot(x["dot"]), p_time(x["time"]), p_op(x, live=True)) for x in xs]


def p_policy(x) -> int | None:
    """The tolerance of 04 §2.3, or None for the policy `latest`."""
    return None if x == "latest" else p_int(members(x, "earliest")["earliest"], 0, INT_MAX)


def p_column(x) -> Column:
    """01 §6.7: a column that is known."""
    members(x, "column shape", "policy")
    if x["shape"] not in ("register", "set", "counter"):
        raise BadVector(f"no shape: {x!r}")
    return Column(p_int(x["column"]), x["shape"], p_policy(x.get("policy", "latest")))


def j_int(n: int):
    return n if abs(n) < 2**53 else str(n)


def j_value(item: tuple):
    match item:
        case ("null",):
            return None
        case ("bool", b):
            return b
        case ("int", n):
            return n if abs(n) < 2**53 else {"int": str(n)}
        case ("real", bits):
            return {"real": f"{bits:016x}"}
        case ("text", raw):
            return j_text(raw)
        case ("blob", raw):
            return {"blob": raw.hex()}
        case ("composite", parts):
            return {"composite": [j_value(p) for p in parts]}
        case ("sealed", box, subject):
            return {"sealed": [box.hex()] + ([] if subject is None else [subject.hex()])}
        case ("erased",):
            return {"erased": True}
        case ("array", items):
            return [j_value(i) for i in items]
        case ("map", entries):
            return {"map": [[j_value(("int", k)), j_value(v)] for k, v in entries]}


def j_text(raw: bytes):
    plain = len(raw) <= 1000 and all(0x20 <= b <= 0x7E for b in raw)
    return raw.decode("ascii") if plain else {"text": raw.hex()}


def j_dot(dot: Dot) -> str:
    return f"{dot[0].hex()}:{dot[1]}"


def j_dots(dots) -> list[str]:
    return [j_dot(d) for d in sorted(dots)]


def j_time(time: int) -> str:
    return f"{time >> 16}.{time & 0xFFFF}"


def j_hash(raw: bytes | None):
    return None if raw is None else raw.hex()


def j_place(place: tuple) -> dict:
    column, element, dot = place
    return {"column": column, **({"element": element.hex()} if element else {}), "dot": j_dot(dot)}


def j_op(op: Op, live: bool = False) -> dict:
    out = {"column": op.column, **({"element": op.element.hex()} if op.element else {}), "op": op.action}
    if op.action in ("put", "resolve"):
        out["value"] = j_value(op.value)
    if not live:
        out["over"] = j_dots(op.over)
    if op.action == "resolve":
        out["covers"] = j_dots(op.covers)
    if op.action == "delete":
        out["covers"] = [j_place(c) for c in sorted(op.covers)]
    return out


def j_changeset(c: Changeset) -> dict:
    rows = [{"table": i.table, "row": i.row.hex(), "new": i.new, "ops": [j_op(o) for o in i.ops]} for i in c.rows]
    return {"dot": j_dot(c.dot), "time": j_time(c.time), "author": j_text(c.author), "claimed": j_int(c.claimed),
            "action": j_hash(c.action), "source": j_text(c.source), "rows": rows}


def j_open(found: list[tuple[int, bytes]]) -> list[dict]:
    return [{"column": column, "conflict": conflict.hex()} for column, conflict in found]


SETS = {"over", "covers", "candidates", "covered", "shownDots", "allDots", "deletes", "uncovered"}
LONG = {"bytes", "header", "body", "signature", "seal", "text", "blob", "box", "keys", "hub", "device"}


def is_advertised(x) -> bool:
    """What 01 §6.16 has under names that are of bytes elsewhere: null, or an array of texts that aren't digits."""
    return x is None or isinstance(x, list) and bool(x) and isinstance(x[0], str) and "=" in x[0]


def normal(x, key: str = "", unordered: tuple = ()):
    """For comparing: sets without order and repetitions, lists of ops in any order where a kind says so, bytes whole."""
    if isinstance(x, dict):
        return {k: normal(v, k, unordered) for k, v in x.items()}
    if key in LONG and not is_advertised(x):
        return p_bytes(x).hex()
    if key == "sealed" and isinstance(x, list):
        return [p_bytes(part).hex() for part in x]
    if isinstance(x, list):
        items = [normal(v, "", unordered) for v in x]
        if key in SETS or key in unordered:
            texts = [json.dumps(v, sort_keys=True) for v in items]
            items = sorted(set(texts)) if key in SETS else sorted(texts)
        return items
    return x


def same(a, b) -> bool:
    """Equality that keeps true and 1 apart."""
    return json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


def p_fields(f) -> Header:
    """01 §6.4: F."""
    members(f, "stream firstSeq count previous bodyHash deps schemaVersion encoding size origin", "keyChecks")
    origin = f["origin"] and members(f["origin"], "publicKey scope incarnation")
    deps = [members(d, "stream seq run") for d in f["deps"]]
    return Header(
        p_hex(f["stream"], 16), p_int(f["firstSeq"]), p_int(f["count"]),
        None if f["previous"] is None else p_hex(f["previous"], 32), p_hex(f["bodyHash"], 32),
        [(p_hex(d["stream"], 16), p_int(d["seq"]), p_hex(d["run"], 32)) for d in deps], p_int(f["schemaVersion"]),
        p_int(f["encoding"]), p_int(f["size"]),
        origin and (p_hex(origin["publicKey"], 32), p_text(origin["scope"]), p_int(origin["incarnation"])),
        p_hex(f.get("keyChecks", "")))


def j_lasting(h: Header) -> dict:
    """01 §6.4: what of F means the same in all formats."""
    return {"stream": h.stream.hex(), "firstSeq": j_int(h.first), "count": h.count, "previous": j_hash(h.previous),
            "bodyHash": h.body_hash.hex()}


def j_fields(h: Header) -> dict:
    """01 §6.4: F."""
    deps = [{"stream": s.hex(), "seq": j_int(n), "run": r.hex()} for s, n, r in h.deps]
    origin = h.origin and {"publicKey": h.origin[0].hex(), "scope": j_text(h.origin[1]), "incarnation": j_int(h.origin[2])}
    return j_lasting(h) | {"deps": deps, "schemaVersion": j_int(h.schema), "encoding": h.encoding, "size": h.size,
                           "origin": origin} | ({"keyChecks": h.checks.hex()} if h.checks else {})
