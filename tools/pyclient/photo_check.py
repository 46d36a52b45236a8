"""Holds a running hub against 13-blobs §2 and §4: what it says to odd blob requests, and what is on its disk then."""
from __future__ import annotations

import http.client
import json
import os
import signal
import tempfile
from pathlib import Path

from checker.blobs import MAX_ASKS, MAX_BLOB, MAX_PART, Ask, BlobReply, BlobRequest, Holding, Part
from checker.encoding import Reader, encode
from checker.identity import sha256
from checker.json_form import p_bytes
from checker.kinds_of_trust import request as signature
from checker.limits import Reject
from checker.messages import Refusal

from pyclient import PROTOCOL
from pyclient.acts import Acts
from pyclient.blob_driver import PATH
from pyclient.blobs import Blobs
from pyclient.enrolment import enrol
from pyclient.fleet import ended
from pyclient.fleet_laptops import Broken, HubProcess, Laptop, PythonLaptop, SwiftLaptop
from pyclient.lan_cast import asked, changed
from pyclient.lan_check import POISON, REVOKED, TAKEN, TOO_LARGE, UPGRADE, Score
from pyclient.photo_device import AtDevice
from pyclient.replica import Replica
from pyclient.session import Session
from pyclient.tls import MAX_MESSAGE, TYPE, context
from pyclient.writer import Writer

KZ, AZ, BASE = b"delegation/KZ", b"delegation/AZ", b"forum"
KINDS = {"coordinator": ("coordinator", []), "kz": ("recorder", ["delegation/KZ"]),
         "az": ("recorder", ["delegation/AZ"]), "viewer": ("viewer", []), "viewer of az": ("viewer", ["delegation/AZ"]),
         "lost": ("coordinator", []), "cut": ("coordinator", []), "moved": ("lead", ["delegation/KZ"]),
         "source": ("coordinator", [])}
NAMES_NONE = bytes(range(32))


class Cast:
    """A hub, and devices that speak to it by whatever they like."""

    def __init__(self, folder: Path, program: str):
        self.folder, self.hub = folder, HubProcess(program, folder)
        self.hub.start()
        self.devices: dict[str, Replica] = {}
        try:
            for name, (role, scopes) in KINDS.items():
                self.let_in(name, role, scopes)
            self.devices["stranger"] = Replica.init(folder / "stranger", "stranger")
        except BaseException:
            self.close()
            raise
        self.key = bytes.fromhex(self.devices["kz"].store.get("hubKey"))

    @property
    def address(self) -> str:
        return self.hub.url.removeprefix("https://")

    def let_in(self, name: str, role: str, scopes: list[str]) -> None:
        self.devices[name] = Replica.init(self.folder / (name.replace(" ", "-") + ".sqlite"), name)
        enrol(self.devices[name], self.hub.url, self.hub.token(role, scopes), 20.0, False)

    def close(self) -> None:
        self.hub.stop()
        for each in self.devices.values():
            each.close()

    def sync(self, *names: str) -> None:
        for name in names:
            outcome = Session(self.devices[name], photos="none").run()
            if outcome.waits or outcome.reasons:
                raise Broken(f"{name} can't sync: {outcome.reasons}")

    def write(self, by: str, *rows: dict) -> list[bytes]:
        """The ids of the rows."""
        replica = self.devices[by]
        return [row for each in Writer(replica).write(list(map(Acts(replica).row, rows))) for row in each.rows]

    def row(self, by: str, table: str, key) -> bytes:
        acts = Acts(self.devices[by])
        return acts.values.row(acts.schema.table(table), key, None)

    def photo(self, by: str, table: str, key, digest: bytes, verb: str = "put") -> None:
        """The record alone."""
        number = self.devices[by].schema.table(table).id
        self.photo_of(by, number, self.row(by, table, key), digest, verb)

    def photo_of(self, by: str, number: int, row: bytes, digest: bytes, verb: str = "put") -> bytes:
        form = {"table": "photo", "key": [str(number), row.hex(), digest.hex()]}
        return self.write(by, form | ({"new": True, "put": {"author": by}} if verb == "put" else {verb: True}))[0]

    # What is asked

    def say(self, by: str, body: bytes, path: str = PATH, header: str | None = None, **how):
        if header is None:
            header = self.signed(by, body, path)
        return asked(self.address, "POST", PATH, body, header, **how)

    def signed(self, by: str, body: bytes, path: str = PATH, key: bytes | None = None) -> str:
        return signature(self.devices[by].seed, key or self.key, path.encode(), body).hex()

    def reply(self, by: str, asks: list[Ask], part: Part | None = None) -> BlobReply | tuple:
        result, data, answer, _ = self.say(by, BlobRequest(tuple(asks), part).encode())
        if result != TAKEN:
            return result
        try:
            found = BlobReply.decode(data)
        except Reject as reason:
            return ("unreadable", str(reason))
        return found if answer.getheader("Content-Type") == TYPE else ("type", answer.getheader("Content-Type"))


def shown(holding: Holding | Refusal | None):
    """A holding as (held, size), with bytes where it has any; a refusal by its name."""
    if isinstance(holding, Refusal):
        return holding.name
    return holding and ((holding.held, holding.size, holding.data) if holding.data else (holding.held, holding.size))


