"""14: archives, read and judged without any program of Karvan's."""
from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from checker import ed25519
from checker.bundles import CONTENTS, FOOT, FRAME, HEAD, MAGIC, Contents, File, Head, frames
from checker.certificates import Certificate, may
from checker.cuts import Cut
from checker.encoding import Reader, encode
from checker.erasures import Erasure
from checker.forks import Line, Names
from checker.identity import device_id, keyed_row, sha256, stream_id
from checker.limits import FORMAT, Reject
from checker.merge import State
from checker.messages import SIGNATURE, Run, array
from checker.model import Changeset
from checker.personal import opened
from checker.reading import Bodies, fitting, hold
from checker.runs import Header, run_hash

STATEMENT, MAX_NOTE = 32, 200
BASE = b"forum"
REGISTRY = Path(__file__).resolve().parent.parent / "schema-registry.json"
WORDS = {
    "notABundle": "it doesn't begin as a bundle does", "short": "its end is missing",
    "damaged": "its check doesn't fit: a byte was changed here",
    "tooLong": "its length can't be: a byte was changed here",
    "hash": "the hash at the end isn't that of the file: something was taken out, or put in",
    "trailing": "something lies behind the end", "order": "it stands where it may not",
    "later": "only a later build can read it",
    "signature": "the signature at the end isn't by the key at the beginning",
}


class Bad(Exception):
    """Why an archive isn't what it says, in words for people."""


@dataclass(frozen=True)
class Statement:
    """14 §2, in the order of its items."""
    seed: bytes
    state: bytes
    changes: int
    note: bytes

    @staticmethod
    def decode(data: bytes) -> "Statement":
        r = Reader(data)
        further = r.at_least(5)
        r.format()
        found = Statement(r.exact(32), r.exact(32), r.unsigned(), r.text(MAX_NOTE))
        r.pass_over(further)
        r.end()
        return found

    def encode(self) -> bytes:
        return encode(array(("int", FORMAT), ("blob", self.seed), ("blob", self.state), ("int", self.changes),
                            ("text", self.note)))


def named(kind: int, number: int) -> str:
    names = {HEAD: "the head", CONTENTS: "contents", FOOT: "the end", STATEMENT: "the statement"}
    return f"frame {number} ({names.get(kind, f'kind {kind}')})"


def whole(data: bytes) -> tuple[File, Statement]:
    """14 §3 steps 1 and 2; else where reading ended."""
    at, number, statement = len(MAGIC) if data.startswith(MAGIC) else 0, 0, None
    try:
        for start, kind, payload in frames(data):
            at, number = start, number + 1
            if kind == STATEMENT:
                if number != 2:
                    raise Reject("order")
                statement = Statement.decode(payload)
            if kind == FOOT:
                break
            at = start + FRAME.size + len(payload)
        number -= 1  # what follows is about the end again
        file = File.decode(data)
        if not file.signed:
            raise Reject("signature")
    except Reject as reject:
        reason = str(reject)
        kind = data[at] if at < len(data) else 0
        raise Bad(f"damaged at byte {at}: {named(kind, number + 1)}: {WORDS.get(reason, reason)}") from None
    if statement is None:
        raise Bad("it is a bundle and no archive: it has no statement behind its head")
    if file.head.part != 1 or not file.foot.last:
        raise Bad("it is a part of a series, and an archive is one file")
    return file, statement


def opened_contents(file: File, statement: Statement) -> Contents:
    """14 §3 step 3."""
    try:
        return Contents.decode(file.plaintexts(file.head.content_key(statement.seed)))
    except Reject as reject:
        raise Bad(f"its contents can't be opened with the key that lies in it: {reject}") from None


@dataclass
class Held:
    """A run of the archive."""
    run: Run
    header: Header
    hash: bytes
    scope: bytes
    key: bytes


