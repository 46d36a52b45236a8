"""The package's copy that holds all mutants: trimmed, rewritten, and built until it compiles."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from operators import Finder, Site, rendered
from swift_text import SwiftText

# What is mutated.
SOURCES = [
    "Sources/Causality/*.swift",
    "Sources/Merge/*.swift",
    "Sources/ReplicaStore/RowStore*.swift",
    "Sources/ReplicaStore/Replica+Ingest.swift",
    "Sources/ReplicaStore/RowClock*.swift",
    "Sources/ReplicaStore/Replica+Capture*.swift",
    "Sources/ReplicaStore/WriteTransaction+Rows.swift",
    "Sources/ReplicaStore/WriteTransaction+NewRows.swift",
    "Sources/ReplicaStore/LiveOp+Storage.swift",
    "Sources/ReplicaStore/Replica+Tail.swift",
    "Sources/ReplicaStore/StreamTable.swift",
]
# The tests that are to notice; targets that they need come along.
TESTS = ["MergeTests", "CausalityTests", "SyncProtocolTests", "ProtocolTests", "ReplicaStoreTests"]
SWITCH = "Sources/Causality/Mutant.swift"
NULL_ID, CANARY_ID = "00000001", "ffffffff"
SWITCH_TEXT = """\
#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// The mutation that runs instead of the original; 0 for none.
private let active: UInt32 =
    getenv("KARVAN_MUTANT").flatMap { UInt32(String(cString: $0), radix: 16) } ?? 0

/// The canary is every mutation at once.
public func mutant(_ id: UInt32) -> Bool { active == id || active == 0xCANARY && id != 0xNULL }

public func flipped(_ id: UInt32, _ value: Bool) -> Bool { mutant(id) != value }

public func forced(_ id: UInt32, _ result: Bool, _ value: Bool) -> Bool {
    mutant(id) ? result : value
}
""".replace("CANARY", CANARY_ID).replace("NULL", NULL_ID)
ERROR = re.compile(r"^(?P<path>/\S.*?\.swift):(?P<line>\d+):(?P<column>\d+): error: (?P<text>.*)$",
                   re.MULTILINE)
MAX_ROUNDS = 30


class Failure(Exception):
    """The tool can't go on, and says why."""


