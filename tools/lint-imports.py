#!/usr/bin/env python3
"""Holds every import under Sources/ and tools/fuzzing/ against the tables of ARCHITECTURE.md.

Fails on an import that the tables don't allow, a target without a row, a row that names an
unknown target, and tables that can't be read. Prints file:line and the rule; counts come last.
"""

import argparse
import fnmatch
import re
import sys
from dataclasses import dataclass
from pathlib import Path

TARGETS = ["target", "purpose", "may import"]
OUTSIDE = ["target", "may import from outside"]
AS_NEEDED = "as needed"
# Targets whose sources lie elsewhere than in Sources/TARGET.
ELSEWHERE = {"tools/fuzzing/targets": "FuzzTargets", "tools/fuzzing/program": "karvan-fuzz"}

# What may hide the word `import`: comments, string literals, identifiers in backticks.
OPAQUE = re.compile(
    r"""(?P<line>//[^\n]*)|(?P<block>/\*)|(?P<hashes>\#*)(?P<quotes>\"{3}|\")|(?P<name>`[^`\n]*`)"""
)
IMPORT = re.compile(
    r"""(?:^|;)[ \t]*
    (?:(?:@\w+(?:\([^)]*\))?|public|package|internal|fileprivate|private)\s+)*
    (?P<keyword>import)\s+
    (?:(?:struct|class|enum|protocol|typealias|func|let|var|actor|macro)\s+)?
    (?P<module>`?\w+`?)(?!\s*:)""",
    re.MULTILINE | re.VERBOSE,
)


class Unreadable(Exception):
    """The tables or the sources aren't in the form that this lint knows."""


@dataclass
class Rules:
    inside: dict  # target -> targets that it may import
    outside: dict  # target -> patterns of modules from packages and the system
    order: list  # targets in the order of the table

    def allows(self, target, module):
        if module in self.inside[target]:
            return True
        if module in self.inside:
            return False
        return any(fnmatch.fnmatchcase(module, pattern) for pattern in self.outside.get(target, []))

    def told(self, target):
        inside = ", ".join(sorted(self.inside[target])) or "no target"
        outside = ", ".join(self.outside.get(target, [])) or "nothing from outside"
        return f"{target} may import {inside}; {outside}"


def module_name(target):
    """The module that a target compiles to."""
    return target.replace("-", "_")


def table(text, header):
    """The rows below the one table with this header, as lists of cells."""
    rows, inside = [], False
    for line in text.splitlines():
        if not line.startswith("|"):
            inside = False
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if cells == header:
            inside = True
        elif inside and not all(re.fullmatch(r":?-+:?", cell) for cell in cells):
            if len(cells) != len(header):
                raise Unreadable(f"row with {len(cells)} cells under {header}: {line}")
            rows.append(cells)
    if not rows:
        raise Unreadable(f"no table with the columns {' | '.join(header)}")
    return rows


def names(cell):
    return [name.strip(" `") for name in cell.split(",") if name.strip(" `") not in ("", "-")]


def read_rules(text):
    allowed = {}
    for targets, _, imports in table(text, TARGETS):
        for target in names(targets):
            if target in allowed:
                raise Unreadable(f"{target} has two rows")
            allowed[target] = imports
    programs = {target for target, imports in allowed.items() if imports == AS_NEEDED}
    libraries = set(allowed) - programs - set(ELSEWHERE.values())
    inside = {}
    for target, imports in allowed.items():
        inside[target] = libraries if target in programs else set(names(imports))
        if unknown := inside[target] - set(allowed):
            raise Unreadable(f"{target} may import {', '.join(sorted(unknown))}: no such target")
    outside = {}
    for targets, imports in table(text, OUTSIDE):
        for target in names(targets):
            if target not in allowed or target in outside:
                raise Unreadable(f"{target}: unknown, or twice, among the imports from outside")
            outside[target] = names(imports)
    return Rules(inside, outside, list(allowed))


