"""08 §6: making bundles, for the hub or for another device."""
from __future__ import annotations

import os
import secrets
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from checker import hpke
from checker.bundles import FRAME, KEY, MAGIC, Batch, Contents, Foot, Head, Held, List, Recipient, box_info
from checker.certificates import Statement
from checker.encoding import encode
from checker.limits import MAX_SCOPES, TAG
from checker.messages import Run, Stub
from checker.runs import Header
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from pyclient.blobs import Blobs, Name
from pyclient.bundle_photos import Photos, placed, write
from pyclient.bundle_read import read_file
from pyclient.peer import Peer, message, size
from pyclient.replica import Replica
from pyclient.schema import BASE, UsageError
from pyclient.sealing import Sealer
from pyclient.store import wall
from pyclient.trust import Holder

ROOM = 1_048_576  # 08 §3: the runs of one frame, as stored
SCOPE_ROOM = 80  # what a frame has around its runs, at most
FOOT = FRAME.size + len(Foot(bytes(32), True, bytes(64)).encode())


@dataclass
class Written:
    """The files of a series, and what is in them."""
    files: list[Path]
    holder: Holder
    runs: int
    changesets: int
    photos: int


@dataclass
class Lacking:
    """08 §8: what the other one lacks, as far as it is known, and the list of what is held here."""
    held: List
    batches: list[Batch]
    runs: frozenset[bytes]  # their hashes


class BundleWriter:
    def __init__(self, replica: Replica):
        self.replica, self.store, self.trust, self.peer = replica, replica.store, replica.trust, Peer(replica)
        if self.trust.root is None:
            raise UsageError("this replica belongs to no forum yet: join a hub with `enrol URL TOKEN`")

    def export(self, path: Path, to: str, all_: bool, since: Path | None, most: int | None,
               photos: str = "none") -> Written:
        holder = self.recipient(to)
        said = None if since is None else self.said_in(since)
        held, runs = self.gathered(holder, all_, said)
        names = self.photos(holder, photos)
        files = self.files(path, self.parts(held, batches_of(runs), self.keys(holder), most, names=names))
        found = [r for _, each in runs for r in each]
        return Written(files, holder, len(found), sum(r["last"] - r["first"] + 1 for r in found), len(names))

    def photos(self, holder: Holder, which: str) -> list[Name]:
        """13 §5: of what the recipient may read, what the hub isn't known to have (own), or all."""
        blobs = Blobs(self.replica)
        if which == "none":
            return []
        blobs.forget_erased()
        is_other_hub = holder.is_hub and holder.device.hex() != self.store.get("hub")
        found = blobs.waiting() if which == "own" and not is_other_hub else blobs.all_held()
        return [name for name in found if holder.is_hub or may_read(holder.last, name[0])]

    def gathered(self, holder: Holder, all_: bool, said: tuple[Stub, ...] | None) -> tuple[List, list[tuple]]:
        """What goes in: the list, and the frames as their scope and its runs."""
        with self.store.transaction():
            sealer = Sealer(self.replica)
            sealer.renew_if_copied()
            sealer.seal_all()
            scopes = self.scopes(holder)
            runs = self.ordered(scopes, holder, all_, said)
            held = List(self.replica.schema.version, None, tuple(
                Held(scope, self.peer.heads(scope)) for scope in scopes))
        return held, runs

    # From device to device (08 §8)

    def lacking(self, holder: Holder, said: tuple[Stub, ...]) -> Lacking:
        """What lies behind these heads, and what they overtake."""
        held, runs = self.gathered(holder, False, said + self.overtaken(holder, said))
        return Lacking(held, batches_of(runs), frozenset(r["hash"] for _, each in runs for r in each))

    def overtaken(self, holder: Holder, said: tuple[Stub, ...]) -> tuple[Stub, ...]:
        """The heads here of streams that nobody is known to have forked or ended, where the other one names more."""
        named = Counter(head.stream for head in said)
        here = [head for scope in self.scopes(holder) for head in self.peer.heads(scope)]
        single = Counter(head.stream for head in here)
        own = {head.stream: head for head in here if single[head.stream] == 1}
        return tuple(
            own[head.stream] for head in said
            if named[head.stream] == 1 and head.stream in own and head.last > own[head.stream].last
            and not self.trust.ends_of(head.stream) and not self.store.held(head.run))

    def in_one(self, holder: Holder, lacking: Lacking, room: int) -> bytes:
        """One bundle with as much as there is room for; nobody passes by a hub with it, so it is for the one alone."""
        keys = {holder.device: holder.last.encryption_key}
        return self.parts(lacking.held, lacking.batches, keys, room, first_alone=True)[0]

    # Whom it is for

    def recipient(self, to: str) -> Holder:
        """08 §6: by a true certificate in the records; neither revoked nor expired."""
        found = self.named(to)
        if found.device in self.trust.revoked():
            raise UsageError(f"{found.name} was revoked: nothing is written for it. Ask the hub's operator")
        if not found.is_hub and all(s.expiry <= wall() for s in found.statements):
            raise UsageError(f"the certificates of {found.name} have expired: sync here, or let it sync, so that the "
                             "hub renews them, and export again")
        return found

    def named(self, to: str) -> Holder:
        holders = self.trust.holders()
        if to == "hub":
            if found := holders.get(bytes.fromhex(self.store.get("hub"))):
                return found
            raise UsageError("the hub's certificate isn't in the records here: sync once")
        found = [each for each in holders.values() if each.name == to]
        found = found or [each for each in holders.values() if to and each.device.hex().startswith(to.lower())]
        if not found:
            raise UsageError(f"no laptop called {to!r} is in the records here, and none whose device begins so: sync, "
                             "or import a bundle of the hub, and try again")
        if len(found) > 1:
            which = ", ".join(each.device.hex()[:12] for each in found)
            raise UsageError(f"{to!r} may be {which}: say --for with the first digits of the device")
        return found[0]

    def keys(self, holder: Holder) -> dict[bytes, bytes]:
        """08 §6 item 3: X25519 keys by device, of the recipient, the hub and this device, for `--since`."""
        holders, hub = self.trust.holders(), self.store.get("hub")
        found = {holder.device: holder.last.encryption_key}
        for device in (bytes.fromhex(hub), self.replica.device):
            if device in holders:
                found.setdefault(device, holders[device].last.encryption_key)
        return found

    # What goes in

    def scopes(self, holder: Holder) -> list[bytes]:
        """08 §6 items 1, 2: of what is held here, the base scope first."""
        held = [scope for scope, in self.store.db.execute(
            "SELECT DISTINCT scope FROM run WHERE taken IS NOT NULL ORDER BY scope")]
        if not holder.is_hub:
            held = [scope for scope in held if may_read(holder.last, scope)]
        found = list(dict.fromkeys([BASE, *held]))
        if len(found) > MAX_SCOPES:
            raise UsageError(f"a bundle is about at most {MAX_SCOPES} scopes: sync instead")
        return found

    def said_in(self, path: Path) -> tuple[Stub, ...]:
        """What a bundle says that its sender held."""
        _, _, contents = read_file(path, self.replica.seed, self.trust.root)
        return tuple(head for held in contents.list.scopes for head in held.heads)

    def ordered(self, scopes: list[bytes], holder: Holder, all_: bool, said: tuple[Stub, ...] | None) -> list[tuple]:
        """08 §3, §6: for each frame its scope and its runs, each behind those that it depends on."""
        is_own_hub = holder.device.hex() == self.store.get("hub")
        known: set[bytes] = set()
        if said is None and not all_ and not is_own_hub:
            said = self.peer.said_by(holder.device)
        for head in said or ():
            if self.store.held(head.run):
                known |= self.peer.chain(head.run)
        frames = []
        for scope in scopes:
            found = self.store.runs("scope = ? AND taken IS NOT NULL ORDER BY taken", scope)
            by_flag = is_own_hub and said is None and not all_
            found = [r for r in found if not (r["has"] if by_flag else r["hash"] in known)]
            found = self.hub_first(found)
            if holder.is_hub:
                found = [*self.peer.brought_along(found), *found]
            frames += [(scope, part) for part in filled(found)]
        return frames

    def hub_first(self, runs: list) -> list:
        """10 §6: the hub's own streams first, with what they build on; else in the order in which they were taken."""
        key, here = bytes.fromhex(self.store.get("hubKey")), {r["hash"]: r for r in runs}
        first, left = set(), [r for r in runs if self.store.key_of(r["stream"]) == key]
        while left:
            r = left.pop()
            if r["hash"] not in first:
                first.add(r["hash"])
                before = [r["previous"], *(run for _, _, run in Header.decode(r["header"]).deps)]
                left += [here[run] for run in before if run in here]
        return [*(r for r in runs if r["hash"] in first), *(r for r in runs if r["hash"] not in first)]

    # The files

    def parts(self, held: List, batches: list[Batch], keys: dict[bytes, bytes], most: int | None,
              first_alone: bool = False, names: list[Name] | None = None) -> list[bytes]:
        """08 §2: one file, or as many as it takes with so many bytes in each; or the first of these alone. Photos go
        behind all runs."""
        series, made = secrets.token_bytes(16), wall()
        start = len(self.head(made, series, 1 << 40, {device: None for device in keys}).encode())
        around = len(MAGIC) + FRAME.size + start + FRAME.size + TAG + len(held.encode()) + FOOT
        room, files = None if most is None else most - around, []
        parts = split(batches, room)
        left = None if room is None else room - sum(FRAME.size + TAG + len(batch.encode()) for batch in parts[-1])
        here, *further = placed(Blobs(self.replica), names or [], left, room)
        photos = [[] for _ in parts[1:]] + [here, *further]
        parts += [[] for _ in further]
        for number, each in enumerate(parts[:1] if first_alone else parts, 1):
            content_key = secrets.token_bytes(KEY)
            boxes = {device: self.box(key, content_key, series, number, device) for device, key in keys.items()}
            head = self.head(made, series, number, boxes)
            data = write(head, content_key, Contents(held, tuple(each)), Photos(tuple(photos[number - 1])),
                         number == len(parts), self.replica.sign)
            files.append(data)
        return files

    def box(self, key: bytes, content_key: bytes, series: bytes, part: int, device: bytes) -> Recipient:
        info = box_info(self.replica.public_key, self.trust.root, series, part, device)
        try:
            enc, box = hpke.seal(X25519PrivateKey.generate(), key, info, b"", content_key)
        except ValueError:
            raise UsageError(f"the key in the certificate of {device.hex()[:12]} can't be used: ask the hub's operator "
                             "for a new one") from None
        return Recipient(device, enc, box)

    def head(self, made: int, series: bytes, part: int, boxes: dict[bytes, Recipient | None]) -> Head:
        found = tuple(boxes[device] or Recipient(device, bytes(32), bytes(48)) for device in sorted(boxes))
        return Head(self.replica.public_key, self.trust.root, made, series, part, found)

    @staticmethod
    def files(path: Path, parts: list[bytes]) -> list[Path]:
        """08 §6 item 5; FILE, FILE.2, FILE.3, …: none that is there is written over."""
        names = [path if n == 1 else path.with_name(f"{path.name}.{n}") for n in range(1, len(parts) + 1)]
        for name in names:
            if name.exists():
                raise UsageError(f"{name} is there already: take another name, or move it away")
        for name, data in zip(names, parts):
            try:
                put(name, data)
            except FileExistsError:
                raise UsageError(f"{name} is there already: take another name, or move it away") from None
            except OSError as error:
                raise UsageError(f"{name} can't be written ({error.strerror}): is there room, and may you write there? "
                                 "Export again") from None
        return names


def put(path: Path, data: bytes) -> None:
    """A file that has its name only when it is on the disk."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError:  # a stick's file system may have no links
            if path.exists():
                raise FileExistsError(path) from None
            os.rename(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def batches_of(runs: list[tuple]) -> list[Batch]:
    return [Batch(scope, tuple(message(r) for r in found)) for scope, found in runs]


def may_read(statement: Statement, scope: bytes) -> bool:
    """08 §6 item 2: by the grants of the certificate issued last."""
    return scope == BASE or any(grant.scope in (scope, b"*") and (grant.expiry is None or grant.expiry > wall())
                                for grant in statement.grants)


def filled(runs: list) -> list[list]:
    """08 §3: what goes into each frame."""
    found: list[list] = []
    room = 0
    for r in runs:
        if not found or size(r) > room:
            found.append([])
            room = ROOM
        found[-1].append(r)
        room -= size(r)
    return found


def split(batches: list[Batch], room: int | None) -> list[list[Batch]]:
    """The frames of each part; `room` is what a file has for them."""
    if room is None:
        return [batches]
    if room < 0:
        raise UsageError(f"the parts are too small: say --part-size with at least {-room} bytes more")
    parts: list[list[Batch]] = [[]]
    left = room
    for batch in batches:
        taken: list[Run] = []
        around = FRAME.size + TAG + SCOPE_ROOM
        for run in batch.runs:
            length = len(encode(run.item()))
            if around + length > room:
                raise UsageError(f"the parts are too small for what goes in: say --part-size with at least "
                                 f"{around + length - room} bytes more")
            if length + (0 if taken else around) > left:
                parts[-1] += [Batch(batch.scope, tuple(taken))] if taken else []
                parts.append([])
                taken, left = [], room
            left -= length + (0 if taken else around)
            taken.append(run)
        parts[-1].append(Batch(batch.scope, tuple(taken)))
    return parts
