"""Holds laptops and a hub against 13-blobs §5: what they take of odd bundles with photos, and what they write."""
from __future__ import annotations

import signal
import tempfile
from dataclasses import replace
from pathlib import Path

from checker.blobs import MAX_BLOB, MAX_PART, Part
from checker.bundles import CONTENTS
from checker.encoding import encode
from checker.identity import sha256

from pyclient.bundle_photos import HOLDINGS, PIECE, nonce, payloads
from pyclient.carry_cast import AA, BASE, Carrier, Reader, begin, cut, frames, holding, named, picture
from pyclient.carry_hub import at_hub
from pyclient.carry_lan import at_host, at_visitor
from pyclient.fleet import ended
from pyclient.fleet_laptops import PythonLaptop, SwiftLaptop
from pyclient.lan_cast import Cast
from pyclient.lan_check import Score
from pyclient.trust import Holder

LARGE = MAX_PART + 5_000


class Takes:
    """What a laptop takes from a bundle."""

    def __init__(self, reader: Reader):
        self.reader, cast = reader, reader.cast
        self.expect = reader.expect
        self.guest, self.third = (Carrier(by, reader.holder) for by in (cast.guest, cast.third))
        self.hub = Carrier(cast.forum.hub, reader.holder)

    def new(self, count: int, size: int = 900, table: str = "delegation", key: str = "AA") -> list[bytes]:
        found = [picture(size + i) for i in range(count)]
        named(self.guest.by, table, key, *found)
        return found

    def take(self, name: str, wanted: int, *more, **how) -> None:
        code = self.reader.take(self.guest.bundle(list(more), **how))
        self.expect(f"{name}: its exit code", code == 0 if wanted == 0 else code != 0, True)

    def run(self) -> None:
        self.good()
        self.odd_pieces()
        self.by_sender()
        self.refused()
        self.holdings()

    def good(self) -> None:
        small, large, alone = *self.new(1), *self.new(1, LARGE), *self.new(1, 10)
        self.take("pieces", 0, *frames(*cut(small, AA), *cut(large, AA)))
        for name, data in {"of one piece": small, "of two": large}.items():
            self.expect(f"a photo {name} is taken", self.reader.holds(data), True)
        self.take("pieces in front of the runs", 0, *frames(*cut(alone, AA)), in_front=True)
        self.expect("pieces in front of the runs are taken", self.reader.holds(alone), True)
        one, = self.new(1)
        further = ("map", ((9, ("text", b"later")),))
        plain = encode(("array", (*cut(one, AA)[0].item()[1], further)))
        self.take("further items", 0, (PIECE, plain))
        self.expect("a piece with further items is taken", self.reader.holds(one), True)
        one, = self.new(1)
        self.take("unknown kinds", 0, (4, b"x"), *frames(*cut(one, AA)), (18, b""), (127, b"x" * 40))
        self.expect("beside frames of other kinds a piece is taken", self.reader.holds(one), True)
        self.expect("what came is brought to the hub", {sha256(each) for each in (small, large, alone, one)}
                    <= self.reader.offered(), True)

    def odd_pieces(self) -> None:
        turned, wrong, huge, beside = *self.new(2, LARGE), *self.new(2)
        unnamed, elsewhere = picture(800), *self.new(1)
        self.take("pieces out of order", 0, *frames(*reversed(cut(turned, AA))))
        self.expect("pieces out of order: not whole", sha256(turned) in self.reader.held(), False)
        self.take("pieces out of order, again", 0, *frames(*reversed(cut(turned, AA))))
        self.expect("pieces out of order, read again: whole", self.reader.holds(turned), True)
        first, second = cut(wrong, AA)
        spoilt = replace(second, data=bytes(len(second.data)))
        too_large = Part(AA, sha256(huge), MAX_BLOB + 1, 0, huge)
        greatest = Part(AA, sha256(huge), 2**64 - 1, 0, huge)
        self.take("odd pieces", 0, *frames(first, spoilt, too_large, greatest, *cut(unnamed, AA), *cut(elsewhere),
                                           *cut(beside, AA)))
        self.expect("what lies beside odd pieces is taken", self.reader.holds(beside), True)
        for name, data in {"of a size over the limit": huge, "that nobody names": unnamed,
                           "of another scope": elsewhere, "that isn't what the record names": wrong}.items():
            self.expect(f"a photo {name} isn't held", sha256(data) in self.reader.held(), False)
            self.expect(f"nothing of a photo {name} lies there", self.reader.lies_there(data), False)
        self.take("then as they should be", 0, *frames(first, second, *cut(huge, AA)))
        self.expect("what was wrong comes then", (self.reader.holds(wrong), self.reader.holds(huge)), (True, True))
        one, = self.new(1, LARGE)
        first, second = cut(one, AA)
        self.take("another size", 0, *frames(replace(first, size=len(one) + 9), first, second))
        self.expect("first bytes of another size go", self.reader.holds(one), True)

    def by_sender(self) -> None:
        one, = self.new(1, LARGE)
        first, second = cut(one, AA)
        self.reader.cast.third.trust.forget()
        self.take("its first bytes", 0, *frames(first))
        self.expect("the rest by another", self.reader.take(self.third.bundle(frames(second))), 0)
        self.expect("the first bytes of one and the rest of another aren't whole", sha256(one) in self.reader.held(),
                    False)
        self.take("the rest", 0, *frames(second))
        self.expect("of two bundles by one it comes", self.reader.holds(one), True)
        one, = self.new(1, LARGE)
        first, second = cut(one, AA)
        self.take("in one order", 0, *frames(second))
        self.take("in another order", 0, *frames(first))
        self.expect("in the wrong order it isn't whole", sha256(one) in self.reader.held(), False)
        self.take("and read again", 0, *frames(second))
        self.expect("read again it is whole", self.reader.holds(one), True)
        one, = self.new(1)
        self.take("in other pieces", 0, *frames(*cut(one, AA, 100)))
        self.expect("small pieces are taken", self.reader.holds(one), True)

    def refused(self) -> None:
        """08 §5: as a whole, runs included."""
        one, = self.new(1)
        good, = cut(one, AA)
        plain, before = encode(good.item()), self.reader.laptop.state_hash()
        items = good.item()[1]

        def case(name: str, kind: int, data: bytes, **how) -> None:
            self.take(f"refused, {name}", 1, *frames(good), (kind, data), **how)

        case("a piece cut short", PIECE, plain[:-1])
        case("a piece with something behind", PIECE, plain + b"\0")
        case("a piece of four items", PIECE, encode(("array", items[:-1])))
        case("a piece of nothing", PIECE, b"")
        case("a piece with no bytes", PIECE, encode(replace(good, data=b"").item()))
        case("a piece beyond its size", PIECE, encode(replace(good, offset=1).item()))
        too_long = Part(AA, bytes(32), MAX_PART + 9, 0, bytes(MAX_PART + 1))
        case("a piece that is too long", PIECE, encode(too_long.item()))
        case("a piece with a short digest", PIECE, encode(replace(good, digest=bytes(31)).item()))
        case("a piece whose head isn't the shortest", PIECE, b"\x98\x05" + plain[1:])
        case("holdings of nothing", HOLDINGS, encode(("array", (items[0], ("array", ())))))
        case("holdings with something behind", HOLDINGS, holding(one).encode() + b"\0")
        case("holdings of one item", HOLDINGS, encode(("array", items[:1])))
        case("a holding without a size", HOLDINGS, encode(("array", (items[0], ("array", (("array", items[1:2]),))))))
        case("an unreadable piece behind the holdings", PIECE, b"\xff")
        for name, numbered in {
                "sealed as contents are": lambda kind, n: n.to_bytes(12, "big"),
                "sealed with the next nonce": lambda kind, n: nonce(kind, n + (kind == PIECE)),
                "numbered over all kinds": lambda kind, n: nonce(kind, n + 2 * (kind == PIECE)),
                "sealed as holdings": lambda kind, n: nonce(HOLDINGS if kind == PIECE else kind, n)}.items():
            self.take(f"refused, {name}", 1, *frames(good), numbered=numbered)
        self.take("refused, the second one sealed with the first nonce", 1, *frames(good, good),
                  numbered=lambda kind, n: nonce(kind, 0 if kind == PIECE else n))
        self.take("refused, holdings sealed as pieces", 1, *frames(holding(one)), numbered=lambda kind, n: nonce(
            PIECE if kind == HOLDINGS else kind, n))
        self.expect("nothing of what was refused is taken", self.reader.laptop.state_hash(), before)
        self.expect("no photo of what was refused is taken", self.reader.lies_there(one), False)
        self.take("then as it should be", 0, *frames(good))
        self.expect("then it is taken", self.reader.holds(one), True)

    def holdings(self) -> None:
        """Of a laptop that has had no session: of its own hub's bundles every epoch counts (08 §7)."""
        reader, epoch = self.reader, bytes(range(16))
        told, other_size, by_guest, unheld, base = *self.new(4), *self.new(1, 900, "site", "HALL")
        self.take("photos", 0, *frames(*(piece for each in (told, other_size, by_guest) for piece in cut(each, AA)),
                                       *cut(base)))
        self.take("holdings by another laptop", 0, *frames(holding(by_guest, scope=AA)), epoch=epoch)
        words = frames(holding(told, unheld, scope=AA), holding(other_size, scope=AA, more=1), holding(told, base))
        self.expect("holdings by the hub", reader.take(self.hub.bundle(words, epoch)), 0)
        all_ = {sha256(each) for each in (told, other_size, by_guest, unheld, base)}
        self.expect("what the hub is known to have isn't brought to it", reader.offered() & all_,
                    {sha256(other_size), sha256(by_guest)})
        self.expect("but with all", reader.offered("--photos", "all") >= {sha256(told), sha256(base)}, True)
        self.expect("the hub with fewer", reader.take(self.hub.bundle(frames(holding(base)), epoch)), 0)
        self.expect("holdings never say that it has less", sha256(told) in reader.offered(), False)
        self.take("what the hub said that it has, once it is here", 0, *frames(*cut(unheld, AA)))
        self.expect("what wasn't held then is brought", sha256(unheld) in reader.offered(), True)
        at_once, = self.new(1)
        self.take("the record", 0)
        words = frames(*cut(at_once, AA), holding(at_once, scope=AA))
        self.expect("a photo and holdings at once", reader.take(self.hub.bundle(words, epoch)), 0)
        self.expect("that photo is taken", reader.holds(at_once), True)


