#!/usr/bin/env python3
"""Checks the vectors of the Karvan protocol, format 1, by the text of this folder alone.

Each answer is derived from `given` and `when` as the parts 00 to 05 and 07 to 13 say, and held against `expect`.
Needs Python 3.11 with cryptography, cbor2 and zstandard; on Debian python3-cryptography, python3-cbor2 and
python3-zstandard. Reads nothing outside of this folder.

check.py archive FILE holds an archive for an audit against itself (14-archive.md).
"""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.dont_write_bytecode = True

from checker import archive  # noqa: E402
from checker.files import KINDS, check_file  # noqa: E402

FOLDER = Path(__file__).resolve().parent / "vectors"


def check_archive() -> int:
    """14: an archive for an audit."""
    parser = argparse.ArgumentParser(
        prog="check.py archive", description="Holds an archive against itself and its forum's root: every signature, "
        "every chain, who was let in, and the state that its changes make.",
        epilog="Exits with 0 when it is whole; with 1 and the place when it isn't.")
    parser.add_argument("file", help="the archive")
    parser.add_argument("--root", metavar="HEX", help="the forum's root hash, as it was told by another way")
    args = parser.parse_args(sys.argv[2:])
    if args.root is not None and len(args.root) != 64:
        parser.error("a root has 64 hexadecimal digits")
    try:
        return archive.main(args.file, args.root)
    except (OSError, ValueError) as error:
        parser.error(str(error))


def main() -> int:
    if sys.argv[1:2] == ["archive"]:
        return check_archive()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Exits with 0 when every vector passes; with 1 on a failure, an unknown kind, a line that can't be\n"
        "read, or a file that is empty or missing; with 2 on a wrong argument.")
    parser.add_argument("--vectors", type=Path, default=FOLDER, metavar="DIR", help="another folder of vectors")
    parser.add_argument("--only", metavar="FILE", help="one file of the folder, such as cbor.jsonl")
    parser.add_argument("-v", action="store_true", help="name what passes, and print failures whole")
    args = parser.parse_args()
    names = {f"{stem}.jsonl" for stem in KINDS} | {p.name for p in args.vectors.glob("*.jsonl")}
    if args.only:
        names = {Path(args.only).stem + ".jsonl"}
    good = bad = 0
    for name in sorted(names):
        passed, failed = check_file(args.vectors / name, args.v)
        print(f"{name:20} {passed:4} pass {failed:4} fail")
        good, bad = good + passed, bad + failed
    print(f"check.py: {good} vectors pass, {bad} failures, {len(names)} files")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
