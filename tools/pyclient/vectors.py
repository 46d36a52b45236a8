"""README "The vectors": every file through the code that the client uses."""
from __future__ import annotations

import json
import tempfile
from pathlib import Path

from checker.files import KINDS, check_file

from pyclient import PROTOCOL, native
from pyclient.replica import Replica
from pyclient.vectors_own import OWN


class Undone(Exception):
    """Ends a transaction that leaves nothing behind."""


def own(replica: Replica, answer, v: dict) -> int:
    """How many answers of this client's own half a vector has; nothing of it stays in the replica."""
    found = 0
    try:
        with replica.store.transaction():
            found = answer(v, replica)
            raise Undone
    except Undone:
        replica.trust.forget()
        replica.bodies.said.clear()
    return found


def own_half(folder: Path) -> tuple[int, int]:
    good = bad = 0
    with tempfile.TemporaryDirectory() as place:
        replica = Replica.init(Path(place) / "replica", "vectors")
        for name, answer in OWN.items():
            for line in (folder / name).read_bytes().splitlines():
                v = json.loads(line)
                try:
                    good += own(replica, answer, v)
                except Exception as error:
                    bad += 1
                    print(f"FAIL own half, {name}: {v['name']}: {type(error).__name__}: {error}")
        replica.close()
    return good, bad


def run(args) -> int:
    native.install()
    good = bad = 0
    names = {f"{stem}.jsonl" for stem in KINDS} | {path.name for path in args.vectors.glob("*.jsonl")}
    for name in sorted(names):
        passed, failed = check_file(args.vectors / name, False)
        print(f"{name:20} {passed:4} pass {failed:4} fail")
        good, bad = good + passed, bad + failed
    answers, failed = own_half(args.vectors)
    print(f"{good} vectors pass, {answers} answers of this client's own half, {bad + failed} failures")
    return 1 if bad + failed else 0


def add_command(commands) -> None:
    words = "check the vectors of the protocol with the code of this client"
    command = commands.add_parser("vectors", help=words, description=words[0].upper() + words[1:] + ".")
    command.add_argument("--vectors", type=Path, default=PROTOCOL / "vectors", metavar="DIR")
    command.set_defaults(act=run)
