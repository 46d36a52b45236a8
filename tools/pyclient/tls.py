"""07 §1, 09 §8: HTTP/1.1 over TLS 1.3 with a hub that is known by its key."""
from __future__ import annotations

import hashlib
import hmac
import http.client
import socket
import ssl
import time
from urllib.parse import urlsplit

from checker.encoding import Reader
from checker.limits import Reject
from checker.messages import Refusal
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

MAX_MESSAGE = 4_194_304
TYPE = "application/vnd.karvan.1+cbor"
LATER = (429, 502, 503, 504)
CHUNK = 65_536


class NoHub(Exception):
    """No hub answered; the words say why, and what to do."""


class NoPath(NoHub):
    """It doesn't know what was asked for."""


class HubRefused(Exception):
    """07 §2: the hub refused a whole request."""

    def __init__(self, refusal: Refusal):
        super().__init__(f"{refusal.name}: {refusal.explanation.decode()}")
        self.code = refusal.name


def pin_of(certificate: bytes) -> bytes:
    """09 §6: the SHA-256 of the SubjectPublicKeyInfo."""
    key = x509.load_der_x509_certificate(certificate).public_key()
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def context() -> ssl.SSLContext:
    """09 §8: no date, no name and no authority; the key alone is looked at."""
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    found.minimum_version = ssl.TLSVersion.TLSv1_3
    found.check_hostname = False
    found.verify_mode = ssl.CERT_NONE
    return found


class Hub:
    """One connection, made anew when it was closed. Nothing is sent before the key was looked at."""
    who = "hub"
    strange = "If the hub's key was changed, ask its operator for a token and enrol again"

    def __init__(self, url: str, pins: tuple[bytes, ...] | None, timeout: float = 20.0, most: float = 300.0):
        """Without pins, whoever answers is asked."""
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment or parts.username:
            raise NoHub(f"{url} is no {self.who}'s address: it looks like https://HOST:PORT")
        self.host, self.port, self.prefix = parts.hostname, parts.port or 443, parts.path.rstrip("/")
        self.pins, self.timeout, self.most = pins, timeout, most
        self.connection: http.client.HTTPSConnection | None = None

    def close(self) -> None:
        if self.connection:
            self.connection.close()
            self.connection = None

    def connect(self) -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection(self.host, self.port, timeout=self.timeout, context=context())
        connection.auto_open = 0  # never without a look at the key
        try:
            connection.connect()
            pin = pin_of(connection.sock.getpeercert(binary_form=True) or b"")
        except (OSError, ValueError) as error:
            connection.close()
            raise NoHub(f"no {self.who} answers at {self.host}:{self.port} ({error}): try again when there is a "
                        "network") from None
        if self.pins is not None and not any(hmac.compare_digest(pin, known) for known in self.pins):
            connection.close()
            raise NoHub(f"what answers at {self.host}:{self.port} doesn't hold the {self.who}'s key: nothing was sent. "
                        f"{self.strange}")
        return connection

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> bytes:
        """07 §1: a message's bytes; HubRefused or NoHub otherwise."""
        return self.ask("POST", path, body, {"Content-Type": TYPE, "Content-Length": str(len(body))} | headers)

    def get(self, path: str) -> bytes:
        return self.ask("GET", path, None, {})

    def ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> bytes:
        fresh = self.connection is None
        try:
            return self.asked(method, path, body, headers)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            self.close()
            if fresh:
                raise NoHub(f"the {self.who} closed the connection without an answer: try again later") from None
        try:  # one that lay idle was closed; what is sent twice is held already (07 §6.3)
            return self.asked(method, path, body, headers)
        except OSError as error:
            raise NoHub(f"the connection broke ({error}): try again later") from None

    def asked(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> bytes:
        deadline = time.monotonic() + self.most
        self.connection = self.connection or self.connect()
        try:
            self.connection.request(method, self.prefix + path, body, headers)
            answer = self.connection.getresponse()
            data = self.read(answer, deadline)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            raise
        except (OSError, http.client.HTTPException) as error:
            self.close()
            kind = "no answer in time" if isinstance(error, (socket.timeout, TimeoutError)) else str(error)
            raise NoHub(f"the {self.who}'s answer didn't come through ({kind}): try again later") from None
        if answer.will_close:
            self.close()
        return self.judged(answer, data)

    def read(self, answer: http.client.HTTPResponse, deadline: float) -> bytes:
        """07 §1: at most a message's length, and at most so long."""
        stated = answer.getheader("Content-Length", "0")
        if not stated.isdigit() or int(stated) > MAX_MESSAGE:
            self.close()
            raise NoHub(f"the answer is longer than a {self.who}'s may be")
        found = bytearray()
        while chunk := answer.read1(CHUNK):
            found += chunk
            if len(found) > MAX_MESSAGE or time.monotonic() > deadline:
                self.close()
                raise NoHub(f"the answer is longer, or took longer, than a {self.who}'s may")
        if answer.length:
            raise http.client.IncompleteRead(bytes(found), answer.length)
        answer.close()
        return bytes(found)

    def judged(self, answer: http.client.HTTPResponse, data: bytes) -> bytes:
        """07 §1: a message, a refusal, or no hub's answer at all."""
        is_message = answer.getheader("Content-Type") == TYPE
        if is_message and answer.status == 200:
            return data
        if is_message:
            try:
                reader = Reader(data)
                refusal = Refusal.read(reader)
                reader.end()
            except Reject as reason:
                raise NoHub(f"the {self.who}'s refusal can't be read ({reason})") from None
            raise HubRefused(refusal)
        if answer.status in LATER:
            raise NoHub(f"the {self.who} isn't there at the moment (status {answer.status}): try again later")
        kind = NoPath if answer.status == 404 else NoHub
        raise kind(f"what answers at {self.host}:{self.port} is no {self.who} (status {answer.status}): is there a "
                   "login page between?")
