#!/usr/bin/env python3
"""Sums up the logs of libFuzzer that tools/fuzz has written; fails when an input was a crasher."""
import argparse
import json
import re
import sys
from pathlib import Path

COLUMNS = [("target", 10), ("executions", 12), ("per second", 11), ("coverage", 9), ("features", 9),
           ("corpus", 7), ("new", 6), ("crashes", 8), ("slowest s", 10), ("peak MB", 8)]


def last(pattern, text, default=0):
    found = re.findall(pattern, text, re.MULTILINE)
    return int(found[-1]) if found else default


def crashers(folder):
    return [path for kind in ("crash", "timeout", "oom", "leak") for path in folder.glob(f"{kind}-*")]


def figures(name, text, crashes):
    coverage = re.findall(r"^#\d+\s+(\w+)\s+cov: (\d+) ft: (\d+)(?: corp: (\d+))?", text, re.MULTILINE)
    started = next((int(cov) for event, cov, *_ in coverage if event == "INITED"), 0)
    return {
        "target": name,
        "executions": last(r"^stat::number_of_executed_units:\s*(\d+)", text),
        "executionsPerSecond": last(r"^stat::average_exec_per_sec:\s*(\d+)", text),
        "coverageAtStart": started,
        "coverage": max((int(cov) for _, cov, *_ in coverage), default=0),
        "features": max((int(ft) for _, _, ft, _ in coverage), default=0),
        "corpus": int(coverage[-1][3] or 0) if coverage else 0,
        "newInputs": last(r"^stat::new_units_added:\s*(\d+)", text),
        "crashes": crashes,
        "slowestSeconds": last(r"^stat::slowest_unit_time_sec:\s*(\d+)", text),
        "peakMemoryMiB": last(r"^stat::peak_rss_mb:\s*(\d+)", text),
        # A run that was ended from outside says nothing at its end.
        "isWhole": "stat::peak_rss_mb" in text,
    }


def table(rows):
    lines = ["".join(name.ljust(width) if name == "target" else name.rjust(width)
                     for name, width in COLUMNS)]
    keys = ["target", "executions", "executionsPerSecond", "coverage", "features", "corpus",
            "newInputs", "crashes", "slowestSeconds", "peakMemoryMiB"]
    for row in rows:
        cells = [f"{row[key]:,}" if isinstance(row[key], int) else row[key] for key in keys]
        lines.append("".join(cell.ljust(width) if name == "target" else cell.rjust(width)
                             for cell, (name, width) in zip(cells, COLUMNS)))
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--form", choices=["text", "json"], default="text")
    parser.add_argument("--commit", default="unknown")
    parser.add_argument("scratch", type=Path)
    parser.add_argument("targets", nargs="+")
    arguments = parser.parse_args()
    rows = []
    for name in arguments.targets:
        path = arguments.scratch / "logs" / f"{name}.log"
        text = path.read_text(errors="replace") if path.exists() else ""
        rows.append(figures(name, text, len(crashers(arguments.scratch / "artifacts" / name))))
    total = {
        "executions": sum(row["executions"] for row in rows),
        "crashes": sum(row["crashes"] for row in rows),
        "incomplete": [row["target"] for row in rows if not row["isWhole"] or not row["executions"]],
        "slowestSeconds": max(row["slowestSeconds"] for row in rows),
        "peakMemoryMiB": max(row["peakMemoryMiB"] for row in rows),
    }
    if arguments.form == "json":
        print(json.dumps({
            "tool": "fuzz", "commit": arguments.commit, "targets": rows, "total": total}, indent=2))
    else:
        print(table(rows))
        ended = f", no whole figures of {', '.join(total['incomplete'])}" if total["incomplete"] else ""
        print(f"fuzz: {total['executions']:,} executions of {len(rows)} targets, {total['crashes']} crashes, "
              f"slowest input {total['slowestSeconds']} s, peak {total['peakMemoryMiB']} MB{ended}")
    sys.exit(1 if total["crashes"] or total["incomplete"] else 0)


if __name__ == "__main__":
    main()