SIZES = {"small": 5, "one": 1, "exact": MAX_PART, "big": 600_000, "az": 40_000, "shared": 3_000, "base": 7_000,
         "moved": 900, "hidden": 2_000, "person": 300_000, "person's first": 300_000, "hidden person": 500, "both": 800,
         "lost": 70, "viewer": 4_000, "other size": 2_000, "never": 40, "delegation": 90, "late": 300_000,
         "aside": 950, "aside too": 850, "aside of a person": 650, "aside of a note": 640, "cut": 630,
         "aside, behind the word": 620, "aside of both": 610}
ABOUT = ("contact", "observation", "note", "photo of a note", "photo of four", "photo of five", "unknown table",
         "no table", "item with the id", "observation that names nobody")
STAY = {"photo of five", "item with the id", "observation that names nobody"}
ASIDE = ("aside of a person", "aside of a note", "cut")
SIZES |= {name: 700 + i for i, name in enumerate(ABOUT)}


class PhotoCheck:
    def __init__(self, score: Score, cast: Cast):
        self.score, self.cast = score, cast
        self.data = {name: os.urandom(size) for name, size in SIZES.items()}

    def expect(self, name: str, found, wanted) -> None:
        self.score.expect(f"hub, {name}", found, wanted)

    def digest(self, name: str) -> bytes:
        return sha256(self.data[name])

    def asked(self, by: str, *asks: Ask) -> list:
        """What is said of each ask; what came instead, where it is no such reply."""
        found = self.cast.reply(by, list(asks))
        if not isinstance(found, BlobReply) or found.taken is not None or len(found.holdings) != len(asks):
            return [found] * len(asks)
        return list(map(shown, found.holdings))

    def ask(self, name: str, wanted, by: str, scope: bytes, digest: bytes, start: int | None = None) -> None:
        self.expect(name, self.asked(by, Ask(scope, digest, start))[0], wanted)

    def give(self, by: str, part: Part):
        found = self.cast.reply(by, [], part)
        return found if not isinstance(found, BlobReply) or found.holdings else shown(found.taken)

    def part(self, scope: bytes, name: str, offset: int = 0, count: int = MAX_PART, size: int | None = None) -> Part:
        data = self.data[name]
        return Part(scope, self.digest(name), len(data) if size is None else size, offset, data[offset:offset + count])

    def bring(self, name: str, wanted, by: str, part: Part) -> None:
        self.expect(name, self.give(by, part), wanted)

    def whole(self, by: str, scope: bytes, name: str) -> None:
        """Brings a blob, part by part."""
        size = len(self.data[name])
        for at in range(0, size, MAX_PART):
            self.bring(f"{name} is brought from {at} on", (min(size, at + MAX_PART), size), by,
                       self.part(scope, name, at))

    def run(self) -> None:
        self.records()
        self.over_http()
        self.signatures()
        self.vectors()
        self.unreadable()
        self.parts()
        self.odd_parts()
        self.asks()
        self.room()
        self.people()
        self.hidden()
        self.moved()
        self.erased()
        self.again()

    # What there is

    def records(self) -> None:
        cast = self.cast
        cast.write("coordinator", *({"table": "delegation", "new": True, "key": code} for code in ("KZ", "AZ")))
        rows = [{"table": "item", "new": True, "key": "V12"}, {"table": "site", "new": True, "key": "HALL"}]
        rows += [{"table": "person", "new": True, "key": badge, "put": {"name_latin": badge}} for badge in
                 ("KZ-001", "KZ-002")]
        cast.write("coordinator", *rows)
        cast.write("coordinator", *({"table": "visit", "new": True, "key": ["V12", code]} for code in ("KZ", "AZ")))
        for name in ("small", "one", "exact", "big", "shared", "moved", "hidden", "both", "other size", "lost", "late"):
            cast.photo("coordinator", "visit", "V12/KZ", self.digest(name))
        for name in ("az", "shared", "viewer"):
            cast.photo("coordinator", "visit", "V12/AZ", self.digest(name))
        cast.photo("coordinator", "site", "HALL", self.digest("base"))
        cast.photo("coordinator", "delegation", "KZ", self.digest("delegation"))
        for name in ("person", "person's first", "hidden person"):
            cast.photo("coordinator", "person", "KZ-001", self.digest(name))
        cast.photo("coordinator", "person", "KZ-001", self.digest("both"))
        cast.photo("coordinator", "person", "KZ-002", self.digest("both"))
        cast.sync("coordinator", *(name for name in KINDS if name != "coordinator"))
        cast.photo("kz", "visit", "V12/KZ", self.digest("az"))
        cast.sync("kz")

    # The message

    def over_http(self) -> None:
        cast, body = self.cast, BlobRequest((), None).encode()
        result, data, answer, _ = cast.say("kz", body)
        self.expect("of nothing", (*result, data), (*TAKEN, BlobReply((), None).encode()))
        self.expect("its content type", answer.getheader("Content-Type"), TYPE)
        self.expect("it isn't kept", answer.getheader("Cache-Control"), "no-store")
        self.expect("letter case and parameters", cast.say("kz", body, type_=TYPE.upper() + "; a=b")[0], TAKEN)
        self.expect("another content type", cast.say("kz", body, type_="application/cbor")[0], (415, None))
        for method in ("GET", "PUT", "DELETE"):
            result, _, answer, _ = asked(cast.address, method, PATH)
            self.expect(f"{method}", (*result, answer.getheader("Allow")), (405, None, "POST"))
        self.expect("a path below", asked(cast.address, "POST", PATH + "/", body, "")[0], (404, None))
        self.expect("a later path", asked(cast.address, "POST", "/v2/blobs", body, "")[0], UPGRADE)
        self.expect("too long", self.stated(MAX_MESSAGE + 1), TOO_LARGE)

    def stated(self, length: int) -> tuple[int, str | None]:
        """What is said to a body of a stated length that doesn't come."""
        host, port = self.cast.address.rsplit(":", 1)
        line = http.client.HTTPSConnection(host, int(port), timeout=20, context=context())
        try:
            line.putrequest("POST", PATH)
            for name, value in {"Content-Type": TYPE, "Content-Length": str(length)}.items():
                line.putheader(name, value)
            line.endheaders()
            answer = line.getresponse()
            return answer.status, read_refusal(answer.read())
        finally:
            line.close()

    def signatures(self) -> None:
        cast, part = self.cast, self.part(KZ, "small")
        body = BlobRequest((Ask(KZ, self.digest("small"), 0),), part).encode()
        good = cast.signed("kz", body)
        last = good[:-1] + "0123456789abcdef"[int(good[-1], 16) ^ 1]
        for name, header in {"an empty signature": "", "a short signature": good[:-2], "in upper case": good.upper(),
                             "a changed signature": last, "two signatures": good + good,
                             "signed for the exchange": cast.signed("kz", body, "/v1/exchange"),
                             "signed for a wait": cast.signed("kz", body, "/v1/wait"),
                             "signed for the path and more": cast.signed("kz", body, PATH + "/"),
                             "signed for another hub": cast.signed("kz", body, key=bytes(32)),
                             "by a stranger": cast.signed("stranger", body)}.items():
            self.expect(name, cast.say("kz", body, header=header)[0], REVOKED)
        self.expect("not signed", asked(cast.address, "POST", PATH, body, None)[0], REVOKED)
        for at in (0, 20, len(body) - 1):
            self.expect(f"changed on the way at {at}", cast.say("kz", changed(body, at), header=good)[0], REVOKED)
        self.expect("cut short on the way", cast.say("kz", body[:-1], header=good)[0], REVOKED)
        self.expect("unreadable and not signed", cast.say("kz", b"\xff", header="")[0], REVOKED)
        self.ask("nothing of these was taken", None, "kz", KZ, self.digest("small"))

    def vectors(self) -> None:
        """Each request of the vectors, signed: what can't be read is refused as a whole."""
        for line in (PROTOCOL / "vectors" / "blobs.jsonl").read_bytes().splitlines():
            v = json.loads(line)
            if v["when"] == "blob request":
                reason = v["expect"].get("reject")
                wanted = TAKEN if reason is None else UPGRADE if reason == "later" else POISON
                self.expect(v["name"], self.cast.say("kz", p_bytes(v["given"]["bytes"]))[0], wanted)

    def unreadable(self) -> None:
        cast, body = self.cast, BlobRequest((Ask(KZ, self.digest("small"), 0),), self.part(KZ, "small")).encode()
        for at in (0, 1, 2, 3, 20, len(body) // 2, len(body) - 1):
            self.expect(f"cut short at {at}, and signed", cast.say("kz", body[:at])[0], POISON)
        items = [("int", 1), ("array", ()), ("null",)]
        odd = {"the asks are null": [items[0], items[2], items[2]],
               "the part is a boolean": [*items[:2], ("bool", False)],
               "the format is a text": [("text", b"1"), *items[1:]], "the part is empty": [*items[:2], ("array", ())]}
        for name, found in odd.items():
            self.expect(name, cast.say("kz", encode(("array", tuple(found))))[0], POISON)
        later = encode(("array", (("int", 2), *items[1:])))
        for who in ("stranger", "kz"):
            self.expect(f"later, by {who}", cast.say(who, later)[0], UPGRADE)
            self.expect(f"unreadable, by {who}", cast.say(who, body[:-1])[0], POISON)
        self.expect("readable, by a stranger", cast.say("stranger", body)[0], REVOKED)
        self.ask("nothing of these was taken either", None, "kz", KZ, self.digest("small"))

    # The part

    def parts(self) -> None:
        small, big = self.data["small"], self.data["big"]
        self.bring("a blob of one part", (5, 5), "kz", self.part(KZ, "small"))
        self.bring("the same again", (5, 5), "kz", self.part(KZ, "small"))
        self.bring("the same by another", (5, 5), "coordinator", self.part(KZ, "small"))
        self.bring("some of what is whole", (5, 5), "kz", self.part(KZ, "small", 2, 2))
        self.bring("other bytes of what is whole", (5, 5), "kz", Part(KZ, self.digest("small"), 5, 0, b"other"))
        self.bring("another size of what is whole", (5, 5), "kz", Part(KZ, self.digest("small"), 9, 0, b"other"))
        self.ask("it is as it was", (5, 5, small), "kz", KZ, self.digest("small"), 0)
        self.bring("a byte", (1, 1), "kz", self.part(KZ, "one"))
        self.whole("kz", KZ, "exact")
        self.bring("from the middle, where nothing is held", (0, len(big)), "kz", self.part(KZ, "big", 100, 50))
        self.ask("then nothing is held", None, "kz", KZ, self.digest("big"))
        self.bring("the first bytes", (100, len(big)), "kz", self.part(KZ, "big", 0, 100))
        self.ask("they are held", (100, len(big)), "kz", KZ, self.digest("big"))
        self.ask("none of them is given", (100, len(big)), "kz", KZ, self.digest("big"), 0)
        self.bring("the first bytes again", (100, len(big)), "kz", self.part(KZ, "big", 0, 100))
        self.bring("more from the start", (100, len(big)), "kz", self.part(KZ, "big", 0, 500))
        self.bring("over the end of these", (100, len(big)), "kz", self.part(KZ, "big", 99, 500))
        self.bring("behind a hole", (100, len(big)), "kz", self.part(KZ, "big", 101, 500))
        self.by_sender()
        self.bring("those that follow", (600, len(big)), "kz", self.part(KZ, "big", 100, 500))
        self.bring("one more", (601, len(big)), "kz", self.part(KZ, "big", 600, 1))
        for at in range(601, len(big), MAX_PART):
            self.bring(f"from {at} on", (min(at + MAX_PART, len(big)), len(big)), "kz", self.part(KZ, "big", at))
        self.ask("the last byte", (len(big), len(big), big[-1:]), "kz", KZ, self.digest("big"), len(big) - 1)
        self.bring("the next part of another, when it is whole", (len(big), len(big)), "coordinator",
                   self.part(KZ, "big", 50, 50))
        self.ask("how much another is told then", (len(big), len(big)), "coordinator", KZ, self.digest("big"))

    def by_sender(self) -> None:
        """What one brings of it changes nothing for another."""
        digest, size = self.digest("big"), len(self.data["big"])
        self.ask("how much is held of another's", None, "coordinator", KZ, digest)
        self.bring("those that follow another's", (0, size), "coordinator", self.part(KZ, "big", 100, 500))
        self.bring("first bytes beside another's", (50, size), "coordinator", self.part(KZ, "big", 0, 50))
        self.ask("are told to him", (50, size), "coordinator", KZ, digest)
        self.ask("and the other's to the other", (100, size), "kz", KZ, digest)
        self.bring("those of another size", (7, size + 1), "viewer", self.part(KZ, "big", 0, 7, size + 1))
        self.bring("other bytes of a size of his own", "POISON", "viewer", Part(KZ, digest, 9, 0, b"nine byte"))
        self.ask("change nothing of another's", (100, size), "kz", KZ, digest)
        self.bring("from a third, who may not read it", (0, size), "az", self.part(KZ, "big", 100, 9))
        self.bring("first bytes of a third, who may not read it", (30, size), "az", self.part(KZ, "big", 0, 30))
        self.ask("of which he isn't told by asking", None, "az", KZ, digest)

    def odd_parts(self) -> None:
        name, size = "other size", len(self.data["other size"])
        digest, odd = self.digest(name), os.urandom(size)
        self.bring("a size over the greatest", "TOO_LARGE", "kz", Part(KZ, digest, MAX_BLOB + 1, 0, b"x"))
        self.bring("the greatest number", "TOO_LARGE", "kz", Part(KZ, digest, 2**64 - 1, 0, b"x"))
        self.bring("too large, and not named", "TOO_LARGE", "kz", Part(KZ, NAMES_NONE, MAX_BLOB + 1, 0, b"x"))
        self.bring("too large, in no scope", "TOO_LARGE", "kz", Part(b"", NAMES_NONE, MAX_BLOB + 1, 0, b"x"))
        self.bring("not named", "SCOPE", "kz", Part(KZ, NAMES_NONE, 1, 0, b"x"))
        self.bring("named in another scope", "SCOPE", "kz", self.part(BASE, name))
        for scope in (b"", b"*", b"delegation/XX", b"delegation/kz", b"delegation/KZ ", b"delegation", b"/KZ",
                      b"x" * 64):
            self.bring(f"in the scope {scope!r}", "SCOPE", "kz", self.part(scope, name))
        self.bring("other bytes of this size", "POISON", "kz", Part(KZ, digest, size, 0, odd))
        self.ask("all of them went", None, "kz", KZ, digest)
        self.bring("the first bytes of other ones", (1500, size), "kz", Part(KZ, digest, size, 0, odd[:1500]))
        self.bring("and at the end the right ones", "POISON", "kz", self.part(KZ, name, 1500))
        self.ask("all of these went too", None, "kz", KZ, digest)
        self.bring("one that is cut short", "POISON", "kz", self.part(KZ, name, 0, 900, 900))
        self.bring("one byte more than there are", "POISON", "kz",
                   Part(KZ, digest, size + 1, 0, self.data[name] + b"x"))
        self.bring("the first bytes, of another size", (700, size + 9), "kz", self.part(KZ, name, 0, 700, size + 9))
        self.ask("of how many is known", (700, size + 9), "kz", KZ, digest)
        self.bring("of this size, not from the start", (700, size + 9), "kz", self.part(KZ, name, 700))
        self.bring("first bytes of this size: those of the other go", (3, size), "kz", self.part(KZ, name, 0, 3))
        self.bring("back to a third size", (8, 10), "kz", self.part(KZ, name, 0, 8, 10))
        self.bring("of the greatest size, and the last byte of it", (8, 10), "kz",
                   Part(KZ, digest, MAX_BLOB, MAX_BLOB - 1, b"x"))
        self.bring("of the greatest size", (9, MAX_BLOB), "kz", self.part(KZ, name, 0, 9, MAX_BLOB))
        self.bring("whole at last", (size, size), "kz", self.part(KZ, name))
        self.whole("coordinator", BASE, "base")
        self.whole("kz", KZ, "delegation")

    # Asks

    def asks(self) -> None:
        small, exact = self.data["small"], self.data["exact"]
        here = self.digest("small")
        for start, wanted in {None: b"", 0: small, 1: small[1:], 4: small[4:], 5: b"", 6: b"", 2**64 - 1: b""}.items():
            self.ask(f"of 5 bytes, from {start} on", (5, 5, wanted) if wanted else (5, 5), "kz", KZ, here, start)
        self.ask("all that one reply takes", (MAX_PART, MAX_PART, exact), "kz", KZ, self.digest("exact"), 0)
        for scope in (b"", b"*", b"delegation/XX", b"delegation/kz", b"forum", b"forum/KZ", b"\x00" * 64):
            self.ask(f"in the scope {scope!r}", None, "kz", scope, here, 0)
        self.ask("a digest that nobody names", None, "kz", KZ, NAMES_NONE, 0)
        self.ask("named, and not held", None, "kz", KZ, self.digest("late"), 0)
        self.expect("the same twice, and what isn't held between", self.asked(
            "kz", Ask(KZ, here, 0), Ask(KZ, NAMES_NONE, 0), Ask(KZ, here, 0), Ask(KZ, here, None)),
            [(5, 5, small), None, (5, 5, small), (5, 5)])
        many = [Ask(KZ, here, None) if i % 2 else Ask(KZ, NAMES_NONE, i) for i in range(MAX_ASKS)]
        self.expect("256 asks", self.asked("kz", *many), [(5, 5) if i % 2 else None for i in range(MAX_ASKS)])
        late = self.part(KZ, "late", 0, 1000)
        found = self.cast.reply("kz", [Ask(KZ, late.digest, 0), Ask(KZ, here, 3)], late)
        size = len(self.data["late"])
        self.expect("a part is taken before asks are answered", isinstance(found, BlobReply) and (
            shown(found.taken), list(map(shown, found.holdings))), ((1000, size), [(1000, size), (5, 5, small[3:])]))
        refused = Part(KZ, late.digest, size, 0, b"x" * 9)
        found = self.cast.reply("kz", [Ask(KZ, here, 0)], Part(KZ, NAMES_NONE, 9, 0, refused.data))
        self.expect("asks are answered beside a part that is refused", isinstance(found, BlobReply) and (
            shown(found.taken), list(map(shown, found.holdings))), ("SCOPE", [(5, 5, small)]))

    def room(self) -> None:
        """§2: what is left of 262,144 bytes for all holdings of the reply together."""
        data, small, here = self.data["big"], self.data["small"], Ask(KZ, self.digest("small"), 0)
        size, big = len(data), self.digest("big")
        self.expect("more than one reply takes", self.asked("kz", Ask(KZ, big, 0))[0], (size, size, data[:MAX_PART]))
        self.expect("from its middle", self.asked("kz", Ask(KZ, big, 9))[0], (size, size, data[9:9 + MAX_PART]))
        self.expect("its last bytes, and then another", self.asked("kz", Ask(KZ, big, size - 7), here),
                    [(size, size, data[-7:]), (5, 5, small)])
        self.expect("what is left behind a small one", self.asked("kz", here, Ask(KZ, big, 0), here, Ask(KZ, big, 3)),
                    [(5, 5, small), (size, size, data[:MAX_PART - 5]), (5, 5), (size, size)])
        self.expect("what takes no bytes leaves the room", self.asked(
            "kz", Ask(KZ, big, None), Ask(KZ, NAMES_NONE, 0), Ask(KZ, big, size), Ask(KZ, big, size - MAX_PART), here),
            [(size, size), None, (size, size), (size, size, data[-MAX_PART:]), (5, 5)])
        found = [self.asked("kz", Ask(KZ, big, at))[0][2] for at in range(0, size, MAX_PART)]
        self.expect("all of it, by its SHA-256", sha256(b"".join(found)), big)

    # Who may

    def people(self) -> None:
        cast, az = self.cast, self.digest("az")
        self.bring("named in the own scope, and not held there", (9, 40_000), "kz", self.part(KZ, "az", 0, 9))
        self.bring("the same bytes in their scope", (40_000, 40_000), "az", self.part(AZ, "az"))
        self.ask("are two blobs", (9, 40_000), "kz", KZ, az, 0)
        self.ask("one of another delegation", None, "kz", AZ, az, 0)
        self.ask("how much is held of it", None, "kz", AZ, az, None)
        self.ask("one of another delegation, by the other", None, "az", KZ, self.digest("small"), 0)
        self.ask("by one who may", (40_000, 40_000, self.data["az"]), "az", AZ, az, 0)
        self.ask("by one who may read all", (40_000, 40_000, self.data["az"]), "coordinator", AZ, az, 0)
        self.ask("by a viewer", (40_000, 40_000, self.data["az"]), "viewer", AZ, az, 0)
        self.ask("by a viewer of the scope", (40_000, 40_000, self.data["az"]), "viewer of az", AZ, az, 0)
        self.ask("by a viewer of another scope", None, "viewer of az", KZ, self.digest("small"), 0)
        self.ask("of the base scope, by a viewer", (7_000, 7_000, self.data["base"]), "viewer of az", BASE,
                 self.digest("base"), 0)
        self.ask("of a delegation's own record", (90, 90, self.data["delegation"]), "kz", KZ,
                 self.digest("delegation"), 0)
        self.ask("which lies in no other scope", None, "coordinator", BASE, self.digest("delegation"), 0)
        self.bring("brought by a viewer", (4_000, 4_000), "viewer of az", self.part(AZ, "viewer"))
        self.bring("brought by one who may not read the scope", (3_000, 3_000), "kz", self.part(AZ, "shared"))
        self.ask("which he isn't told", None, "kz", AZ, self.digest("shared"), 0)
        self.ask("and isn't one of his scope", None, "kz", KZ, self.digest("shared"), 0)
        self.ask("it is there", (3_000, 3_000), "az", AZ, self.digest("shared"))
        self.not_told()
        self.revoked()

    def not_told(self) -> None:
        """Whoever may not read the scope: as if nobody else had brought anything."""
        cast, az = self.cast, self.digest("az")
        self.bring("what is whole, from its middle, by one who may not read it", (0, 40_000), "kz",
                   self.part(AZ, "az", 9, 10))
        found = cast.reply("kz", [Ask(AZ, az, 0)], self.part(AZ, "az", 0, 10))
        self.expect("who shows that he has some of it is told of that alone, and given none", isinstance(
            found, BlobReply) and (shown(found.taken), found.holdings), ((10, 40_000), (None,)))
        self.bring("those once more", (10, 40_000), "kz", self.part(AZ, "az", 0, 10))
        self.bring("another size of what is whole, by him", (10, 40_001), "kz", self.part(AZ, "az", 0, 10, 40_001))
        self.bring("and back", (10, 40_000), "kz", self.part(AZ, "az", 0, 10))
        self.bring("all that follows", (40_000, 40_000), "kz", self.part(AZ, "az", 10))
        self.ask("which he is still not told", None, "kz", AZ, az)
        self.bring("other bytes of what is whole, by him", "POISON", "kz", Part(AZ, az, 40_000, 0, bytes(40_000)))
        self.bring("a shorter one, by him", "POISON", "kz", self.part(AZ, "az", 0, 9, 9))
        self.ask("what is whole stays", (40_000, 40_000, self.data["az"]), "az", AZ, az, 0)

    def revoked(self) -> None:
        """What a revoked device has recorded may be admitted: it brings, and is told nothing."""
        cast, part, small = self.cast, self.part(KZ, "lost", 0, 30), self.digest("small")
        body = BlobRequest((Ask(KZ, small, 0),), part).encode()
        self.ask("before it is revoked", (5, 5), "lost", KZ, small)
        self.bring("first bytes, before it is revoked", (30, 70), "lost", part)
        cast.hub.call("device", "revoke", "lost")
        self.expect("revoked and unreadable", cast.say("lost", body[:-1])[0], POISON)
        self.expect("revoked and later", cast.say("lost", body[:1] + b"\x02" + body[2:])[0], UPGRADE)
        self.expect("revoked, without a part", cast.say("lost", BlobRequest((), None).encode())[0], TAKEN)
        self.ask("revoked, of what is whole", None, "lost", KZ, small, 0)
        self.ask("revoked, of the base scope", None, "lost", BASE, self.digest("base"))
        self.ask("revoked, of its own first bytes", None, "lost", KZ, part.digest)
        self.bring("revoked, its first bytes again", (30, 70), "lost", part)
        self.bring("revoked, what follows", (70, 70), "lost", self.part(KZ, "lost", 30))
        self.ask("what it brought is there", (70, 70, self.data["lost"]), "kz", KZ, part.digest, 0)
        self.bring("revoked, what is whole, from its middle", (0, 5), "lost", self.part(KZ, "small", 2, 2))
        self.bring("revoked, some of what is whole", (2, 5), "lost", self.part(KZ, "small", 0, 2))
        self.bring("revoked, the rest of what is whole", (5, 5), "lost", self.part(KZ, "small", 2))
        self.bring("revoked, not named", "SCOPE", "lost", Part(KZ, NAMES_NONE, 1, 0, b"x"))
        self.aside()

    def aside(self) -> None:
        """§2 item 1: what a run that is kept aside names may be brought, by anybody, and is given to nobody."""
        cast, name = self.cast, "aside"
        digest, size = self.digest(name), len(self.data[name])
        cast.photo("lost", "visit", "V12/KZ", digest)
        cast.photo("lost", "visit", "V12/KZ", self.digest("aside too"))
        self.bring("not recorded at the hub yet", "SCOPE", "lost", self.part(KZ, name))
        self.kept_aside("lost")
        self.bring("in another scope than what is kept aside", "SCOPE", "lost", self.part(AZ, name))
        self.bring("what is kept aside names, its first bytes", (9, size), "lost", self.part(KZ, name, 0, 9))
        self.bring("what is kept aside names, the rest", (size, size), "lost", self.part(KZ, name, 9))
        self.whole("coordinator", KZ, "aside too")
        for who in ("lost", "kz", "coordinator"):
            self.ask(f"what is kept aside names, to {who}", None, who, KZ, digest, 0)
        self.bring("what is kept aside names, to one who may read it", (size, size), "kz", self.part(KZ, name))
        cast.hub.call("quarantine", "admit", "--laptop", "lost")
        self.ask("what was admitted", (size, size, self.data[name]), "kz", KZ, digest, 0)
        self.ask("what was admitted, and another brought", (850, 850), "kz", KZ, self.digest("aside too"))
        self.ask("what was admitted, to the revoked one", None, "lost", KZ, digest, 0)

    def kept_aside(self, name: str) -> None:
        outcome = Session(self.cast.devices[name], photos="none").run()
        self.expect("what a revoked one records is kept aside", outcome.kept_aside > 0 and outcome.is_revoked, True)

    # What is named

    def hidden(self) -> None:
        """§1: what is shown counts, and no other."""
        cast, name = self.cast, "hidden"
        digest, size = self.digest(name), len(self.data[name])
        self.whole("kz", KZ, name)
        cast.photo("kz", "visit", "V12/KZ", digest, "delete")
        cast.sync("kz")
        self.ask("whose record is deleted", None, "kz", KZ, digest, 0)
        self.bring("a part of it", "SCOPE", "kz", self.part(KZ, name))
        cast.photo("kz", "visit", "V12/KZ", digest, "restore")
        cast.sync("kz")
        self.ask("whose record is there again", (size, size, self.data[name]), "kz", KZ, digest, 0)
        never = self.digest("never")
        self.bring("no record has come yet", "SCOPE", "kz", self.part(KZ, "never"))
        cast.photo("kz", "visit", "V12/KZ", never)
        self.bring("nor is it at the hub", "SCOPE", "kz", self.part(KZ, "never"))
        cast.sync("kz")
        self.bring("now it is", (40, 40), "kz", self.part(KZ, "never"))

    def moved(self) -> None:
        """09 §5: a device that may read another scope."""
        cast, part = self.cast, self.part(KZ, "moved")
        self.ask("before its grant changes", (5, 5), "moved", KZ, self.digest("small"))
        cast.hub.call("device", "grant", "moved", "--role", "lead", "--scope", "delegation/AZ")
        self.ask("it may read the scope no more", None, "moved", KZ, self.digest("small"), 0)
        self.ask("it may read another one", (40_000, 40_000), "moved", AZ, self.digest("az"))
        self.bring("it brings what it has to", (900, 900), "moved", part)

    def about(self) -> dict[str, bytes]:
        """12 §1: photos of what is about a person, with the scope of each."""
        cast, by, found = self.cast, "coordinator", {}
        schema, person = cast.devices[by].schema, cast.row(by, "person", "KZ-001")
        number = {name: table.id for name, table in ((t.name, t) for t in schema.tables.values())}
        contact, = cast.write(by, {"table": "contact", "new": True, "key": ["KZ-001", "KZ"], "put": {"phone": "1"}})
        seen, other = (cast.write(by, {"table": "observation", "new": True, "scope": "delegation/KZ", "put": {
            "item": "V12", "kind": "in", **of}})[0] for of in ({"person": "KZ-001"}, {}))
        note, = cast.write(by, {"table": "note", "new": True, "put": {
            "subject_table": number["observation"], "subject": seen.hex(), "text": "x"}})
        rows = {"contact": ("contact", contact), "observation": ("observation", seen), "note": ("note", note),
                "observation that names nobody": ("observation", other), "item with the id": ("item", person)}
        for name, (table, row) in rows.items():
            found[name] = cast.photo_of(by, number[table], row, self.digest(name))
        found["unknown table"] = cast.photo_of(by, 99, person, self.digest("unknown table"))
        found["photo of a note"] = cast.photo_of(by, number["photo"], found["note"], self.digest("photo of a note"))
        for name, of in {"photo of four": "photo of a note", "photo of five": "photo of four"}.items():
            found[name] = cast.photo_of(by, number["photo"], found[of], self.digest(name))
        found["no table"] = cast.photo_of(by, number["person"], person, self.digest("no table"))
        cast.write(by, {"table": "photo", "key": found["no table"].hex(), "put": {"subject_table": None}})
        cast.sync(by)
        return {name: KZ if row[-4:] == schema.mark(KZ) else BASE for name, row in found.items()}

    def erased(self) -> None:
        """§4."""
        cast, data, first = self.cast, self.data, self.digest("person's first")
        scopes = self.about()
        self.expect("photos of a delegation's rows lie there", {name for name in ABOUT if scopes[name] == KZ},
                    {"contact", "observation", "observation that names nobody"})
        for name in ABOUT:
            self.whole("coordinator", scopes[name], name)
        self.whole("coordinator", BASE, "person")
        self.whole("coordinator", BASE, "both")
        self.whole("coordinator", BASE, "hidden person")
        self.bring("first bytes", (1_000, 300_000), "coordinator", self.part(BASE, "person's first", 0, 1_000))
        cast.photo("coordinator", "person", "KZ-001", self.digest("hidden person"), "delete")
        self.aside_of_people()
        self.expect("they are on the disk", self.on_disk(), {
            "person", "both", "hidden person", "person's first", *ABOUT, *ASIDE})
        cast.write("coordinator", {"table": "erasure", "new": True, "key": "KZ-001", "put": {"reason": "asked for"}})
        cast.sync("coordinator")
        self.ask("of somebody erased", None, "coordinator", BASE, self.digest("person"), 0)
        self.ask("how much is held of somebody erased", None, "coordinator", BASE, self.digest("person"))
        self.ask("first bytes of somebody erased", None, "coordinator", BASE, first)
        self.bring("a part of somebody erased", "SCOPE", "coordinator", self.part(BASE, "person"))
        self.bring("the next part of somebody erased", "SCOPE", "coordinator",
                   self.part(BASE, "person's first", 1_000, 50))
        self.ask("of somebody else as well", (800, 800, data["both"]), "coordinator", BASE, self.digest("both"), 0)
        for name in ABOUT:
            size = len(self.data[name])
            wanted = (size, size) if name in STAY else None
            self.ask(f"of somebody erased: {name}", wanted, "coordinator", scopes[name], self.digest(name))
        for name in ASIDE:
            self.bring(f"of somebody erased: {name}", "SCOPE", "lost", self.part(BASE, name))
        self.expect("they are gone from the disk", self.on_disk(), {"both", *STAY})
        cast.photo("lost", "person", "KZ-001", self.digest("aside, behind the word"))
        cast.photo("lost", "person", "KZ-002", self.digest("aside of both"))
        self.kept_aside("lost")
        self.bring("of somebody erased, and kept aside since", "SCOPE", "lost",
                   self.part(BASE, "aside, behind the word"))
        self.bring("of somebody else, and kept aside since", (610, 610), "lost", self.part(BASE, "aside of both"))
        cast.photo("coordinator", "person", "KZ-001", self.digest("hidden person"), "restore")
        cast.photo("coordinator", "person", "KZ-001", self.digest("never"))
        cast.sync("coordinator")
        self.bring("one that was named since", "SCOPE", "coordinator", self.part(BASE, "never"))
        self.ask("one whose record is there again", None, "coordinator", BASE, self.digest("hidden person"), 0)

    def aside_of_people(self) -> None:
        """§4: what runs say that are kept aside, or were taken out of the state by a cut."""
        cast = self.cast
        schema = cast.devices["lost"].schema
        cast.photo("lost", "person", "KZ-001", self.digest("aside of a person"))
        note, = cast.write("coordinator", {"table": "note", "new": True, "put": {
            "subject_table": schema.table("person").id, "subject": cast.row("coordinator", "person", "KZ-001").hex(),
            "text": "x"}})
        cast.sync("coordinator")
        cast.photo_of("lost", schema.table("note").id, note, self.digest("aside of a note"))
        self.kept_aside("lost")
        for name in ("aside of a person", "aside of a note"):
            self.whole("lost", BASE, name)
        cast.photo("cut", "person", "KZ-001", self.digest("cut"))
        cast.sync("cut")
        self.whole("cut", BASE, "cut")
        cast.hub.call("device", "revoke", "cut", "--since", "2000-01-01T00:00:00Z")
        self.ask("what a cut took out", None, "coordinator", BASE, self.digest("cut"))

    def on_disk(self) -> set[str]:
        """Whose first bytes lie in any of the hub's files."""
        files = [path.read_bytes() for path in self.cast.folder.rglob("hub.sqlite*") if path.is_file()]
        files += [path.read_bytes() for folder in self.cast.folder.glob("hub.sqlite*") if folder.is_dir()
                  for path in folder.rglob("*") if path.is_file()]
        names = ("person", "both", "hidden person", "person's first", *ABOUT, *ASIDE)
        return {name for name in names if any(self.data[name][:64] in each for each in files)}

    def again(self) -> None:
        """What is whole stays when the hub begins anew, and what a device takes it for."""
        self.cast.hub.stop()
        self.cast.hub.start()
        size = len(self.data["big"])
        self.ask("after a start", (size, size, self.data["big"][-3:]), "kz", KZ, self.digest("big"), size - 3)
        self.ask("of somebody erased, after a start", None, "coordinator", BASE, self.digest("person"), 0)
        self.expect("they stay gone from the disk", self.on_disk(), {"both", *STAY})
        reader = self.cast.devices["kz"]
        outcome = Session(reader, photos="all").run()
        self.expect("a device fetches what it may read", sorted(
            name for name in SIZES if Blobs(reader).holds((KZ, self.digest(name)))),
            ["aside", "aside too", "big", "delegation", "exact", "hidden", "lost", "moved", "never",
             "observation that names nobody", "one", "other size", "small"])
        self.expect("without a fault", (outcome.reasons, outcome.photos.waits), ([], 0))


def read_refusal(data: bytes) -> str | None:
    try:
        return Refusal.read(Reader(data)).name
    except Reject:
        return None


def at_device(score: Score, cast: Cast, name: str, kind: type[Laptop], is_quick: bool) -> None:
    before = score.good, score.bad
    device = AtDevice(score, cast.folder, cast.hub, cast.devices["source"], kind, is_quick)
    try:
        device.run()
    finally:
        device.close()
    print(f"{name}: {score.good - before[0]} checks pass, {score.bad - before[1]} fail", flush=True)


def run(args) -> int:
    signal.signal(signal.SIGTERM, ended)  # so that the hub is ended too
    score = Score()
    if args.karvan:
        SwiftLaptop.program = [str(Path(args.karvan).resolve())]
    with tempfile.TemporaryDirectory() as folder:
        cast = Cast(Path(folder), str(Path(args.hub).resolve()))
        try:
            PhotoCheck(score, cast).run()
            print(f"hub: {score.good} checks pass, {score.bad} fail", flush=True)
            kinds = {"swift": SwiftLaptop} if args.karvan else {}
            kinds |= {"python": PythonLaptop} if args.own else {}
            for name, kind in kinds.items():
                at_device(score, cast, name, kind, args.quick)
        finally:
            cast.close()
    return 1 if score.bad else 0


def add_command(commands) -> None:
    words = "check what a hub says to odd requests about blobs, and what laptops do with odd replies"
    command = commands.add_parser("photo-check", help=words, description=words[0].upper() + words[1:] + ".")
    command.add_argument("--hub", required=True, help="the hub's program")
    command.add_argument("--karvan", help="also look at the other implementation's program for laptops")
    command.add_argument("--own", action="store_true", help="also look at this client's own laptop")
    command.add_argument("--quick", action="store_true", help="only some of the odd replies to laptops")
    command.set_defaults(act=run)
