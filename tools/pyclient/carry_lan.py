"""Holds laptops that meet against 13-blobs §5: who is told of blobs and given them, by POST /v1/blobs."""
from __future__ import annotations

import time
from dataclasses import replace

from checker.blobs import MAX_BLOB, MAX_PART, Ask, BlobReply, BlobRequest, Holding, Part
from checker.identity import sha256
from checker.kinds_of_trust import request as signature
from checker.limits import Reject
from checker.messages import Refusal

from pyclient.blob_driver import PATH
from pyclient.bundle_read import BundleReader
from pyclient.bundle_write import BundleWriter
from pyclient.carry_cast import AA, BASE, Reader, cut, give, named, picture
from pyclient.company import own_papers
from pyclient.fleet_meetings import Serving
from pyclient.host import statement
from pyclient.lan_cast import asked, changed
from pyclient.lan_check import POISON, REVOKED, TAKEN, TOO_LARGE, UPGRADE
from pyclient.meeting import MEETING_PATH, STATEMENT_PATH, Meeting, signer_of
from pyclient.replica import Replica
from pyclient.tls import MAX_MESSAGE, TYPE
from pyclient.tls_serve import Answered, Asked, Front, Paths, TLSKey, message, plain, refusal

SHORT = 4_000  # ms


class AtHost:
    """A laptop serves, and is asked for blobs, and brought some."""

    def __init__(self, reader: Reader, address: str):
        self.reader, self.cast, self.address = reader, reader.cast, address
        self.key = reader.holder.last.key

    def expect(self, name: str, found, wanted) -> None:
        self.reader.expect(f"serves, {name}", found, wanted)

    def meet(self, by: Replica, bundle: bytes | None = None, papers=None):
        held = BundleWriter(by).lacking(self.reader.holder, ()).held
        hub, device = own_papers(by)
        body = Meeting(by.trust.root, hub, papers or device, held, bundle).encode()
        header = signature(by.seed, self.key, MEETING_PATH.encode(), body).hex()
        return asked(self.address, "POST", MEETING_PATH, body, header)[0]

    def say(self, by: Replica, body: bytes, path: str = PATH, key: bytes | None = None):
        header = signature(by.seed, key or self.key, path.encode(), body).hex()
        return asked(self.address, "POST", PATH, body, header)

    def reply(self, by: Replica, asks: list[Ask], part: Part | None = None):
        result, data, _, _ = self.say(by, BlobRequest(tuple(asks), part).encode())
        if result != TAKEN:
            return result
        try:
            return BlobReply.decode(data)
        except Reject as reason:
            return "unreadable", str(reason)

    def ask(self, name: str, wanted, by: Replica, data: bytes, scope: bytes = AA, start: int | None = None) -> None:
        found = self.reply(by, [Ask(scope, sha256(data), start)])
        self.expect(name, shown(found.holdings[0]) if isinstance(found, BlobReply) else found, wanted)

    def bring(self, name: str, wanted, by: Replica, part: Part) -> None:
        found = self.reply(by, [], part)
        self.expect(name, shown(found.taken) if isinstance(found, BlobReply) else found, wanted)

    def run(self) -> None:
        cast = self.cast
        self.pictures = [picture(size) for size in (900, MAX_PART + 70, 800, 700)]
        self.base = picture(600)
        named(cast.guest, "delegation", "AA", *self.pictures)
        named(cast.guest, "site", "HALL", self.base)
        give(cast.guest, cast.third)
        give(cast.guest, cast.known("narrow"))
        writer = BundleWriter(cast.guest)
        bundle = writer.in_one(self.reader.holder, writer.lacking(self.reader.holder, ()), 1 << 20)
        self.strangers(bundle)
        self.messages()
        self.parts()
        self.scopes()
        self.ends()

    def strangers(self, bundle: bytes) -> None:
        cast, empty = self.cast, BlobRequest((), None).encode()
        self.expect("one that it hasn't met", self.say(cast.guest, empty)[0], REVOKED)
        self.expect("one that it hasn't met, unreadable", self.say(cast.guest, b"\xff")[0], POISON)
        self.expect("one that it hasn't met, later", self.say(cast.guest, b"\x83\x02\x80\xf6")[0], UPGRADE)
        self.bring("a part of one that it hasn't met", REVOKED, cast.guest, cut(self.pictures[0], AA)[0])
        for name in ("late", "lost"):
            self.expect(f"{name} meets", self.meet(cast.known(name)), REVOKED)
            self.expect(f"{name}, whose meeting was refused", self.say(cast.known(name), empty)[0], REVOKED)
        self.expect("one of another forum", self.say(cast.stranger, empty)[0], REVOKED)
        self.expect("the guest meets", self.meet(cast.guest, bundle), TAKEN)
        self.expect("another one that it hasn't met", self.say(cast.third, empty)[0], REVOKED)
        self.expect("the third meets", self.meet(cast.third), TAKEN)

    def messages(self) -> None:
        guest, body = self.cast.guest, BlobRequest((Ask(AA, sha256(self.pictures[0]), 0),), None).encode()
        result, data, answer, _ = self.say(guest, BlobRequest((), None).encode())
        self.expect("of nothing", (*result, data), (*TAKEN, BlobReply((), None).encode()))
        self.expect("its type", (answer.getheader("Content-Type"), answer.getheader("Cache-Control")),
                    (TYPE, "no-store"))
        self.expect("signed for a meeting", self.say(guest, body, MEETING_PATH)[0], REVOKED)
        self.expect("signed for the hub", self.say(guest, body, key=self.cast.forum.hub_key)[0], REVOKED)
        self.expect("signed for itself", self.say(guest, body, key=guest.public_key)[0], REVOKED)
        good = signature(guest.seed, self.key, PATH.encode(), body).hex()
        for name, header in {"not signed": None, "a short signature": good[:-2], "in upper case": good.upper()}.items():
            self.expect(name, asked(self.address, "POST", PATH, body, header)[0], REVOKED)
        self.expect("changed on the way", asked(self.address, "POST", PATH, changed(body, 9), good)[0], REVOKED)
        self.expect("neither signed nor readable", asked(self.address, "POST", PATH, b"\xff", None)[0], REVOKED)
        for name, odd, wanted in (("cut off", body[:-1], POISON), ("something behind", body + b"\0", POISON),
                                  ("format 0", body[:1] + b"\0" + body[2:], POISON),
                                  ("format 2", body[:1] + b"\2" + body[2:], UPGRADE)):
            self.expect(name, self.say(guest, odd)[0], wanted)
        further = b"\x84" + body[1:] + b"\x63new"
        self.expect("further items", self.say(guest, further)[0], TAKEN)
        _, _, answer, _ = asked(self.address, "GET", PATH)
        self.expect("GET", (answer.status, answer.getheader("Allow")), (405, "POST"))
        self.expect("another type", asked(self.address, "POST", PATH, body, good, "text/plain")[0], (415, None))
        self.expect("too long", asked(self.address, "POST", PATH, bytes(MAX_MESSAGE + 1), good)[0], TOO_LARGE)

    def parts(self) -> None:
        """13 §2.1, by this laptop."""
        guest, third, (small, large, wrong, _) = self.cast.guest, self.cast.third, self.pictures
        size, (first, second) = len(large), cut(large, AA)
        self.ask("what isn't there", None, guest, large)
        self.ask("what nobody names", None, guest, picture(9))
        self.bring("what nobody names", "SCOPE", guest, cut(picture(9), AA)[0])
        self.bring("in another scope than its record", "SCOPE", guest, cut(small)[0])
        self.bring("over the limit", "TOO_LARGE", guest, replace(first, size=MAX_BLOB + 1))
        self.bring("not from the start", (0, size), guest, second)
        self.bring("the first part", (MAX_PART, size), guest, first)
        self.bring("the first part again", (MAX_PART, size), guest, first)
        self.ask("first bytes, to the one that brought them", (MAX_PART, size), guest, large, AA, 0)
        self.ask("first bytes, to another", None, third, large, AA, 0)
        self.bring("the rest by another", (0, size), third, second)
        self.bring("a part of another one by another", (10, size + 5), third, replace(
            first, size=size + 5, data=first.data[:10]))
        self.bring("the rest", (size, size), guest, second)
        self.ask("what is whole, to another", (size, size, large[:MAX_PART]), third, large, AA, 0)
        self.ask("its end", (size, size, large[-3:]), third, large, AA, size - 3)
        self.ask("behind its end", (size, size), third, large, AA, size)
        self.bring("a part of what is whole", (size, size), third, first)
        self.bring("other bytes", "POISON", guest, replace(cut(wrong, AA)[0], data=bytes(len(wrong))))
        self.ask("all of which went", None, guest, wrong)
        self.bring("a small one", (len(small), len(small)), third, cut(small, AA)[0])
        found = self.reply(guest, [Ask(AA, sha256(small), 0), Ask(AA, sha256(large), 0), Ask(AA, sha256(small), 0)])
        self.expect("what is left of the room", [len(each.data) for each in found.holdings],
                    [len(small), MAX_PART - len(small), 0])
        found = self.reply(guest, [Ask(AA, sha256(small), 0), Ask(AA, sha256(wrong), 0)], cut(wrong, AA)[0])
        self.expect("a part is taken before asks are answered", (
            shown(found.taken), list(map(shown, found.holdings))),
                    ((800, 800), [(900, 900, small), (800, 800, wrong)]))
        self.expect("what came is held", all(map(self.reader.holds, (small, large, wrong))), True)
        self.expect("and isn't known to be at the hub", self.reader.offered() >= {
            sha256(each) for each in (small, large, wrong)}, True)

    def scopes(self) -> None:
        """Of the scopes that the sender may read alone."""
        cast, (small, _, _, last) = self.cast, self.pictures
        narrow = cast.known("narrow")
        self.expect("narrow meets", self.meet(narrow), TAKEN)
        self.ask("to one who may not read the scope", None, narrow, small, AA, 0)
        self.bring("by one who may not read the scope", "SCOPE", narrow, cut(last, AA)[0])
        self.bring("what is whole, by one who may not read the scope", "SCOPE", narrow, cut(small, AA)[0])
        self.bring("what lies in a scope that he may read", (600, 600), narrow, cut(self.base)[0])
        self.ask("which he is given", (600, 600, self.base), narrow, self.base, BASE, 0)
        self.expect("narrow meets by an older certificate", self.meet(narrow, papers=cast.wider), TAKEN)
        self.ask("to one whose last certificate is narrower than what he showed", None, narrow, small, AA, 0)

    def ends(self) -> None:
        """Who expires or is revoked after the meeting."""
        cast, empty = self.cast, BlobRequest((), None).encode()
        began = time.monotonic()
        short = cast.let_in("short", lasts=SHORT)
        self.expect("one whose time is nearly over meets", self.meet(short), TAKEN)
        self.expect("in time", self.say(short, empty)[0], TAKEN)
        cast.forum.revoke(cast.third.public_key)
        BundleReader(cast.guest).import_file(cast.forum.words(cast.guest.device))
        writer = BundleWriter(cast.guest)
        bundle = writer.in_one(self.reader.holder, writer.lacking(self.reader.holder, ()), 1 << 20)
        self.expect("before the word comes", self.say(cast.third, empty)[0], TAKEN)
        self.expect("the guest brings the word", self.meet(cast.guest, bundle), TAKEN)
        self.expect("revoked since the meeting", self.say(cast.third, empty)[0], REVOKED)
        self.bring("revoked, with a part", REVOKED, cast.third, cut(self.pictures[3], AA)[0])
        time.sleep(max(0.0, SHORT / 1_000 + 0.2 - (time.monotonic() - began)))
        self.expect("expired since the meeting", self.say(short, empty)[0], REVOKED)


