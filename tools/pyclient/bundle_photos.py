"""13 §5, 08 §3: what a bundle has of photos: pieces, and what a hub says that it has."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from checker.blobs import DIGEST, MAX_PART, Holdings, Part
from checker.bundles import (
    CONTENTS, FOOT, FRAME, HEAD, HOLDINGS, MAGIC, PIECE, Contents, File, Foot, Head, foot_message, frame,
    read as read_whole)
from checker.identity import sha256
from checker.limits import MAX_SCOPE, TAG
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from pyclient.blobs import Blobs, Name
from pyclient.schema import UsageError

AROUND = FRAME.size + TAG + len(Part(bytes(MAX_SCOPE), bytes(DIGEST), 2**64 - 1, 2**64 - 1, b"").encode()) + 4


@dataclass(frozen=True)
class Photos:
    """What stands in a file of them, in its order."""
    pieces: tuple[Part, ...] = ()
    holdings: tuple[Holdings, ...] = ()

    def plaintexts(self) -> Iterator[tuple[int, bytes]]:
        yield from ((PIECE, each.encode()) for each in self.pieces)
        yield from ((HOLDINGS, each.encode()) for each in self.holdings)


def nonce(kind: int, n: int) -> bytes:
    """08 §3."""
    return n.to_bytes(12, "big") if kind == CONTENTS else bytes([kind]) + n.to_bytes(11, "big")


def payloads(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The frames of a file that is whole."""
    at = len(MAGIC)
    while at < len(data):
        kind, length, _ = FRAME.unpack_from(data, at)
        at += FRAME.size + length
        yield kind, data[at - length:at]


def read(data: bytes, seed: bytes, root: bytes) -> tuple[File, bytes, Contents, Photos]:
    """08 §5: a file, its content key, its runs, and its photos apart from these."""
    file, key, contents = read_whole(data, seed, root)
    return file, key, replace(contents, pieces=(), holdings=()), Photos(contents.pieces, contents.holdings)


def assembled(head: Head, content_key: bytes, plaintexts: list[tuple[int, bytes]], last: bool, sign,
              numbered=nonce) -> bytes:
    """08 §1-§4: a whole file with these frames, in this order."""
    start, counts = head.encode(), Counter()
    parts = [MAGIC, frame(HEAD, start)]
    aad, cipher = sha256(start), ChaCha20Poly1305(content_key)
    for kind, plain in plaintexts:
        parts.append(frame(kind, cipher.encrypt(numbered(kind, counts[kind]), plain, aad)))
        counts[kind] += 1
    data = b"".join(parts)
    hash_ = sha256(data)
    return data + frame(FOOT, Foot(hash_, last, sign(foot_message(hash_, last))).encode())


def write(head: Head, content_key: bytes, contents: Contents, photos: Photos, last: bool, sign) -> bytes:
    return assembled(head, content_key, [*contents.plaintexts(), *photos.plaintexts()], last, sign)


# Which go into which file

def pieces(blobs: Blobs, name: Name, most: int = MAX_PART) -> Iterator[Part]:
    size = blobs.size(name)
    for at in range(0, size, most):
        yield Part(*name, size, at, blobs.read(name, at, most))


def placed(blobs: Blobs, names: list[Name], left: int | None, room: int | None) -> list[list[Part]]:
    """The pieces of each file: in the first is still so much room, in others all of it. A blob lies in one file, and
    its pieces are as long as they may be, where that has room for them."""
    found: list[list[Part]] = [[]]
    if names and room is not None and room <= AROUND:
        raise UsageError(f"the parts are too small for photos: say --part-size with at least {AROUND + 1 - room} "
                         "bytes more, or --photos none")
    for name in names:
        each = list(pieces(blobs, name, MAX_PART if room is None else min(MAX_PART, room - AROUND)))
        if room is not None and left < total(each) <= room:
            found.append([])
            left = room
        for part in each:
            if room is not None:
                if left < total([part]):
                    found.append([])
                    left = room
                left -= total([part])
            found[-1].append(part)
    return found


def total(parts: list[Part]) -> int:
    return sum(AROUND + len(part.data) for part in parts)
