"""02 §7: taking a run."""
from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from checker.body import BodyReader
from checker.columns import ColumnsReader, Vocabulary
from checker.identity import sha256
from checker.limits import MAX_STORED, Reject
from checker.merge import State
from checker.model import Changeset
from checker.runs import Header, expand, run_hash


class Refused(Exception):
    """A run isn't taken, with one of the codes of 02 §7."""


@dataclass
class Replica:
    """02 §7, 03 §2: runs that are held, and the state. It has no stream of its own (so step 5 never refuses)."""
    namespace: bytes
    scopes: tuple[bytes, ...] = (b"forum",)
    state: State = field(default_factory=State)
    runs: dict = field(default_factory=dict)  # stream: {last seq: run hash}, in order
    keys: dict = field(default_factory=dict)  # stream: public key
    said: dict = field(default_factory=dict)  # stream: {last seq: vocabulary}

    def held(self, stream: bytes) -> int:
        return max(self.runs.get(stream, {}), default=0)

    def offer(self, header: bytes, signature: bytes, body: bytes) -> list[Changeset] | None:
        """Takes a run: its changesets, or None for a duplicate. Raises Reject (unreadable) or Refused."""
        h = Header.decode(header)  # step 1
        this, held, mine = run_hash(header), self.held(h.stream), self.runs.get(h.stream, {})
        if h.first <= held:  # step 2
            if mine.get(h.last) == this:
                return None
            raise Refused("FORK")
        if h.first != held + 1:  # step 3
            raise Refused("GAP")
        if h.previous != mine.get(held):  # step 4; both None when nothing is held
            raise Refused("FORK")
        for stream, seq, dep in h.deps:  # step 6
            if self.held(stream) < seq:
                raise Refused("GAP")
            if self.runs.get(stream, {}).get(seq) != dep:
                raise Refused("FORK")
        if h.origin and h.origin[1] not in self.scopes:  # step 7
            raise Refused("SCOPE")
        key = h.origin[0] if h.origin else self.keys[h.stream]
        try:  # step 8
            changesets, said = self.open(h, this, signature, body, key)
        except (Reject, InvalidSignature, ValueError):
            raise Refused("POISON") from None
        self.runs.setdefault(h.stream, {})[h.last] = this
        self.keys[h.stream] = key
        self.said.setdefault(h.stream, {})[h.last] = said
        for changeset in changesets:
            self.state.deliver(changeset)
        return changesets

    def open(self, h, this, signature, body, key) -> tuple[list[Changeset], Vocabulary]:
        """02 §7 step 8."""
        if len(body) > MAX_STORED or len(signature) != 64 or sha256(body) != h.body_hash:
            raise Reject("invalid")
        Ed25519PublicKey.from_public_bytes(key).verify(signature, this)
        bounds = {stream: seq for stream, seq, _ in h.deps}
        plain = expand(body, h.encoding, h.size)
        place = h.stream, h.first, h.previous or b"", list(bounds), self.namespace
        if h.encoding < 2:
            changesets = BodyReader(plain, *place).changesets()
            said = Vocabulary(h.first, h.last, h.size, by_columns=False)
        else:
            reader = ColumnsReader(plain, *place)
            said = reader.vocabulary(h.size)
            changesets = reader.changesets(self.said.get(h.stream, {}))
        if len(changesets) != h.count:
            raise Reject("invalid")
        for op in (op for c in changesets for item in c.rows for op in item.ops):
            for stream, seq in op.names():
                if stream != h.stream and seq > bounds.get(stream, 0):
                    raise Reject("invalid")
        return changesets, said
