"""Holds laptops of any implementation against 08 §8: what they refuse, with which code, and that it changes nothing."""
from __future__ import annotations

import http.client
import os
import tempfile
from base64 import b85encode
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from checker.certificates import Certificate
from checker.kinds_of_trust import request as signature
from checker.limits import Reject

from pyclient.acts import Acts
from pyclient.bundle_read import Unread, read_bytes
from pyclient.bundle_write import BundleWriter
from pyclient.company import company, own_papers
from pyclient.fleet_laptops import Broken, Laptop, PythonLaptop, SwiftLaptop
from pyclient.fleet_meetings import Serving
from pyclient.host import statement
from pyclient.lan_cast import Cast, asked, changed, more
from pyclient.lan_forum import DAY, Forum
from pyclient.lan_odd import Odd
from pyclient.meeting import MEETING_PATH, STATEMENT_PATH, Meeting, Statement, pin_message, signer_of
from pyclient.replica import Replica
from pyclient.schema import BASE
from pyclient.tls import MAX_MESSAGE, TYPE
from pyclient.tls_serve import Answered, Asked, Front, Paths, TLSKey, message, plain, refusal
from pyclient.trust import Holder
from pyclient.writer import Writer

REVOKED, POISON, UPGRADE, TAKEN = (403, "REVOKED"), (400, "POISON"), (426, "UPGRADE"), (200, None)
TOO_LARGE = 413, "TOO_LARGE"
RUNS = 1 << 20
MUCH = 12_000_000


@dataclass
class Score:
    good: int = 0
    bad: int = 0

    def expect(self, name: str, found, wanted) -> None:
        self.good, self.bad = self.good + (found == wanted), self.bad + (found != wanted)
        if found != wanted:
            print(f"FAIL {name}: {found!r:.300}, not {wanted!r:.300}", flush=True)


