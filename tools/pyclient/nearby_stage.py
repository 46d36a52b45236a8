"""Who announces, who looks, and who is in the way, in a check of 08 §8 "To be found"."""
from __future__ import annotations

import signal
import time
from pathlib import Path

from checker.certificates import Certificate
from checker.meetings import Advertisement

from pyclient.fleet_laptops import Broken, Laptop, PythonLaptop, SwiftLaptop
from pyclient.fleet_meetings import Serving
from pyclient.lan_forum import Forum
from pyclient.nearby import Neighbour, Search, opened
from pyclient.nearby_hostile import Crowd, Garbage, Secret, Server, closed_port
from pyclient.tls import TYPE

LOOPBACK = "127.0.0.1"
GONE = 2.0  # seconds in which an announcement has to be gone when its process was killed
LOOKING = 4.0  # what a search takes
TIMEOUT = 2  # of a visit, in seconds
MANY, BOUND = 80, 25.0  # announcements where nobody listens, and how long such a search takes at most
SLOW_BOUND = 12.0  # the same beside one that goes on answering
LONG = "ü" * 40
NAMES = {"an escape": "esc\x1b[31mred\x1b[0m", "a bell": "bell\x07", "a line feed": "feed\nX", "a return": "return\rX",
         "a delete": "delete\x7fX", "a control of C1": "csi\x9b31mX", "an override": "override\u202eX",
         "63 bytes": "ü" * 31 + "x", "a slash": "back\\slash\\027[0m"}
INVISIBLE = {"a line separator": "separator\u2028X", "a space of no width": "width\u200bX", "a tag": "tag\U000e0041X"}
PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: " + TYPE.encode() + b"\r\nContent-Length: 5000\r\n\r\n"
SLOWLY = b"HTTP/1.1 200 OK\r\nX-Header: " + b"y" * 1_000


