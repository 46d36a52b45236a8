"""02 §7: taking a run."""
from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from checker.body import BodyReader
from checker.columns import ColumnsReader, Vocabulary
from checker.forks import Names
from checker.identity import sha256
from checker.limits import CHECK, MAX_STORED, Reject
from checker.merge import State
from checker.model import Changeset
from checker.personal import pairs
from checker.runs import Header, expand, run_hash


class Refused(Exception):
    """A run isn't taken, with one of the codes of 02 §7."""


@dataclass
class Replica:
    """02 §7 and §8, 03 §2: runs that are held, and the state. It has no stream of its own."""
    namespace: bytes
    scopes: tuple[bytes, ...] = (b"forum",)
    state: State = field(default_factory=State)
    held: dict = field(default_factory=dict)  # run hash: header, in the order of coming
    bodies: dict = field(default_factory=dict)  # run hash: the body as it came
    said: dict = field(default_factory=dict)  # run hash: vocabulary

    def holds(self, stream: bytes, seq: int, run: bytes) -> bool:
        found = self.held.get(run)
        return found is not None and (found.stream, found.last) == (stream, seq)

    def chain(self, run: bytes | None) -> list[bytes]:
        """A run and those before it, the last first."""
        found = []
        while run is not None:
            found.append(run)
            run = self.held[run].previous
        return found

    def offer(self, header: bytes, signature: bytes, body: bytes) -> list[Changeset] | None:
        """Takes a run: its changesets, or None for a duplicate. Raises Reject (unreadable) or Refused."""
        h = Header.decode(header)  # step 1
        this = run_hash(header)
        if this in self.held:  # step 2
            return None
        if h.later:
            raise Refused("UPGRADE")
        if h.previous is not None and not self.holds(h.stream, h.first - 1, h.previous):  # step 3
            raise Refused("GAP")
        for dep in h.deps:  # step 4
            if not self.holds(*dep):
                raise Refused("GAP")
        if h.origin and h.origin[1] not in self.scopes:  # step 5
            raise Refused("SCOPE")
        key = h.origin[0] if h.origin else self.held[self.chain(h.previous)[-1]].origin[0]
        try:  # step 6
            self.verify(this, h, signature, body, key)
            self.said[this] = self.open(h, body, Names(self.held))[1]
        except (Reject, InvalidSignature, ValueError):
            raise Refused("POISON") from None
        self.held[this], self.bodies[this] = h, body
        return self.apply()[this]

    def apply(self) -> dict[bytes, list[Changeset]]:
        """Makes the state from the runs that are held: what they say, by run."""
        names = Names(self.held)
        contents = {run: self.open(h, self.bodies[run], names)[0] for run, h in self.held.items()}
        names.share(contents)
        found = {run: names.changesets(run, contents) for run in self.held}
        self.state = State()
        for changesets in found.values():
            for changeset in changesets:
                self.state.deliver(changeset)
        return found

    def verify(self, this: bytes, h: Header, signature: bytes, body: bytes, key: bytes) -> None:
        if len(body) > MAX_STORED or len(signature) != 64 or sha256(body) != h.body_hash:
            raise Reject("invalid")
        Ed25519PublicKey.from_public_bytes(key).verify(signature, this)

    def open(self, h: Header, body: bytes, names: Names) -> tuple[list[Changeset], Vocabulary]:
        """02 §7 step 6. The deps' streams are called as `names` says."""
        called = [names.of(dep) for dep in h.deps]
        bounds: dict[bytes, int] = {}
        for name, dep in zip(called, h.deps):
            bounds[name] = max(bounds.get(name, 0), dep[1])
        plain = expand(body, h.encoding, h.size)
        place = h.stream, h.first, h.previous or b"", called, self.namespace
        if h.encoding < 2:
            changesets = BodyReader(plain, *place).changesets()
            said = Vocabulary(h.first, h.last, h.size, by_columns=False)
        else:
            reader = ColumnsReader(plain, *place)
            said = reader.vocabulary(h.size)
            changesets = reader.changesets({self.held[run].last: self.said[run] for run in self.chain(h.previous)})
        if len(changesets) != h.count or len(pairs(changesets)) * CHECK != len(h.checks):
            raise Reject("invalid")
        for op in (op for c in changesets for item in c.rows for op in item.ops):
            for stream, seq in op.names():
                if stream != h.stream and seq > bounds.get(stream, 0):
                    raise Reject("invalid")
        return changesets, said