@dataclass
class Log:
    """14 §3 steps 4 to 8: the runs of an archive, each held against its signature and its chain."""
    registry: dict
    held: dict[bytes, Held] = field(default_factory=dict)
    ends: dict[bytes, list[list[tuple]]] = field(default_factory=dict)
    named: set[bytes] = field(default_factory=set)  # streams that cuts name
    has_whole_cut: bool = False
    counting: dict[bytes, Held] = field(default_factory=dict)
    nowhere: dict[bytes, tuple[bytes, int]] = field(default_factory=dict)
    state: State = field(default_factory=State)
    changesets: list[Changeset] = field(default_factory=list)
    sealed: list[str] = field(default_factory=list)  # runs with values that can't be read

    def __post_init__(self):
        self.namespace = self.registry["schema"].encode()
        self.tables = {table["name"]: table for table in self.registry["tables"]}
        self.bodies = Bodies(
            self.namespace, self.mark, lambda run: (self.held[run].run.header, self.held[run].run.body))
        self.names_of_devices: dict[bytes, str] = {}

    def mark(self, scope: bytes) -> bytes:
        """02 §2.3."""
        table, slash, key = scope.partition(b"/")
        return keyed_row(self.namespace, self.tables["delegation"]["id"], [("text", key)])[-4:] if slash else b""

    def column(self, name: str) -> int:
        return next(c["id"] for c in self.tables["device"]["columns"] if c["name"] == name)

    def called(self, held: Held) -> str:
        """A run, as people are told of it."""
        h = held.header
        name = plain(self.names_of_devices.get(device_id(held.key), f"device {device_id(held.key).hex()[:12]}"))
        return f"run {h.first}–{h.last} of {name} in {held.scope.decode()} ({held.hash.hex()[:12]})"

    def take(self, run: Run, scope: bytes) -> None:
        """Step 4: 02 §7, but for what may be written by whom."""
        h, this = Header.decode(run.header), run_hash(run.header)
        if this in self.held:
            raise Bad(f"run {this.hex()[:12]} stands in it twice")
        before = self.held.get(h.previous) if h.previous else None
        if h.previous and (before is None or before.header.last != h.first - 1 or before.header.stream != h.stream):
            raise Bad(f"run {h.first}–{h.last} of stream {h.stream.hex()[:12]}: what it follows on is missing")
        key = h.origin[0] if h.origin else before.key
        of = h.origin[1] if h.origin else before.scope
        held = Held(run, h, this, of, key)
        if of != scope:
            raise Bad(f"{self.called(held)} stands under {scope.decode()}")
        if h.later or sha256(run.body) != h.body_hash:
            raise Bad(f"{self.called(held)}: its body isn't the one that was signed")
        if not ed25519.verifies(run.seal[:SIGNATURE], this, key):
            raise Bad(f"{self.called(held)} isn't signed by its device")
        if not fitting(h.checks, run.seal[SIGNATURE:]):
            raise Bad(f"{self.called(held)} has other keys than were signed")
        self.held[this] = held

    # Step 5: what counts, 10 §1 to §3

    def judge(self) -> None:
        """Twice: the first reading finds the ends of streams and who was erased."""
        self.counting = dict(self.held)
        self.read(set())
        self.find_ends()
        self.counting = {this: held for this, held in self.held.items() if self.counts(held)}
        for held in self.counting.values():
            for stream, seq, run in held.header.deps:
                if run not in self.held and not self.may_have_ended(stream):
                    raise Bad(f"{self.called(held)} rests on a run that is missing: {run.hex()[:12]}, up to {seq} of "
                              f"stream {stream.hex()[:12]}")
        self.read(self.erased())

    def may_have_ended(self, stream: bytes) -> bool:
        """10 §3: a dep is met where its stream ends; of one that isn't here at all, nobody can tell whose it is."""
        if any(held.header.stream == stream for held in self.held.values()):
            return stream in self.ends
        return stream in self.named or self.has_whole_cut

    def elements(self, column: str) -> Iterator[tuple[bytes, bytes]]:
        """(row, byte string) of each element of a set of the device table."""
        table, number = self.tables["device"]["id"], self.column(column)
        for (where, row), cells in self.state.rows.items():
            for (found, element), ops in cells.items():
                if where == table and found == number and any(live.op.action == "put" for live in ops.values()):
                    yield row, Reader(element).value()[1]

    def device_row(self, device: bytes) -> bytes:
        return keyed_row(self.namespace, self.tables["device"]["id"], [("text", device.hex().encode())])

    def find_ends(self) -> None:
        streams = {held.header.stream: held.key for held in self.held.values()}
        for row, data in self.elements("cuts"):
            try:
                cut = Cut.decode(data)
            except Reject:
                continue
            if self.device_row(device_id(cut.key)) != row:
                continue
            self.has_whole_cut = self.has_whole_cut or cut.whole
            self.named |= {stream_id(device_id(cut.key), s.scope, s.incarnation) for s in cut.streams}
            for stream, key in streams.items():
                ends = [s.end for s in cut.streams if stream_id(device_id(cut.key), s.scope, s.incarnation) == stream]
                if ends or cut.whole and key == cut.key:
                    self.ends.setdefault(stream, []).append(ends or [(0, None)])

    def counts(self, held: Held) -> bool:
        """Whether every cut lets the run be, on the way to one of the ends that it gives."""
        return all(any(self.leads_to(held, end) for end in ends) for ends in self.ends.get(held.header.stream, []))

    def leads_to(self, held: Held, end: tuple) -> bool:
        last, run = end
        if run not in self.held:
            return held.header.last <= last
        while run is not None:
            if run == held.hash:
                return True
            run = self.held[run].header.previous
        return False

    def erased(self) -> set[bytes]:
        found: set[bytes] = set()
        for _, data in self.elements("erasures"):
            try:
                erasure, statement, signature = Erasure.decode(data)
            except Reject:
                continue
            if erasure.is_signed(statement, signature):
                found |= set(erasure.people)
        return found

    # Step 6: what they say, 02 §8, 03 §1

    def read(self, erased: set[bytes]) -> None:
        names = Names({this: held.header for this, held in self.counting.items()})
        self.nowhere, raw = {}, {}
        for this, held in self.counting.items():
            called = [self.called_dep(dep, names) for dep in held.header.deps]
            try:
                said = self.bodies.open(held.header, held.run.body, called, held.scope)
                hold(held.header, said, called)
            except (Reject, ValueError) as error:
                raise Bad(f"{self.called(held)} can't be read: {error}") from None
            raw[this] = [names.renamed(c, c.dot[0], self.settled) for c in said] if self.nowhere else said
        names.share(raw)
        self.state, self.changesets, self.sealed = State(), [], []
        ops, gone = {}, {}
        for this, held in self.counting.items():
            said, _, left = opened(raw[this], held.run.seal[SIGNATURE:], erased)
            if left:
                self.sealed.append(self.called(held))
            clear = {c.dot[1]: c for c in said}
            for changeset in names.changesets(this, raw):
                self.changesets.append(cleared(changeset, clear[changeset.dot[1]]))
        # By the definition, whatever came first.
        for changeset in self.changesets:
            for item in changeset.rows:
                for op in item.ops:
                    ops.setdefault((item.table, item.row, op.cell), []).append(changeset)
                    gone.setdefault((item.table, item.row, op.cell), set()).update(op.over)
        for changeset in self.changesets:
            rows = []
            for item in changeset.rows:
                living = tuple(op for op in item.ops
                               if changeset.dot not in gone[item.table, item.row, op.cell])
                rows.append(type(item)(item.table, item.row, item.new, living))
            self.state.held.pop(changeset.dot[0], None)
            self.state.deliver(type(changeset)(changeset.dot, changeset.time, tuple(rows)))

    def called_dep(self, dep: tuple[bytes, int, bytes], names: Names) -> bytes:
        """10 §3: also of a dep that is met because its stream ends, on a run that counts nowhere."""
        stream, seq, run = dep
        if run in self.counting:
            return names.of(dep)
        places = [line.base for line in names.lines.values() if line.parent and root_of(line) == stream]
        last = max((h.header.last for h in self.counting.values() if h.header.stream == stream), default=0)
        if not places and seq > last:
            return stream
        marker = sha256(stream + run)[:16]
        self.nowhere[marker] = stream, min(places, default=0)
        return marker

    def settled(self, dot: tuple[bytes, int]) -> tuple[bytes, int]:
        stream, lowest = self.nowhere.get(dot[0], (None, 0))
        return (stream, dot[1]) if stream and dot[1] <= lowest else dot

    # Step 7: who may write, 09 §4

    def certificates(self) -> dict[bytes, list[Certificate]]:
        """By device, those that lie in its row; and what they are called."""
        rows: dict[bytes, list[Certificate]] = {}
        for row, data in self.elements("certificates"):
            try:
                found = Certificate.decode(data)
            except Reject:
                continue
            if self.device_row(found.holder) == row:
                rows.setdefault(found.holder, []).append(found)
        for device, all_ in rows.items():
            self.names_of_devices[device] = max(all_, key=lambda c: c.statement.issued).statement.name.decode()
        return rows

    def hold_against_certificates(self, root: bytes) -> dict[bytes, list[Certificate]]:
        rows = self.certificates()
        own_table = self.tables["device"]["id"]
        said = self.written_tables()
        for this, held in self.counting.items():
            lets = may(root, rows, device_id(held.key), held.scope, own_table, sorted(said[this]))
            if lets is None:
                raise Bad(f"{self.called(held)}: no hub of this forum has let its device in")
            if not all(lets):
                raise Bad(f"{self.called(held)}: its device had no right to write that")
        return rows

    def written_tables(self) -> dict[bytes, set[int]]:
        found: dict[bytes, set[int]] = {}
        for this, held in self.counting.items():
            streams = [dep[0] for dep in held.header.deps]
            said = self.bodies.open(held.header, held.run.body, streams, held.scope)
            found[this] = {item.table for c in said for item in c.rows}
        return found


