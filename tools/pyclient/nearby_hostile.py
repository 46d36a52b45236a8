"""Announcements by anybody in the network, and servers behind them that aren't laptops."""
from __future__ import annotations

import os
import socket
import threading
import time

from zeroconf import ServiceInfo, Zeroconf

from pyclient.nearby import SERVICE
from pyclient.tls_serve import TLSKey
from pyclient.txt_record import record


class Crowd:
    """Announces whatever it is given, without a look at whether the name is free or fit."""

    def __init__(self, network: Zeroconf):
        self.network, self.infos = network, []

    def announce(self, name: str, port: int, strings: list[bytes], *addresses: str, server: str = "") -> None:
        server = server or f"crowd-{os.urandom(4).hex()}.local."
        info = ServiceInfo(SERVICE, SERVICE, port, properties=record(strings), server=server,
                           parsed_addresses=list(addresses or ("127.0.0.1",)))
        info.name = f"{name}.{SERVICE}"
        self.infos.append(info)

    def __enter__(self) -> "Crowd":
        for info in self.infos:
            self.network.loop.call_soon_threadsafe(self.network.registry.async_add, info)
            self.network.loop.call_soon_threadsafe(
                self.network.async_send, self.network.generate_service_broadcast(info, None))
        return self

    def __exit__(self, *_) -> None:
        for info in self.infos:
            self.network.loop.call_soon_threadsafe(
                self.network.async_send, self.network.generate_service_broadcast(info, 0))
            self.network.loop.call_soon_threadsafe(self.network.registry.async_remove, info)
        time.sleep(0.2)


class Server:
    """Takes connections and counts them; what it does with them, it does in a thread of each, until it is stopped."""

    def __init__(self, family: int = socket.AF_INET):
        self.family, self.count, self.lines, self.is_over = family, 0, [], threading.Event()

    def __enter__(self) -> "Server":
        self.socket = socket.socket(self.family)
        self.socket.bind(("::1" if self.family == socket.AF_INET6 else "127.0.0.1", 0))
        self.socket.listen(128)
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()
        return self

    def accept(self) -> None:
        while not self.is_over.is_set():
            try:
                line, _ = self.socket.accept()
            except OSError:
                return
            self.count += 1
            self.lines.append(line)
            threading.Thread(target=self.quietly, args=(line,), daemon=True).start()

    def quietly(self, line: socket.socket) -> None:
        try:
            self.serve(line)
        except (OSError, ValueError):
            pass

    def serve(self, line: socket.socket) -> None:
        """Says nothing."""
        self.is_over.wait()

    def __exit__(self, *_) -> None:
        self.is_over.set()
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for line in self.lines:
            line.close()
        self.thread.join(5)


class Garbage(Server):
    """Bytes that are neither TLS nor HTTP."""

    def serve(self, line: socket.socket) -> None:
        line.sendall(os.urandom(4_096))
        line.close()


class Secret(Server):
    """Speaks TLS, and answers with something else; a byte at a time where `every` says after how many seconds."""

    def __init__(self, answer: bytes, every: float = 0.0, start: bytes = b""):
        super().__init__()
        self.answer, self.every, self.start = answer, every, start
        self.context = TLSKey().context()

    def serve(self, line: socket.socket) -> None:
        with self.context.wrap_socket(line, server_side=True) as line:
            line.recv(65_536)
            if not self.every:
                line.sendall(self.answer)
                return
            line.sendall(self.start)
            rest = iter(self.answer)
            while not self.is_over.wait(self.every):
                line.sendall(bytes([next(rest, 0)]))


def closed_port() -> int:
    """One at which nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
