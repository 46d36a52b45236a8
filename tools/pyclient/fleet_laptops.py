"""The processes of a mixed fleet: a hub, and laptops of two implementations as black boxes."""
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
LIMIT = 120


class Broken(Exception):
    """A program did what it must not; the words say which and how."""


def called(command: list[str], folder: Path, stdin: str | None = None, kill_after: float | None = None):
    """Runs a program to its end, or kills it after so many seconds."""
    process = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    try:
        out, err = process.communicate(stdin, timeout=kill_after or LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        if kill_after is None:
            raise Broken(f"{command} took more than {LIMIT} s") from None
    return process.returncode, out, err


@lru_cache(maxsize=None)
def carries_photos(*command: str) -> bool:
    """Whether a program's command says of itself that it takes photos along."""
    return "--photos" in called([*command, "--help"], PACKAGE)[1]


class HubProcess:
    """A hub on a free port of the loopback; it is ended by its own process id."""

    def __init__(self, program: str, folder: Path):
        self.program, self.folder, self.process = program, folder, None
        self.url, self.port = "", 0

    def start(self) -> None:
        with open(self.folder / "hub.log", "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "serve", "--store", "hub.sqlite", "--listen", f"127.0.0.1:{self.port}"], cwd=self.folder,
                stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.process.stdout.readline()
        if "https://" not in line:
            raise Broken("the hub doesn't start")
        self.url = line.split()[-1]
        self.port = int(self.url.rsplit(":", 1)[1])

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGTERM)
            self.process.wait(timeout=30)
        if self.process:
            self.process.stdout.close()
        self.process = None

    def call(self, *words: str, may_fail: bool = False) -> str:
        code, out, err = called([self.program, *words, "--store", "hub.sqlite"], self.folder)
        if code and not may_fail:
            raise Broken(f"hub {words}: {code} {err}")
        return out + err

    def ask(self, *words: str) -> tuple[int, str]:
        """Beside the one that serves."""
        code, out, err = called([self.program, *words, "--store", "hub.sqlite"], self.folder)
        return code, " / ".join((out + err).strip().splitlines())

    def carries(self, command: str) -> bool:
        return carries_photos(self.program, *command.split())

    def token(self, role: str, scopes: list[str]) -> str:
        named = [word for scope in scopes for word in ("--scope", scope)]
        return json.loads(self.call("token", "create", "--json", "--role", role, *named))["token"]


class Laptop:
    """What both kinds can do; `role` and `scopes` are those of its token (no scopes: all of them)."""
    kind = ""
    program: list[str] = []

    def __init__(self, folder: Path, name: str, role: str, scopes: list[str]):
        self.folder, self.name, self.role, self.scopes = folder, name, role, scopes
        self.file = f"{name}.sqlite"
        self.is_revoked = False
        self.device = name  # as the hub calls it; a copied file has that of the other one

    def __repr__(self) -> str:
        return f"{self.name} ({self.kind} {self.role} {'+'.join(self.scopes) or 'all'})"

    def call(self, command: str, *words: str, **more):
        first = command.split()
        return called([*self.program, *first, "--replica", self.file, *words], self.folder, **more)

    def carries(self, command: str) -> bool:
        return carries_photos(*self.program, *command.split())

    def must(self, command: str, *words: str) -> str:
        code, out, err = self.call(command, *words)
        if code:
            raise Broken(f"{self}: {command} {words}: {code} {out} {err}")
        return out

    def join(self, hub: HubProcess) -> None:
        self.must("init", "--name", self.name)
        self.must("enrol", hub.url, hub.token(self.role, self.scopes))

    def sync(self) -> tuple[int, str]:
        code, out, err = self.call("sync")
        return code, (out + err).strip()

    def export(self, path: Path) -> list[dict]:
        path.write_text(self.exported())
        return [json.loads(line) for line in path.read_text().splitlines()]

    def exported(self) -> str:
        raise NotImplementedError


class PythonLaptop(Laptop):
    kind = "python"
    program = [sys.executable, str(PACKAGE)]

    def is_quiet(self, words: str) -> bool:
        return words.startswith("sent 0, received 0 changesets")

    def state_hash(self, of: list[str] | None = None) -> str:
        return self.must("state-hash", *(word for scope in of or () for word in ("--of", scope))).strip()

    def conflict_ids(self) -> set[str]:
        return {c["id"] for c in json.loads(self.must("conflicts")) if c["class"] and c["table"] != "ruling"}

    def exported(self) -> str:
        self.must("verify")
        return self.must("export", "-")


class SwiftLaptop(Laptop):
    kind = "swift"

    def is_quiet(self, words: str) -> bool:
        return "0 changes sent, 0 changes received" in words

    def state_hash(self) -> str:
        return self.must("verify", "--state-hash").strip()

    def conflict_ids(self) -> set[str]:
        found = json.loads(self.must("conflicts list", "--json", "--all"))["conflicts"]
        return {c["id"] for c in found if c["rule"] is None and c["table"] != "ruling"}

    def exported(self) -> str:
        self.must("verify")
        return self.must("verify", "--export", "-")
