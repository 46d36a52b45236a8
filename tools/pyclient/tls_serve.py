"""07 §1, 08 §8: serving HTTP/1.1 over TLS 1.3 with a key that is made anew each time."""
from __future__ import annotations

import contextlib
import datetime
import hashlib
import re
import socket
import ssl
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from checker.encoding import encode
from checker.limits import CODES
from checker.messages import Refusal
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from pyclient.tls import MAX_MESSAGE, TYPE

PLAIN = "text/plain; charset=utf-8"
STATUS = {"RETRY": 503, "GAP": 409, "FORK": 409, "REWOUND": 409, "EPOCH": 409, "REVOKED": 403, "SCOPE": 403,
          "UPGRADE": 426, "POISON": 400, "TOO_LARGE": 413}
OTHER_VERSION = re.compile(r"/v(?!1/)[0-9]+/")
PATIENCE, MOST, LEFT_UNREAD = 20.0, 300.0, 4 * MAX_MESSAGE


class TLSKey:
    """A P-256 key and a certificate of its own, which says nothing: the key alone is looked at."""

    def __init__(self):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "karvan")])
        now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        made = made.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        certificate = made.not_valid_after(now + datetime.timedelta(days=30)).sign(key, hashes.SHA256())
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.pin = hashlib.sha256(public).digest()
        self.pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) \
            + certificate.public_bytes(Encoding.PEM)

    def context(self) -> ssl.SSLContext:
        found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        found.minimum_version = ssl.TLSVersion.TLSv1_3
        with tempfile.TemporaryDirectory() as folder:  # the library takes a file and nothing else
            path = Path(folder) / "key"
            path.touch(mode=0o600)
            path.write_bytes(self.pem)
            found.load_cert_chain(path)
        return found


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes


@dataclass(frozen=True)
class Answered:
    status: int
    type: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def message(body: bytes) -> Answered:
    return Answered(200, TYPE, body)


def refusal(code: str, words: str) -> Answered:
    """07 §2."""
    more = {"Retry-After": "5"} if code == "RETRY" else {}
    return Answered(STATUS[code], TYPE, encode(Refusal(CODES.index(code) + 1, words.encode()).item()), more)


def plain(status: int, words: str, headers: dict[str, str] | None = None) -> Answered:
    return Answered(status, PLAIN, (words + "\n").encode(), headers or {})


class Paths:
    """07 §1: which path takes which method; the one that answers gets what is left."""

    def __init__(self, methods: dict[str, str], answer: Callable[[Asked], Answered]):
        self.methods, self.answer = methods, answer

    def unasked(self, method: str, path: str, type_: str) -> Answered | None:
        """What is refused whatever the body is."""
        if OTHER_VERSION.match(path):
            return refusal("UPGRADE", "this is an earlier build: it knows /v1/ alone")
        if path not in self.methods:
            return plain(404, "there is nothing here")
        if method != self.methods[path]:
            return plain(405, "not in this way", {"Allow": self.methods[path]})
        if method == "POST" and type_.split(";")[0].strip().lower() != TYPE:
            return plain(415, f"the body is of the type {TYPE}")
        return None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Front"

    def one(self) -> None:
        self.close_connection = True
        self.say(self.answered())

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = one

    def answered(self) -> Answered:
        paths = self.server.paths
        if found := paths.unasked(self.command, self.path, self.headers.get("Content-Type", "")):
            self.drain()
            return found
        stated = self.headers.get("Content-Length", "" if self.command == "POST" else "0")
        if not stated.isdigit():
            return plain(411, "say how long the body is")
        if int(stated) > MAX_MESSAGE:
            self.drain()
            return refusal("TOO_LARGE", f"a message has at most {MAX_MESSAGE} bytes")
        body = self.rfile.read(int(stated))
        if len(body) < int(stated):
            raise ConnectionError("the body broke off")
        headers = {name.lower(): value for name, value in self.headers.items()}
        return paths.answer(Asked(self.command, self.path, headers, body))

    def drain(self) -> None:
        """So that the answer isn't lost with what wasn't read."""
        stated = self.headers.get("Content-Length", "0")
        if stated.isdigit() and int(stated) <= LEFT_UNREAD:
            self.rfile.read(int(stated))

    def say(self, answer: Answered) -> None:
        self.send_response(answer.status)
        for name, value in {"Content-Type": answer.type, "Content-Length": str(len(answer.body)),
                            "Cache-Control": "no-store", "Connection": "close", **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def log_message(self, *_) -> None:
        pass


class Front(ThreadingHTTPServer):
    """Serves in threads; each connection is for one request, and has a limit in time."""
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], key: TLSKey, paths: Paths):
        self.paths, self.context = paths, key.context()
        self.busy: set[socket.socket] = set()
        self.changed = threading.Condition()
        super().__init__(address, Handler)
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def port(self) -> int:
        return self.server_address[1]

    def start(self) -> None:
        self.thread.start()

    def stop(self, patience: float = 10.0) -> None:
        """Takes nobody else; what is being answered goes on for so many seconds."""
        self.shutdown()
        self.server_close()
        self.thread.join()
        with self.changed:
            self.changed.wait_for(lambda: not self.busy, patience)
            for each in self.busy:
                ended(each)
            self.changed.wait_for(lambda: not self.busy, patience)

    def process_request(self, request, client_address) -> None:
        with self.changed:
            self.busy.add(request)
        super().process_request(request, client_address)

    def process_request_thread(self, request, client_address) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self.changed:
                self.busy.discard(request)
                self.changed.notify_all()

    def finish_request(self, request, client_address) -> None:
        request.settimeout(PATIENCE)
        with contextlib.closing(self.context.wrap_socket(request, server_side=True)) as line:
            limit = threading.Timer(MOST, ended, (line,))
            limit.daemon = True
            limit.start()
            with self.changed:
                self.busy = self.busy - {request} | {line}
            try:
                self.RequestHandlerClass(line, client_address, self)
                ended(line)
            finally:
                limit.cancel()
                with self.changed:
                    self.busy.discard(line)
                    self.changed.notify_all()

    def handle_error(self, request, client_address) -> None:
        """A connection that broke, or was for somebody else, is nothing to tell; a mistake is."""
        if not isinstance(sys.exc_info()[1], (OSError, ValueError)):
            super().handle_error(request, client_address)


def ended(line: socket.socket) -> None:
    with contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