class AtHost:
    """A laptop serves, and is brought what it has to refuse."""

    def __init__(self, score: Score, cast: Cast, laptop: Laptop, address: str):
        self.score, self.cast, self.laptop, self.address = score, cast, laptop, address
        result, data, answer, pin = asked(address, "GET", STATEMENT_PATH)
        self.expect("the statement", (*result, answer.getheader("Content-Type")), (*TAKEN, TYPE))
        self.said = Statement.decode(data)
        self.expect("the statement is true", self.said.fault(cast.forum.root, bytes(32)), None)
        self.expect("the pin is that of the TLS key", self.said.pin, pin)
        self.expect("it isn't kept", answer.getheader("Cache-Control"), "no-store")
        self.host = Holder(self.said.device.holder, False, (self.said.device.statement,))

    def expect(self, name: str, found, wanted) -> None:
        self.score.expect(f"{self.laptop.kind} serves, {name}", found, wanted)

    def meeting(self, by: Replica, bundle: bytes | None = None) -> Meeting:
        held = BundleWriter(by).lacking(self.host, ()).held
        return Meeting(by.trust.root, *own_papers(by), held, bundle)

    def bundle(self, by: Replica, to: Holder | None = None) -> bytes:
        writer, to = BundleWriter(by), to or self.host
        return writer.in_one(to, writer.lacking(to, ()), RUNS)

    def send(self, body: bytes, by: Replica, server: bytes | None = None, path: str = MEETING_PATH):
        header = signature(by.seed, server or self.said.device.statement.key, path.encode(), body).hex()
        return asked(self.address, "POST", MEETING_PATH, body, header)

    def case(self, name: str, wanted: tuple, came: Meeting | bytes, by: Replica | None = None, **how) -> bytes:
        body = came if isinstance(came, bytes) else came.encode()
        result, data, _, _ = self.send(body, by or self.cast.guest, **how)
        self.expect(name, result, wanted)
        return data

    def run(self) -> None:
        before = self.laptop.state_hash()
        self.good()
        self.signatures()
        self.people()
        self.messages()
        self.over_http()
        self.bundles()
        self.expect("nothing of what was refused is taken", self.laptop.state_hash(), before)
        self.taken(before)
        self.scopes()

    def good(self) -> None:
        guest = self.cast.guest
        data = self.case("a meeting", TAKEN, self.meeting(guest))
        try:
            file, _, contents = read_bytes(data, "the answer", guest.seed, self.cast.forum.root)
            self.expect("the answer is a bundle by it", file.head.sender, self.said.device.statement.key)
            self.expect("it is part 1, and the last", (file.head.part, file.foot.last), (1, True))
            self.expect("it has no epoch", contents.list.epoch, None)
        except Unread as error:
            self.expect("the answer can be read", error.reason, None)

    def signatures(self) -> None:
        guest, third = self.cast.guest, self.cast.third
        body = self.meeting(guest).encode()
        self.case("signed by another device than it names", REVOKED, body, third)
        self.case("signed for another server", REVOKED, body, server=third.public_key)
        self.case("signed for the hub", REVOKED, body, server=self.cast.forum.hub_key)
        self.case("signed for another path", REVOKED, body, path="/v1/exchange")
        key = self.said.device.statement.key
        good = signature(guest.seed, key, MEETING_PATH.encode(), body).hex()
        for name, header in {"not signed": None, "an empty signature": "", "a short signature": good[:-2],
                             "in upper case": good.upper(), "a changed signature": good[:-1] + "0123456789abcdef"[
                                 int(good[-1], 16) ^ 1]}.items():
            self.expect(name, asked(self.address, "POST", MEETING_PATH, body, header)[0], REVOKED)
        found = asked(self.address, "POST", MEETING_PATH, changed(body, len(body) - 1), good)[0]
        self.expect("changed on the way", found, REVOKED)
        self.expect("neither signed nor readable", asked(self.address, "POST", MEETING_PATH, b"\xff", None)[0], REVOKED)

    def people(self) -> None:
        cast, guest = self.cast, self.cast.guest
        good, of_other = self.meeting(guest), self.meeting(cast.stranger)
        self.case("of another forum", REVOKED, of_other, cast.stranger)
        self.case("the root of another forum", REVOKED, replace(good, root=cast.other.root))
        self.case("this root, and another forum's certificates", REVOKED,
                  replace(of_other, root=cast.forum.root), cast.stranger)
        self.case("another forum's hub", REVOKED, replace(good, hub=cast.other.of_hub))
        self.case("a device of another hub", REVOKED, replace(good, device=of_other.device), cast.stranger)
        self.case("the hub's certificate as a device's", REVOKED, replace(good, device=cast.forum.of_hub),
                  cast.forum.hub)
        self.case("the device's certificate as the hub's", REVOKED, replace(good, hub=good.device))
        forged = replace(good.device, signature=changed(good.device.signature, 0))
        self.case("a certificate that isn't signed", REVOKED, replace(good, device=forged))
        self.case("expired", REVOKED, self.meeting(cast.late), cast.late)
        self.case("revoked", REVOKED, self.meeting(cast.lost), cast.lost)
        s = good.device.statement
        short = cast.forum.of_device(s.key, s.encryption_key, s.name, -DAY)
        self.case("one that has expired, issued after the record", REVOKED, replace(good, device=short))
        short = cast.forum.of_device(s.key, s.encryption_key, s.name, -DAY, earlier=DAY)
        self.case("one that has expired, issued before the record", TAKEN, replace(good, device=short))
        self.case("one that no record knows", TAKEN, self.meeting(cast.new), cast.new)
        s = cast.late.trust.of(cast.late.device)[0].statement
        fresh = cast.forum.of_device(s.key, s.encryption_key, s.name)
        self.case("an expired record, and a certificate that lasts", TAKEN,
                  replace(self.meeting(cast.late), device=fresh), cast.late)

    def messages(self) -> None:
        body = self.meeting(self.cast.guest).encode()
        self.case("further items", TAKEN, more(body))
        self.case("format 0", POISON, body[:1] + b"\0" + body[2:])
        self.case("format 2", UPGRADE, body[:1] + b"\2" + body[2:])
        self.case("format 2 with something behind", UPGRADE, body[:1] + b"\2" + body[2:] + b"\0")
        self.case("something behind", POISON, body + b"\0")
        self.case("cut off", POISON, body[:-1])
        self.case("five items", POISON, b"\x85" + body[1:-1])
        self.case("nothing", POISON, b"")
        held = self.meeting(self.cast.guest).list.encode()
        at = body.index(held)
        self.case("a list of two items", POISON, body[:at] + b"\x82" + body[at + 1:])
        self.case("a list with another type", POISON, body[:at + 1] + b"\x40" + body[at + 2:])
        self.case("false in place of null", POISON, body[:-1] + b"\xf4")

    def over_http(self) -> None:
        def simply(name: str, wanted, method: str, path: str, body: bytes | None = None, header: str | None = None,
                   type_: str = TYPE) -> http.client.HTTPResponse:
            result, _, answer, _ = asked(self.address, method, path, body, header, type_)
            self.expect(name, result, wanted)
            return answer

        body, key = self.meeting(self.cast.guest).encode(), self.said.device.statement.key
        header = signature(self.cast.guest.seed, key, MEETING_PATH.encode(), body).hex()
        self.expect("Allow", simply("a visit by GET", (405, None), "GET", MEETING_PATH).getheader("Allow"), "POST")
        simply("a statement by POST", (405, None), "POST", STATEMENT_PATH, body)
        simply("a statement by DELETE", (405, None), "DELETE", STATEMENT_PATH)
        for path in ("/", "/v1/", "/v1/exchange", "/v1/meet/", "/v1/peers"):
            simply(f"the path {path}", (404, None), "POST", path, body, header)
        simply("a later path", UPGRADE, "POST", "/v2/meet", body, header)
        simply("a later path by GET", UPGRADE, "GET", "/v12/peer")
        simply("another type", (415, None), "POST", MEETING_PATH, body, header, "text/plain")
        simply("the type with a parameter", TAKEN, "POST", MEETING_PATH, body, header, TYPE.upper() + "; a=b")
        simply("too long", TOO_LARGE, "POST", MEETING_PATH, bytes(MAX_MESSAGE + 1), header)

    def bundles(self) -> None:
        cast, guest = self.cast, self.cast.guest
        cast.wrote(guest, "AA")
        good = self.bundle(guest)

        def bring(name: str, wanted, bundle: bytes) -> None:
            self.case(f"a bundle, {name}", wanted, self.meeting(guest, bundle))

        bring("empty", POISON, b"")
        bring("without its end", POISON, good[:-1])
        bring("with something behind", POISON, good + b"\0")
        for at in (0, 9, 40, len(good) // 2, len(good) - 1):
            bring(f"damaged at {at}", POISON, changed(good, at))
        third = company(guest, own_papers(cast.third)[1])
        bring("for another laptop", POISON, self.bundle(guest, third))
        bring("of another forum", POISON, self.bundle(cast.stranger))
        bring("by one that nobody knows, brought by another", POISON, self.bundle(cast.new))

    def taken(self, before: str) -> None:
        cast = self.cast
        self.case("a bundle by the one that comes", TAKEN, self.meeting(cast.guest, self.bundle(cast.guest)))
        after = self.laptop.state_hash()
        self.expect("it is taken", after != before, True)
        cast.wrote(cast.third, "BB")
        self.case("a bundle by a third one", TAKEN, self.meeting(cast.guest, self.bundle(cast.third)))
        again = self.laptop.state_hash()
        self.expect("that is taken, too", again != after, True)
        self.case("a bundle by one that no record knows", TAKEN,
                  self.meeting(cast.new, self.bundle(cast.new)), cast.new)
        data = self.case("once more", TAKEN, self.meeting(cast.third), cast.third)
        _, _, contents = read_bytes(data, "the answer", cast.third.seed, cast.forum.root)
        self.expect("the third one gets what it lacks", any(batch.runs for batch in contents.batches), True)


    def scopes(self) -> None:
        """08 §6 item 2: of the scopes that the other one may read alone."""
        cast = self.cast
        cast.note(cast.guest, "delegation/AA")
        self.case("what lies in another scope", TAKEN, self.meeting(cast.guest, self.bundle(cast.guest)))
        wanted = {"third": {BASE, b"delegation/AA"}, "narrow": {BASE}, "outdated": {BASE},
                  "named": {BASE, b"delegation/AA"}}
        for name, scopes in wanted.items():
            guest = cast.known(name)
            data = self.case(f"{name} comes", TAKEN, self.meeting(guest), guest)
            _, _, contents = read_bytes(data, "the answer", guest.seed, cast.forum.root)
            found = {held.scope for held in contents.list.scopes}, {batch.scope for batch in contents.batches}
            self.expect(f"{name} gets of its scopes alone", found, (scopes, scopes))
        narrow = replace(self.meeting(cast.known("narrow")), device=cast.wider)
        data = self.case("an older certificate is shown", TAKEN, narrow, cast.known("narrow"))
        _, _, contents = read_bytes(data, "the answer", cast.known("narrow").seed, cast.forum.root)
        self.expect("the record that was issued later counts", {held.scope for held in contents.list.scopes}, {BASE})


class AtVisitor:
    """A laptop visits one that shows what it has to refuse."""

    def __init__(self, score: Score, cast: Cast, laptop: Laptop, papers: Certificate):
        self.score, self.cast, self.laptop, self.papers = score, cast, laptop, papers
        self.came: list[Asked] = []

    def expect(self, name: str, found, wanted) -> None:
        self.score.expect(f"{self.laptop.kind} visits, {name}", found, wanted)

    def visit(self, key: TLSKey, shown: Answered, answer: Callable[[Asked], Answered]) -> tuple[int, str]:
        """The exit code, and what the laptop said."""
        self.came = []

        def one(request: Asked) -> Answered:
            self.came.append(request)
            return shown if request.path == STATEMENT_PATH else answer(request)

        front = Front(("127.0.0.1", 0), key, Paths({STATEMENT_PATH: "GET", MEETING_PATH: "POST"}, one))
        front.start()
        try:
            code, out, err = self.laptop.call("sync", "--peer", f"127.0.0.1:{front.port}")
        finally:
            front.stop()
        if "Traceback" in out + err or code < 0:
            raise Broken(f"{self.laptop}: {code} {out} {err}")
        return code, out + err

    def refused(self, name: str, key: TLSKey, shown: Statement | bytes | Answered) -> None:
        """Refused by the statement: nothing else is asked."""
        data = shown.encode() if isinstance(shown, Statement) else shown
        shown = data if isinstance(data, Answered) else message(data)
        code, _ = self.visit(key, shown, lambda _: refusal("RETRY", "later"))
        self.expect(name, (code != 0, [each.path for each in self.came]), (True, [STATEMENT_PATH]))

    def run(self) -> None:
        before = self.laptop.state_hash()
        self.statements()
        self.answers()
        self.expect("nothing is taken", self.laptop.state_hash(), before)
        self.good()

    def statements(self) -> None:
        cast, key, other_key = self.cast, TLSKey(), TLSKey()
        root, guest = cast.forum.root, cast.guest
        good = statement(guest, key.pin)
        self.refused("another forum", key, statement(cast.stranger, key.pin))
        self.refused("the root of another forum", key, replace(good, root=cast.other.root))
        self.refused("this root, and another forum's certificates", key,
                     replace(statement(cast.stranger, key.pin), root=root))
        self.refused("another forum's hub", key, replace(good, hub=cast.other.of_hub))
        self.refused("a signature by another device", key,
                     replace(good, signature=cast.third.sign(pin_message(root, key.pin))))
        self.refused("a signature for another pin", key,
                     replace(good, signature=guest.sign(pin_message(root, other_key.pin))))
        self.refused("a signature for another root", key,
                     replace(good, signature=guest.sign(pin_message(cast.other.root, key.pin))))
        self.refused("the hub's certificate as a device's", key, replace(good, device=cast.forum.of_hub))
        self.refused("a TLS key that isn't the pin's", other_key, good)
        self.refused("expired", key, statement(cast.late, key.pin))
        self.refused("revoked", key, statement(cast.lost, key.pin))
        data = good.encode()
        self.refused("format 0", key, data[:1] + b"\0" + data[2:])
        self.refused("format 2", key, data[:1] + b"\2" + data[2:])
        self.refused("something behind", key, data + b"\0")
        self.refused("cut off", key, data[:-1])
        self.refused("nothing", key, b"")
        self.refused("another type", key, replace(plain(200, ""), body=data))
        self.refused("another status", key, replace(message(data), status=403))
        self.refused("a redirection", key, plain(307, "", {"Location": STATEMENT_PATH}))

    def answers(self) -> None:
        cast, key, guest = self.cast, TLSKey(), self.cast.guest
        shown = message(statement(guest, key.pin).encode())
        holder = Holder(self.papers.holder, False, (self.papers.statement,))

        def bundle(by: Replica, to: Holder = holder) -> bytes:
            writer = BundleWriter(by)
            return writer.in_one(to, writer.lacking(to, ()), RUNS)

        cast.wrote(guest, "CC")
        good, third = bundle(guest), company(guest, own_papers(cast.third)[1])
        for name, answer in {
                "a damaged answer": message(changed(good, len(good) // 2)), "an answer cut off": message(good[:-1]),
                "an empty answer": message(b""), "an answer for another laptop": message(bundle(guest, third)),
                "an answer of another forum": message(bundle(cast.stranger)),
                "an answer by one that nobody knows": message(bundle(cast.new)),
                "an answer of another type": replace(plain(200, ""), body=good),
                "a refusal": refusal("REVOKED", "no"), "a page": plain(500, "no")}.items():
            code, _ = self.visit(key, shown, lambda _: answer)
            self.expect(name, (code != 0, len(self.came) > 1, {each.path for each in self.came[1:]}),
                        (True, True, {MEETING_PATH}))
            self.meant(name, guest)

    def meant(self, name: str, host: Replica) -> None:
        """What the laptop sends is as 08 §8 says."""
        first = next(each for each in self.came if each.path == MEETING_PATH)
        try:
            sender = signer_of(first.headers.get("karvan-signature"), host.public_key, MEETING_PATH, first.body)
            came = Meeting.decode(first.body)
            self.expect(f"{name}: its meeting holds", came.fault(self.cast.forum.root, sender), None)
            self.expect(f"{name}: its first meeting brings no bundle", came.bundle, None)
            self.expect(f"{name}: it encodes as it is read", came.encode(), first.body)
        except Reject as reason:
            self.expect(f"{name}: its meeting can be read", str(reason), None)

    def good(self) -> None:
        """Statements that are as they should be, by devices that a record knows, and that none knows."""
        key = TLSKey()
        for by in (self.cast.guest, self.cast.new):
            writer = BundleWriter(by)
            holder = Holder(self.papers.holder, False, (self.papers.statement,))
            answer = message(writer.in_one(holder, writer.lacking(holder, ()), RUNS))
            before = self.laptop.state_hash()
            name = by.store.get("name")
            shown = message(more(statement(by, key.pin).encode()))
            code, words = self.visit(key, shown, lambda _: answer)
            came = [each.path for each in self.came]
            self.expect(f"{name} is visited", (came[:2], set(came[1:])), ([STATEMENT_PATH, MEETING_PATH],
                                                                          {MEETING_PATH}))
            if name == "guest":
                self.expect("what it wrote is taken", self.laptop.state_hash() != before, True)
        self.scopes(key)
        with Serving(self.laptop) as itself:
            code, out, err = self.laptop.call("sync", "--peer", itself.address)
            self.expect("itself", (code != 0, "Traceback" in out + err), (True, False))


    def scopes(self, key: TLSKey) -> None:
        """08 §6 item 2: it tells and brings of the scopes that the one who serves may read alone."""
        narrow, root = self.cast.known("narrow"), self.cast.forum.root
        writer, holder = BundleWriter(narrow), Holder(self.papers.holder, False, (self.papers.statement,))
        answer = message(writer.in_one(holder, writer.lacking(holder, ()), RUNS))
        self.visit(key, message(statement(narrow, key.pin).encode()), lambda _: answer)
        came = [Meeting.decode(each.body) for each in self.came if each.path == MEETING_PATH]
        brought = [read_bytes(each.bundle, "its bundle", narrow.seed, root)[2] for each in came if each.bundle]
        found = {held.scope for each in [*came, *brought] for held in each.list.scopes}
        self.expect("tells of the other's scopes alone", found, {BASE})
        found = {batch.scope for each in brought for batch in each.batches}
        self.expect("brings of the other's scopes alone", found, {BASE})


def much(score: Score, folder: Path, kind: type[Laptop], name: str) -> None:
    """More than one message has room for goes from laptop to laptop, in both directions."""
    forum = Forum(folder)
    try:
        laptops = [PythonLaptop(folder, "source", "", []), kind(folder, f"{name}-1", "", []),
                   kind(folder, f"{name}-2", "", []), PythonLaptop(folder, "end", "", [])]
        for laptop in laptops:
            forum.join(laptop)
        write_much(Replica(folder / laptops[0].file))
        for host, visitor in ((laptops[0], laptops[1]), (laptops[2], laptops[1]), (laptops[2], laptops[3])):
            with Serving(host) as serving:
                code, out, err = visitor.call("sync", "--peer", serving.address)
            told = f"much, {visitor.kind} visits {host.kind}"
            score.expect(f"{told}: {(out + err).strip()}", code, 0)
            score.expect(f"{told}: both hold the same", visitor.state_hash(), host.state_hash())
    finally:
        forum.hub.close()


def write_much(replica: Replica) -> None:
    try:
        for _ in range(MUCH // 180_000):
            texts = [b85encode(os.urandom(48_000)).decode() for _ in range(3)]
            rows = [{"table": "note", "new": True, "put": {"author": "x", "text": text}} for text in texts]
            Writer(replica).write(list(map(Acts(replica).row, rows)))
    finally:
        replica.close()


def check(score: Score, folder: Path, kind: type[Laptop], name: str) -> None:
    cast = Cast(folder)
    try:
        host, visitor = kind(folder, f"{name}-host", "", []), kind(folder, f"{name}-visitor", "", [])
        cast.forum.join(host)
        papers = cast.forum.join(visitor)
        with Serving(host) as serving:
            AtHost(score, cast, host, serving.address).run()
        score.expect(f"{host.kind} ends cleanly", serving.code, 0)
        AtVisitor(score, cast, visitor, papers).run()
    finally:
        cast.close()


def run(args) -> int:
    score, kinds = Score(), {"python": PythonLaptop}
    if args.karvan:
        SwiftLaptop.program = [str(Path(args.karvan).resolve())]
        kinds["swift"] = SwiftLaptop
    for name, kind in kinds.items():
        before = score.good, score.bad
        with tempfile.TemporaryDirectory() as folder:
            check(score, Path(folder), kind, name)
        if args.much:
            with tempfile.TemporaryDirectory() as folder:
                much(score, Path(folder), kind, name)
        print(f"{name}: {score.good - before[0]} checks pass, {score.bad - before[1]} fail", flush=True)
    if args.karvan and args.odd:
        with tempfile.TemporaryDirectory() as folder:
            odd = Odd(Path(folder), args.seed)
            score.expect("odd meetings that are answered in two ways", odd.run(args.odd), 0)
        print(f"odd meetings: {args.odd}, by the answer of this client {dict(odd.counts)}", flush=True)
    return 1 if score.bad else 0


def add_command(commands) -> None:
    words = "check what laptops that meet refuse, this client's and another implementation's"
    command = commands.add_parser("lan-check", help=words, description=words[0].upper() + words[1:] + ".")
    command.add_argument("--karvan", help="the other implementation's program for laptops")
    command.add_argument("--odd", type=int, default=0, metavar="N",
                         help="also bring so many random odd meetings to both implementations")
    command.add_argument("--seed", type=int, default=1)
    command.add_argument("--much", action="store_true", help="also with more than one message has room for")
    command.set_defaults(act=run)
