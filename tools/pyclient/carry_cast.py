"""Who brings photos to a laptop in a check, by bundles that it makes of whatever frames it likes."""
from __future__ import annotations

import os
import secrets
from dataclasses import replace
from pathlib import Path

from checker.blobs import MAX_PART, Part
from checker.bundles import CONTENTS, KEY
from checker.encoding import encode
from checker.identity import sha256

from pyclient.acts import Acts
from pyclient.bundle_photos import HOLDINGS, PIECE, Holdings, assembled, nonce, read
from pyclient.bundle_read import BundleReader
from pyclient.bundle_write import BundleWriter
from pyclient.company import company, own_papers
from pyclient.fleet_laptops import Broken, Laptop
from pyclient.fleet_photos import Photos
from pyclient.lan_cast import Cast
from pyclient.replica import Replica
from pyclient.store import wall
from pyclient.trust import Holder
from pyclient.writer import Writer

AA, BASE = b"delegation/AA", b"forum"
Frames = list[tuple[int, bytes]]


def picture(size: int) -> bytes:
    return bytes.fromhex("ffd8ffe0") + os.urandom(size - 4)


def named(replica: Replica, table: str, key: str, *pictures: bytes) -> None:
    """Records of photos, without their bytes."""
    acts = Acts(replica)
    row = acts.values.row(acts.schema.table(table), key, None)
    for data in pictures:
        form = {"table": "photo", "key": [str(acts.schema.table(table).id), row.hex(), sha256(data).hex()],
                "new": True, "put": {"author": "x"}}
        Writer(replica).write([acts.row(form)])


def cut(data: bytes, scope: bytes = BASE, most: int = MAX_PART) -> list[Part]:
    """All pieces of a photo."""
    return [Part(scope, sha256(data), len(data), at, data[at:at + most]) for at in range(0, len(data), most)]


def frames(*what: Part | Holdings) -> Frames:
    return [(PIECE, encode(each.item())) if isinstance(each, Part) else (HOLDINGS, each.encode()) for each in what]


def holding(*pictures: bytes, scope: bytes = BASE, more: int = 0) -> Holdings:
    return Holdings(scope, tuple((sha256(data), len(data) + more) for data in pictures))


def begin(cast: Cast) -> None:
    """What photos are of, so that all know it."""
    cast.wrote(cast.guest, "AA")
    acts = Acts(cast.guest)
    Writer(cast.guest).write([acts.row({"table": "site", "new": True, "key": "HALL"})])
    for each in (cast.guest, cast.third, cast.known("narrow")):
        BundleReader(each).import_file(cast.forum.words(each.device))
    for each in (cast.third, cast.known("narrow")):
        give(cast.guest, each)


def give(by: Replica, to: Replica) -> None:
    """All of what one holds that the other may read."""
    writer, other = BundleWriter(by), company(by, own_papers(to)[1])
    BundleReader(to).import_bytes(writer.in_one(other, writer.lacking(other, ()), 1 << 22), "what is given")


class Carrier:
    """One that writes bundles for a laptop."""

    def __init__(self, by: Replica, to: Holder):
        self.by, self.to, self.writer = by, to, BundleWriter(by)

    def bundle(self, more: Frames, epoch: bytes | None = None, in_front: bool = False, runs: bool = True,
               numbered=nonce) -> bytes:
        """All that it holds, with these frames behind it; `numbered` says by which nonce each is sealed."""
        lacking, key = self.writer.lacking(self.to, ()), secrets.token_bytes(KEY)
        series, device = secrets.token_bytes(16), self.to.device
        box = self.writer.box(self.to.last.encryption_key, key, series, 1, device)
        contents: Frames = [(CONTENTS, replace(lacking.held, epoch=epoch).encode())]
        contents += [(CONTENTS, each.encode()) for each in lacking.batches if runs]
        head = self.writer.head(wall(), series, 1, {device: box})
        plaintexts = [*more, *contents] if in_front else [*contents, *more]
        return assembled(head, key, plaintexts, True, self.by.sign, numbered)


class Reader:
    """A laptop, and what it holds and sends of photos, seen from outside."""

    def __init__(self, score, cast: Cast, laptop: Laptop, holder: Holder):
        self.score, self.cast, self.laptop, self.holder = score, cast, laptop, holder
        self.made = 0

    def expect(self, name: str, found, wanted) -> None:
        self.score.expect(f"{self.laptop.kind}, {name}", found, wanted)

    def path(self) -> Path:
        self.made += 1
        return self.laptop.folder / f"carried-{self.laptop.name}-{self.made}.karvan"

    def take(self, data: bytes) -> int:
        path = self.path()
        path.write_bytes(data)
        code, out, err = self.laptop.call("bundle import", str(path))
        path.unlink()
        if "Traceback" in out + err or code < 0:
            raise Broken(f"{self.laptop}: {code} {out} {err}")
        return code

    def held(self) -> set[bytes]:
        return {bytes.fromhex(each["digest"]) for each in Photos.listed(self.laptop).values() if each["held"]}

    def holds(self, data: bytes) -> bool:
        """As it was."""
        path = self.path()
        code, _, _ = self.laptop.call("photo save", sha256(data).hex(), str(path))
        found = code == 0 and path.read_bytes() == data
        path.unlink(missing_ok=True)
        return found

    def lies_there(self, data: bytes) -> bool:
        """Whether its first bytes lie in any file of the laptop."""
        files = [path for path in self.laptop.folder.rglob("*") if path.is_file()
                 and path.relative_to(self.laptop.folder).parts[0].startswith(self.laptop.file)]
        return any(data[:64] in path.read_bytes() for path in files)

    def written(self, to: str, reader: Replica, *words: str) -> list:
        """What it writes for somebody who reads it: the bytes, contents and photos of each file."""
        path = self.path()
        self.laptop.must("bundle export", str(path), "--for", to, *words)
        found = {}
        for each in path.parent.glob(f"{path.stem}.*"):  # implementations differ in the names of further parts
            data = each.read_bytes()
            file, _, *more = read(data, reader.seed, reader.trust.root)
            found[file.head.part] = data, *more
            each.unlink()
        return [found[part] for part in sorted(found)]

    def given(self, to: Replica) -> None:
        """Somebody reads all that it holds."""
        path = self.path()
        self.laptop.must("bundle export", str(path), "--for", to.store.get("name"), "--all", "--photos", "none")
        BundleReader(to).import_file(path)
        path.unlink()

    def offered(self, *words: str) -> set[bytes]:
        """What it brings the hub."""
        found = self.written("hub", self.cast.forum.hub, *words)
        return {part.digest for _, _, photos in found for part in photos.pieces}


