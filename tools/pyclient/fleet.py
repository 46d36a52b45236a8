"""A randomised check: a mixed fleet with one hub writes and syncs, and ends in one state."""
from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from pyclient import PROTOCOL
from pyclient.conflicts import all_open
from pyclient.fleet_courier import Courier
from pyclient.fleet_laptops import Broken, HubProcess, Laptop, PythonLaptop, SwiftLaptop
from pyclient.fleet_meetings import Meetings, words as counted
from pyclient.fleet_moves import BADGES, DELEGATIONS, ITEMS, SITES, Moves
from pyclient.fleet_photos import Photos, words as told
from pyclient.fleet_troubles import KINDS, Troubles
from pyclient.replica import Replica

ROUNDS = 14
ALL = [f"delegation/{code}" for code in DELEGATIONS]


class Fleet:
    def __init__(self, seed: int, args, folder: Path):
        self.seed, self.args, self.folder, self.rng = seed, args, folder, random.Random(seed)
        self.hub = HubProcess(str(Path(args.hub).resolve()), folder)
        self.moves, self.log = Moves(self.rng), []
        self.laptops: list[Laptop] = []
        self.courier = Courier(self.rng, self.hub, not args.troubles, not args.erase)
        self.troubles = Troubles(self.rng, self.hub, args.troubles or [])
        self.meetings = Meetings(self.rng, self.moves, not args.troubles, not args.erase)
        self.photos = Photos(self.rng, self.moves)

    def say(self, words: str) -> None:
        self.log.append(words)
        if self.args.verbose:
            print(f"  {words}", flush=True)

    @property
    def seen(self) -> Counter:
        """What became of photos."""
        return self.photos.counts + self.courier.counts + Counter({"in meetings": self.meetings.counts["in meetings"]})

    # The beginning

    def begin(self) -> None:
        SwiftLaptop.program = [str(Path(self.args.karvan).resolve())]
        self.hub.start()
        python, swift = self.args.kinds or (self.rng.randint(1, 3), self.rng.randint(1, 3))
        kinds = [PythonLaptop] * max(python, 1) + [SwiftLaptop] * swift
        for i, kind in enumerate(kinds):
            role = "coordinator" if i == 0 else self.rng.choice(["coordinator", "lead", "lead", "recorder"])
            scopes = [] if role == "coordinator" else self.rng.choice([[], ALL[:1], ALL[1:2], ALL[:2]])
            laptop = kind(self.folder, f"{kind.kind[0]}{i}", role, scopes)
            laptop.join(self.hub)
            self.laptops.append(laptop)
            self.say(f"joins: {laptop}")
        self.lists(self.laptops[0])
        for laptop in self.laptops:
            self.sync(laptop)

    def lists(self, laptop: Laptop) -> None:
        rows = [{"table": "delegation", "new": True, "key": code, "put": {"name_en": code}} for code in DELEGATIONS]
        rows += [{"table": "person", "new": True, "key": badge, "put": {
            "name_native": badge, "name_latin": badge, "delegation": badge[:2]}} for badge in BADGES]
        rows += [{"table": "item", "new": True, "key": code, "put": {"status": "planned"}} for code in ITEMS]
        rows += [{"table": "site", "new": True, "key": code, "put": {"name_en": code}} for code in SITES]
        for part in (rows[:3], rows[3:]):
            code, out, err = laptop.call("write", "-", stdin=json.dumps({"source": "lists", "rows": part}))
            if code:
                raise Broken(f"the lists can't be written: {out} {err}")

    def sync(self, laptop: Laptop) -> None:
        code, words = laptop.sync()
        self.say(f"{laptop.name} syncs: {code} {words}")
        if "Traceback" in words or code not in ((0, 20, 69, 77) if laptop.is_revoked else (0, 20, 69)):
            raise Broken(f"{laptop}: sync: {code} {words}")

    # The middle

    def step(self) -> None:
        laptop, chance = self.rng.choice(self.laptops), self.rng.random()
        if self.args.troubles and self.rng.random() < 0.12:
            self.say(self.troubles.one(self.rng.choice(self.laptops), self.laptops))
            return
        if self.args.photos and self.rng.random() < self.args.photos:
            self.say(self.photos.one(laptop))
        elif self.rng.random() < self.args.courier:
            self.say(self.courier.one(laptop, self.laptops))
        elif chance < 0.70:
            self.say(f"{laptop.name}: {self.moves.write(laptop)}")
        elif self.rng.random() < self.args.lan:
            self.say(self.meetings.one(laptop, self.laptops))
        elif chance < 0.78 and isinstance(laptop, PythonLaptop):
            rounds = self.rng.randint(1, 2)
            code, out, err = laptop.call("sync", "--rounds", str(rounds))
            self.say(f"{laptop.name} syncs {rounds} rounds: {code} {(out + err).strip()}")
        elif chance < 0.84:
            after = self.rng.choice([0.02, 0.1, 0.2, 0.3, 0.4])
            code, _, _ = laptop.call("sync", kill_after=after)
            self.say(f"{laptop.name} is killed {after} s into a sync: {code}")
        else:
            self.sync(laptop)

    def erase(self) -> None:
        badge = self.rng.choice(BADGES)
        laptop = self.rng.choice([each for each in self.laptops if each.role == "coordinator" and not each.is_revoked])
        if isinstance(laptop, PythonLaptop):
            code, out, err = laptop.call("insert", "erasure", "--key", badge, "asked_by=x", "reason=asked for it")
        else:
            code, out, err = laptop.call("erase", badge, "--yes", "--reason", "asked for it")
        self.say(f"{laptop.name} asks to erase {badge}: {code} {out}{err}")

    # The end

    def settle(self) -> None:
        for round_ in range(ROUNDS):
            quiet = True
            for laptop in self.welcome():
                code, words = laptop.sync()
                self.say(f"end {round_}: {laptop.name}: {code} {words}")
                quiet = quiet and code == 0 and laptop.is_quiet(words)
            if quiet:
                return
        raise Broken(f"not quiet after {ROUNDS} rounds of syncs")

    def welcome(self) -> list[Laptop]:
        return [laptop for laptop in self.laptops if not laptop.is_revoked]

    def scopes_of(self, laptop: Laptop) -> list[str]:
        named = [scope for scope in laptop.scopes if scope != "forum"]
        return ["forum", *(named if laptop.scopes else ALL)]

    def compare(self) -> None:
        judge = self.laptops[0]
        expected = self.open_of(judge)
        exports: dict[tuple, list[str]] = {}
        said: dict[tuple, set[str]] = {}
        for laptop in self.welcome():
            scopes = self.scopes_of(laptop)
            want, found = judge.state_hash(scopes), laptop.state_hash()
            if want != found:
                raise Broken(f"{laptop} has the state {found}, not {want}")
            path = self.folder / f"{laptop.name}.export"
            lines = laptop.export(path)
            opened = {tuple(line["open"].values()) for line in lines if "open" in line}
            fit = {where for where, scope in expected.items() if scope in scopes}
            if opened != fit:
                raise Broken(f"{laptop} has open {sorted(opened - fit)} beside, and lacks {sorted(fit - opened)}")
            exports.setdefault(tuple(scopes), []).append(str(path))
            # Which ended streams a replica knows of is its own affair.
            words = {plain(line) for line in lines if "ends" not in line}
            if odd := words ^ said.setdefault(tuple(scopes), words):
                raise Broken(f"{laptop} exports something else: {sorted(odd)[:4]}")
        self.compare_ids(judge)
        for paths in exports.values():
            self.judged(paths)

    def compare_photos(self) -> None:
        laptops = self.welcome()
        self.say(self.photos.settle(laptops))
        self.photos.compare(laptops, self.scopes_of, not self.args.troubles)
        erased = set(json.loads(laptops[0].must("status"))["erased"])
        self.photos.nowhere(laptops, self.hub, erased, self.scopes_of)

    def compare_ids(self, judge: Laptop) -> None:
        want = judge.conflict_ids()
        for laptop in self.welcome():
            found = laptop.conflict_ids()
            if not laptop.scopes and found != want or not found <= want:
                raise Broken(f"{laptop} lists {sorted(found - want)} beside, and lacks {sorted(want - found)}")

    def open_of(self, laptop: Laptop) -> dict[tuple, str]:
        """The open conflicts with the scope of their rows."""
        replica = Replica(self.folder / laptop.file)
        found = {(c.table.id, c.row.hex(), c.column.id if c.column else 0):
                 replica.scope_of_row(c.table.id, c.row).decode() for c in all_open(replica)}
        replica.close()
        return found

    def judged(self, paths: list[str]) -> None:
        """06: the definitions alone, on what replicas of the same scopes say."""
        found = subprocess.run([sys.executable, str(PROTOCOL / "oracle.py"), *paths], capture_output=True, text=True)
        if found.returncode:
            raise Broken(f"oracle.py on {paths}: {found.stdout[:2000]} {found.stderr[:500]}")

    def play(self) -> None:
        try:
            self.begin()
            for _ in range(self.args.steps):
                self.step()
            if self.args.erase and self.rng.random() < 0.5:
                self.erase()
                for _ in range(self.args.steps // 4):
                    self.step()
            self.settle()
            self.compare()
            if self.args.photos:
                self.compare_photos()
        finally:
            self.hub.stop()


def plain(line: dict) -> str:
    """06: a line of an export without what is one replica's own, and with all texts as JSON strings (01 §6)."""
    def value(form):
        if isinstance(form, dict):
            if set(form) == {"text"} and isinstance(form["text"], str):
                return bytes.fromhex(form["text"]).decode()
            return {name: value(each) for name, each in form.items()}
        return list(map(value, form)) if isinstance(form, list) else form

    said = {name: value(each) for name, each in line.items() if name not in ("received", "stream")}
    return json.dumps(said, sort_keys=True)


def ended(*_) -> None:
    raise SystemExit(143)


def run(args) -> int:
    signal.signal(signal.SIGTERM, ended)  # so that the hub is ended too
    bad, met, seen = 0, Counter(), Counter()
    for seed in range(args.start, args.start + args.seeds):
        folder = args.folder.resolve() / f"seed-{seed}"
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        fleet, began = Fleet(seed, args, folder), time.monotonic()
        try:
            fleet.play()
            print(f"seed {seed}: agreed, {len(fleet.laptops)} laptops, {fleet.meetings.words}, "
                  f"{told(fleet.seen)}, {time.monotonic() - began:.0f} s", flush=True)
            shutil.rmtree(folder)
        except Broken as error:
            bad += 1
            (folder / "log.txt").write_text("\n".join(fleet.log) + "\n")
            print(f"seed {seed}: BROKEN: {error} (all steps in {folder / 'log.txt'})", flush=True)
        met, seen = met + fleet.meetings.counts, seen + fleet.seen
    if not bad and not any(args.folder.iterdir()):
        args.folder.rmdir()
    print(f"{args.seeds - bad} of {args.seeds} fleets agreed, with {counted(met)}, {told(seen)}")
    return 1 if bad else 0


def add_command(commands) -> None:
    words = "play mixed fleets with another implementation's programs, and compare"
    command = commands.add_parser("fleet", help=words, description=words[0].upper() + words[1:] + ".")
    command.add_argument("--seeds", type=int, default=1)
    command.add_argument("--from", dest="start", type=int, default=1)
    command.add_argument("--steps", type=int, default=40)
    command.add_argument("--karvan", required=True, help="the other implementation's program for laptops")
    command.add_argument("--hub", required=True, help="the hub's program")
    command.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / f"karvan-fleet-{os.getpid()}",
                         help="where fleets lie while they play; one that is broken stays there")
    command.add_argument("--erase", action="store_true", help="also have people erased")
    command.add_argument("--troubles", nargs="*", choices=KINDS, help="what goes wrong besides")
    command.add_argument("--courier", type=float, default=0.15, metavar="SHARE",
                         help="how many of the steps are bundles that somebody carries (default: 0.15)")
    command.add_argument("--lan", type=float, default=0.6, metavar="SHARE",
                         help="how many of the steps in which changes go between programs are meetings of two laptops, "
                              "and not with the hub (default: 0.6)")
    command.add_argument("--photos", type=float, default=0.2, metavar="SHARE",
                         help="how many of the steps are about photos (default: 0.2)")
    command.add_argument("--kinds", nargs=2, type=int, metavar=("PYTHON", "SWIFT"),
                         help="how many laptops of each implementation (default: 1 to 3 each); the first is in Python")
    command.add_argument("--verbose", action="store_true")
    command.set_defaults(act=run)
