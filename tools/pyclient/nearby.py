"""08 §8 "To be found": a laptop announces itself by DNS-SD, and one that looks visits all that it finds."""
from __future__ import annotations

import asyncio
import ipaddress
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from checker.limits import Reject
from checker.meetings import Advertisement
from zeroconf import DNSQuestionType, InterfaceChoice, ServiceBrowser, ServiceInfo, ServiceStateChange, Zeroconf

from pyclient.replica import Replica
from pyclient.schema import UsageError
from pyclient.tls import HubRefused, NoHub
from pyclient.txt_record import printable, record, strings_of
from pyclient.visit import Visit, Visited

SERVICE = "_karvan._tcp.local."
SECONDS = 4.0
LABEL = 63  # bytes of an instance's name (RFC 6763 §4.1.1)


def opened(interface: str = "") -> Zeroconf:
    """On the interface of an address, or on all of them."""
    return Zeroconf(interfaces=[interface] if interface else InterfaceChoice.All)


def instance(name: str) -> str:
    """The name as one label: what the library takes for an end of a label, and what it refuses, is left out."""
    plain = "".join(each if each.isprintable() and each != "." else " " for each in name)
    return plain.encode()[:LABEL].decode(errors="ignore").strip() or "karvan"


@contextmanager
def announced(path: Path, name: str, address: str, port: int) -> Iterator[None]:
    """A replica's laptop, for as long as the block takes, on the interface of the address where it serves."""
    if ipaddress.ip_address(address).is_unspecified:
        raise UsageError(f"say on which address of this laptop it is to be found, in place of {address}")
    replica = Replica(path)
    try:
        said = Advertisement.by(replica.trust.root, replica.device)
    finally:
        replica.close()
    network = opened(address)
    try:
        network.register_service(ServiceInfo(
            SERVICE, f"{instance(name)}.{SERVICE}", port, properties=record(said.strings()),
            server=f"karvan-{said.device.decode()}.local.", parsed_addresses=[address]), allow_name_change=True)
        yield
    finally:
        network.close()  # says goodbye for it


@dataclass(frozen=True)
class Neighbour:
    """What an announcement says; all of it is a hint."""
    name: str
    text: tuple[bytes, ...]
    addresses: tuple[str, ...]  # HOST:PORT

    @property
    def said(self) -> Advertisement | None:
        return Advertisement.read(list(self.text))


class Search:
    """Listens for as long as the block takes, and asks each one that it hears of where it is."""

    def __init__(self, network: Zeroconf):
        self.network = network
        self.infos: dict[str, ServiceInfo] = {}

    def __enter__(self) -> "Search":
        self.browser = ServiceBrowser(self.network, SERVICE, handlers=[self.changed], question_type=DNSQuestionType.QM)
        return self

    def __exit__(self, *_) -> None:
        self.browser.cancel()

    def changed(self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        if state_change is ServiceStateChange.Removed:
            self.infos.pop(name, None)
            return
        if name not in self.infos:
            self.infos[name] = ServiceInfo(service_type, service_type)
            self.infos[name].name = name  # whatever it is
        asked = self.infos[name].async_request(zeroconf, SECONDS * 1_000, DNSQuestionType.QM)
        asyncio.run_coroutine_threadsafe(asked, zeroconf.loop)

    def found(self) -> list[Neighbour]:
        for info in list(self.infos.values()):
            info.load_from_cache(self.network)
        return [Neighbour(name.removesuffix("." + SERVICE), tuple(strings_of(info.text)), addresses(info))
                for name, info in list(self.infos.items()) if info.port and info.text is not None]

    def wait(self, is_there: Callable[[list[Neighbour]], bool], seconds: float = SECONDS) -> bool:
        """Whether it comes to be so, at the latest after so many seconds."""
        deadline = time.monotonic() + seconds
        while not (found := is_there(self.found())) and time.monotonic() < deadline:
            time.sleep(0.05)
        return found


def addresses(info: ServiceInfo) -> tuple[str, ...]:
    """Those of IPv4 first; one that counts on a link alone says nothing without the link."""
    found = map(ipaddress.ip_address, info.parsed_addresses())
    fit = [each for each in sorted(found, key=lambda each: each.version) if each.version == 4 or not each.is_link_local]
    return tuple(f"[{each}]:{info.port}" if each.version == 6 else f"{each}:{info.port}" for each in fit)


def search(root: bytes, own: bytes, interface: str = "", seconds: float = SECONDS) -> list[Neighbour]:
    """All of this forum that announce themselves, but this device."""
    network = opened(interface)
    try:
        with Search(network) as listening:
            time.sleep(seconds)
            found = listening.found()
    finally:
        network.close()
    own_said = Advertisement.by(root, own)
    return [each for each in found
            if (said := each.said) and said.forum == own_said.forum and said.device != own_said.device]


@dataclass
class Met:
    """What came of one: where it was met last, or why it wasn't."""
    neighbour: Neighbour
    address: str = ""
    visits: list[Visited] = field(default_factory=list)
    fault: str = ""

    @property
    def received(self) -> int:
        return sum(each.received for each in self.visits)


class Round:
    """One after the other; then once more those that were met before the last one that brought something new."""

    def __init__(self, replica: Replica, timeout: float = 20.0, photos: str = "own"):
        self.replica, self.timeout, self.photos = replica, timeout, photos

    def run(self, found: list[Neighbour]) -> list[Met]:
        met = list(map(self.visit, found))
        last = max((at for at, each in enumerate(met) if each.received), default=0)
        for each in met[:last]:
            if each.address:
                self.is_met(each, each.address)
        return met

    def visit(self, neighbour: Neighbour) -> Met:
        found = Met(neighbour)
        any(self.is_met(found, address) for address in neighbour.addresses)
        return found

    def is_met(self, found: Met, address: str) -> bool:
        try:
            visited = Visit(self.replica, address, self.timeout, self.photos).run()
        except (UsageError, NoHub, HubRefused, Reject, OSError) as error:
            found.fault = str(error)
            return False
        found.address, found.fault = address, ""
        found.visits.append(visited)
        return True


def sync_nearby(replica: Replica, interface: str, timeout: float, photos: str) -> bool:
    """Whether anybody was met, and all that were hold the same."""
    if replica.trust.root is None:
        raise UsageError("this replica belongs to no forum yet: join a hub with `enrol URL TOKEN`")
    met = Round(replica, timeout, photos).run(search(replica.trust.root, replica.device, interface))
    for each in met:
        name = printable(each.neighbour.name)
        if each.visits:
            brought = sum(visited.brought for visited in each.visits)
            print(f"met {name} {len(each.visits)} times: brought {brought} runs, received {each.received} changesets")
        if each.fault:
            print(f"{name} was found, but not met: {printable(each.fault)}", file=sys.stderr)
    if not met:
        print("no laptop of this forum was found nearby", file=sys.stderr)
    visits = [each.visits[-1] for each in met if each.visits]
    return bool(visits) and all(each.is_done for each in visits)