def root_of(line: Line) -> bytes:
    while line.parent:
        line = line.parent
    return line.name


def cleared(said: Changeset, clear: Changeset) -> Changeset:
    """Values that lie sealed are what they open to; all else stays as it is called."""
    rows = []
    for item, now in zip(said.rows, clear.rows):
        ops = tuple(type(op)(op.column, op.element, op.action, known.value, op.over, op.covers)
                    if op.value and op.value[0] == "sealed" else op for op, known in zip(item.ops, now.ops))
        rows.append(type(item)(item.table, item.row, item.new, ops))
    return Changeset(said.dot, said.time, tuple(rows), said.author, said.claimed, said.action, said.source)


def check(data: bytes, root: bytes | None) -> tuple[File, Statement, Contents, Log]:
    """14 §3: all that an archive says of itself, or Bad."""
    file, statement = whole(data)
    if root is not None and file.head.root != root:
        raise Bad(f"it is of another forum: its root is {file.head.root.hex()}")
    contents = opened_contents(file, statement)
    log = Log(json.loads(REGISTRY.read_text()))
    scopes = {listed.scope for listed in contents.list.scopes}
    if BASE not in scopes:
        raise Bad("its list names no base scope")
    for batch in contents.batches:
        if batch.scope not in scopes:
            raise Bad(f"it has runs of {plain(batch.scope.decode())}, which its list doesn't name")
        for run in batch.runs:
            log.take(run, batch.scope)
    for listed in contents.list.scopes:
        for stub in listed.heads:
            if stub.run not in log.held:
                raise Bad(f"a run is missing that its maker held: {stub.run.hex()[:12]} of {listed.scope.decode()}")
    log.judge()
    rows = log.hold_against_certificates(file.head.root)
    maker = device_id(file.head.sender)
    if may(file.head.root, rows, maker, BASE, log.tables["device"]["id"], []) is None:
        raise Bad("whoever made it is nobody whom a hub of this forum has let in")
    if len(log.changesets) != statement.changes:
        raise Bad(f"it says that it has {statement.changes} changes, and has {len(log.changesets)}")
    if log.sealed:
        raise Bad(f"{log.sealed[0]} holds values whose keys were taken out, though nobody was erased "
                  f"({len(log.sealed)} such runs)")
    if log.state.hash() != statement.state:
        raise Bad(f"its changes make the state {log.state.hash().hex()}, and it says {statement.state.hex()}")
    return file, statement, contents, log


