"""13 §5, 08 §3: what a bundle has of photos: pieces, and what a hub says that it has."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from checker.blobs import DIGEST, MAX_PART, Part
from checker.bundles import (
    CONTENTS, FOOT, FRAME, HEAD, MAGIC, Batch, Contents, File, Foot, Head, List, foot_message, frame)
from checker.encoding import Reader, encode
from checker.identity import sha256
from checker.limits import MAX_SCOPE, TAG, Reject
from checker.messages import array
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from pyclient.blobs import Blobs, Name
from pyclient.schema import UsageError

PIECE, HOLDINGS = 16, 17
AROUND = FRAME.size + TAG + len(encode(Part(bytes(MAX_SCOPE), bytes(DIGEST), 2**64 - 1, 2**64 - 1, b"").item())) + 4


@dataclass(frozen=True)
class Holdings:
    """What a hub has in a scope: digests and sizes."""
    scope: bytes
    items: tuple[tuple[bytes, int], ...]

    @staticmethod
    def decode(data: bytes) -> "Holdings":
        r, items = Reader(data), []
        further = r.at_least(2)
        scope = r.text(MAX_SCOPE)
        for _ in range(count := r.array()):
            more = r.at_least(2)
            items.append((r.exact(DIGEST), r.unsigned()))
            r.pass_over(more)
        if not count:
            raise Reject("invalid")
        r.pass_over(further)
        r.end()
        return Holdings(scope, tuple(items))

    def encode(self) -> bytes:
        items = (array(("blob", digest), ("int", size)) for digest, size in self.items)
        return encode(array(("text", self.scope), array(*items)))


@dataclass(frozen=True)
class Photos:
    """What stands in a file of them, in its order."""
    pieces: tuple[Part, ...] = ()
    holdings: tuple[Holdings, ...] = ()

    def plaintexts(self) -> Iterator[tuple[int, bytes]]:
        yield from ((PIECE, encode(piece.item())) for piece in self.pieces)
        yield from ((HOLDINGS, each.encode()) for each in self.holdings)


def piece(data: bytes) -> Part:
    r = Reader(data)
    found = Part.read(r)
    r.end()
    return found


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


def opened(data: bytes, aad: bytes, content_key: bytes) -> tuple[Contents, Photos]:
    """08 §5: one sealed frame after another, as they stand in the file."""
    found: dict[int, list] = {CONTENTS: [], PIECE: [], HOLDINGS: []}
    for kind, payload in payloads(data):
        if kind not in found:
            continue
        n = len(found[kind])
        try:
            if len(payload) < TAG:
                raise InvalidTag
            plain = ChaCha20Poly1305(content_key).decrypt(nonce(kind, n), payload, aad)
        except InvalidTag:
            raise Reject("sealed") from None
        read = {CONTENTS: Batch.decode if n else List.decode, PIECE: piece, HOLDINGS: Holdings.decode}[kind]
        found[kind].append(read(plain))
    list_, *batches = found[CONTENTS]
    return Contents(list_, tuple(batches)), Photos(tuple(found[PIECE]), tuple(found[HOLDINGS]))


def read(data: bytes, seed: bytes, root: bytes) -> tuple[File, bytes, Contents, Photos]:
    """08 §5: a file, its content key, and all that this client knows in it."""
    file = File.decode(data)
    if not file.signed:
        raise Reject("signature")
    if file.head.root != root:
        raise Reject("otherRoot")
    key = file.head.content_key(seed)
    return file, key, *opened(data, file.aad, key)


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
