"""08 §1–§5: bundles, the files that carry runs by hand."""
from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from checker import ed25519, hpke
from checker.blobs import Holdings, Part
from checker.encoding import NULL, Reader, encode
from checker.identity import device_id, digest, sha256
from checker.limits import FORMAT, MAX_SCOPE, MAX_SCOPES, MAX_SEQ, TAG, Reject
from checker.messages import Run, Stub, array, several

MAGIC = bytes.fromhex("8b4b564e0d0a1a0a")
HEAD, CONTENTS, FOOT, PIECE, HOLDINGS, MAX_PASSED = 1, 2, 3, 16, 17, 127
MAX_PAYLOAD = 4_194_304
LIMITS = {HEAD: 65_536, CONTENTS: MAX_PAYLOAD, FOOT: 4_096}
MAX_RECIPIENTS = 256
FRAME = struct.Struct(">BII")  # kind, length, check
KEY, BOX = 32, 48


def crc_of(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    return byte


CRC = [crc_of(byte) for byte in range(256)]


def crc32c(data: bytes) -> int:
    """RFC 3720 §12.1, bits reflected."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def frame(kind: int, payload: bytes) -> bytes:
    """08 §1."""
    start = struct.pack(">BI", kind, len(payload))
    return start + crc32c(start + payload).to_bytes(4, "big") + payload


def frames(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """08 §1, §5: where a frame begins, its kind and its payload; whoever has read the foot asks for no more."""
    if data[:len(MAGIC)] != MAGIC:
        raise Reject("notABundle")
    at = len(MAGIC)
    while True:
        if len(data) - at < FRAME.size:
            raise Reject("short")
        kind, length, check = FRAME.unpack_from(data, at)
        if length > LIMITS.get(kind, MAX_PAYLOAD):
            raise Reject("tooLong")
        payload = data[at + FRAME.size:at + FRAME.size + length]
        if len(payload) < length:
            raise Reject("short")
        if crc32c(data[at:at + 5] + payload) != check:
            raise Reject("damaged")
        yield at, kind, payload
        at += FRAME.size + length


def box_info(sender: bytes, root: bytes, series: bytes, part: int, device: bytes) -> bytes:
    """08 §2: what the box of a recipient is bound to."""
    return digest("karvan/1/bundle-key", sender, root, series, part.to_bytes(8, "big"), device)


def encryption_key(seed: bytes) -> X25519PrivateKey:
    """09 §1 "Note"."""
    return X25519PrivateKey.from_private_bytes(digest("karvan/1/encryption-key", seed))


def public_key(seed: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


@dataclass(frozen=True)
class Recipient:
    """08 §2."""
    device: bytes
    enc: bytes
    box: bytes

    @staticmethod
    def read(r: Reader) -> "Recipient":
        r.fixed(3)
        return Recipient(r.exact(32), r.exact(32), r.exact(BOX))

    def item(self) -> tuple:
        return array(("blob", self.device), ("blob", self.enc), ("blob", self.box))


def ascending(r: Reader) -> tuple[Recipient, ...]:
    """08 §2, §5: the recipients."""
    found: list[Recipient] = []
    for _ in range(count := r.array(MAX_RECIPIENTS)):
        recipient = Recipient.read(r)
        if found and recipient.device <= found[-1].device:
            raise Reject("keyOrder")
        found.append(recipient)
    if not count:
        raise Reject("invalid")
    return tuple(found)


@dataclass(frozen=True)
class Head:
    """08 §2, in the order of its items."""
    sender: bytes
    root: bytes
    made: int
    series: bytes
    part: int
    recipients: tuple[Recipient, ...]

    @staticmethod
    def decode(data: bytes) -> "Head":
        r = Reader(data)
        further = r.at_least(7)
        r.format()
        found = Head(r.exact(32), r.exact(32), r.integer(), r.exact(16), r.unsigned(1, MAX_SEQ), ascending(r))
        r.pass_over(further)
        r.end()
        return found

    def encode(self) -> bytes:
        return encode(array(("int", FORMAT), ("blob", self.sender), ("blob", self.root), ("int", self.made),
                            ("blob", self.series), ("int", self.part), array(*(x.item() for x in self.recipients))))

    def content_key(self, seed: bytes) -> bytes:
        """08 §2, §5: what is in the box of the device with this private key."""
        device = device_id(public_key(seed))
        for recipient in self.recipients:
            if recipient.device == device:
                info = box_info(self.sender, self.root, self.series, self.part, device)
                return open_box(seed, recipient.enc, recipient.box, info)
        raise Reject("otherRecipient")


def open_box(seed: bytes, enc: bytes, box: bytes, info: bytes) -> bytes:
    """08 §2: the content key."""
    key = hpke.unseal(encryption_key(seed), enc, info, b"", box)
    if key is None:
        raise Reject("key")
    return key


@dataclass(frozen=True)
class Held:
    """08 §3: what the sender holds of a scope."""
    scope: bytes
    heads: tuple[Stub, ...]

    @staticmethod
    def read(r: Reader) -> "Held":
        further = r.at_least(2)
        found = Held(r.text(MAX_SCOPE), several(r, Stub.read))
        r.pass_over(further)
        return found

    def item(self) -> tuple:
        return array(("text", self.scope), array(*(head.item() for head in self.heads)))


@dataclass(frozen=True)
class List:
    """08 §3: the first frame of contents."""
    version: int
    epoch: bytes | None
    scopes: tuple[Held, ...]

    @staticmethod
    def decode(data: bytes) -> "List":
        r, scopes = Reader(data), []
        further = r.at_least(3)
        version, epoch = r.unsigned(), r.or_null(lambda: r.exact(16))
        for _ in range(r.array(MAX_SCOPES)):
            held = Held.read(r)
            if any(held.scope == other.scope for other in scopes):
                raise Reject("invalid")
            scopes.append(held)
        r.pass_over(further)
        r.end()
        return List(version, epoch, tuple(scopes))

    def encode(self) -> bytes:
        return encode(array(("int", self.version), NULL if self.epoch is None else ("blob", self.epoch),
                            array(*(held.item() for held in self.scopes))))


@dataclass(frozen=True)
class Batch:
    """08 §3: every other frame of contents."""
    scope: bytes
    runs: tuple[Run, ...]

    @staticmethod
    def decode(data: bytes) -> "Batch":
        r, runs = Reader(data), []
        further = r.at_least(2)
        scope = r.text(MAX_SCOPE)
        for _ in range(count := r.array()):
            runs.append(Run.read(r))
        if not count:
            raise Reject("invalid")
        r.pass_over(further)
        r.end()
        return Batch(scope, tuple(runs))

    def encode(self) -> bytes:
        return encode(array(("text", self.scope), array(*(run.item() for run in self.runs))))


@dataclass(frozen=True)
class Foot:
    """08 §4."""
    hash: bytes
    last: bool
    signature: bytes

    @staticmethod
    def decode(data: bytes) -> "Foot":
        r = Reader(data)
        r.fixed(3)
        found = Foot(r.exact(32), r.boolean(), r.exact(64))
        r.end()
        return found

    @property
    def message(self) -> bytes:
        return foot_message(self.hash, self.last)

    def encode(self) -> bytes:
        return encode(array(("blob", self.hash), ("bool", self.last), ("blob", self.signature)))


def foot_message(hash_: bytes, last: bool) -> bytes:
    """08 §4: what the sender signs."""
    return digest("karvan/1/bundle", hash_, bytes([last]))


@dataclass(frozen=True)
class Contents:
    """08 §3, and 13 §5."""
    list: List
    batches: tuple[Batch, ...]
    pieces: tuple[Part, ...] = ()
    holdings: tuple[Holdings, ...] = ()

    @staticmethod
    def decode(plaintexts: Iterable[tuple[int, bytes]]) -> "Contents":
        """Each frame is opened when what stands before it was read."""
        listed, found = [], {CONTENTS: [], PIECE: [], HOLDINGS: []}
        for kind, plaintext in plaintexts:
            if kind == CONTENTS and not listed:
                listed.append(List.decode(plaintext))
            else:
                form = {CONTENTS: Batch, PIECE: Part, HOLDINGS: Holdings}[kind]
                found[kind].append(form.decode(plaintext))
        return Contents(listed[0], *map(tuple, found.values()))

    def plaintexts(self) -> list[tuple[int, bytes]]:
        kinds = (CONTENTS, (self.list, *self.batches)), (PIECE, self.pieces), (HOLDINGS, self.holdings)
        return [(kind, part.encode()) for kind, parts in kinds for part in parts]


def numbered(frames_of_kinds: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes, bytes]]:
    """08 §3: each with its kind and its nonce."""
    counts: dict[int, int] = {}
    for kind, payload in frames_of_kinds:
        n = counts.get(kind, 0)
        counts[kind] = n + 1
        yield kind, (0 if kind == CONTENTS else kind).to_bytes(1, "big") + n.to_bytes(11, "big"), payload


@dataclass(frozen=True)
class File:
    """08 §1: a file that is whole, by its checks and its hash; its contents are sealed still."""
    head: Head
    aad: bytes  # SHA-256 of the head's payload
    sealed: tuple[tuple[int, bytes], ...]  # kind and payload of each frame
    foot: Foot

    @staticmethod
    def decode(data: bytes) -> "File":
        """08 §5, down to `trailing`."""
        head, aad, sealed, has_contents = None, b"", [], False
        for at, kind, payload in frames(data):
            if kind > MAX_PASSED:
                raise Reject("later")
            if (head is None) != (kind == HEAD) or kind == 0 or kind == FOOT and not has_contents:
                raise Reject("order")
            if kind == HEAD:
                head, aad = Head.decode(payload), sha256(payload)
            elif kind in (CONTENTS, PIECE, HOLDINGS):
                sealed.append((kind, payload))
                has_contents = has_contents or kind == CONTENTS
            elif kind == FOOT:
                foot = Foot.decode(payload)
                if foot.hash != sha256(data[:at]):
                    raise Reject("hash")
                if at + FRAME.size + len(payload) < len(data):
                    raise Reject("trailing")
                return File(head, aad, tuple(sealed), foot)

    @property
    def signed(self) -> bool:
        return ed25519.verifies(self.foot.signature, self.foot.message, self.head.sender)

    def plaintexts(self, content_key: bytes) -> Iterator[tuple[int, bytes]]:
        """08 §3, §5: one sealed frame after another, with its kind."""
        for kind, nonce, payload in numbered(self.sealed):
            try:
                if len(payload) < TAG:
                    raise InvalidTag
                yield kind, ChaCha20Poly1305(content_key).decrypt(nonce, payload, self.aad)
            except InvalidTag:
                raise Reject("sealed") from None


def read(data: bytes, seed: bytes, root: bytes) -> tuple[File, bytes, Contents]:
    """08 §5: a file, its content key and its contents, for the reader with this private key and root hash."""
    file = File.decode(data)
    if not file.signed:
        raise Reject("signature")
    if file.head.root != root:
        raise Reject("otherRoot")
    key = file.head.content_key(seed)
    return file, key, Contents.decode(file.plaintexts(key))


def write(head: Head, content_key: bytes, contents: Contents, last: bool, sign) -> bytes:
    """08 §1–§4: a whole file, signed by what makes the sender's signature of a message."""
    start = head.encode()
    data = MAGIC + frame(HEAD, start)
    for kind, nonce, plaintext in numbered(contents.plaintexts()):
        data += frame(kind, ChaCha20Poly1305(content_key).encrypt(nonce, plaintext, sha256(start)))
    signature = sign(foot_message(sha256(data), last))
    return data + frame(FOOT, Foot(sha256(data), last, signature).encode())