def plain(text: str) -> str:
    """Text of somebody's, safe for a terminal: nothing in it begins a line or hides one."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def moment(milliseconds: int) -> str:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, timezone.utc).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return f"{milliseconds} ms"


def told(file: File, statement: Statement, contents: Contents, log: Log) -> Iterator[str]:
    head: Head = file.head
    maker = log.names_of_devices.get(device_id(head.sender), "?")
    yield f"root    {head.root.hex()}"
    yield f"made    {moment(head.made)} by {plain(maker)} ({device_id(head.sender).hex()})"
    if statement.note:
        yield f"note    {plain(statement.note.decode())}"
    yield "scopes  " + ", ".join(plain(listed.scope.decode()) for listed in contents.list.scopes)
    beyond = len(log.held) - len(log.counting)
    yield f"runs    {len(log.held)}, of which {beyond} count nowhere, for a hub ended their streams"
    yield f"state   {statement.state.hex()}"
    yield "changes, first and last by the laptops' own clocks:"
    devices: dict[bytes, list[Changeset]] = {}
    owner = {held.header.stream: device_id(held.key) for held in log.held.values()}
    lines = Names({this: held.header for this, held in log.counting.items()}).lines
    for changeset in log.changesets:
        stream = root_of(lines[changeset.dot[0]]) if changeset.dot[0] in lines else changeset.dot[0]
        devices.setdefault(owner[stream], []).append(changeset)
    for device, said in sorted(devices.items(), key=lambda each: log.names_of_devices.get(each[0], "")):
        times = [c.time >> 16 for c in said]
        yield (f"  {plain(log.names_of_devices.get(device, device.hex()[:12])):20} {len(said):7}  {moment(min(times))}  "
               f"{moment(max(times))}")


def main(path: str, root: str | None) -> int:
    data = Path(path).read_bytes()
    try:
        found = check(data, None if root is None else bytes.fromhex(root))
    except Bad as bad:
        print(f"{path}: {bad}")
        return 1
    print(f"{path}: {len(data)} bytes")
    for line in told(*found):
        print(line)
    print("whole: every change is signed by its laptop, each laptop was let in by a hub of this forum, and the changes "
          "make this state" + ("" if root is not None else "\ncompare the root with the one on paper, or give it with --root"))
    return 0
