"""What goes wrong in a fleet besides: files put back, grants that change, laptops revoked, a hub that goes back."""
from __future__ import annotations

import random
import shutil

from pyclient.fleet_laptops import HubProcess, Laptop, PythonLaptop

KINDS = ("copies", "disks", "twins", "grants", "cuts", "restarts", "restores", "hubdisks")
SIDE = ("", "-wal", "-shm", ".mark", ".install")


class Troubles:
    def __init__(self, rng: random.Random, hub: HubProcess, kinds: list[str]):
        self.rng, self.hub, self.kinds = rng, hub, kinds
        self.kept: dict[str, dict[str, bytes | None]] = {}
        self.backups = 0
        self.hub_disk: dict[str, bytes] = {}

    def one(self, laptop: Laptop, all_: list[Laptop]) -> str:
        return getattr(self, self.rng.choice(self.kinds))(laptop, all_)

    def keep(self, laptop: Laptop) -> str:
        paths = {side: laptop.folder / (laptop.file + side) for side in SIDE}
        self.kept[laptop.name] = {side: path.read_bytes() if path.exists() else None for side, path in paths.items()}
        return f"a copy of {laptop.name}'s files is kept"

    def copies(self, laptop: Laptop, all_: list[Laptop]) -> str:
        """00 §1: the file alone is put back, as from a backup."""
        if not isinstance(laptop, PythonLaptop):
            return self.backup(laptop)
        if laptop.name not in self.kept or self.rng.random() < 0.4:
            return self.keep(laptop)
        for side in ("", "-wal", "-shm"):
            path = laptop.folder / (laptop.file + side)
            path.unlink(missing_ok=True)
            if (data := self.kept[laptop.name][side]) is not None and side != "-shm":
                path.write_bytes(data)
                path.chmod(0o600)
        return f"{laptop.name}'s file is put back"

    def backup(self, laptop: Laptop) -> str:
        last = laptop.folder / f"{laptop.name}.{self.backups}.backup"
        if last.exists() and self.rng.random() < 0.6:
            code, out, err = laptop.call("restore", str(last), "--replace")
            return f"{laptop.name} restores a backup: {code} {out}{err}"
        self.backups += 1
        code, out, err = laptop.call("backup", str(laptop.folder / f"{laptop.name}.{self.backups}.backup"))
        return f"{laptop.name} makes a backup: {code} {err}"

    def disks(self, laptop: Laptop, all_: list[Laptop]) -> str:
        """02 §8: the whole disk is put back, and nothing on it tells."""
        if laptop.name not in self.kept or self.rng.random() < 0.4:
            return self.keep(laptop)
        for side, data in self.kept[laptop.name].items():
            path = laptop.folder / (laptop.file + side)
            if data is None or side == "-shm":
                path.unlink(missing_ok=True)
            else:
                with open(path, "r+b" if path.exists() else "wb") as file:
                    file.write(data)
                    file.truncate()
        return f"{laptop.name}'s whole disk is put back"

    def twins(self, laptop: Laptop, all_: list[Laptop]) -> str:
        """00 §1: a file is copied, with its key, and both go on."""
        if not isinstance(laptop, PythonLaptop) or len(all_) > 7:
            return "nothing is copied"
        twin = PythonLaptop(laptop.folder, f"t{len(all_)}", laptop.role, laptop.scopes)
        twin.device, twin.is_revoked = laptop.device, laptop.is_revoked
        for side in ("", "-wal", ".key"):
            path = laptop.folder / (laptop.file + side)
            if path.exists():
                shutil.copy(path, laptop.folder / (twin.file + side))
        all_.append(twin)
        return f"{twin.name} is a copy of {laptop.name}"

    def grants(self, laptop: Laptop, all_: list[Laptop]) -> str:
        """09 §5: what a laptop may read and write changes."""
        if laptop.device == all_[0].device or laptop.is_revoked:
            return "no grant changes"
        chosen = self.rng.choice([["forum"], ["delegation/KZ"], ["delegation/KZ", "delegation/TR"], ["all"]])
        role = self.rng.choice(["lead", "recorder", "coordinator"])
        self.hub.call("device", "grant", laptop.device, "--role", role,
                      *(word for scope in chosen for word in ("--scope", scope)))
        for each in all_:
            if each.device == laptop.device:
                each.role, each.scopes = role, [] if chosen == ["all"] else chosen
        return f"{laptop} has another grant"

    def cuts(self, laptop: Laptop, all_: list[Laptop]) -> str:
        """10: a laptop is revoked, or some of what it brought is admitted."""
        gone = [each for each in all_ if each.is_revoked]
        if gone and self.rng.random() < 0.5:
            name = self.rng.choice(gone).device
            return f"admits of {name}: " + self.hub.call("quarantine", "admit", "--laptop", name, may_fail=True)
        if laptop.device == all_[0].device or laptop.is_revoked or len(all_) - len(gone) < 3:
            return "nobody is revoked"
        for each in all_:
            each.is_revoked = each.is_revoked or each.device == laptop.device
        since = ["--since", "2026-01-01T00:00:00Z"] if self.rng.random() < 0.4 else []
        return f"{laptop.name} is revoked: " + self.hub.call("device", "revoke", laptop.device, *since)

    def restarts(self, laptop: Laptop, all_: list[Laptop]) -> str:
        self.hub.stop()
        self.hub.start()
        return "the hub starts anew"

    def restores(self, laptop: Laptop, all_: list[Laptop]) -> str:
        """10 §6: the hub goes back in time."""
        path = self.hub.folder / f"hub.{self.backups}.backup"
        if not path.exists() or self.rng.random() < 0.4:
            self.backups += 1
            path = self.hub.folder / f"hub.{self.backups}.backup"
            self.hub.call("backup", str(path))
            return "a backup of the hub is made"
        self.hub.stop()
        found = self.hub.call("restore", str(path), "--replace")
        self.hub.start()
        return f"the hub's backup is put back: {found}"

    def hubdisks(self, laptop: Laptop, all_: list[Laptop]) -> str:
        """10 §6: the hub's whole disk is put back, and nothing on it tells."""
        self.hub.stop()
        folder = self.hub.folder
        paths = {str(path.relative_to(folder)): path for each in sorted(folder.glob("hub.sqlite*"))
                 for path in (each, *sorted(each.rglob("*"))) if path.is_file()}
        if not self.hub_disk or self.rng.random() < 0.4:
            self.hub_disk = {name: path.read_bytes() for name, path in paths.items()}
            what = "a copy of the hub's disk is kept"
        else:
            for name, path in paths.items():
                if name not in self.hub_disk:
                    path.unlink()
            for name, data in self.hub_disk.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                with open(folder / name, "r+b" if (folder / name).exists() else "wb") as file:
                    file.write(data)
                    file.truncate()
            what = "the hub's whole disk is put back"
        self.hub.start()
        return what
