"""Holds a hub against 13-blobs §5: what it takes of bundles and writes, and what its words count for."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from checker.blobs import MAX_BLOB, MAX_PART, Ask, BlobReply, BlobRequest, Part
from checker.bundles import CONTENTS
from checker.encoding import encode
from checker.identity import sha256
from checker.kinds_of_trust import request as signature

from pyclient.acts import Acts
from pyclient.blob_driver import PATH
from pyclient.bundle_photos import HOLDINGS, PIECE, nonce, payloads, read
from pyclient.carry_cast import BASE, Carrier, cut, frames, holding, named, picture
from pyclient.enrolment import enrol
from pyclient.fleet_laptops import Broken, HubProcess, Laptop
from pyclient.lan_cast import asked
from pyclient.lan_check import TAKEN
from pyclient.replica import Replica
from pyclient.session import Session
from pyclient.writer import Writer

KZ, AZ = b"delegation/KZ", b"delegation/AZ"
LARGE = MAX_PART + 4_000


class AtHub:
    def __init__(self, score, folder: Path, program: str):
        self.score, self.folder, self.hub = score, folder, HubProcess(program, folder)
        self.hub.start()
        self.devices: dict[str, Replica] = {}
        self.made = 0
        try:
            self.all, self.lost = self.let_in("all", "coordinator"), self.let_in("lost", "coordinator")
            self.kz = self.let_in("kz", "recorder", KZ.decode())
            Writer(self.all).write([Acts(self.all).row({"table": table, "new": True, "key": key}) for table, key in (
                ("delegation", "KZ"), ("delegation", "AZ"), ("site", "HALL"))])
            self.sync(self.all, self.kz, self.lost)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.hub.stop()
        for each in self.devices.values():
            each.close()

    def let_in(self, name: str, role: str, *scopes: str) -> Replica:
        self.devices[name] = Replica.init(self.folder / f"{name}.sqlite", name)
        enrol(self.devices[name], self.hub.url, self.hub.token(role, list(scopes)), 20.0, False)
        return self.devices[name]

    @staticmethod
    def sync(*devices: Replica) -> None:
        for each in devices:
            outcome = Session(each, photos="none").run()
            if outcome.waits or outcome.reasons:
                raise Broken(f"{each.path} can't sync: {outcome.reasons}")

    def expect(self, name: str, found, wanted) -> None:
        self.score.expect(f"hub, {name}", found, wanted)

    def path(self) -> Path:
        self.made += 1
        return self.folder / f"carried-{self.made}.karvan"

    def new(self, count: int, size: int = 900, table: str = "delegation", key: str = "KZ") -> list[bytes]:
        found = [picture(size + i) for i in range(count)]
        named(self.all, table, key, *found)
        return found

    def take(self, name: str, wanted: int, more, by: Replica | None = None, **how) -> None:
        by, path = by or self.all, self.path()
        carrier = Carrier(by, by.trust.holders()[bytes.fromhex(by.store.get("hub"))])
        path.write_bytes(carrier.bundle(more, **how))
        code, _ = self.hub.ask("bundle", "import", str(path))
        path.unlink()
        self.expect(f"{name}: its exit code ({code})", code == 0 if wanted == 0 else code > 0, True)

    def say(self, asks: list[Ask], part: Part | None = None, by: Replica | None = None) -> BlobReply:
        by = by or self.all
        body = BlobRequest(tuple(asks), part).encode()
        header = signature(by.seed, bytes.fromhex(by.store.get("hubKey")), PATH.encode(), body).hex()
        result, data, _, _ = asked(self.hub.url.removeprefix("https://"), "POST", PATH, body, header)
        if result != TAKEN:
            raise Broken(f"the hub answers {result}")
        return BlobReply.decode(data)

    def held(self, data: bytes, scope: bytes = KZ) -> tuple[int, int] | None:
        found, = self.say([Ask(scope, sha256(data), None)]).holdings
        return found and (found.held, found.size)

    def holds(self, data: bytes) -> bool:
        files = (self.folder / "hub.sqlite-blobs").rglob(sha256(data).hex())
        return any(path.read_bytes() == data for path in files)

    def lies_there(self, data: bytes) -> bool:
        files = [path for path in self.folder.rglob("*") if path.is_file()
                 and path.relative_to(self.folder).parts[0].startswith("hub.sqlite")]
        return any(data[:64] in path.read_bytes() for path in files)

    def run(self) -> None:
        self.takes()
        self.odd()
        self.others()
        self.refused()
        self.writes()

    def takes(self) -> None:
        small, large, turned = *self.new(1), *self.new(2, LARGE)
        self.take("pieces", 0, frames(*cut(small, KZ), *cut(large, KZ)))
        self.expect("they are taken", (self.holds(small), self.holds(large)), (True, True))
        self.expect("it says so", self.held(large), (len(large), len(large)))
        self.take("pieces out of order", 0, frames(*reversed(cut(turned, KZ))))
        self.expect("out of order: first bytes", self.held(turned), (MAX_PART, len(turned)))
        self.take("pieces out of order, again", 0, frames(*reversed(cut(turned, KZ))))
        self.expect("out of order, read again: whole", self.holds(turned), True)
        one, few = self.new(2, LARGE)
        self.sync(self.all)
        self.say([], cut(one, KZ)[0])
        self.say([], cut(few, KZ, 1_000)[0])
        self.take("what was begun over the network", 0, frames(*cut(one, KZ), *cut(few, KZ)))
        self.expect("begun over the network: whole", self.holds(one), True)
        self.expect("begun over the network by a smaller part: whole", self.holds(few), True)
        one, = self.new(1, LARGE)
        self.take("first bytes", 0, frames(cut(one, KZ)[0]))
        self.say([], cut(one, KZ)[1])
        self.expect("begun by a bundle, and then over the network: whole", self.holds(one), True)

    def odd(self) -> None:
        wrong, huge, beside = *self.new(1, LARGE), *self.new(2)
        unnamed, elsewhere = picture(700), *self.new(1)
        first, second = cut(wrong, KZ)
        self.take("odd pieces", 0, frames(
            first, replace(second, data=bytes(len(second.data))), Part(KZ, sha256(huge), MAX_BLOB + 1, 0, huge),
            Part(KZ, sha256(huge), 2**64 - 1, 0, huge), *cut(unnamed, KZ), *cut(elsewhere), *cut(beside, KZ),
            holding(beside, unnamed, scope=KZ)))
        self.expect("what lies beside odd pieces is taken", self.holds(beside), True)
        for name, data in {"of a size over the limit": huge, "that nobody names": unnamed,
                           "of another scope": elsewhere, "that isn't what the record names": wrong}.items():
            self.expect(f"nothing of a photo {name} lies there", self.lies_there(data), False)
        self.take("then as they should be", 0, frames(first, second, *cut(huge, KZ)))
        self.expect("what was wrong comes then", (self.holds(wrong), self.holds(huge)), (True, True))

    def others(self) -> None:
        """Whether the sender may read the scope, or was revoked, isn't asked."""
        by_two, apart, aside = *self.new(1, LARGE), *self.new(1, 800, "delegation", "AZ"), picture(850)
        self.take("first bytes", 0, frames(cut(by_two, KZ)[0]))
        self.take("the rest by another", 0, frames(cut(by_two, KZ)[1]), self.kz)
        self.expect("the first bytes of one and the rest of another aren't whole", self.held(by_two),
                    (MAX_PART, len(by_two)))
        self.take("by one who may not read the scope", 0, frames(*cut(apart, AZ)), self.kz)
        self.expect("by one who may not read the scope: taken", self.holds(apart), True)
        self.hub.call("device", "revoke", "lost")
        named(self.lost, "delegation", "KZ", aside)
        outcome = Session(self.lost, photos="none").run()
        self.expect("what a revoked one records is kept aside", outcome.kept_aside > 0, True)
        self.take("by one who was revoked", 0, frames(*cut(aside, KZ)), self.lost, runs=False)
        self.expect("of what is kept aside: taken", self.holds(aside), True)
        self.expect("which nobody is told of", self.held(aside), None)

    def refused(self) -> None:
        one, = self.new(1)
        good, = cut(one, KZ)
        plain, nothing = encode(good.item()), encode(("array", (("text", KZ), ("array", ()))))
        for name, kind, data in (("cut short", PIECE, plain[:-1]), ("with something behind", PIECE, plain + b"\0"),
                                 ("beyond its size", PIECE, encode(replace(good, offset=1).item())),
                                 ("holdings of nothing", HOLDINGS, nothing)):
            self.take(f"refused, {name}", 1, [*frames(good), (kind, data)])
        for name, numbered in {"sealed as contents are": lambda kind, n: n.to_bytes(12, "big"),
                               "sealed with the next nonce": lambda kind, n: nonce(kind, n + (kind == PIECE))}.items():
            self.take(f"refused, {name}", 1, frames(good), numbered=numbered)
        self.expect("nothing of what was refused lies there", self.lies_there(one), False)
        self.expect("nor is it named", self.say([], good).taken.name, "SCOPE")
        self.take("then as it should be", 0, frames(good))
        self.expect("then it is taken", self.holds(one), True)

    def written(self, to: Replica, *words: str):
        """The file, and what it has of photos."""
        path = self.path()
        code, out = self.hub.ask("bundle", "export", str(path), "--for", to.device.hex(), *words)
        if code:
            raise Broken(f"the hub writes nothing: {out}")
        data = path.read_bytes()
        path.unlink()
        return data, read(data, to.seed, to.trust.root)[3]

    def writes(self) -> None:
        base, half = *self.new(1, 1_000, "site", "HALL"), *self.new(1, LARGE)
        self.take("photos", 0, frames(*cut(base), cut(half, KZ)[0]))
        for to, scopes in ((self.kz, {BASE, KZ}), (self.all, {BASE, KZ, AZ})):
            name = to.store.get("name")
            data, photos = self.written(to)
            told = {(each.scope, digest) for each in photos.holdings for digest, _ in each.blobs}
            self.expect(f"to {name}: no photos, where none are asked for", photos.pieces, ())
            self.expect(f"to {name}: holdings of its scopes", {scope for scope, _ in told}, scopes)
            found = self.say([Ask(*each, None) for each in told], by=to).holdings
            self.expect(f"to {name}: of what is whole there", all(each and each.is_whole for each in found), True)
            self.expect(f"to {name}: not of first bytes", (KZ, sha256(half)) in told, False)
            kinds = [kind for kind, _ in payloads(data)]
            self.expect(f"to {name}: behind the contents", kinds.index(HOLDINGS) > max(
                i for i, kind in enumerate(kinds) if kind == CONTENTS), True)
            _, photos = self.written(to, "--photos", "all")
            blobs: dict[tuple, bytes] = {}
            for part in photos.pieces:
                so_far = blobs.setdefault((part.scope, part.digest), b"")
                self.expect(f"to {name}: each piece goes on", part.offset, len(so_far))
                blobs[part.scope, part.digest] = so_far + part.data
            self.expect(f"to {name}: the photos of its holdings", set(blobs), told)
            self.expect(f"to {name}: as they were", {sha256(each) for each in blobs.values()},
                        {digest for _, digest in told})

    # What its words count for

    def epochs(self, laptop: Laptop) -> None:
        """08 §7: of the last cursor's epoch, once there was a session."""
        def brings(name: str, wanted: bool) -> None:
            path = self.path()
            laptop.must("bundle export", str(path), "--photos", "own")
            self.score.expect(f"{laptop.kind}, {name}: brings the photo", path.stat().st_size > LARGE, wanted)
            path.unlink()

        def words(*more: str) -> Path:
            path = self.path()
            code, out = self.hub.ask("bundle", "export", str(path), "--for", laptop.name, *more)
            if code:
                raise Broken(f"the hub writes nothing: {out}")
            return path

        data, path = picture(LARGE), self.path()
        path.write_bytes(data)
        laptop.join(self.hub)
        laptop.must("sync")
        laptop.must("photo add", "delegation", "KZ", str(path))
        laptop.must("sync", "--photos", "none")
        brings("before the hub has it", True)
        early = words()
        sent = self.path()
        laptop.must("bundle export", str(sent))
        code, out = self.hub.ask("bundle", "import", str(sent))
        self.score.expect(f"{laptop.kind}, the hub takes the photo from its bundle ({out})", (code, self.holds(data)),
                          (0, True))
        brings("until the hub says so", True)
        laptop.must("bundle import", str(early))
        brings("when the hub hadn't said so yet", True)
        late = words()
        backup = self.path()
        self.hub.call("backup", str(backup))
        laptop.must("bundle import", str(late))
        brings("when the hub has said so", False)
        self.hub.stop()
        self.hub.call("restore", str(backup), "--replace")
        self.hub.start()
        laptop.must("sync", "--photos", "none", "--hub", self.hub.url)
        brings("when the hub has begun anew", True)
        laptop.must("bundle import", str(late))
        brings("by what it said in another epoch", True)
        laptop.must("bundle import", str(words()))
        brings("by what it says now", not self.holds(data))


def at_hub(score, folder: Path, program: str, kinds: dict[str, type[Laptop]]) -> None:
    found = AtHub(score, folder, program)
    try:
        found.run()
        for name, kind in kinds.items():
            found.epochs(kind(folder, f"e-{name}", "coordinator", []))
    finally:
        found.close()
