"""Holds laptops of any implementation against 13-blobs §3: what is between them and their hub changes what is said."""
from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from checker.blobs import MAX_BLOB, MAX_PART, BlobReply, BlobRequest, Holding
from checker.encoding import encode
from checker.identity import sha256
from checker.messages import Refusal

from pyclient.blob_driver import PATH
from pyclient.blobs import Blobs
from pyclient.fleet_laptops import Broken, HubProcess, Laptop, PythonLaptop
from pyclient.fleet_photos import START, Photos
from pyclient.lan_cast import asked
from pyclient.replica import Replica
from pyclient.session import Session
from pyclient.tls_serve import Answered, Asked, Front, Paths, TLSKey, message, plain, refusal

POSTS = {path: "POST" for path in ("/v1/enrol", "/v1/exchange", "/v1/wait", PATH)}
PATIENCE = 15.0
MOST_ASKED = 100  # requests about one photo of a few parts in one session
SLOW = {"try later", "a proxy's page", "a later reply", "an unreadable reply", "refused with 7", "refused with 9",
        "refused with 10", "refused with 99", "whole, of another size", "no such path", "nothing is there",
        "first bytes, and bytes", "of no bytes", "of the greatest number", "a byte more", "few bytes at once"}
Way = Callable[[int, BlobRequest, Callable[[], BlobReply]], BlobReply | Answered]


class HubKey(TLSKey):
    """The key that the hub itself serves with, as it lies beside its store."""

    def __init__(self, folder: Path):
        self.pem = b"".join((folder / f"hub.sqlite.tls-{part}.pem").read_bytes() for part in ("key", "cert"))


class Between:
    """Passes on all that a laptop and its hub say, but for what it is told to change of blobs."""

    def __init__(self, hub: HubProcess):
        self.hub, self.way, self.seen = hub, None, []
        self.front = Front(("127.0.0.1", 0), HubKey(hub.folder), Paths(POSTS, self.answer))
        self.front.start()
        self.url = f"https://127.0.0.1:{self.front.port}"

    def passed(self, came: Asked) -> Answered:
        result, data, answer, _ = asked(self.hub.url.removeprefix("https://"), came.method, came.path, came.body,
                                        came.headers.get("karvan-signature"))
        return Answered(result[0], answer.getheader("Content-Type"), data)

    def answer(self, came: Asked) -> Answered:
        if came.path != PATH:
            return self.passed(came)
        self.seen.append(BlobRequest.decode(came.body))
        if not self.way:
            return self.passed(came)
        found = self.way(len(self.seen), self.seen[-1], lambda: BlobReply.decode(self.passed(came).body))
        return message(found.encode()) if isinstance(found, BlobReply) else found

    def let(self, way: Way | None) -> None:
        self.way, self.seen = way, []


