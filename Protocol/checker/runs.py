"""01 §5, 02 §4: compression, the header of a run, its hash."""
from __future__ import annotations

from dataclasses import dataclass

import zstandard

from checker.encoding import Reader, encode
from checker.identity import device_id, digest, stream_id
from checker.limits import (
    CHECK, CRITICAL, FORMAT, MAX_EXPANDED, MAX_HEADER, MAX_INCARNATION, MAX_RUN, MAX_SCOPE, MAX_SEQ, MAX_WINDOW, Reject)


COLUMNS_PACKED = 3  # 01 §5: the greatest encoding that is known


def expand(stored: bytes, encoding: int, size: int) -> bytes:
    """01 §5. Raises Reject when the stored body isn't one frame of exactly this size."""
    if encoding % 2 == 0:
        if len(stored) != size:
            raise Reject("invalid")
        return stored
    try:
        frame = zstandard.get_frame_parameters(stored)
        if stored[:4] != b"\x28\xb5\x2f\xfd" or frame.content_size != size or frame.dict_id:
            raise Reject("invalid")
        if frame.window_size > MAX_WINDOW:
            raise Reject("invalid")
        decoder, out = zstandard.ZstdDecompressor().decompressobj(), b""
        for at in range(0, len(stored), 64):
            if decoder.eof:
                raise Reject("trailing")
            out += decoder.decompress(stored[at:at + 64])
            if len(out) > size or decoder.unused_data:
                raise Reject("invalid")
    except zstandard.ZstdError:
        raise Reject("invalid") from None
    if not decoder.eof or len(out) != size:
        raise Reject("invalid")
    return out


@dataclass
class Header:
    """02 §4."""
    stream: bytes
    first: int
    count: int
    previous: bytes | None
    body_hash: bytes
    deps: list[tuple[bytes, int, bytes]]
    schema: int
    encoding: int
    size: int
    origin: tuple[bytes, bytes, int] | None  # public key, scope, incarnation
    checks: bytes = b""
    later: bool = False  # only a later build can read it; of the fields only the first five say anything

    @property
    def last(self) -> int:
        return self.first + self.count - 1

    @staticmethod
    def decode(data: bytes) -> "Header":
        if len(data) > MAX_HEADER:
            raise Reject("tooLong")
        r, got, later = Reader(data), {}, False
        for key in r.keys():
            match key:
                case 0:
                    got[key] = r.unsigned(0)
                    if got[key] < FORMAT:
                        raise Reject("invalid")
                    later = got[key] > FORMAT
                case 1:
                    got[key] = r.exact(16)
                case 2:
                    got[key] = r.unsigned(1, MAX_SEQ - 1)
                case 3:
                    got[key] = r.unsigned(1, MAX_RUN)
                case 4 | 5:
                    got[key] = r.exact(32)
                case _ if later:
                    r.item()
                case 6:
                    got[key] = [Header.dep(r) for _ in range(r.array())]
                case 7:
                    got[key] = r.unsigned()
                case 8:
                    further = r.at_least(2)
                    encoding = r.unsigned()
                    if encoding > COLUMNS_PACKED:
                        later = True
                        r.pass_over(1 + further)
                        continue
                    if further:
                        raise Reject("invalid")
                    got[key] = encoding, r.unsigned(0, MAX_EXPANDED)
                case 9:
                    got[key] = r.exact(32)
                case 10:
                    got[key] = r.text(MAX_SCOPE)
                case 11:
                    got[key] = r.unsigned(0, MAX_INCARNATION)
                case 12:
                    got[key] = r.blob(MAX_HEADER)
                    if not got[key] or len(got[key]) % CHECK:
                        raise Reject("invalid")
                case _:
                    later = key >= CRITICAL
                    r.item()
        r.end()
        if not {0, 1, 2, 3, 5} <= got.keys():
            raise Reject("missingKey")
        if got[2] + got[3] - 1 > MAX_SEQ:
            raise Reject("outOfRange")
        if later:
            if (4 in got) == (got[2] == 1):
                raise Reject("invalid")
            return Header(got[1], got[2], got[3], got.get(4), got[5], [], 0, 0, 0, None, later=True)
        origin = {9, 10, 11} & got.keys()
        if not {6, 7, 8} <= got.keys() or len(origin) not in (0, 3):
            raise Reject("missingKey")
        if len(set(got[6])) < len(got[6]) or any(stream == got[1] for stream, _, _ in got[6]):
            raise Reject("invalid")
        if (4 in got) == (got[2] == 1) or bool(origin) != (got[2] == 1):
            raise Reject("invalid")
        if origin and stream_id(device_id(got[9]), got[10], got[11]) != got[1]:
            raise Reject("invalid")
        return Header(got[1], got[2], got[3], got.get(4), got[5], got[6], got[7], *got[8],
                      (got[9], got[10], got[11]) if origin else None, got.get(12, b""))

    @staticmethod
    def dep(r: Reader) -> tuple[bytes, int, bytes]:
        r.fixed(3)
        return r.exact(16), r.unsigned(1, MAX_SEQ), r.exact(32)

    def encode(self) -> bytes:
        array = lambda *items: ("array", tuple(items))
        entries = {0: ("int", FORMAT), 1: ("blob", self.stream), 2: ("int", self.first), 3: ("int", self.count)}
        if self.previous is not None:
            entries[4] = ("blob", self.previous)
        entries[5] = ("blob", self.body_hash)
        entries[6] = array(*(array(("blob", s), ("int", n), ("blob", h)) for s, n, h in self.deps))
        entries[7] = ("int", self.schema)
        entries[8] = array(("int", self.encoding), ("int", self.size))
        if self.origin:
            entries |= {9: ("blob", self.origin[0]), 10: ("text", self.origin[1]), 11: ("int", self.origin[2])}
        if self.checks:
            entries[12] = ("blob", self.checks)
        return encode(("map", tuple(entries.items())))


def run_hash(header: bytes) -> bytes:
    """02 §4."""
    return digest("karvan/1/run", header)