def shown(holding: Holding | Refusal | None):
    if isinstance(holding, Refusal):
        return holding.name
    return holding and ((holding.held, holding.size, holding.data) if holding.data else (holding.held, holding.size))


def at_host(reader: Reader) -> None:
    with Serving(reader.laptop) as serving:
        AtHost(reader, serving.address).run()
    reader.expect("it ends cleanly", serving.code, 0)
    with Serving(reader.laptop) as serving:
        found = AtHost(reader, serving.address).say(reader.cast.guest, BlobRequest((), None).encode())[0]
    reader.expect("served anew it has met nobody", found, REVOKED)


class AtVisitor:
    """A laptop visits one that has something to say of blobs."""

    def __init__(self, reader: Reader):
        self.reader, self.cast, self.came = reader, reader.cast, []

    def expect(self, name: str, found, wanted) -> None:
        self.reader.expect(f"visits, {name}", found, wanted)

    def visit(self, by: Replica, answer, which: str = "all") -> int:
        """The exit code; `by` serves, and `answer` says what of blobs."""
        self.came, key = [], TLSKey()
        writer, to = BundleWriter(by), self.reader.holder
        met = message(writer.in_one(to, writer.lacking(to, ()), 1 << 20))
        told = {STATEMENT_PATH: message(statement(by, key.pin).encode()), MEETING_PATH: met}

        def one(came: Asked) -> Answered:
            self.came.append(came)
            return told[came.path] if came.path in told else answer(BlobRequest.decode(came.body))

        front = Front(("127.0.0.1", 0), key, Paths({STATEMENT_PATH: "GET", MEETING_PATH: "POST", PATH: "POST"}, one))
        front.start()
        try:
            code, out, err = self.reader.laptop.call("sync", "--peer", f"127.0.0.1:{front.port}", "--photos", which)
        finally:
            front.stop()
        self.expect("no mistake", "Traceback" in out + err, False)
        for each in self.came:
            if each.path == PATH:
                try:
                    signer_of(each.headers.get("karvan-signature"), by.public_key, PATH, each.body)
                except Reject as reason:
                    self.expect("a request is signed for the one who serves", str(reason), None)
        return code

    def requests(self) -> list[BlobRequest]:
        return [BlobRequest.decode(each.body) for each in self.came if each.path == PATH]

    def run(self) -> None:
        guest, narrow = self.cast.guest, self.cast.known("narrow")
        lacking = picture(MAX_PART + 9)
        for each in (guest, narrow):
            self.reader.given(each)
        named(guest, "delegation", "AA", lacking)
        code = self.visit(guest, lambda request: plain(404, "there is nothing here"))
        self.expect("a peer that knows no such path", (code, len(self.requests())), (0, 1))
        paths = [each.path for each in self.came]
        self.expect("when the meetings have ended", PATH in paths[:paths.index(PATH)], False)
        before = self.reader.offered()

        def whole(request: BlobRequest) -> Answered:
            """Holds all that is asked about."""
            size, room = len(lacking), MAX_PART
            found = []
            for ask in request.asks:
                start, is_it = size if ask.start is None else ask.start, ask.digest == sha256(lacking)
                data = lacking[start:start + room] if is_it else b""
                found.append(Holding(size, size, data) if is_it else None)
            part = request.part
            taken = part and Holding(part.offset + len(part.data), part.size, b"")
            return message(BlobReply(tuple(found), taken).encode())

        code = self.visit(guest, whole)
        self.expect("it fetches what it lacks", (code, self.reader.holds(lacking)), (0, True))
        self.expect("what it has fetched it brings to the hub", sha256(lacking) in self.reader.offered(), True)
        brought = {each.part.digest for each in self.requests() if each.part}
        self.expect("it brings what the other doesn't hold", brought >= before, True)
        self.expect("none of it counts as had by the hub", self.reader.offered() >= before, True)
        self.visit(guest, whole, "none")
        self.expect("no photos, where none are to go", self.requests(), [])
        self.visit(narrow, whole)
        asks = [ask for each in self.requests() for ask in each.asks]
        self.expect("it brings of the scopes that the other may read alone", {
            each.part.scope for each in self.requests() if each.part}, {BASE})
        self.expect("it asks about these alone", {ask.scope for ask in asks}, {BASE})
        self.visit(guest, lambda request: refusal("REVOKED", "no"))
        self.expect("refused, it goes no further", len(self.requests()) <= 1, True)
        self.visit(guest, lambda request: message(BlobReply(
            tuple(None for _ in request.asks), request.part and Refusal(7, b"no")).encode()))
        told = [each.part.digest for each in self.requests() if each.part]
        self.expect("what is refused is brought once", len(told), len(set(told)))


def at_visitor(reader: Reader) -> None:
    AtVisitor(reader).run()

