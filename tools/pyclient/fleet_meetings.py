"""08 §8: laptops of a fleet that meet without the hub, of both implementations on either side."""
from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from pyclient.fleet_laptops import Broken, Laptop, PythonLaptop
from pyclient.fleet_moves import Moves
from pyclient.fleet_photos import Photos, moved

READY, ENDED = 60, 60
REFUSED = {1, 2, 20, 21, 64, 65, 66, 69, 74, 77}  # a program says that it doesn't do this, and why


class Serving:
    """A laptop that serves, for as long as the block takes; it is ended by its own process id."""

    def __init__(self, laptop: Laptop, *words: str):
        self.laptop, self.address, self.more = laptop, "", words

    def __enter__(self) -> "Serving":
        command = [*self.laptop.program, "serve", "--replica", self.laptop.file, "--listen", "127.0.0.1:0", "--json",
                   *self.more]
        self.log = open(self.laptop.folder / f"{self.laptop.name}.serve.log", "w+b")
        self.process = subprocess.Popen(command, cwd=self.laptop.folder, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=self.log)
        try:
            self.address = self.told()["addresses"][0]
        except BaseException:
            self.__exit__()
            raise
        return self

    def told(self) -> dict:
        """What it prints once it serves."""
        deadline, found, out = time.monotonic() + READY, b"", self.process.stdout.fileno()
        while (left := deadline - time.monotonic()) > 0 and select.select([out], [], [], left)[0]:
            if not (chunk := os.read(out, 4_096)):
                break
            found += chunk
            try:
                return json.loads(found)
            except ValueError:
                continue
        raise Broken(f"{self.laptop} doesn't serve: {found[:300]!r} {self.words()}")

    def words(self) -> str:
        self.log.flush()
        return (self.laptop.folder / f"{self.laptop.name}.serve.log").read_text(errors="replace").strip()[-600:]

    def __exit__(self, *_) -> None:
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGTERM)
        try:
            self.code = self.process.wait(timeout=ENDED)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Broken(f"{self.laptop} goes on serving {ENDED} s after SIGTERM: {self.words()}") from None
        finally:
            self.process.stdout.close()
            self.log.close()


class Meetings:
    def __init__(self, rng: random.Random, moves: Moves, is_smooth: bool, is_plain: bool):
        self.rng, self.moves = rng, moves
        self.is_smooth = is_smooth  # nothing else goes wrong, so that each meeting has to be done
        self.is_plain = is_plain  # nobody is erased, so that two that have met show the same
        self.counts: Counter = Counter()

    def one(self, laptop: Laptop, all_: list[Laptop]) -> str:
        others = [each for each in all_ if each is not laptop and (not self.is_smooth or each.device != laptop.device)]
        if not others:
            return f"{laptop.name} is alone"
        host = self.rng.choice(others)
        more = [each for each in others if each is not host]
        second = self.rng.choice(more) if more and self.rng.random() < 0.2 else None
        which = [self.which(each, host) for each in (laptop, second) if each]
        with Serving(host) as serving:
            if self.rng.random() < 0.12:
                return self.broken_off(laptop, host, serving)
            told = self.writes(host)
            if second:
                with ThreadPoolExecutor(2) as pool:
                    found = list(pool.map(lambda *each: self.visit(serving, *each), (laptop, second), which))
            else:
                found = [self.visit(serving, laptop, which[0])]
            log = serving.words()
        told += "; ".join(words for _, words in found)
        if serving.code or "Traceback" in log:
            raise Broken(f"{told}; {host} ends with {serving.code}: {log}")
        for each, (code, words) in zip((laptop, second), found):
            if code not in REFUSED | {0} or "Traceback" in words or self.is_smooth and code:
                raise Broken(f"{told}; {each}, {host}: {log}")
            self.counts[f"{each.kind} calls {host.kind}"] += code == 0
            self.counts["in meetings"] += moved(words)
        if second:
            self.counts["at once"] += 1
        elif found[0][0] == 0:
            self.compare(laptop, host, told)
            self.compare_photos(laptop, host, which[0], told)
        return told

    def which(self, laptop: Laptop, host: Laptop) -> list[str]:
        """Which photos go (13 §5)."""
        if not laptop.carries("bundle export") or self.rng.random() < 0.3:
            return []
        return ["--photos", self.rng.choice(["own", "all", "all", "none"])]

    def writes(self, host: Laptop) -> str:
        """Recording goes on while a laptop serves."""
        return f"{host.name}, which serves: {self.moves.write(host)}; " if self.rng.random() < 0.3 else ""

    @staticmethod
    def visit(serving: Serving, laptop: Laptop, which: list[str]) -> tuple[int, str]:
        code, out, err = laptop.call("sync", "--peer", serving.address, *which)
        words = " / ".join((out + err).strip().splitlines())
        return code, f"{laptop.name} visits {serving.laptop.name}: {code} {words}"

    def broken_off(self, laptop: Laptop, host: Laptop, serving: Serving) -> str:
        after = self.rng.choice([0.02, 0.1, 0.2, 0.3, 0.5])
        code, _, _ = laptop.call("sync", "--peer", serving.address, kill_after=after)
        self.counts["killed"] += code < 0
        return f"{laptop.name} is killed {after} s into a visit at {host.name}: {code}"

    def compare(self, one: Laptop, other: Laptop, told: str) -> None:
        """Behind a meeting both hold the same of what both may read."""
        if not (self.is_smooth and self.is_plain):
            return
        one, other = (one, other) if isinstance(one, PythonLaptop) else (other, one)
        if set(one.scopes) == set(other.scopes):
            found = one.state_hash(), other.state_hash()
        elif isinstance(one, PythonLaptop) and not one.scopes:
            scopes = list(dict.fromkeys(["forum", *other.scopes]))
            found = one.state_hash(scopes), other.state_hash()
        else:
            return
        self.counts["compared"] += 1
        if found[0] != found[1]:
            raise Broken(f"{one} and {other} hold {found} behind a meeting: {told}")

    def compare_photos(self, laptop: Laptop, host: Laptop, which: list[str], told: str) -> None:
        """Behind a meeting with all photos both hold those that either held, of what both show."""
        if not (self.is_smooth and self.is_plain and which[1:] == ["all"] and host.carries("bundle export")):
            return
        one, other = Photos.listed(laptop), Photos.listed(host)
        if odd := sorted(row for row in set(one) & set(other) if one[row]["held"] != other[row]["held"]):
            raise Broken(f"one of {laptop} and {host} holds photos {odd} behind a meeting, the other doesn't: {told}")
        self.counts["with all photos"] += 1

    @property
    def words(self) -> str:
        return words(self.counts)


def words(counts: Counter) -> str:
    pairs = {name: n for name, n in sorted(counts.items()) if " calls " in name and n}
    each = ", ".join(f"{name} {n}" for name, n in pairs.items()) or "none"
    others = ", ".join(f"{counts[name]} {name}" for name in ("at once", "compared", "with all photos", "killed"))
    return f"{sum(pairs.values())} meetings ({each}; {others})"