class WorkCopy:
    def __init__(self, root, scratch, log=print):
        self.root, self.scratch, self.log = root, scratch, log
        self.package = scratch / "package"
        self.dropped_file = scratch / "dropped.json"
        self.sites, self.places, self.sources = [], {}, {}
        self.dropped = {}  # file -> {"source": hash, "ids": [...]}

    # Copying

    def prepare(self):
        """Copies what is needed and finds the sites."""
        self.package.mkdir(parents=True, exist_ok=True)
        manifest, targets = trimmed_manifest((self.root / "Package.swift").read_text())
        write_if_changed(self.package / "Package.swift", manifest)
        self._copy_targets(targets)
        self._copy_dependencies()
        self._find()
        write_if_changed(self.package / SWITCH, SWITCH_TEXT)

    def _copy_targets(self, targets):
        wanted = set()
        for target in targets:
            folder = next((place for place in (f"Sources/{target}", f"Tests/{target}")
                           if (self.root / place).is_dir()), None)
            if folder is None:
                raise Failure(f"the target {target} has no folder")
            for path in sorted((self.root / folder).rglob("*")):
                if path.is_file():
                    wanted.add(path.relative_to(self.root))
        # Vectors and other texts that tests read.
        for path in sorted((self.root / "Protocol").rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                wanted.add(path.relative_to(self.root))
        self.copied = wanted
        mutated = {path.relative_to(self.root) for path in self._mutated_files()}
        for path in wanted - mutated:
            write_if_changed(self.package / path, (self.root / path).read_bytes())
        for folder in ("Sources", "Tests", "Protocol"):
            for path in (self.package / folder).rglob("*"):
                relative = path.relative_to(self.package)
                if path.is_file() and relative not in wanted and str(relative) != SWITCH:
                    path.unlink()

    def _copy_dependencies(self):
        """Takes over what the package has fetched already, so that nothing is fetched twice."""
        build, own = self.root / ".build", self.package / ".build"
        resolved = self.root / "Package.resolved"
        if resolved.exists() and not (self.package / "Package.resolved").exists():
            shutil.copy2(resolved, self.package / "Package.resolved")
        if own.exists() or not (build / "workspace-state.json").exists():
            return
        own.mkdir()
        for name in ("checkouts", "repositories"):
            if (build / name).is_dir():
                shutil.copytree(build / name, own / name, symlinks=True, copy_function=link)
        shutil.copy2(build / "workspace-state.json", own / "workspace-state.json")

    def _mutated_files(self):
        files = [path for pattern in SOURCES for path in sorted(self.root.glob(pattern))]
        if not files:
            raise Failure("there is nothing to mutate under Sources/")
        return files

    # Mutating

    def _find(self):
        remembered = read_json(self.dropped_file)
        for path in self._mutated_files():
            name = str(path.relative_to(self.root))
            source = path.read_text(encoding="utf-8")
            self.sources[name] = source
            self.sites += Finder(name, source).find()
            digest = hashlib.sha256(source.encode()).hexdigest()
            known = remembered.get(name, {})
            ids = known.get("ids", []) if known.get("source") == digest else []
            self.dropped[name] = {"source": digest, "ids": ids}
        ids = [site.id for site in self.sites]
        if len(set(ids)) != len(ids):
            raise Failure("two mutations have one id")
        self.sites.insert(0, self._null())

    def _null(self):
        """A rewriting like any other whose two branches are the same."""
        like = next(s for s in self.sites if s.operator == "boundary" and "Merge" in s.file)
        return Site(like.file, like.line, "null", like.start, like.end, like.original,
                    like.original, f"(mutant(ID) ? {like.original} : ", ")", fixed_id=NULL_ID)

    def write(self):
        for name, source in self.sources.items():
            dropped = set(self.dropped[name]["ids"])
            sites = [s for s in self.sites if s.file == name and s.id not in dropped]
            text, places = rendered(source, sites)
            if not re.search(r"^\w* ?import Causality$", source, re.M) and (
                    "Sources/Causality" not in name):
                added = "internal import Causality\n"
                text = added + text
                places = [(a + len(added), b + len(added), site) for a, b, site in places]
            self.places[name] = (text, places)
            write_if_changed(self.package / name, text)

    def compiled(self):
        """The sites that can be chosen, in the order of files and places."""
        return [site for _, places in self.places.values() for _, _, site in sorted(
            places, key=lambda place: place[:2]) if site.id != NULL_ID]

    # Building

    def build(self, deadline):
        for round_number in range(MAX_ROUNDS):
            self.write()
            output = self._swift(["build", "--target", "ReplicaStore"], deadline)
            if output is None:
                break
            count = self._drop(output)
            self.log(f"  {count} mutations that don't compile were dropped")
            self.dropped_file.write_text(json.dumps(self.dropped, indent=1))
        else:
            raise Failure(f"after {MAX_ROUNDS} rounds the mutations still don't compile")
        output = self._swift(["build", "--build-tests"], deadline)
        if output is not None:
            raise Failure("the tests don't compile:\n" + output[-4000:])

    def _swift(self, arguments, deadline):
        """`None` when it worked, else what it printed."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise Failure("out of time while building")
        try:
            done = subprocess.run(["swift", *arguments], cwd=self.package, text=True,
                                  errors="replace", stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=left)
        except subprocess.TimeoutExpired:
            raise Failure("out of time while building") from None
        return None if done.returncode == 0 else done.stdout

    def _drop(self, output):
        """Takes out the mutations that the compiler's errors lie in."""
        count = 0
        errors = {(found["path"], int(found["line"]), int(found["column"]), found["text"])
                  for found in ERROR.finditer(output)}
        for path, line, column, text in sorted(errors):
            try:
                name = str(Path(path).resolve().relative_to(self.package.resolve()))
            except ValueError:
                continue
            if name in self.places:
                for site in self._blamed(name, line, column, text):
                    if site.id not in self.dropped[name]["ids"]:
                        self.dropped[name]["ids"].append(site.id)
                        count += 1
        if not count:
            raise Failure("the build fails, and not in a mutation:\n" + output[-4000:])
        return count

    def _blamed(self, name, line, column, text):
        source, places = self.places[name]
        lines = source.split("\n")
        start = sum(len(part) + 1 for part in lines[:line - 1])
        end = start + len(lines[line - 1])
        before = lines[line - 1].encode()[:column - 1].decode(errors="replace")
        offset = start + len(before)
        around = [place for place in places if place[0] <= offset < place[1]]
        if around and "reasonable time" not in text:
            return [min(around, key=lambda place: place[1] - place[0])[2]]
        near = around or [place for place in places if place[0] < end and place[1] > start]
        if near:
            return [site for _, _, site in near]
        # A missing return, or a constant that is never set: the steps of this function.
        first = line - 1
        while first > 0 and not re.match(r"(    )?\S.*\b(func|init|var|subscript)\b", lines[first]):
            first -= 1
        begin = sum(len(part) + 1 for part in lines[:first])
        return [site for a, _, site in places
                if begin <= a < offset and site.before.startswith("if !")]


def trimmed_manifest(text):
    """The manifest with the mutated targets, the tests and what these need; and their names."""
    swift = SwiftText(text)
    targets = elements(swift, "targets")
    named = {re.search(r'"([^"]+)"', swift.text(*span))[1]: span for span in targets}
    wanted, open_names = set(), [name for name in TESTS if name in named]
    if not open_names:
        raise Failure("Package.swift names none of the tests")
    while open_names:
        name = open_names.pop()
        if name in wanted:
            continue
        wanted.add(name)
        quoted = re.findall(r'"([^"]+)"', swift.text(*named[name]))
        open_names += [other for other in quoted if other in named]
    aliases = dict(re.findall(
        r'let (\w+) = Target\.Dependency\.product\(\s*name: "[^"]+", package: "([^"]+)"', text))
    used = " ".join(swift.text(*named[name]) for name in wanted)
    packages = set(re.findall(r'package: "([^"]+)"', used)) | {
        package for alias, package in aliases.items() if re.search(rf"\b{alias}\b", used)}
    kept = {
        "products": [],
        "dependencies": [swift.text(*span) for span in elements(swift, "dependencies")
                         if any(f'/{package}"' in swift.text(*span) for package in packages)],
        "targets": [swift.text(*span) for name, span in named.items() if name in wanted],
    }
    for label in ("targets", "dependencies", "products"):
        opened, closed = brackets(swift, label)
        inside = "".join(f"\n        {element}," for element in kept[label])
        text = (text[:swift.tokens[opened].end] + inside + "\n    "
                + text[swift.tokens[closed].start:])
    # A rewriting may leave code that never runs; that is a warning.
    text = re.sub(r"\n\s*\.treatAllWarnings\(as: \.error\),", "", text)
    return text, sorted(wanted)


def brackets(swift, label):
    """The brackets of the list that `Package(…)` is given under a label."""
    call = next(i for i, token in enumerate(swift.tokens)
                if token.text == "Package" and swift.is_word(i - 1, "="))
    for index in range(call, swift.match[call + 1]):
        if swift.is_word(index, label) and swift.parent[index] == call + 1:
            return index + 2, swift.match[index + 2]
    raise Failure(f"Package.swift has no {label}")


def elements(swift, label):
    """First and last token of each element of such a list."""
    opened, closed = brackets(swift, label)
    first = position = opened + 1
    while position < closed:
        if swift.tokens[position].text == ",":
            yield first, position - 1
            first = position + 1
        position = swift.match.get(position, position) + 1
    if first < closed:
        yield first, closed - 1


def write_if_changed(path, content):
    """Leaves equal files alone, so that only what changed is compiled."""
    data = content.encode() if isinstance(content, str) else content
    if path.exists() and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def read_json(path):
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def link(source, target):
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