def blanked(text, start, end):
    """The text with a range replaced by spaces; line breaks stay, so line numbers do too."""
    return text[:start] + re.sub(r"[^\n]", " ", text[start:end]) + text[end:]


def end_of_block_comment(text, start):
    depth, position = 1, start + 2
    while depth and position < len(text):
        if text.startswith("/*", position):
            depth, position = depth + 1, position + 2
        elif text.startswith("*/", position):
            depth, position = depth - 1, position + 2
        else:
            position += 1
    return position


def end_of_interpolation(text, start):
    """The position after the parenthesis that closes an interpolation; strings may nest in it."""
    depth, position = 1, start
    while depth and position < len(text):
        opened = OPAQUE.match(text, position)
        if opened and opened["quotes"]:
            position = end_of_string(text, opened)
            continue
        depth += {"(": 1, ")": -1}.get(text[position], 0)
        position += 1
    return position


def end_of_string(text, opening):
    close, escape = opening["quotes"] + opening["hashes"], "\\" + opening["hashes"]
    position = opening.end()
    while position < len(text):
        if text.startswith(escape + "(", position):
            position = end_of_interpolation(text, position + len(escape) + 1)
        elif text.startswith(escape, position):
            position += len(escape) + 1
        elif text.startswith(close, position):
            return position + len(close)
        elif text[position] == "\n" and len(opening["quotes"]) == 1:
            return position
        else:
            position += 1
    return position


def code_only(text):
    """The source without comments and string literals; identifiers in backticks stay."""
    position = 0
    while found := OPAQUE.search(text, position):
        if found["name"]:
            position = found.end()
            continue
        if found["block"]:
            end = end_of_block_comment(text, found.start())
        elif found["line"]:
            end = found.end()
        else:
            end = end_of_string(text, found)
        text = blanked(text, found.start(), end)
        position = max(end, found.start() + 1)
    return text


def imports(source):
    """Line number and module of each import statement."""
    code = code_only(source)
    for found in IMPORT.finditer(code):
        yield code.count("\n", 0, found.start("keyword")) + 1, found["module"].strip("`")


@dataclass
class Counts:
    files: int = 0
    imports: int = 0
    violations: int = 0


def report(counts, place, complaint):
    counts.violations += 1
    print(f"{place}: {complaint}")


def sources(root):
    """Each Swift file, and the target that it belongs to."""
    for path in sorted((root / "Sources").rglob("*.swift")):
        yield path, path.relative_to(root).parts[1]
    for folder, target in ELSEWHERE.items():
        for path in sorted((root / folder).rglob("*.swift")):
            yield path, target


def check(root, rules, counts):
    targets = {module_name(target): target for target in rules.order}
    for path, target in sources(root):
        relative = path.relative_to(root)
        counts.files += 1
        if target not in rules.inside:
            report(counts, f"{relative}:1", f"`{target}` has no row in ARCHITECTURE.md")
            continue
        for line, module in imports(path.read_text(encoding="utf-8")):
            counts.imports += 1
            if not rules.allows(target, targets.get(module, module)):
                told = rules.told(target)
                report(counts, f"{relative}:{line}", f"import of `{module}` isn't allowed: {told}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent,
                        metavar="DIR", help="the checkout to read (default: this one)")
    root = parser.parse_args().root
    try:
        rules = read_rules((root / "ARCHITECTURE.md").read_text(encoding="utf-8"))
    except Unreadable as problem:
        sys.exit(f"ARCHITECTURE.md: {problem}")
    counts = Counts()
    check(root, rules, counts)
    if not counts.files:
        sys.exit("lint-imports: no Swift file under Sources/")
    print(f"imports: {counts.files} files, {counts.imports} imports, {len(rules.order)} targets in "
          f"the table, {counts.violations} violations")
    sys.exit(1 if counts.violations else 0)


if __name__ == "__main__":
    main()
