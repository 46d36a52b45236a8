"""The same odd meetings to two laptops of different implementations: both have to say the same of each."""
from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

from checker.kinds_of_trust import request as signature

from pyclient.bundle_write import BundleWriter
from pyclient.company import own_papers
from pyclient.fleet_laptops import PythonLaptop, SwiftLaptop
from pyclient.fleet_meetings import Serving
from pyclient.lan_cast import Cast, asked, more
from pyclient.meeting import MEETING_PATH, Meeting
from pyclient.trust import Holder

HEADS = bytes.fromhex("00010217181b204058608084869fa0c0f4f6f9ff")
FRONT = 12  # of this many bytes every second change is


class Bytes:
    """In the place of a list: whatever bytes."""

    def __init__(self, data: bytes):
        self.data = data

    def encode(self) -> bytes:
        return self.data


class Odd:
    def __init__(self, folder: Path, seed: int):
        self.rng, self.cast, self.folder = random.Random(seed), Cast(folder), folder
        self.counts: Counter = Counter()

    def changed(self, data: bytes) -> bytes:
        rng, found = self.rng, bytearray(data)
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            at, chance = rng.randrange(len(found) if rng.random() < 0.5 else min(len(found), FRONT)), rng.random()
            if chance < 0.45:
                found[at] ^= 1 << rng.randrange(8)
            elif chance < 0.6:
                found[at] = rng.choice(HEADS)
            elif chance < 0.75 and len(found) > 1:
                del found[at]
            elif chance < 0.9:
                found.insert(at, rng.randrange(256))
            else:
                found = found[:at] or found
        return bytes(found)

    def body(self, plain: Meeting, bundle: bytes) -> bytes:
        """In the frame of the meeting, or within its list or bundle."""
        chance = self.rng.random()
        if chance < 0.6:
            body = plain.encode()
            return self.changed(body if chance < 0.45 else more(body))
        if chance < 0.85:
            return replace(plain, list=Bytes(self.changed(plain.list.encode()))).encode()
        return replace(plain, bundle=self.changed(bundle)).encode()

    def run(self, number: int) -> int:
        """How many are answered in two ways."""
        laptops = [PythonLaptop(self.folder, "one", "", []), SwiftLaptop(self.folder, "other", "", [])]
        papers = [self.cast.forum.join(laptop) for laptop in laptops]
        guest, apart = self.cast.guest, 0
        self.cast.wrote(guest, "AA")
        self.cast.note(guest, "delegation/AA")
        hosts = [Holder(each.holder, False, (each.statement,)) for each in papers]
        writer = BundleWriter(guest)
        lacking = writer.lacking(hosts[0], ())
        keys = {host.device: host.last.encryption_key for host in hosts}
        bundle = writer.parts(lacking.held, lacking.batches, keys, None)[0]
        plain = Meeting(guest.trust.root, *own_papers(guest), lacking.held, None)
        with Serving(laptops[0]) as one, Serving(laptops[1]) as other:
            for _ in range(number):
                body, found = self.body(plain, bundle), []
                for each, serving in zip(papers, (one, other)):
                    header = signature(guest.seed, each.statement.key, MEETING_PATH.encode(), body).hex()
                    found.append(asked(serving.address, "POST", MEETING_PATH, body, header)[0])
                self.counts[found[0][1]] += 1
                if found[0] != found[1]:
                    apart += 1
                    print(f"FAIL {found} for {body.hex()}", flush=True)
        self.cast.close()
        return apart
