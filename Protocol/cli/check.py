#!/usr/bin/env python3
"""Holds what commands print with --json against their schemas.

usage: check.py FILE:COMMAND...   as in list.json:conflicts/list, where COMMAND is the schema's file and name

Prints what is wrong, file by file; ends with 1 then. Needs Debian's python3-jsonschema.
"""

import json
import sys
from pathlib import Path

import jsonschema

HERE = Path(__file__).resolve().parent


def schema(command):
    """The schema of one command, with what it refers to."""
    name, _, inner = command.partition("/")
    whole = json.loads((HERE / f"{name}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(whole)
    if inner not in whole["$defs"]["commands"]:
        sys.exit(f"check.py: {name}.schema.json has no command {inner}")
    return {"$schema": whole["$schema"], "$defs": whole["$defs"],
            "$ref": f"#/$defs/commands/{inner}"}


def main():
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        sys.exit(0 if len(sys.argv) > 1 else 64)
    problems = 0
    for argument in sys.argv[1:]:
        path, _, command = argument.rpartition(":")
        validator = jsonschema.Draft202012Validator(
            schema(command), format_checker=jsonschema.FormatChecker())
        for error in validator.iter_errors(json.loads(Path(path).read_text())):
            problems += 1
            place = "/".join(str(part) for part in error.absolute_path) or "the object"
            print(f"{path}: {place}: {error.message}")
    print(f"{len(sys.argv) - 1} objects, {problems} problems")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
