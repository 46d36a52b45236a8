"""13 §1, §4: which blobs a replica names, where their bytes lie beside its file, and what goes with the erased."""
from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from checker.blobs import DIGEST, MAX_BLOB, Holding, Part
from checker.folds import Life, Register, in_cell
from checker.identity import sha256
from checker.model import Changeset
from checker.runs import Header

from pyclient.about import Subjects
from pyclient.replica import Replica
from pyclient.schema import Table, UsageError
from pyclient.store import wall

PART = ".part-"
CHUNK = 1 << 20

Name = tuple[bytes, bytes]  # 13 §1: scope and digest


@dataclass(frozen=True)
class Named:
    """A row of a table with blobs, whether it is shown or not."""
    table: Table
    row: bytes
    scope: bytes
    digests: frozenset[bytes]  # all that live in the column
    shown: bytes | None  # what counts
    is_hidden: bool
    is_erased: bool

    @property
    def name(self) -> Name | None:
        return None if self.shown is None or self.is_hidden or self.is_erased else (self.scope, self.shown)


class Blobs:
    """A folder beside the replica's file: a file for each blob, and one for the first bytes of what isn't whole."""

    def __init__(self, replica: Replica):
        self.replica, self.store, self.schema = replica, replica.store, replica.schema
        self.folder = replica.path.with_name(replica.path.name + ".photos")

    # 13 §1

    def rows(self) -> Iterator[Named]:
        subjects, erased = Subjects(self.replica, Changeset((b"", 0), 0, ())), self.replica.trust.erased()
        for table in self.schema.tables.values():
            for _, row in self.store.rows_of(table.id) if table.blob else ():
                live = self.store.row(table.id, row)
                cell = in_cell(live, table.column(table.blob).id)
                found = Register.fold(cell, table.column(table.blob).tolerance).shown
                values = frozenset(map(digest_of, (each.op.value for each in cell))) - {None}
                yield Named(table, row, self.replica.scope_of_row(table.id, row), values,
                            digest_of(found.op.value) if found else None, Life.fold(live).hidden,
                            subjects.of(table.id, row) in erased)

    def names(self) -> set[Name]:
        return {named.name for named in self.rows() if named.name}

    # Where they lie

    def path(self, name: Name) -> Path:
        return self.folder / f"{quote(name[0], safe='')}-{name[1].hex()}"

    def holds(self, name: Name) -> bool:
        return self.path(name).is_file()

    def read(self, name: Name, offset: int, count: int) -> bytes:
        with open(self.path(name), "rb") as file:
            file.seek(offset)
            return file.read(count)

    def size(self, name: Name) -> int:
        return self.path(name).stat().st_size

    def files(self) -> Iterator[tuple[Name, Path]]:
        """All that lies there, first bytes too."""
        for path in sorted(self.folder.iterdir()) if self.folder.is_dir() else ():
            scope, dash, digest = path.name.partition(PART)[0].rpartition("-")
            if dash and len(digest) == 2 * DIGEST:
                yield (unquote(scope).encode(), bytes.fromhex(digest)), path

    def put(self, name: Name, data: bytes) -> None:
        """Durable when it returns."""
        self.make_folder()
        temporary = self.first_path(name, len(data))
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        self.settle(temporary, name)

    def make_folder(self) -> None:
        self.folder.mkdir(mode=0o700, exist_ok=True)

    def settle(self, temporary: Path, name: Name) -> None:
        os.replace(temporary, self.path(name))
        for path in self.folder.glob(self.path(name).name + PART + "*"):
            remove(path)  # first bytes of others
        directory = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    # First bytes (13 §3): of the hub, or of another sender (13 §5), by themselves

    def first_path(self, name: Name, size: int, by: bytes | None = None) -> Path:
        path = self.path(name)
        return path.with_name(f"{path.name}{PART}{by.hex() + '-' if by else ''}{size}")

    def first(self, name: Name, by: bytes | None = None) -> tuple[int, int] | None:
        """How many of the first bytes of what isn't whole lie there, of how many."""
        of = f"{by.hex()}-*" if by else "*"
        for path in self.folder.glob(self.path(name).name + PART + of):
            sender, _, size = path.name.rpartition(PART)[2].rpartition("-")
            if bool(sender) == bool(by):
                return path.stat().st_size, int(size)
        return None

    def append(self, name: Name, size: int, offset: int, data: bytes, by: bytes | None = None) -> bool:
        """Puts bytes behind the first ones; False where they came whole, and aren't the blob (they go)."""
        self.make_folder()
        path = self.first_path(name, size, by)
        with open(path, "ab") as file:
            if file.tell() != offset:
                return True
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if path.stat().st_size < size:
            return True
        if sha256(path.read_bytes()) != name[1]:
            remove(path)
            return False
        self.settle(path, name)
        return True

    def begin_anew(self, name: Name, size: int, by: bytes | None = None) -> None:
        remove(self.first_path(name, size, by))

    def take(self, part: Part, by: bytes) -> Holding | None:
        """13 §2.1, of a sender that may read the scope: what is held after the part, or None where all that he brought
        is something else, and went."""
        name = part.scope, part.digest
        if not self.holds(name):
            found = self.first(name, by)
            goes_on = bool(found) and found[1] == part.size
            if part.offset == (found[0] if goes_on else 0):
                if found and not goes_on:
                    self.begin_anew(name, found[1], by)
                if not self.append(name, part.size, part.offset, part.data, by):
                    return None
        if self.holds(name):
            return Holding(self.size(name), self.size(name), b"")
        return Holding(*(self.first(name, by) or (0, part.size)), b"")

    # What the hub has (13 §3)

    def had(self) -> set[Name]:
        return set(self.store.db.execute("SELECT scope, digest FROM at_hub"))

    def note_had(self, name: Name) -> None:
        with self.store.transaction():
            self.store.db.execute("INSERT OR REPLACE INTO at_hub VALUES (?, ?, ?)", (*name, wall()))

    def note_said(self, name: Name) -> bool:
        """The same by a bundle: the next session asks about it before others. Whether it is new."""
        return self.store.db.execute("INSERT OR IGNORE INTO at_hub VALUES (?, ?, 0)", name).rowcount > 0

    def note_lost(self, name: Name) -> None:
        """The hub hasn't it, whatever it has said."""
        with self.store.transaction():
            self.store.db.execute("DELETE FROM at_hub WHERE scope = ? AND digest = ?", name)

    def told_before(self, time: int) -> list[Name]:
        """What the hub has said before then that it has; what was said the longest ago comes first."""
        named, may_read = self.names(), self.replica.trust.may_read
        found = self.store.db.execute("SELECT scope, digest FROM at_hub WHERE told < ? ORDER BY told", (time,))
        return [name for name in found if name in named and may_read(name[0]) and self.holds(name)]

    def all_held(self) -> list[Name]:
        return sorted(name for name in self.names() if self.holds(name))

    def waiting(self) -> list[Name]:
        """What is named, held, and not known to be at the hub."""
        return sorted(name for name in self.names() - self.had() if self.holds(name))

    def lacking(self) -> list[Name]:
        """What may be fetched."""
        may_read = self.replica.trust.may_read
        return sorted(name for name in self.names() if not self.holds(name) and may_read(name[0]))

    # 13 §4

    def forget_erased(self) -> None:
        """Overwrites and deletes what something about somebody erased has, and nothing names."""
        if not self.folder.is_dir() or not self.replica.trust.erased():
            return
        rows = list(self.rows())
        named = {each.name for each in rows}
        gone = {(each.scope, digest) for each in rows if each.is_erased for digest in each.digests}
        gone = (gone | self.aside()) - named
        for name, path in list(self.files()):
            if name in gone:
                remove(path)

    def aside(self) -> set[Name]:
        """What runs that are kept aside say about somebody erased, as far as they can be read."""
        found, erased, so_far = set(), self.replica.trust.erased(), {}
        for r in self.store.runs("taken IS NULL ORDER BY stream, last"):
            scope = r["scope"] or b""
            try:
                h = Header.decode(r["header"])
                changesets = self.replica.said(r, h, [dep[0] for dep in h.deps], scope)[0]
            except Exception:
                continue
            rows = so_far.setdefault(h.stream, [])
            rows += [item for each in changesets for item in each.rows]
            subjects = Subjects(self.replica, Changeset((b"", 0), 0, tuple(rows)))
            for item in rows:
                table = self.schema.tables.get(item.table)
                if table and table.blob and subjects.of(item.table, item.row) in erased:
                    column = table.column(table.blob).id
                    digests = {digest_of(op.value) for op in item.ops if op.column == column and not op.element}
                    found |= {(self.replica.scope_of_row(item.table, item.row), each) for each in digests - {None}}
        return found

    def drop(self, scope: bytes) -> None:
        for name, path in list(self.files()):
            if name[0] == scope:
                remove(path)
        self.store.db.execute("DELETE FROM at_hub WHERE scope = ?", (scope,))


def digest_of(value: tuple | None) -> bytes | None:
    return value[1] if value and value[0] == "blob" and len(value[1]) == DIGEST else None


def remove(path: Path) -> None:
    """Overwrites, and deletes."""
    with open(path, "r+b") as file:
        left = path.stat().st_size
        while left > 0:
            left -= file.write(bytes(min(left, CHUNK)))
        file.flush()
        os.fsync(file.fileno())
    path.unlink()


def read_picture(path: Path) -> bytes:
    """What a photo of this file would be."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} can't be read ({error.strerror})") from None
    if not 0 < len(data) <= MAX_BLOB:
        raise UsageError(f"{path} has {len(data)} bytes: a photo has 1 to {MAX_BLOB}")
    return data
