"""What earlier runs found out about the same code and tests, so that one that was ended goes on."""

import hashlib
import json
import os
import threading
from dataclasses import asdict
from pathlib import Path

from trials import Outcome


class Results:
    """Outcomes by id, kept in a file. They hold for one text of the package and of this tool."""

    def __init__(self, copy, is_fresh):
        self.file = copy.scratch / "results.json"
        self.key = digest(copy)
        self.seconds, self.outcomes = None, {}
        self.lock = threading.Lock()
        if not is_fresh:
            self._read()

    def _read(self):
        try:
            held = json.loads(self.file.read_text())
        except (OSError, ValueError):
            return
        if held.get("key") == self.key:
            self.seconds = held["seconds"]
            self.outcomes = {id: Outcome(**fields) for id, fields in held["outcomes"].items()}

    def add(self, id, outcome):
        with self.lock:
            self.outcomes[id] = outcome
            self.write()

    def write(self):
        text = json.dumps({
            "key": self.key, "seconds": self.seconds,
            "outcomes": {id: asdict(outcome) for id, outcome in self.outcomes.items()}}, indent=1)
        whole = self.file.with_suffix(".new")
        whole.write_text(text)
        os.replace(whole, self.file)


def digest(copy):
    """Of all that is built and run: the package as it was mutated, and this tool."""
    hash = hashlib.sha256()
    files = [path for name in ("Package.swift", "Sources", "Tests", "Protocol")
             for path in sorted([copy.package / name, *(copy.package / name).rglob("*")])]
    for path in files + sorted(Path(__file__).parent.glob("*.py")):
        if path.is_file():
            hash.update(f"{path.name}\0{path.stat().st_size}\0".encode())
            hash.update(path.read_bytes())
    return hash.hexdigest()