class Writes:
    """What a laptop puts into bundles."""

    def __init__(self, reader: Reader):
        self.reader, self.expect = reader, reader.expect
        self.cast = reader.cast

    def added(self, size: int, table: str, key: str) -> bytes:
        data, path = picture(size), self.reader.path()
        path.write_bytes(data)
        self.reader.laptop.must("photo add", table, key, str(path))
        path.unlink()
        return data

    def run(self) -> None:
        reader, hub, narrow = self.reader, self.cast.forum.hub, self.cast.known("narrow")
        pictures = [self.added(size, "delegation", "AA") for size in (10, 700_000, 600_000)]
        base = self.added(MAX_PART, "site", "HALL")
        wanted = {sha256(each) for each in (*pictures, base)}
        data, _, photos = reader.written("hub", hub)[0]
        found = b"".join(part.data for part in photos.pieces if part.digest == sha256(pictures[1]))
        self.expect("its pieces make the photo", found, pictures[1])
        self.expect("each is as long as it may be", {len(part.data) for part in photos.pieces
                    if part.offset + len(part.data) < part.size}, {MAX_PART})
        kinds = [kind for kind, _ in payloads(data)]
        self.expect("they stand behind the contents", kinds.index(PIECE) > max(
            i for i, kind in enumerate(kinds) if kind == CONTENTS), True)
        self.expect("a laptop writes no holdings", photos.holdings, ())
        self.expect("own photos go to the hub", reader.offered() & wanted, wanted)
        self.expect("none of them", reader.offered("--photos", "none"), set())
        for which in ("own", "all"):
            photos = reader.written("narrow", narrow, "--photos", which)[0][2]
            found = {(part.scope, part.digest) for part in photos.pieces}
            self.expect(f"{which}: for a laptop of the scopes that it may read", (
                {scope for scope, _ in found}, (BASE, sha256(base)) in found), ({BASE}, True))
        files = reader.written("hub", hub, "--part-size", str(1 << 20))
        of = {digest: [i for i, (_, _, photos) in enumerate(files) if any(
            part.digest == digest for part in photos.pieces)] for digest in wanted}
        self.expect("in parts each photo lies in one file", {len(each) for each in of.values()}, {1})
        self.expect("each part is as small as was said", all(len(data) <= 1 << 20 for data, *_ in files), True)
        last_runs = max(i for i, (_, contents, _) in enumerate(files) if contents.batches)
        self.expect("photos go behind all runs", min(map(min, of.values())) >= last_runs, True)
        self.expect("each part can be read alone", all(f[1].list == files[0][1].list for f in files), True)


