"""08: bundles that are carried between the laptops of a fleet and its hub: at once, later, twice, damaged, or never."""
from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from pyclient.fleet_laptops import Broken, HubProcess, Laptop, PythonLaptop
from pyclient.fleet_photos import Photos, moved

REFUSED = {1, 2, 20, 21, 64, 65, 66, 69, 74, 77}  # a program says that it doesn't do this, and why


@dataclass
class Parcel:
    """A series on its way. One that is whole brings all that its recipient lacks (08 §6 item 4)."""
    files: list[Path]
    to: Laptop | None  # the hub, where it is None
    is_whole: bool
    photos: frozenset[str] = frozenset()  # the rows of those that are in it


class Courier:
    def __init__(self, rng: random.Random, hub: HubProcess, is_smooth: bool, is_plain: bool):
        self.rng, self.hub = rng, hub
        self.is_plain = is_plain  # nobody is erased, so that photos that come stay
        self.is_smooth = is_smooth  # nothing else goes wrong, so that each act has to be done
        self.parcels: list[Parcel] = []
        self.made = 0
        self.counts: Counter = Counter()

    def one(self, laptop: Laptop, all_: list[Laptop]) -> str:
        if self.parcels and self.rng.random() < 0.35:
            return self.carry(self.rng.choice(self.parcels))
        words, parcel = self.export(laptop, all_)
        if parcel is None:
            return words
        self.parcels.append(parcel)
        return f"{words}; {self.carry(parcel)}" if self.rng.random() < 0.6 else words

    def export(self, laptop: Laptop, all_: list[Laptop]) -> tuple[str, Parcel | None]:
        self.made += 1
        path = laptop.folder / f"b{self.made}.karvan"
        others = [each for each in all_ if each.device != laptop.device]
        to = self.rng.choice(others) if others and self.rng.random() < 0.65 else None
        by_hub = self.rng.random() < 0.25
        to = laptop if by_hub else to
        words = [str(path), *(["--for", to.device] if to else self.rng.choice([[], ["--for", "hub"]])),
                 *(["--all"] if self.rng.random() < 0.2 else [])]
        earlier, small = sorted(laptop.folder.glob(f"*.karvan.of-{laptop.name}")), self.rng.random() < 0.4
        small = small and not by_hub and isinstance(laptop, PythonLaptop)  # the other programs' parts are 1 MiB or more
        since = not by_hub and bool(earlier) and self.rng.random() < 0.15
        room = self.rng.choice([3_000, 6_000, 20_000, 200_000, 400_000])
        words += ["--part-size", str(room)] if small else []
        words += self.which(self.hub if by_hub else laptop, small and room < 20_000)
        words += ["--since", str(self.rng.choice(earlier).with_suffix(""))] if since else []
        who = "the hub" if by_hub else laptop.name
        code, out = self.hub.ask("bundle", "export", *words) if by_hub else said(laptop, "bundle export", *words)
        told = f"{who}: bundle export {' '.join(words[1:])} ({path.name}): {code} {out}"
        self.judge(told, code, out, self.is_smooth and not small and not since)
        if code:
            return told, None
        if not by_hub:
            path.with_name(f"{path.name}.of-{laptop.name}").touch()
        files = [path, *sorted(laptop.folder.glob(f"{path.name}.[0-9]*"))]
        held = words[-1] == "all" and words[-2] == "--photos" and not by_hub and self.is_plain and len(files) == 1
        return told, Parcel(files, to, not since, frozenset(self.held(laptop) if held else ()))

    @staticmethod
    def held(laptop: Laptop) -> list[str]:
        return [row for row, each in Photos.listed(laptop).items() if each["held"]]

    def which(self, by: HubProcess | Laptop, is_tight: bool) -> list[str]:
        """Which photos go in (13 §5); into the smallest parts none do, which would be hundreds of files."""
        if is_tight:
            return ["--photos", "none"]
        if not by.carries("bundle export") or self.rng.random() < 0.3:
            return []
        return ["--photos", self.rng.choice(["all", "none"] if by is self.hub else ["own", "all", "all", "none"])]

    def carry(self, parcel: Parcel) -> str:
        files, is_whole = list(parcel.files), parcel.is_whole and self.is_smooth
        self.rng.shuffle(files)
        if len(files) > 1 and self.rng.random() < 0.2:
            files, is_whole = files[1:], False
        if self.rng.random() < 0.08:
            return self.damage(parcel, files[0])
        to = parcel.to
        if to and self.rng.random() < 0.15:
            to, is_whole = None, False  # left at the hub on the way (08 §6 item 3)
        elif self.rng.random() < 0.7:
            self.parcels.remove(parcel)
        if isinstance(to, PythonLaptop) and self.is_smooth:
            self.look(to, files[0])
        code, out = self.take(to, files)
        told = f"{to.name if to else 'the hub'}: bundle import {' '.join(each.name for each in files)}: {code} {out}"
        self.judge(told, code, out, is_whole)
        self.counts["in bundles"] += moved(out)
        if to and is_whole and parcel.photos:
            self.compare_photos(to, parcel, told)
        return told

    def compare_photos(self, to: Laptop, parcel: Parcel, told: str) -> None:
        """13 §5: what is in it, and is shown there, is held there."""
        listed = Photos.listed(to)
        if odd := sorted(row for row in parcel.photos & set(listed) if not listed[row]["held"]):
            raise Broken(f"{to} lacks the photos {odd} of {parcel.files[0]}: {told}")
        self.counts["looked for behind bundles"] += len(parcel.photos & set(listed))

    def damage(self, parcel: Parcel, path: Path) -> str:
        """08 §5: nothing of a file is taken that isn't whole."""
        data = bytearray(path.read_bytes())
        at = self.rng.randrange(len(data))
        data[at] ^= 1 << self.rng.randrange(8)
        bad = path.with_name(f"bad-{path.name}")
        bad.write_bytes(data if self.rng.random() < 0.7 else data[:at])
        code, out = self.take(parcel.to, [bad])
        told = f"{bad.name}, changed at {at}, to {parcel.to or 'the hub'}: {code} {out}"
        self.judge(told, code, out, False)
        if code == 0:
            raise Broken(f"a damaged file is taken: {told}")
        return told

    @staticmethod
    def look(to: Laptop, path: Path) -> None:
        """08 §6 item 2: nothing is in it of a scope that the laptop may not read."""
        form = json.loads(to.must("bundle show", str(path)))
        scopes = {*form["scopes"], *form["photos"], *form["photos at the hub"]}
        if to.scopes and (odd := scopes - {"forum", *to.scopes}):
            raise Broken(f"{path} is for {to}, and has {sorted(odd)}")

    def take(self, to: Laptop | None, files: list[Path]) -> tuple[int, str]:
        names = list(map(str, files))
        return said(to, "bundle import", *names) if to else self.hub.ask("bundle", "import", *names)

    @staticmethod
    def judge(told: str, code: int, out: str, must: bool) -> None:
        if code not in REFUSED | {0} or "Traceback" in out or must and code:
            raise Broken(told)


def said(laptop: Laptop, command: str, *words: str) -> tuple[int, str]:
    code, out, err = laptop.call(command, *words)
    return code, " / ".join((out + err).strip().splitlines())