class Stage:
    def __init__(self, score, folder: Path):
        self.score, self.folder = score, folder
        (folder / "forum").mkdir()
        self.forum, self.network = Forum(folder / "forum"), opened(LOOPBACK)
        self.codes = iter("AA BB CC DD EE FF GG HH JJ KK LL MM NN PP QQ RR SS".split())

    def __enter__(self) -> "Stage":
        return self

    def __exit__(self, *_) -> None:
        self.network.close()
        self.forum.hub.close()

    def expect(self, name: str, found, wanted) -> None:
        self.score.expect(name, found, wanted)

    def joined(self, kind: type[Laptop], file: str, name: str = "") -> Laptop:
        laptop = kind(self.folder, file, "", [])
        laptop.name = name or file
        laptop.papers = self.forum.join(laptop)
        laptop.name = file
        return laptop

    def said(self, papers: Certificate) -> Advertisement:
        return Advertisement.by(self.forum.root, papers.holder)

    def wrote(self, laptop: Laptop) -> None:
        """Something that the others lack."""
        code = next(self.codes)
        if isinstance(laptop, PythonLaptop):
            laptop.must("insert", "delegation", "--key", code)
            return
        path = self.folder / f"{code}.csv"
        path.write_text(f"code,name_en\n{code},of {laptop.name}\n")
        laptop.must("import delegations", str(path), "--as", "x")

    def is_heard(self, papers: Certificate, seconds: float = LOOKING) -> bool:
        with Search(self.network) as search:
            return search.wait(lambda found: any(each.said == self.said(papers) for each in found), seconds)

    def run(self) -> None:
        swift, other = self.joined(SwiftLaptop, "one", "Zelt 2.1 Süd"), self.joined(SwiftLaptop, "two", LONG)
        python = self.joined(PythonLaptop, "three")
        self.announced(swift, other)
        self.found(swift, python)
        self.in_the_way(swift, python)
        self.names(swift, python)
        self.crowded(swift, python)
        self.same_name(swift, other)
        self.looks(python, swift, other)
        self.slow(swift, python)

    # (a) It announces itself

    def announced(self, one: Laptop, other: Laptop) -> None:
        twin = self.joined(SwiftLaptop, "twin", "Zelt 2.1 Süd")
        with Search(self.network) as search:
            with Serving(one) as serving, Serving(other) as second, Serving(twin) as third:
                for name, laptop, address in (("Zelt 2.1 Süd", one, serving.address), (LONG, other, second.address),
                                              ("Zelt 2.1 Süd", twin, third.address)):
                    self.heard(search, name, laptop, address)
                for each, how in ((serving, "killed"), (second, "ended")):
                    self.ended(search, each, how)
                with Search(self.network) as anew:
                    self.expect("one that was killed isn't found anew",
                                anew.wait(lambda found: self.of(found, one) is not None, 1), False)
            self.expect("all are gone", search.wait(lambda found: not self.here(found), GONE), True)
        with Serving(one, "--no-announce"):
            self.expect("--no-announce", self.is_heard(one.papers), False)

    def here(self, found: list[Neighbour]) -> list[Neighbour]:
        forum = self.forum.root.hex()[:16].encode()
        return [each for each in found if each.said and each.said.forum == forum]

    def of(self, found: list[Neighbour], laptop: Laptop) -> Neighbour | None:
        return next((each for each in found if each.said == self.said(laptop.papers)), None)

    def heard(self, search: Search, name: str, laptop: Laptop, address: str) -> None:
        self.expect(f"{laptop} is found", search.wait(lambda found: self.of(found, laptop) is not None), True)
        if (found := self.of(search.found(), laptop)) is None:
            return
        strings = self.said(laptop.papers).strings()
        self.expect(f"{laptop}: its strings", sorted(found.text), sorted(strings))
        self.expect(f"{laptop}: txtvers first", found.text[:1], (b"txtvers=1",))
        self.expect(f"{laptop}: its address and port", address in found.addresses, True)
        self.expect(f"{laptop}: its name", found.name.startswith(name.encode()[:50].decode(errors="ignore")), True)
        self.expect(f"{laptop}: its name fits", len(found.name.encode()) <= 63, True)

    def ended(self, search: Search, serving: Serving, how: str) -> None:
        serving.process.kill() if how == "killed" else serving.process.terminate()
        self.expect(f"one that is {how} is gone within {GONE} s",
                    search.wait(lambda found: self.of(found, serving.laptop) is None, GONE), True)

    # (b) It finds one of another implementation

    def found(self, swift: Laptop, python: Laptop) -> None:
        self.wrote(swift)
        self.wrote(python)
        with Serving(python, "--announce"):
            self.expect("one of this client is heard", self.is_heard(python.papers), True)
            code, _ = self.nearby(swift, "--json")
        self.expect("one of this client is met", code, 0)
        self.same("one of this client", swift, python)

    def nearby(self, laptop: Laptop, *words: str, kill_after: float = BOUND) -> tuple[int, str]:
        """The code, and all that it printed."""
        code, out, err = laptop.call("sync", "--nearby", "--timeout", str(TIMEOUT), *words, kill_after=kill_after)
        if "Traceback" in out + err or code < 0 and code != -signal.SIGKILL:
            raise Broken(f"{laptop}: {code} {out} {err}")
        return code, out + err

    def same(self, name: str, *laptops: Laptop) -> None:
        self.expect(f"{name}: all hold the same", len({each.state_hash() for each in laptops}), 1)

    # (c) Others are in the way

    def strings(self, device: str = "0123456789abcdef", forum: str = "", version: str = "1") -> list[bytes]:
        forum = forum or self.forum.root.hex()[:16]
        return [f"txtvers={version}".encode(), f"forum={forum}".encode(), f"device={device}".encode()]

    def left_alone(self, crowd: Crowd, port: int, own: Laptop, good: Laptop) -> None:
        """Nobody may come to this port, by what the strings say."""
        plain, digits = self.strings(), good.papers.holder.hex()[:16]
        for name, strings in {
                "another forum": self.strings(forum="f" * 16), "no version": plain[1:], "no forum": plain[::2],
                "no device": plain[:2], "version 2": self.strings(version="2"), "no strings": [],
                "itself": self.strings(own.papers.holder.hex()[:16]), "17 digits": self.strings(digits + "0"),
                "another one first": [b"forum=" + b"f" * 16, *plain]}.items():
            crowd.announce(name, port, strings)

    def in_the_way(self, swift: Laptop, python: Laptop) -> None:
        good, plain = python.papers.holder.hex()[:16], self.strings()
        with Server() as shunned, Server() as bytes_first, Server() as silent, Garbage() as garbage, \
                Secret(PAGE) as page, Secret(SLOWLY, 0.5) as slow, Serving(python) as serving:
            crowd = Crowd(self.network)
            self.left_alone(crowd, shunned.port, swift, python)
            crowd.announce("bytes first", bytes_first.port, [b"device=\xff", *plain])
            crowd.announce("00 nobody listens", closed_port(), plain)
            crowd.announce("01 the digits of a good one", closed_port(), self.strings(good))
            crowd.announce("02 no port", 0, plain)
            crowd.announce("03 nowhere", closed_port(), plain, "127.0.0.77", "::1")
            tried = {"silent": silent, "garbage": garbage, "page": page, "slow": slow}
            for name, server in tried.items():
                crowd.announce(f"04 {name}", server.port, plain)
            port = int(serving.address.rpartition(":")[2])
            crowd.announce("the good one", port, self.strings(good), LOOPBACK, "::1")
            with crowd:
                self.expect("the good one is heard", self.is_heard(python.papers), True)
                self.met("in a crowd", swift, python, BOUND)
                self.expect("others are tried", [name for name, each in tried.items() if not each.count], [])
                self.expect("those of no form, of other forums, and itself are left alone", shunned.count, 0)
                self.expect("a first value that isn't UTF-8 is the first", bytes_first.count, 0)

    def slow(self, swift: Laptop, python: Laptop) -> None:
        """One that answers as a laptop does, for as long as one listens."""
        with Secret(b"", 0.5, ANSWER) as slow, Serving(python, "--announce"):
            crowd = Crowd(self.network)
            crowd.announce("00 slow", slow.port, self.strings())
            with crowd:
                self.expect("one beside a slow one is heard", self.is_heard(python.papers), True)
                self.met("beside one that answers slowly", swift, python, SLOW_BOUND)

    def met(self, name: str, swift: Laptop, other: Laptop, bound: float) -> str:
        """Both write; then one looks for the other. What was printed is given back."""
        self.wrote(swift)
        self.wrote(other)
        code, words = self.nearby(swift, kill_after=bound)
        self.expect(f"{name}: it ends within {bound:.0f} s", code >= 0, True)
        self.same(name, swift, other)
        return words

    def names(self, swift: Laptop, python: Laptop) -> None:
        crowd = Crowd(self.network)
        for name in (NAMES | INVISIBLE).values():
            crowd.announce(name, closed_port(), self.strings())
        with Serving(python, "--announce"), crowd:
            self.expect("one among odd names is heard", self.is_heard(python.papers), True)
            words = self.met("odd names", swift, python, BOUND)
        for what, names in (("controls", NAMES), ("invisible", INVISIBLE)):
            for name, text in names.items():
                start = text[:3]
                self.expect(f"a name with {name} is told of", start in words, True)
                odd = {each for each in text if not each.isprintable()}
                self.expect(f"{what}: a name with {name} is printed without it", odd & (set(words) - {"\n"}), set())
        self.expect("no line begins with what a name holds", [x for x in words.split("\n") if x.startswith("X")], [])

    def crowded(self, swift: Laptop, python: Laptop) -> None:
        port, other = closed_port(), "f" * 16
        with Serving(python, "--announce"):
            self.expect("one before a crowd is heard", self.is_heard(python.papers), True)
            for name, forum in (("where nobody listens", ""), ("of another forum", other)):
                crowd = Crowd(self.network)
                for number in range(MANY):
                    crowd.announce(f"{name} {number}", port, self.strings(f"{number:016x}", forum))
                with crowd:
                    time.sleep(1.5)
                    self.met(f"among {MANY} {name}", swift, python, BOUND)

    def same_name(self, swift: Laptop, other: Laptop) -> None:
        crowd = Crowd(self.network)
        crowd.announce("Zelt 2.1 Süd", closed_port(), self.strings())
        crowd.announce("\u00fc" * 31, closed_port(), self.strings(), LOOPBACK, "::1")
        with Serving(other), crowd:
            self.expect("one of a name that others take is heard", self.is_heard(other.papers), True)
            self.met("a name that others take", swift, other, BOUND)

    # (d) This client looks

    def looks(self, python: Laptop, *swift: Laptop) -> None:
        for each in (python, *swift):
            self.wrote(each)
        crowd = Crowd(self.network)
        with Server() as shunned, Serving(swift[0]), Serving(swift[1]), Garbage() as garbage, Server() as silent:
            self.left_alone(crowd, shunned.port, python, swift[0])
            for name, port in (("silent", silent.port), ("garbage", garbage.port), (NAMES["an escape"], closed_port())):
                crowd.announce(name, port, self.strings())
            for each in swift:
                self.expect(f"{each} is heard before the search", self.is_heard(each.papers), True)
            with crowd:
                code, out, err = python.call("sync", "--nearby", LOOPBACK, "--timeout", str(TIMEOUT))
            self.expect("this client leaves alone what it has to", shunned.count, 0)
            self.expect("this client tries the others", (garbage.count, silent.count), (1, 1))
        odd = {each for each in out + err if not each.isprintable()}
        self.expect("this client prints what is printable", odd, {"\n"})
        told = [line for line in out.splitlines() if line.startswith("met ")]
        self.expect(f"this client meets both: {out} {err}", (code, len(told)), (0, 2))
        self.expect("the first one once more", [line.split(" times")[0][-1] for line in told], ["2", "1"])
        self.same("three laptops after one search", python, *swift)
