"""What llvm-cov says of the sources: lines and regions, by file and by module.

What a process says when it crashes over a bug (the text of a `precondition`, a block that is one
`preconditionFailure`) is left out and counted apart: no test that passes runs it.

A region is a piece of code that runs whole or not at all: the sides of an `if` and of `? :`, the
right of `&&`, `||` and `??`, what follows a `guard`. Swift has no branches in llvm-cov's sense, so
that regions are the finest figure there is.
"""

import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from running import Failure

CODE = 0
CRASH = re.compile(r"^(\{|default:|case [^{}]*?:)?\s*(preconditionFailure|fatalError)\(.*\)\s*\}?$",
                   re.DOTALL)
CHECKS = ("precondition", "preconditionFailure", "fatalError")
TEXT = re.compile(r'^"[^\n]*"$', re.DOTALL)


@dataclass
class File:
    """Counts by line, and by region: (first line, column, last line, column)."""
    lines: dict = field(default_factory=dict)
    regions: dict = field(default_factory=dict)
    crashes: int = 0


@dataclass
class Figures:
    lines: int = 0
    lines_covered: int = 0
    regions: int = 0
    regions_covered: int = 0

    def __add__(self, other):
        return Figures(self.lines + other.lines, self.lines_covered + other.lines_covered,
                       self.regions + other.regions,
                       self.regions_covered + other.regions_covered)

    @property
    def object(self):
        return {"lines": self.lines, "linesCovered": self.lines_covered,
                "regions": self.regions, "regionsCovered": self.regions_covered}


def percent(part, whole):
    """Rounded down: 100 % means all of it."""
    return f"{int(1000 * part / whole) / 10:.1f} %" if whole else "-"


class Coverage:
    """The counts of every file under Sources/."""

    def __init__(self, root, llvm_cov, binaries, profile, seconds):
        self.root, self.files, self.has_branches = root, {}, False
        command = [str(llvm_cov), "export", f"--instr-profile={profile}",
                   "--ignore-filename-regex=/(Tests|checkouts|tools)/", str(binaries[0])]
        for other in binaries[1:]:
            command += ["--object", str(other)]
        self._read_regions(output(command, seconds))
        self._read_lines(output(command[:2] + ["--format=lcov"] + command[2:], seconds))
        for name, file in self.files.items():
            leave_out_crashes(file, (root / name).read_text(encoding="utf-8").split("\n"))

    def _read_regions(self, text):
        export = json.loads(text)["data"][0]
        self.has_branches = export["totals"].get("branches", {}).get("count", 0) > 0
        for function in export["functions"]:
            for region in function["regions"]:
                *place, count, file_number, _, kind = region
                file = self._file(function["filenames"][file_number])
                if file is not None and kind == CODE:
                    held = file.regions.get(tuple(place), 0)
                    file.regions[tuple(place)] = max(held, count)

    def _read_lines(self, text):
        file = None
        for line in text.splitlines():
            if line.startswith("SF:"):
                file = self._file(line[3:])
            elif line.startswith("DA:") and file is not None:
                number, count = line[3:].split(",")[:2]
                file.lines[int(number)] = max(file.lines.get(int(number), 0), int(count))

    def _file(self, path):
        try:
            name = str(Path(path).relative_to(self.root))
        except ValueError:
            return None
        return self.files.setdefault(name, File()) if name.startswith("Sources/") else None

    def figures(self, module):
        total = Figures()
        for file in self._of(module).values():
            total += Figures(
                len(file.lines), sum(count > 0 for count in file.lines.values()),
                len(file.regions), sum(count > 0 for count in file.regions.values()))
        return total

    def _of(self, module):
        return {name: file for name, file in sorted(self.files.items())
                if name.startswith(f"Sources/{module}/")}

    def crashes(self, module):
        return sum(file.crashes for file in self._of(module).values())

    def gaps(self, module):
        """(file, first line, last line, code) of what never ran, the outermost of each."""
        for name, file in self._of(module).items():
            source = (self.root / name).read_text(encoding="utf-8").split("\n")
            spans = [place for place, count in file.regions.items() if count == 0]
            # A line without a region of its own: the outer one's, after what returned.
            spans += [(line, 1, line, len(source[line - 1]) + 1)
                      for line, count in file.lines.items() if count == 0]
            for a, b, c, d in outermost(spans):
                yield name, a, c, excerpt(source, a, b, c, d)


def short(code):
    """A gap's code as tools/coverage-gaps.md names it: one line, without what a table needs."""
    return " ".join(code.split())[:80].replace("|", "/").replace("`", "'").strip()


def explained(path):
    """(file, code) of the gaps that the table of gaps gives a reason for."""
    if not path.exists():
        return set()
    found = re.findall(r"^\| `(\S+\.swift)` \| `(.+?)` \|", path.read_text(), re.MULTILINE)
    return set(found)


def leave_out_crashes(file, source):
    for place, count in list(file.regions.items()):
        a, b, c, d = place
        if count or not is_crash(source, *place):
            continue
        file.crashes += 1
        del file.regions[place]
        # Its lines too, and what follows a block that never ends.
        for line in range(a if b <= indent(source[a - 1]) + 1 else a + 1, c + 1):
            if not file.lines.get(line, 1):
                del file.lines[line]
        for after in [it for it in file.regions if it[:2] == (c, d) and not file.regions[it]]:
            if not excerpt(source, *after).strip("} \n"):
                del file.regions[after]
                for line in range(after[0], after[2] + 1):
                    if not file.lines.get(line, 1):
                        del file.lines[line]


def is_crash(source, a, b, c, d):
    text = excerpt(source, a, b, c, d).strip()
    if CRASH.match(text):
        return True
    # The text of a check, which is made when it fails.
    before = " ".join(source[max(0, a - 5):a - 1]) + " " + source[a - 1].encode()[:b - 1].decode()
    opened = max(before.rfind(f"{word}(") for word in CHECKS)
    return bool(TEXT.match(text)) and opened >= 0 and depth(before[opened:]) > 0


def depth(text):
    return text.count("(") - text.count(")")


def indent(line):
    return len(line) - len(line.lstrip())


def outermost(spans):
    kept = []
    for span in sorted(set(spans), key=lambda s: (s[0], s[1], -s[2], -s[3])):
        if not kept or span[2:] > kept[-1][2:]:
            kept.append(span)
    return kept


def excerpt(source, first, column, last, end):
    """The code itself, on one line for a piece of one."""
    # Columns count bytes.
    def cut(line, start, stop):
        return source[line - 1].encode()[start:stop].decode(errors="replace")

    if first == last:
        return cut(first, column - 1, end - 1).strip()
    lines = [cut(first, column - 1, None), *source[first:last - 1], cut(last, 0, end - 1)]
    return "\n".join(lines)


def output(command, seconds):
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=max(seconds, 1))
    except subprocess.TimeoutExpired:
        raise Failure(f"out of time: {command[0]}") from None
    if done.returncode != 0:
        raise Failure(f"{command[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout
