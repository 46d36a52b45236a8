"""08 §5, §7: reading bundles, and taking in what they bring."""
from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from checker.blobs import MAX_BLOB, Part
from checker.bundles import Contents, File, List
from checker.identity import device_id
from checker.limits import Reject

from pyclient.blobs import Blobs
from pyclient.bundle_photos import Photos, read
from pyclient.ingest import ASIDE, DAMAGED, DUPLICATE, REFUSED, Ingest
from pyclient.peer import Peer
from pyclient.replica import Replica
from pyclient.schema import UsageError
from pyclient.trust import Holder

WORDS = {
    "notABundle": "is no bundle: is it the right file?",
    "short": "ends in the middle: copy it again from where it was made, or export anew",
    "damaged": "was damaged on its way: copy it again, from another stick if need be, or export anew",
    "hash": "was damaged or changed on its way: copy it again, or export anew",
    "trailing": "has something behind its end: copy it again, or export anew",
    "later": "was made by a later build: take a newer one of this program",
    "signature": "isn't signed by the one that it names: don't trust it, and ask for another one",
    "otherRoot": "belongs to another forum: import it into a replica of that one",
    "otherRecipient": "isn't for this laptop: have it exported for this one, or hand it to the one that it is for",
    "key": "doesn't open with this laptop's key: have it exported anew once both have synced",
    "sealed": "has contents that don't open: have it exported anew",
}


class Unread(UsageError):
    """08 §5: a file of which nothing was taken."""

    def __init__(self, path: Path | str, reason: str):
        words = WORDS.get(reason, f"can't be read ({reason}): have it exported anew")
        super().__init__(f"{path} {words}")
        self.reason = reason


class Stranger(Unread):
    """08 §7: the sender isn't in the records."""

    def __init__(self, path: Path | str, sender: bytes):
        UsageError.__init__(self, f"{path} was made by a device that isn't in the records here "
                                  f"({device_id(sender).hex()[:12]}): sync, or import a bundle of the hub, and then "
                                  "this one again. Nothing of it was taken")
        self.reason = "stranger"


@dataclass
class Taken:
    """What became of a file's runs."""
    path: Path | str
    sender: Holder
    is_last: bool = True
    counts: Counter = field(default_factory=Counter)
    refused: Counter = field(default_factory=Counter)
    changesets: int = 0
    receipts: int = 0
    photos: int = 0  # that are whole by it
    photos_at_hub: int = 0  # which weren't known to be there

    @property
    def is_short(self) -> bool:
        """Whether something of it wasn't taken."""
        return any(self.counts[what] for what in (ASIDE, REFUSED, DAMAGED))


def bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} can't be read ({error.strerror}): is the stick in, and the name right?") from None


def read_file(path: Path, seed: bytes, root: bytes) -> tuple[File, bytes, Contents]:
    """08 §5: all of a file, for this reader."""
    return read_bytes(bytes_of(path), path, seed, root)


def read_bytes(data: bytes, name: Path | str, seed: bytes, root: bytes) -> tuple[File, bytes, Contents]:
    """The same of what came by another way; `name` is what people call it."""
    return read_all(data, name, seed, root)[:3]


def read_all(data: bytes, name: Path | str, seed: bytes, root: bytes) -> tuple[File, bytes, Contents, Photos]:
    """With its photos."""
    try:
        return read(data, seed, root)
    except Reject as reason:
        raise Unread(name, str(reason)) from None


class BundleReader:
    def __init__(self, replica: Replica):
        self.replica, self.store, self.trust, self.peer = replica, replica.store, replica.trust, Peer(replica)
        if self.trust.root is None:
            raise UsageError("this replica belongs to no forum yet: join a hub with `enrol URL TOKEN`")

    def import_all(self, paths: list[Path]) -> tuple[list[Taken], list[UsageError]]:
        """Files in any order: one by a sender that another one makes known is looked at again."""
        taken: list[Taken] = []
        faults: dict[Path, UsageError] = {}
        left = list(dict.fromkeys(paths))
        while left:
            again, before = [], len(taken)
            for path in left:
                try:
                    taken.append(self.import_file(path))
                    faults.pop(path, None)
                except Stranger as error:
                    faults[path] = error
                    again.append(path)
                except UsageError as error:
                    faults[path] = error
            left = again if len(taken) > before else []
        return taken, list(faults.values())

    def import_file(self, path: Path) -> Taken:
        return self.import_bytes(bytes_of(path), path)

    def import_bytes(self, data: bytes, name: Path | str, company: Holder | None = None) -> Taken:
        """08 §5, §7: nothing is taken before all was read; what is taken is one transaction. `company` is the one that
        is met (§8), whether or not the records know it."""
        file, _, contents, photos = read_all(data, name, self.replica.seed, self.trust.root)
        with self.store.transaction():
            by = device_id(file.head.sender)
            sender = self.trust.holders().get(by) or (company if company and company.device == by else None)
            if sender is None:
                raise Stranger(name, file.head.sender)
            found = Taken(name, sender, file.foot.last)
            self.take(found, contents)
            self.note_heads(found, contents.list)
            self.take_photos(found, photos, contents.list.epoch)
        return found

    def take(self, found: Taken, contents: Contents) -> None:
        ingest = Ingest(self.replica)
        ingest.sealer.renew_if_copied()
        ingest.sealer.seal_all()
        aside = []
        for batch in contents.batches:
            for run in batch.runs:
                what, this = ingest.offer(run, batch.scope)
                if what == ASIDE:
                    aside.append(this)
                    continue
                found.counts[what] += 1
                if what == REFUSED:
                    found.refused[ingest.why] += 1
        ingest.reconsider()
        found.counts[ASIDE] = sum(not self.store.held(this) for this in aside)
        found.changesets = ingest.received

    def note_heads(self, found: Taken, said: List) -> None:
        """08 §7."""
        heads = tuple(head for held in said.scopes for head in held.heads)
        if found.sender.is_hub:
            if self.is_own_hub(found.sender) and self.peer.is_of_epoch(said.epoch):
                found.receipts = self.peer.note_receipts(heads)
        elif found.sender.device != self.replica.device:
            self.peer.note_said(found.sender.device, heads)

    # 13 §5

    def take_photos(self, found: Taken, photos: Photos, epoch: bytes | None) -> None:
        """Pieces of what is named, once the runs are there; then what the hub has of that."""
        blobs = Blobs(self.replica)
        names = blobs.names() if photos.pieces else set()
        wanted = {name for name in names if not blobs.holds(name)}
        for part in photos.pieces:
            if (part.scope, part.digest) in wanted and part.size <= MAX_BLOB:
                blobs.take(behind(part, blobs.first((part.scope, part.digest), found.sender.device)),
                           found.sender.device)
        found.photos = sum(map(blobs.holds, wanted))
        if self.is_own_hub(found.sender) and self.peer.is_of_epoch(epoch):
            for each in photos.holdings:
                for digest, size in each.blobs:
                    name = each.scope, digest
                    if blobs.holds(name) and blobs.size(name) == size:
                        found.photos_at_hub += blobs.note_said(name)

    def is_own_hub(self, sender: Holder) -> bool:
        return sender.is_hub and sender.device.hex() == self.store.get("hub")


def behind(part: Part, first: tuple[int, int] | None) -> Part:
    """What of a piece lies behind the first bytes that are there, where it reaches beyond them: they may have come in
    other pieces."""
    begins = first[0] - part.offset if first and first[1] == part.size else 0
    return replace(part, offset=first[0], data=part.data[begins:]) if 0 < begins < len(part.data) else part


def shown(path: Path, replica: Replica | None) -> dict:
    """08 §5: what everybody may see of a file, and what is in it, where it is for this laptop."""
    try:
        file = File.decode(bytes_of(path))
        if not file.signed:
            raise Reject("signature")
    except Reject as reason:
        raise Unread(path, str(reason)) from None
    head, holders = file.head, replica.trust.holders() if replica and replica.trust.root else {}

    def called(device: bytes) -> dict:
        return {"device": device.hex(), "name": holders[device].name if device in holders else None}

    form = {"file": str(path), "by": called(device_id(head.sender)), "root": head.root.hex(), "made": head.made,
            "series": head.series.hex(), "part": head.part, "last": file.foot.last,
            "for": [called(each.device) for each in head.recipients], "scopes": None}
    if not replica or head.root != replica.trust.root or all(
            each.device != replica.device for each in head.recipients):
        return form
    _, _, contents, photos = read_all(bytes_of(path), path, replica.seed, replica.trust.root)
    held = {each.scope: len(each.heads) for each in contents.list.scopes}
    runs: Counter = Counter()
    for batch in contents.batches:
        runs[batch.scope] += len(batch.runs)
    form["epoch"] = contents.list.epoch.hex() if contents.list.epoch else None
    form["scopes"] = {scope.decode(): {"heads": held.get(scope, 0), "runs": runs[scope]}
                      for scope in [*held, *(scope for scope in runs if scope not in held)]}
    form["photos"] = dict(Counter(scope.decode() for scope, _ in {(x.scope, x.digest) for x in photos.pieces}))
    form["photos at the hub"] = {each.scope.decode(): len(each.blobs) for each in photos.holdings}
    return form


def words_of(found: Taken) -> list[str]:
    """What became of a file, for people."""
    c = found.counts
    words = [f"{found.path}, by {found.sender.name}: took {found.changesets} changesets; {c[DUPLICATE]} runs were here"]
    if found.receipts:
        words.append(f"the hub has {found.receipts} runs that weren't known to have arrived")
    if found.photos:
        words.append(f"took {found.photos} photos")
    if found.photos_at_hub:
        words.append(f"the hub has {found.photos_at_hub} photos that weren't known to have arrived")
    if c[ASIDE]:
        words.append(f"{c[ASIDE]} runs were kept aside, for others that they build on, or because they count nowhere")
    for code, n in found.refused.items():
        words.append(f"{n} runs aren't taken ({code}): tell the one who made it")
    if c[DAMAGED]:
        words.append(f"{c[DAMAGED]} runs aren't what was signed, and weren't taken: tell the one who made it")
    return words
