"""README "The vectors", 01 §6: files and their lines."""
from __future__ import annotations

import json
from pathlib import Path

from checker.json_form import members, normal, same
from checker.kinds_of_blobs import check_blobs
from checker.kinds_of_bundles import check_bundles
from checker.kinds_of_bytes import check_bodies, check_cbor, check_ids, check_runs
from checker.kinds_of_meetings import check_meetings
from checker.kinds_of_messages import check_feed, check_messages
from checker.kinds_of_people import check_erasures, check_personal
from checker.kinds_of_state import check_clock, check_folds, check_merge
from checker.kinds_of_trust import check_certificates, check_cuts
from checker.kinds_of_writes import check_resolutions
from checker.limits import BadVector

KINDS = {"cbor": (check_cbor, ()), "bodies": (check_bodies, ()), "ids": (check_ids, ()), "runs": (check_runs, ()),
         "clock": (check_clock, ()), "merge": (check_merge, ()), "folds": (check_folds, ()),
         "resolutions": (check_resolutions, ("ops",)), "certificates": (check_certificates, ()),
         "cuts": (check_cuts, ()), "personal": (check_personal, ()), "erasures": (check_erasures, ()),
         "messages": (check_messages, ()), "feed": (check_feed, ()), "bundles": (check_bundles, ()),
         "meetings": (check_meetings, ()), "blobs": (check_blobs, ())}


def strict(pairs) -> dict:
    obj = dict(pairs)
    if len(obj) != len(pairs):
        raise BadVector("a member comes twice")
    return obj


def no_number(text: str):
    raise BadVector(f"a number that isn't allowed: {text}")


def parse_line(line: bytes) -> dict:
    """01 §6: strict JSON, integers only, no member twice."""
    vector = json.loads(line.decode("utf-8"), object_pairs_hook=strict, parse_float=no_number, parse_constant=no_number)
    members(vector, "name given when expect")
    if not isinstance(vector["name"], str):
        raise BadVector("a name that isn't a text")
    return vector


def check_file(path: Path, verbose: bool) -> tuple[int, int]:
    """How many vectors of a file pass and fail; each failure is printed."""
    passed = failed = 0
    names = set()

    def fail(name, **what) -> None:
        nonlocal failed
        failed += 1
        print(f"FAIL {path.name}: {name}")
        for key, value in what.items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            print(f"  {key + ':':9} {text if verbose or len(text) <= 1500 else text[:1500] + ' … (-v for all)'}")

    data = path.read_bytes() if path.is_file() else b""
    if path.stem not in KINDS or not data.strip():
        fail("the file", found="no file of a known name with vectors")
        return passed, failed
    if not data.endswith(b"\n"):
        fail("the file", found="the last line doesn't end with 0x0a")
    check, unordered = KINDS[path.stem]
    for number, line in enumerate(data.removesuffix(b"\n").split(b"\n"), 1):
        try:
            v = parse_line(line)
        except Exception as error:
            fail(f"line {number}", found=f"can't be read: {error!r}")
            continue
        if v["name"] in names:
            fail(v["name"], found=f"the name of line {number} stands there before")
            continue
        names.add(v["name"])
        try:
            found = check(v["given"], v["when"])
            good = same(normal(found, "", unordered), normal(v["expect"], "", unordered))
        except Exception as error:  # BadVector: a form that isn't known; anything else: no answer is a failure too
            found, good = f"{type(error).__name__}: {error}", False
        if good:
            passed += 1
            if verbose:
                print(f"ok   {path.name}: {v['name']}")
        else:
            fail(v["name"], given=v["given"], when=v["when"], expected=v["expect"], found=found)
    return passed, failed