def check(score: Score, folder: Path, kind: type, name: str) -> None:
    cast = Cast(folder)
    try:
        laptop = kind(folder, f"{name}-reader", "", [])
        papers = cast.forum.join(laptop)
        reader = Reader(score, cast, laptop, Holder(papers.holder, False, (papers.statement,)))
        begin(cast)
        Takes(reader).run()
        Writes(reader).run()
        at_host(reader)
        at_visitor(reader)
    finally:
        cast.close()


def run(args) -> int:
    signal.signal(signal.SIGTERM, ended)  # so that the hub is ended too
    score, kinds = Score(), {"python": PythonLaptop} if args.own else {}
    if args.karvan:
        SwiftLaptop.program = [str(Path(args.karvan).resolve())]
        kinds["swift"] = SwiftLaptop
    parts = {name: lambda folder, name=name, kind=kind: check(
        score, folder, kind, name) for name, kind in kinds.items()}
    if args.hub:
        parts["hub"] = lambda folder: at_hub(score, folder, str(Path(args.hub).resolve()), kinds)
    for name, part in parts.items():
        before = score.good, score.bad
        with tempfile.TemporaryDirectory() as folder:
            part(Path(folder))
        print(f"{name}: {score.good - before[0]} checks pass, {score.bad - before[1]} fail", flush=True)
    return 1 if score.bad else 0


def add_command(commands) -> None:
    words = "check what laptops and a hub take of odd bundles with photos, and give each other"
    command = commands.add_parser("carry-check", help=words, description=words[0].upper() + words[1:] + ".")
    command.add_argument("--karvan", help="the other implementation's program for laptops")
    command.add_argument("--hub", help="the hub's program")
    command.add_argument("--own", action="store_true", help="also look at this client's own laptop")
    command.set_defaults(act=run)
