#!/usr/bin/env python3
"""Writes first inputs for tools/fuzz, made of the protocol's vectors and the sample forum's lists.

A folder for each target, and in it a file for each input, named by the SHA-1 of its bytes, as
libFuzzer names them.
"""
import argparse
import hashlib
import json
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
MOST_BYTES = 4_096
# In the order in which the importer knows them: the first byte of an input picks one.
LISTS = ["delegations", "people", "sites", "programme"]
NAMES = ["AZ-014", "az 14", "АZ–014", "NAX-ORDUBAD", "v12", "Gülşən Məmmədova", "Гюльшан Мамедова",
         "Shcherbakov Yakov-Yurii", "2025-11-26T10:10:00+04:00", "2025-11-26T06:10:00.500Z", "10:10",
         "10:10:30", "00000000000000000000000000000001", "00000000000000000000000000000001:9"]
LINES = ['code,name_en\r\n"A-1","say ""hi""\nthere"\r\n', "code;lat;lon\nX1;39.2;45.4\n",
         "code\tcontact\rZ\tdesk\r", "badge,languages,delegation,phone\nA1,az;ru,AZ,+1\n"]


def unfold(parts):
    """The bytes of the JSON form's B: hex digits, or a list of them and of [hex, times]."""
    if isinstance(parts, str):
        return bytes.fromhex(parts)
    return b"".join(bytes.fromhex(part) if isinstance(part, str) else bytes.fromhex(part[0]) * part[1]
                    for part in parts)


def vectors(name):
    with (ROOT / "Protocol" / "vectors" / f"{name}.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def run_input(header, body):
    return (len(header) & 0xFFFF).to_bytes(2, "big") + header + body


def inputs():
    """Target and bytes of each input."""
    for vector in vectors("cbor"):
        if "bytes" in vector["given"]:
            yield "cbor", unfold(vector["given"]["bytes"])
    for vector in vectors("bodies"):
        body = unfold(vector["given"]["body"])
        if vector["when"] == "columns":
            yield "columns", body
        else:
            yield "changeset", body
            yield "sealing", body
    for vector in vectors("runs"):
        when, given = vector["when"], vector["given"]
        if when == "header":
            yield "run", run_input(unfold(given["header"]), b"")
        elif isinstance(when, dict):
            for run in [when["offer"], *given["held"]]:
                yield "run", run_input(unfold(run["header"]), unfold(run["body"]))
    for vector in vectors("bundles"):
        if vector["when"] == "read":
            # The first byte says what the rest is: a file.
            yield "bundle", b"\x03" + unfold(vector["given"]["bytes"])
    for vector in vectors("meetings"):
        for member in ("bytes", "wait", "ends"):
            if member in vector["given"]:
                yield "meeting", unfold(vector["given"][member])
    for vector in vectors("blobs"):
        yield "blob", unfold(vector["given"]["bytes"])
    for name in NAMES:
        yield "names", name.encode()
    for number, name in enumerate(LISTS):
        lines = (ROOT / "tools" / "sample" / f"{name}.csv").read_bytes().splitlines(keepends=True)
        yield "csv", str(number).encode() + b"".join(lines[:4])
        for line in LINES:
            yield "csv", str(number).encode() + line.encode()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    count = 0
    for target, data in inputs():
        if len(data) > MOST_BYTES:
            continue
        path = folder / target / hashlib.sha1(data).hexdigest()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        count += 1
    print(f"seeds: {count} inputs")


if __name__ == "__main__":
    main()