class AtDevice:
    """A laptop, and somebody else who brings what it is to fetch."""

    def __init__(self, score, folder: Path, hub: HubProcess, source: Replica, kind: type[Laptop],
                 is_quick: bool = False):
        self.score, self.folder, self.hub, self.source = score, folder, hub, source
        self.is_quick, self.between = is_quick, Between(hub)
        self.laptop = kind(folder, f"d-{kind.kind}", "coordinator", [])
        self.laptop.must("init", "--name", self.laptop.name)
        self.laptop.must("enrol", self.between.url, hub.token("coordinator", []))
        self.laptop.must("sync")

    def expect(self, name: str, found, wanted) -> None:
        self.score.expect(f"{self.laptop.kind}, {name}", found, wanted)

    def close(self) -> None:
        self.between.front.stop()

    def picture(self, size: int) -> bytes:
        return START + os.urandom(size - len(START))

    def sync(self, name: str, which: str = "all", codes: tuple = (0, 20, 69),
             most: int = MOST_ASKED) -> None:
        """It ends by itself, after so many requests."""
        code, out, err = self.laptop.call("sync", "--photos", which, "--timeout", "5", kill_after=PATIENCE)
        self.expect(f"{name}: it ends as it should ({code}: {(out + err).strip()[-200:]})",
                    code in codes and "Traceback" not in err, True)
        self.expect(f"{name}: after few requests ({len(self.between.seen)})", len(self.between.seen) < most, True)

    def held(self, digest: str) -> bool:
        return any(each["digest"] == digest and each["held"] for each in Photos.listed(self.laptop).values())

    def at_hub(self, data: bytes) -> bool:
        files = (self.folder / "hub.sqlite-blobs").rglob(sha256(data).hex())
        return any(path.read_bytes() == data for path in files)

    def run(self) -> None:
        self.brings()
        self.resumes()
        self.fetches()
        self.goes_on()
        self.asks_again()
        self.forgets()
        self.revoked()

    # What it brings

    def added(self, size: int, table: str = "delegation", key: str = "KZ") -> bytes:
        data, path = self.picture(size), self.folder / "picture.jpg"
        path.write_bytes(data)
        self.laptop.must("photo add", table, key, str(path))
        path.unlink()
        return data

    def bring(self, name: str, way: Way, is_brought: bool = False, is_had: bool = False, most: int = MOST_ASKED,
              codes: tuple = (0, 20, 69)) -> None:
        """By the way, in so many parts at most; then honestly, where nothing has to be lost."""
        if self.is_quick and name in SLOW:
            return
        data = self.added(300_000)
        self.between.let(way)
        self.sync(f"brings, {name}", "own", codes)
        parts = sum(bool(each.part and each.part.digest == sha256(data)) for each in self.between.seen)
        self.expect(f"brings, {name}: it gives up in time ({parts} parts)", parts <= most, True)
        self.expect(f"brings, {name}: whether it is there", self.at_hub(data), is_brought)
        self.between.let(None)
        self.sync(f"brings, {name}, then honestly", "own")
        self.expect(f"brings, {name}: what comes of it then", self.at_hub(data), not is_had)
        path = self.folder / "saved.jpg"
        self.laptop.must("photo save", sha256(data).hex(), str(path))
        self.expect(f"brings, {name}: it is held as it was", path.read_bytes() == data, True)
        path.unlink()

    def brings(self) -> None:
        size = 300_000
        self.bring("no such path", lambda n, request, real: plain(404, "there is nothing here"),
                   most=1, codes=(0,))
        self.bring("try later", lambda n, request, real: refusal("RETRY", "later"))
        self.bring("a proxy's page", lambda n, request, real: plain(502, "no gateway"))
        self.bring("a later reply", lambda n, request, real: message(encode(("array", (
            ("int", 2), ("array", ()), ("null",))))))
        self.bring("an unreadable reply", lambda n, request, real: message(b"\x83\x01"))
        self.bring("a part that nothing is said of", lambda n, request, real: BlobReply(tuple(
            None for _ in request.asks), None), most=1)
        self.bring("holdings that nobody asked for", lambda n, request, real: replace(
            real(), holdings=(*real().holdings, None)) if not request.part else BlobReply((None,) * 9, None),
            most=1)
        for code in (1, 7, 9, 10, 99):
            self.bring(f"refused with {code}", lambda n, request, real: replace(
                real(), taken=Refusal(code, b"no")) if not request.part else BlobReply(tuple(
                    None for _ in request.asks), Refusal(code, b"no")))
        self.bring("nothing moves", lambda n, request, real: BlobReply(
            tuple(None for _ in request.asks), request.part and Holding(0, size, b"")), most=3)
        self.bring("it goes forward and back", lambda n, request, real: BlobReply(
            tuple(None for _ in request.asks), request.part and Holding(n % 2 and 100, size, b"")), most=5)
        self.bring("whole, of another size", lambda n, request, real: BlobReply(
            tuple(Holding(size + 1, size + 1, b"") for _ in request.asks),
            request.part and Holding(size + 1, size + 1, b"")))
        self.bring("whole, it says", lambda n, request, real: BlobReply(
            tuple(Holding(size, size, b"") for _ in request.asks), request.part and Holding(size, size, b"")),
            is_had=True)

        def further(n: int, request: BlobRequest, real: Callable[[], BlobReply]) -> Answered:
            item, more = real(), ("map", ((9, ("text", b"later")),))
            holdings = [("null",) if h is None else ("array", (*h.item()[1], more)) for h in item.holdings]
            taken = ("array", (*item.taken.item()[1], more)) if item.taken else ("null",)
            return message(encode(("array", (("int", 1), ("array", tuple(holdings)), taken, more))))

        self.bring("further items", further, is_brought=True)

    def resumes(self) -> None:
        """What a bad line breaks off goes on there."""
        data = self.added(MAX_PART * 3 + 500)

        def way(n: int, request: BlobRequest, real: Callable[[], BlobReply]) -> BlobReply:
            if any(each.part and each.part.offset for each in self.between.seen):
                raise ConnectionError
            return real()

        self.between.let(way)
        self.sync("brings, the line breaks", "own")
        self.between.let(None)
        self.sync("brings, the line is back", "own")
        offsets = [each.part.offset for each in self.between.seen if each.part]
        self.expect("brings, from where it broke off", offsets, [MAX_PART, MAX_PART * 2, MAX_PART * 3])
        self.expect("brings, it asked first", bool(self.between.seen and self.between.seen[0].asks), True)
        self.expect("brings, the line is back: all is there", self.at_hub(data), True)

    # What it fetches

    def offered(self, size: int, table: str = "delegation", key: str = "KZ") -> tuple[bytes, bytes]:
        """What somebody else brought to the hub."""
        data = self.picture(size)
        path = self.source.path.with_name("offered.jpg")
        path.write_bytes(data)
        PythonLaptop(self.folder, self.source.path.stem, "", []).must("photo add", table, key, str(path))
        path.unlink()
        outcome = Session(self.source).run()
        if not outcome.is_done or not self.at_hub(data):
            raise Broken(f"a photo can't be brought: {outcome}")
        return data, sha256(data)

    def fetch(self, name: str, way: Callable[[bytes], Way], is_held: bool = False, most: int = MOST_ASKED) -> None:
        if self.is_quick and name in SLOW:
            return
        data, digest = self.offered(300_000)
        change = way(data)

        def ours(n: int, request: BlobRequest, real: Callable[[], BlobReply]) -> BlobReply | Answered:
            return change(n, request, real) if any(ask.digest == digest for ask in request.asks) else real()

        self.between.let(ours)
        self.sync(f"fetches, {name}")
        asks = sum(any(ask.digest == digest and ask.start is not None for ask in each.asks)
                   for each in self.between.seen)
        self.expect(f"fetches, {name}: it gives up in time ({asks} requests)", asks <= most, True)
        self.expect(f"fetches, {name}: whether it is held", self.held(digest.hex()), is_held)
        large = [path for path in self.folder.glob(f"{self.laptop.file}*/**/*") if path.is_file()
                 and path.stat().st_size > MAX_BLOB]
        self.expect(f"fetches, {name}: nothing too large lies there", large, [])
        self.between.let(None)
        self.sync(f"fetches, {name}, then honestly", codes=(0,))
        path = self.folder / "saved.jpg"
        code, out, err = self.laptop.call("photo save", digest.hex(), str(path))
        self.expect(f"fetches, {name}: it comes in the end ({(out + err).strip()})",
                    path.exists() and path.read_bytes() == data, True)
        path.unlink(missing_ok=True)

    def fetches(self) -> None:
        def each(change: Callable[[Holding, bytes], Holding | None]):
            """Changes what is said of all that is whole."""
            return lambda data: lambda n, request, real: replace(real(), holdings=tuple(
                h and change(h, data) for h in real().holdings))

        self.fetch("no such path", lambda data: lambda n, request, real: plain(404, "there is nothing here"))
        self.fetch("an unreadable reply", lambda data: lambda n, request, real: message(b"\x83\x01"),
                   most=1)
        self.fetch("nothing is there", lambda data: lambda n, request, real: replace(
            real(), holdings=tuple(None for _ in request.asks)))
        self.fetch("fewer holdings", lambda data: lambda n, request, real: replace(real(), holdings=()), most=1)
        self.fetch("other bytes", each(lambda h, data: replace(h, data=bytes(len(h.data)))))
        self.fetch("whole, and no bytes", each(lambda h, data: replace(h, data=b"")), most=3)
        self.fetch("first bytes alone", each(lambda h, data: replace(h, held=h.size - 1, data=b"")))
        self.fetch("first bytes, and bytes", each(lambda h, data: replace(h, held=h.size - 1)))
        self.fetch("of no bytes", each(lambda h, data: Holding(0, 0, b"")))
        self.fetch("larger than any", each(lambda h, data: Holding(MAX_BLOB + 1, MAX_BLOB + 1, h.data)))
        self.fetch("of the greatest number", each(lambda h, data: Holding(2**64 - 1, 2**64 - 1, h.data)))
        self.fetch("more bytes than its size", each(lambda h, data: Holding(9, 9, h.data)), most=1)
        self.fetch("a byte more", each(lambda h, data: replace(h, size=h.size + 1, held=h.held + 1)))
        self.fetch("a byte less", each(lambda h, data: Holding(h.held - 1, h.size - 1, h.data[:-1])))
        self.fetch("few bytes at once", each(lambda h, data: replace(h, data=h.data[:20_000])), is_held=True)

    def goes_on(self) -> None:
        """First bytes count where the size is the same."""
        data, digest = self.offered(MAX_PART * 3 + 500)

        def way(n: int, request: BlobRequest, real: Callable[[], BlobReply]) -> BlobReply:
            if any(ask.start for each in self.between.seen for ask in each.asks):
                raise ConnectionError
            return real()

        self.between.let(way)
        self.sync("fetches, the line breaks")
        self.between.let(None)
        self.sync("fetches, the line is back")
        starts = [ask.start for each in self.between.seen for ask in each.asks if ask.digest == digest
                  and ask.start is not None]
        self.expect("fetches, from where it broke off", starts, [MAX_PART, MAX_PART * 2, MAX_PART * 3])
        self.expect("fetches, the line is back: it is held", self.held(digest.hex()), True)
        again = [each for each in self.between.seen if each.part]
        self.expect("what came from the hub it is known to have", again, [])
        self.restored()

    def restored(self) -> None:
        """§3 "EPOCH": what the hub was thought to have it is brought again."""
        data = self.added(5_000)
        self.sync("brings, before the hub goes back", "own")
        backup = str(self.folder / f"{self.laptop.name}.hub.backup")
        self.hub.call("backup", backup)
        self.hub.stop()
        self.hub.call("restore", backup, "--replace")
        for path in (self.folder / "hub.sqlite-blobs").rglob(sha256(data).hex()):
            path.unlink()
        self.hub.start()
        self.sync("brings, when the hub has gone back", "own")
        self.expect("brings, when the hub has gone back: it is there", self.at_hub(data), True)

    def asks_again(self) -> None:
        """What the hub had is asked about beside others; what it has lost is brought again."""
        data = self.added(5_000)
        digest = sha256(data)
        self.between.let(None)
        self.sync("asks again, before", "own")
        self.added(4_000)
        self.between.let(lambda n, request, real: replace(real(), holdings=tuple(
            None if ask.digest == digest else h for ask, h in zip(request.asks, real().holdings))))
        self.sync("asks again", "own")
        starts = {ask.start for each in self.between.seen for ask in each.asks if ask.digest == digest}
        self.expect("asks again: about what the hub had", starts, {None})
        parts = sum(bool(each.part and each.part.digest == digest) for each in self.between.seen)
        self.expect("asks again: what the hub lost is brought", parts, 1)

    def revoked(self) -> None:
        """§3: what a revoked laptop has recorded may be admitted."""
        self.between.let(None)
        self.hub.call("device", "revoke", self.laptop.name)
        data = self.added(300_000)
        self.sync("brings, revoked", "own", (20, 69, 77))
        self.expect("brings, revoked, with its records", self.at_hub(data), True)
        data = self.added(400_000)
        self.between.let(None)
        self.sync("brings, revoked, records alone", "none", (20, 69, 77), 1)
        self.expect("brings, revoked: none then", self.at_hub(data), False)
        self.sync("brings, revoked, answered REVOKED", "all", (20, 69, 77))
        self.expect("brings, revoked, answered REVOKED", self.at_hub(data), True)

    def forgets(self) -> None:
        """§4: with whom they are of, as soon as the hub's word is there, whatever goes of photos then."""
        badge = f"KZ-90{len(self.laptop.kind)}"
        source = PythonLaptop(self.folder, self.source.path.stem, "", [])
        source.must("insert", "person", "--key", badge, "name_latin=x")
        whole, _ = self.offered(20_000, "person", badge)
        self.between.let(None)
        self.sync("forgets, before")
        first, _ = self.offered(MAX_PART * 2, "person", badge)

        def way(n: int, request: BlobRequest, real: Callable[[], BlobReply]) -> BlobReply:
            if any(ask.start for ask in request.asks):
                raise ConnectionError
            return real()

        self.between.let(way)
        self.sync("forgets, first bytes come")
        self.between.let(None)
        own, both = (self.added(9_000, "person", badge) for _ in range(2))
        path = self.folder / "picture.jpg"
        path.write_bytes(both)
        self.laptop.must("photo add", "delegation", "KZ", str(path))
        path.unlink()
        found = dict(zip(("whole", "first bytes", "not brought", "of something else too"), (whole, first, own, both)))
        self.expect("forgets, what lies there before", self.lying(found), set(found))
        source.must("insert", "erasure", "--key", badge, "reason=asked for")
        source.must("sync")
        self.sync("forgets, the word comes", "none")
        self.expect("forgets, what lies there then", self.lying(found), {"of something else too"})
        self.sync("forgets, after it")
        self.expect("forgets, and after", self.lying(found), {"of something else too"})
        self.expect("forgets, what the hub has", {name for name, data in found.items() if self.at_hub(data)},
                    {"of something else too"})

    def lying(self, found: dict[str, bytes]) -> set[str]:
        """Whose first bytes lie in any file of the laptop."""
        files = [path.read_bytes() for path in self.folder.rglob("*") if path.is_file()
                 and path.relative_to(self.folder).parts[0].startswith(self.laptop.file)]
        return {name for name, data in found.items() if any(data[:64] in each for each in files)}
