"""10 §1, §2: cuts, and where streams end by them."""
from __future__ import annotations

from dataclasses import dataclass

from checker.certificates import MAX_NAME
from checker.encoding import NULL, Reader, encode
from checker.limits import FORMAT, MAX_INCARNATION, MAX_SCOPE, MAX_SEQ, Reject

MAX_CUT, MAX_CUT_STREAMS = 65_536, 450

Origin = tuple  # (public key, scope, incarnation)
End = tuple  # (last seq, run hash); None stands for the hash beside 0, and nowhere else, so ends can be compared
BEFORE_FIRST = 0, None


@dataclass(frozen=True)
class CutStream:
    """10 §1: a stream of the device, and its end."""
    scope: bytes
    incarnation: int
    end: End

    @staticmethod
    def read(r: Reader) -> "CutStream":
        r.fixed(4)
        scope, incarnation = r.text(MAX_SCOPE), r.unsigned(0, MAX_INCARNATION)
        last, run = r.unsigned(0, MAX_SEQ), r.or_null(lambda: r.exact(32))
        if (last == 0) != (run is None):
            raise Reject("invalid")
        return CutStream(scope, incarnation, (last, run))

    def item(self) -> tuple:
        last, run = self.end
        return ("array", (("text", self.scope), ("int", self.incarnation), ("int", last),
                          NULL if run is None else ("blob", run)))


@dataclass(frozen=True)
class Cut:
    """10 §1, in the order of its items."""
    reason: int
    key: bytes
    streams: tuple[CutStream, ...]
    whole: bool
    decided: int
    note: bytes

    @staticmethod
    def decode(data: bytes) -> "Cut":
        if len(data) > MAX_CUT:
            raise Reject("tooLong")
        r = Reader(data)
        further = r.at_least(7)
        r.format()
        found = Cut(r.unsigned(1), r.exact(32),
                    tuple(CutStream.read(r) for _ in range(r.array(MAX_CUT_STREAMS))), r.boolean(), r.integer(),
                    r.text(MAX_NAME))
        r.pass_over(further)
        r.end()
        return found

    def encode(self) -> bytes:
        streams = ("array", tuple(stream.item() for stream in self.streams))
        return encode(("array", (("int", FORMAT), ("int", self.reason), ("blob", self.key), streams, ("bool", self.whole),
                                 ("int", self.decided), ("text", self.note))))

    def end(self, origin: Origin) -> End | None:
        """10 §1: the end that it gives a stream without branches; None for none."""
        key, *stream = origin
        if key != self.key:
            return None
        named = [s.end for s in self.streams if [s.scope, s.incarnation] == stream]
        return max(named, default=BEFORE_FIRST if self.whole else None)


def least_end(cuts: list[Cut], origin: Origin) -> End | None:
    """10 §2: where a stream ends; None for one that goes on."""
    return min((end for end in (cut.end(origin) for cut in cuts) if end is not None), default=None)
