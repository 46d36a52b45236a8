"""13: photos that laptops of both implementations add, bring and fetch, and that go with the erased."""
from __future__ import annotations

import json
import random
import re
from collections import Counter
from pathlib import Path

from checker.identity import sha256

from pyclient.fleet_laptops import Broken, HubProcess, Laptop, PythonLaptop
from pyclient.fleet_moves import BADGES, ITEMS, REFUSED, SITES, Moves
from pyclient.schema import forum

START = bytes.fromhex("ffd8ffe0")  # of a JPEG file
MARKER = 32  # so many bytes tell a photo
SIZES = (0, 10, 5_000, 262_144 - len(START) - MARKER, 300_000, 1_500_000)
ROUNDS = 6


class Photos:
    def __init__(self, rng: random.Random, moves: Moves):
        self.rng, self.moves = rng, moves
        self.data: dict[str, bytes] = {}  # by SHA-256: the first bytes, by which it is told
        self.of: dict[str, set[tuple[str, str]]] = {}  # by SHA-256: of which records it was added
        self.last = b""
        self.counts: Counter = Counter()

    def one(self, laptop: Laptop) -> str:
        return self.add(laptop) if self.rng.random() < 0.7 else self.sync(laptop)

    def record(self, laptop: Laptop) -> tuple[str, str]:
        code = self.moves.delegation(laptop)
        return self.rng.choice([
            ("person", self.rng.choice(BADGES)), ("person", self.rng.choice(BADGES)),
            ("visit", f"{self.rng.choice(ITEMS)}/{code}"), ("visit", f"{self.rng.choice(ITEMS)}/{code}"),
            ("item", self.rng.choice(ITEMS)), ("site", self.rng.choice(SITES)), ("delegation", code)])

    def picture(self) -> bytes:
        """Now and then the same as the one before."""
        if not self.last or self.rng.random() < 0.85:
            self.last = START + self.rng.randbytes(MARKER + self.rng.choice(SIZES))
        return self.last

    def add(self, laptop: Laptop) -> str:
        (table, key), data = self.record(laptop), self.picture()
        digest, path = sha256(data).hex(), laptop.folder / "picture.jpg"
        path.write_bytes(data)
        words = [table, key, str(path)] + (["--caption", self.moves.word()] if self.rng.random() < 0.5 else [])
        code, out, err = laptop.call("photo add", *words)
        path.unlink()
        told = (f"{laptop.name}: photo add {table} {key} {digest[:12]} ({len(data)} bytes): {code} "
                f"{(out + err).strip()[:160]}")
        if code not in REFUSED | {0} or "Traceback" in err:
            raise Broken(told)
        if code == 0:
            self.data[digest] = data[:len(START) + MARKER]
            self.of.setdefault(digest, set()).add((table, key))
            self.counts[f"by {laptop.kind}"] += 1
        return told

    def sync(self, laptop: Laptop) -> str:
        """With photos, as far as it comes."""
        which, after = self.rng.choice(["all", "all", "own", "none"]), self.rng.choice([None, 0.1, 0.2, 0.3, 0.4, 0.6])
        code, out, err = laptop.call("sync", "--photos", which, kill_after=after)
        self.counts["killed"] += code < 0
        told = f"{laptop.name}: sync --photos {which}, at most {after} s: {code} {(out + err).strip()}"
        if "Traceback" in err or code not in REFUSED | {0, 69} and code >= 0:
            raise Broken(told)
        return told

    # The end

    def settle(self, laptops: list[Laptop]) -> str:
        """Twice around: what one brings in the first round, the others fetch in the second at the latest."""
        said = []
        for _ in range(2):
            for laptop in laptops:
                code, out, err = laptop.call("sync", "--photos", "all")
                said.append(f"{laptop.name} syncs photos: {code} {(out + err).strip()}")
                if code or "Traceback" in err:
                    raise Broken("; ".join(said))
        return "; ".join(said)

    def compare(self, laptops: list[Laptop], scopes_of, is_smooth: bool) -> None:
        judge = self.listed(laptops[0])
        scopes = {row: each["scope"] for row, each in judge.items()}
        some = {each["digest"] for laptop in laptops for each in self.listed(laptop).values() if each["held"]}
        self.counts["shown"] += len(judge)
        for laptop in laptops:
            found, may = self.listed(laptop), scopes_of(laptop)
            wanted = {row for row, scope in scopes.items() if scope in may}
            if set(found) != wanted:
                raise Broken(f"{laptop} shows photos {sorted(set(found) - wanted)} beside, and lacks "
                             f"{sorted(wanted - set(found))}")
            for row, each in found.items():
                if each["digest"] != judge[row]["digest"]:
                    raise Broken(f"{laptop} has {each['digest']} for {row}, not {judge[row]['digest']}")
                if not each["held"] and not judge[row]["erased"] and (is_smooth or each["digest"] in some):
                    raise Broken(f"{laptop} lacks the bytes of photo {row}, {each['digest']} in {scopes[row]}")
                if each["held"] and not judge[row]["erased"]:
                    self.compare_bytes(laptop, row, each["digest"])

    def compare_bytes(self, laptop: Laptop, row: str, digest: str) -> None:
        path = laptop.folder / "saved.jpg"
        laptop.must("photo save", row, str(path))
        found = sha256(path.read_bytes()).hex()
        path.unlink()
        self.counts["compared"] += 1
        if found != digest:
            raise Broken(f"{laptop} has other bytes of the photo {row}: {found}, not {digest}")

    @staticmethod
    def listed(laptop: Laptop) -> dict[str, dict]:
        """By the photo's row: its SHA-256, its scope as far as it is said, and whether its bytes are there."""
        found = json.loads(laptop.must("photo list", *([] if isinstance(laptop, PythonLaptop) else ["--json"])))
        if isinstance(laptop, PythonLaptop):
            return {each["id"]: each for each in found}
        return {each["id"]: {"digest": each["sha256"], "held": each["here"]} for each in found["photos"]}

    def nowhere(self, laptops: list[Laptop], hub: HubProcess, erased: set[str], scopes_of) -> None:
        """13 §4: the bytes of who is erased are on no disk, nor those of a scope that may be read no more."""
        judge = self.listed(laptops[0])
        scopes: dict[str, set[str]] = {}
        for each in judge.values():
            if not each["erased"]:
                scopes.setdefault(each["digest"], set()).add(each["scope"])
        gone = {digest for digest, of in self.of.items() if digest not in scopes
                and all(table == "person" and person(key) in erased for table, key in of)}
        self.counts["erased"] += len(gone)
        for laptop in laptops:
            may = set(scopes_of(laptop))
            apart = {digest for digest, where in scopes.items() if not where & may}
            self.search(laptop.folder, laptop.file, gone | apart)
        self.search(hub.folder, "hub.sqlite", gone)

    def search(self, folder: Path, name: str, digests: set[str]) -> None:
        files = [path for path in folder.rglob("*") if path.is_file() and path.relative_to(folder).parts[0].startswith(
            name) and ".backup" not in path.name]
        for path in files if digests else ():
            data = path.read_bytes()
            for digest in digests:
                if self.data[digest] in data:
                    raise Broken(f"{path.relative_to(folder)} has bytes of {digest}, added of {self.of[digest]}")

    @property
    def words(self) -> str:
        return words(self.counts)


def person(badge: str) -> str:
    return forum().keyed(2, [("text", badge.encode())]).hex()


def moved(words: str) -> int:
    """How many photos a program says that it took from a bundle, or gave and took in a meeting."""
    found = re.findall(r"(?:brought|fetched|took) (\d+)(?= photos|, fetched)|(\d+) photos? (?:received|given)", words)
    return sum(int(one or other) for one, other in found)


def words(counts: Counter) -> str:
    return (f"{counts['by python']} and {counts['by swift']} photos added in Python and Swift, {counts['shown']} shown "
            f"at the end, {counts['in bundles']} came in bundles and {counts['in meetings']} in meetings "
            f"({counts['looked for behind bundles']} looked for behind bundles), "
            f"{counts['compared']} compared, {counts['erased']} erased, {counts['killed']} syncs killed")
