"""01 §4, §7, 02 §7: bodies to changesets, in scopes that may have marks (02 §2.4)."""
from __future__ import annotations

from checker.body import BodyReader
from checker.columns import ColumnsReader, Vocabulary
from checker.identity import new_row
from checker.limits import CHECK, MAX_NEW_ROWS, Reject
from checker.model import Changeset
from checker.personal import KEY, MISSING, check, pairs
from checker.runs import Header, expand


class Rows(BodyReader):
    """01 §4, in a scope that may have a mark."""

    def __init__(self, *place, mark: bytes = b""):
        super().__init__(*place)
        self.mark = mark

    def row_name(self, table: int) -> tuple[bytes, bool]:
        if not self.mark or not self.at_null():
            return super().row_name(table)
        if self.new_rows >= MAX_NEW_ROWS:
            raise Reject("tooLong")
        self.at, self.new_rows = self.at + 1, self.new_rows + 1
        return new_row((self.stream, self.seq), self.time, self.previous, self.new_rows - 1, self.mark), True


class Columns(ColumnsReader):
    """01 §7, in a scope that may have a mark."""

    def __init__(self, *place, mark: bytes = b""):
        self.mark = mark
        super().__init__(*place)

    def new_row(self, changeset: int, index: int) -> bytes:
        dot = self.stream, self.first + changeset
        return new_row(dot, self.times[changeset], self.previous, index, self.mark)


class Bodies:
    """Opens runs of one replica. `earlier` gives (header, body) of the run with a hash."""

    def __init__(self, namespace: bytes, mark_of, earlier):
        self.namespace, self.mark_of, self.earlier = namespace, mark_of, earlier
        self.said: dict[bytes, Vocabulary] = {}

    def place(self, h: Header, plain: bytes, called: list[bytes]) -> tuple:
        return plain, h.stream, h.first, h.previous or b"", called, self.namespace

    def vocabulary(self, run: bytes, scope: bytes) -> tuple[Header, Vocabulary]:
        """01 §7.6: what a run says by itself."""
        header, body = self.earlier(run)
        h = Header.decode(header)
        if run not in self.said:
            if h.encoding < 2:
                self.said[run] = Vocabulary(h.first, h.last, h.size, by_columns=False)
            else:
                streams = [dep[0] for dep in h.deps]
                reader = Columns(*self.place(h, expand(body, h.encoding, h.size), streams), mark=self.mark_of(scope))
                self.said[run] = reader.vocabulary(h.size)
        return h, self.said[run]

    def sources(self, h: Header, least: int, scope: bytes) -> dict[int, Vocabulary]:
        """01 §7.6: of the runs before it in its chain those that may be meant, by their last seqs."""
        found, run, last = {}, h.previous, h.first - 1
        while run is not None and last >= least:
            before, said = self.vocabulary(run, scope)
            found[before.last] = said
            run, last = before.previous, before.first - 1
        return found

    def open(self, h: Header, body: bytes, called: list[bytes], scope: bytes) -> list[Changeset]:
        """02 §7 step 6: the changesets of a run; its deps are called so (02 §8)."""
        plain = expand(body, h.encoding, h.size)
        if h.encoding < 2:
            return Rows(*self.place(h, plain, called), mark=self.mark_of(scope)).changesets()
        reader = Columns(*self.place(h, plain, called), mark=self.mark_of(scope))
        wanted = reader.sources
        known = self.sources(h, wanted[0], scope) if wanted else {}
        return reader.changesets({seq: said for seq, said in known.items() if seq in wanted})


def hold(h: Header, changesets: list[Changeset], called: list[bytes]) -> None:
    """02 §7 step 6, 12 §3 item 2: counts, and the bounds of dots by deps."""
    if len(changesets) != h.count or len(pairs(changesets)) * CHECK != len(h.checks):
        raise Reject("invalid")
    bounds: dict[bytes, int] = {}
    for name, dep in zip(called, h.deps):
        bounds[name] = max(bounds.get(name, 0), dep[1])
    for op in (op for c in changesets for item in c.rows for op in item.ops):
        for stream, seq in op.names():
            if stream != h.stream and seq > bounds.get(stream, 0):
                raise Reject("invalid")


def fitting(checks: bytes, keys: bytes) -> bool:
    """12 §3 item 1: no keys, or one for each check, each missing or as its check says."""
    if not keys:
        return True
    if len(keys) * CHECK != len(checks) * KEY:
        return False
    return all(key == MISSING or check(key) == checks[CHECK * i:CHECK * (i + 1)]
               for i, key in enumerate(split(keys)))


def split(keys: bytes) -> list[bytes]:
    return [keys[i:i + KEY] for i in range(0, len(keys), KEY)]
