"""Requests that a generator of OpenAPI requests doesn't make: broken HTTP, odd targets, several on one connection."""
from __future__ import annotations

import http.client
import socket
import sqlite3
import ssl
import time
from dataclasses import dataclass
from pathlib import Path

from checker.encoding import Reader
from checker.kinds_of_trust import request as signature
from checker.limits import Reject
from checker.messages import Refusal, Request, RequestPart
from pyclient.store import wall

from http_check.world import World, run_of

TYPE, TEXT = "application/vnd.karvan.1+cbor", "text/plain; charset=utf-8"
TIMEOUT = 20
MOST = 4_194_304
HOST = b"Host: localhost\r\n"
POST = b"Content-Type: application/vnd.karvan.1+cbor\r\n"


@dataclass(frozen=True)
class Odd:
    """What goes over one connection, and the statuses that may come, in order; the method is that of each answer."""
    name: str
    sent: bytes
    statuses: tuple[int | tuple[int, ...], ...]
    methods: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def refusal(self) -> str | None:
        if self.headers.get("content-type") != TYPE or self.status == 200 or not self.body:
            return None
        try:
            return Refusal.read(Reader(self.body)).name
        except Reject:
            return None


def get(path: bytes, more: bytes = b"", method: bytes = b"GET") -> bytes:
    return method + b" " + path + b" HTTP/1.1\r\n" + HOST + more + b"\r\n"


def post(path: bytes, body: bytes, more: bytes = POST) -> bytes:
    return b"POST " + path + b" HTTP/1.1\r\n" + HOST + more + b"Content-Length: %d\r\n\r\n" % len(body) + body


HEALTH, EXCHANGE, ENROL = b"/v1/health", b"/v1/exchange", b"/v1/enrol"
THEN = get(HEALTH)  # whether the connection goes on where it should


def with_length(length: bytes) -> bytes:
    return get(EXCHANGE, POST + b"Content-Length: " + length + b"\r\n", b"POST")


def chunked(body: bytes) -> bytes:
    return get(ENROL, POST + b"Transfer-Encoding: chunked\r\n", b"POST") + body


def head(path: bytes, status: int) -> Odd:
    return Odd(f"HEAD {path.decode()}, then GET", get(path, method=b"HEAD") + THEN, (status, 200), ("HEAD", "GET"))


ODD = [
    head(HEALTH, 200), head(EXCHANGE, 405), head(b"/v2/exchange", 426), head(b"/none", 404),
    Odd("three on one connection", THEN * 3, (200, 200, 200)),
    Odd("a body that nobody asked for", get(HEALTH, b"Content-Length: 5\r\n") + b"hello" + THEN, (200, 200)),
    Odd("415, then GET", post(ENROL, b"x" * 70_000, b"Content-Type: text/plain\r\n") + THEN, (415, 200)),
    Odd("405 with a body, then GET", post(HEALTH, b"x" * 70_000) + THEN, (405, 200)),
    Odd("404 with a body, then GET", post(b"/none", b"x" * 70_000) + THEN, (404, 200)),
    Odd("426 with a body, then GET", post(b"/v3/exchange", b"x" * 70_000) + THEN, (426, 200)),
    Odd("too long by its length", with_length(b"%d" % (MOST + 1)), (413,)),
    Odd("too long by far", with_length(b"9223372036854775807"), (413,)),
    Odd("a length over 64 bits", with_length(b"99999999999999999999"), (400,)),
    Odd("too long in chunks", chunked(b"400001\r\n" + b"x" * 0x400001 + b"\r\n0\r\n\r\n"), (413,)),
    Odd("chunks", chunked(b"2\r\n\x80\x01\r\n0\r\n\r\n") + THEN, (400, 200)),
    Odd("100-continue", post(EXCHANGE, b"\x80", POST + b"Expect: 100-continue\r\n") + THEN, (403, 200)),
    Odd("a content type in other letters, with a parameter",
        post(ENROL, b"\x80", b"Content-Type: Application/VND.karvan.1+CBOR ; a=b\r\n"), (400,)),
    Odd("an empty body", post(ENROL, b""), (400,)),
    Odd("no body and no length", get(ENROL, POST, b"POST") + THEN, (400, 200)),
    Odd("no content type", post(EXCHANGE, b"\x80", b""), (415,)),
    Odd("a long signature", post(EXCHANGE, b"\x80", POST + b"Karvan-Signature: " + b"0" * 8_000 + b"\r\n"), (403,)),
    Odd("two signatures", post(EXCHANGE, b"\x80", POST + (b"Karvan-Signature: " + b"0" * 192 + b"\r\n") * 2), (403,)),
    Odd("a query that isn't one", get(HEALTH + b"?%zz&=;"), (200,)),
    Odd("an escaped path", get(b"/v1/%68ealth"), (404,)),
    Odd("two slashes", get(b"//v1/health"), (404,)),
    Odd("a slash behind", post(EXCHANGE + b"/", b""), (404,)),
    Odd("dots", get(b"/v1/../v1/health"), (404,)),
    Odd("another format, and nothing behind", get(b"/v2/"), (426,)),
    Odd("another format, and much behind", get(b"/v2/a/b/c?d"), (426,)),
    Odd("another format, without a slash", get(b"/v2"), (404,)),
    Odd("many digits", get(b"/v" + b"9" * 400 + b"/x"), (426,)),
    Odd("no format", get(b"/v/exchange"), (404,)),
    Odd("bytes over 127 in the path", get(b"/v\xd9\xa1/exchange"), (400,)),
    Odd("the whole address", get(b"https://localhost/v1/health"), (200,)),
    Odd("an asterisk", get(b"*", method=b"OPTIONS"), (404,)),
    Odd("CONNECT", get(b"localhost:1", method=b"CONNECT"), (404,)),
    Odd("a method that nobody knows", get(EXCHANGE, method=b"BREW"), ((400, 405),)),
    Odd("a method in small letters", get(HEALTH, method=b"get"), ((400, 405),)),
    Odd("HTTP/1.0", b"GET /v1/health HTTP/1.0\r\n\r\n", (200,)),
    Odd("no host", b"GET /v1/health HTTP/1.1\r\n\r\n", (200,)),
    Odd("HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400,)),
    Odd("HTTP/3.0", b"GET /v1/health HTTP/3.0\r\n" + HOST + b"\r\n", (400,)),
    Odd("not HTTP", b"hello\r\n\r\n", (400,)),
    Odd("zeros", b"\0" * 400, (400,)),
    Odd("a head of 17,000 bytes", get(HEALTH, b"X-Long: " + b"x" * 17_000 + b"\r\n"), (400,)),
    Odd("a head of 17,000 bytes in 90 fields", get(HEALTH, (b"X: " + b"x" * 185 + b"\r\n") * 90), (400,)),
    Odd("a target of 17,000 bytes", get(b"/" + b"x" * 17_000), (400,)),
    Odd("101 fields", get(HEALTH, b"X: y\r\n" * 101), (400,)),
    Odd("a field without a name", get(HEALTH, b": y\r\n"), (400,)),
    Odd("a field with a zero", get(HEALTH, b"X: a\0b\r\n"), (400,)),
    Odd("a field without a colon", get(HEALTH, b"hello\r\n"), (400,)),
    Odd("two lengths", with_length(b"1\r\nContent-Length: 2") + b"ab", (400,)),
    Odd("a length and chunks", with_length(b"1\r\nTransfer-Encoding: chunked") + b"0\r\n\r\n", (400,)),
    Odd("a length below zero", with_length(b"-1"), (400,)),
    Odd("a length that is no number", with_length(b"x"), (400,)),
    Odd("chunks that are none", chunked(b"zz\r\n"), (400,)),
    Odd("a second request that isn't HTTP", THEN + b"hello\r\n\r\n", (200, 400)),
]


class Wire:
    """One TLS connection for each; the hub's own certificate is the authority."""

    def __init__(self, port: int, certificate: Path):
        self.port = port
        self.context = ssl.create_default_context(cafile=str(certificate))
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3

    def connect(self) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.port), TIMEOUT)
        return self.context.wrap_socket(plain, server_hostname="localhost")

    def answers(self, odd: Odd) -> list[Answer]:
        methods = odd.methods or ("GET",) * len(odd.statuses)
        with self.connect() as connection:
            try:
                connection.sendall(odd.sent)
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused before its end
            stream = connection.makefile("rb")
            return [found for method in methods if (found := read(stream, method))]

    def faults(self, odd: Odd) -> tuple[list[int], str]:
        """The statuses that came, and what is wrong with them."""
        try:
            found = self.answers(odd)
        except (OSError, http.client.HTTPException, ValueError) as error:
            return [], f"no answer that can be read: {type(error).__name__} {error}"
        came = [answer.status for answer in found]
        if len(found) < len(odd.statuses):
            return came, "the connection was closed"
        for answer, expected in zip(found, odd.statuses):
            allowed = expected if isinstance(expected, tuple) else (expected,)
            if answer.status not in allowed:
                return came, f"{answer.status} instead of {' or '.join(map(str, allowed))}"
            if why := badly_said(answer):
                return came, why
        return came, ""


class Lines:
    """What http.client takes for a socket."""

    def __init__(self, stream):
        self.stream = stream

    def makefile(self, mode: str):
        return self

    def readline(self, limit: int = -1) -> bytes:
        return self.stream.readline(limit)

    def __getattr__(self, name: str):
        return getattr(self.stream, name)

    def close(self) -> None:
        pass


def read(stream, method: str) -> Answer | None:
    answer = http.client.HTTPResponse(Lines(stream), method=method)
    try:
        answer.begin()
    except (http.client.RemoteDisconnected, ConnectionResetError):
        return None
    body = answer.read()
    return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, body)


def badly_said(answer: Answer) -> str:
    """openapi.yaml: an answer of the hub, or NotHTTP."""
    kind = answer.headers.get("content-type")
    if answer.status == 400 and kind is None:
        is_closed = answer.headers.get("connection") == "close" and answer.headers.get("content-length") == "0"
        return "" if is_closed and not answer.body else "a 400 of no kind"
    if answer.headers.get("cache-control") != "no-store" or kind not in (TYPE, TEXT):
        return f"{answer.status} with {kind}, {answer.headers.get('cache-control')}"
    if kind == TYPE and answer.status != 200 and answer.body and answer.refusal is None:
        return "a refusal that can't be read"
    return ""


def retry(world: World, wire: Wire, store: Path) -> tuple[list[int], str]:
    """503 where it is documented: another process keeps the store, and the hub can't write."""
    device = world.devices[0]
    runs = tuple(map(run_of, device.runs["forum"][:1]))
    body = Request(0, wall(), 1, (RequestPart(b"forum", None, (), runs),)).encode()
    signed = signature(bytes.fromhex(device.seed), bytes.fromhex(world.hub_key), EXCHANGE, body).hex().encode()
    odd = Odd("", post(EXCHANGE, body, POST + b"Karvan-Signature: " + signed + b"\r\n"), (503,))
    other = sqlite3.connect(store, isolation_level=None, timeout=10)
    try:
        other.execute("BEGIN IMMEDIATE")
        answers = wire.answers(odd)
        other.execute("ROLLBACK")
    except (OSError, http.client.HTTPException) as error:
        return [], f"no answer that can be read: {error}"
    finally:
        other.close()
    came = [answer.status for answer in answers]
    if came != [503] or answers[0].refusal != "RETRY" or badly_said(answers[0]):
        return came, f"{came} instead of RETRY"
    if not answers[0].headers.get("retry-after", "").isdigit():
        return came, "RETRY without Retry-After"
    return came, wire.faults(Odd("", odd.sent, (200,)))[1]


def run(world: World, port: int, folder: Path) -> tuple[list[tuple[str, list[int], str]], float]:
    """Name, statuses and fault of each."""
    started = time.monotonic()
    wire = Wire(port, folder / "hub.sqlite.tls-cert.pem")
    found = [(odd.name, *wire.faults(odd)) for odd in ODD]
    found.append(("a store that another process keeps", *retry(world, wire, folder / "hub.sqlite")))
    return found, time.monotonic() - started
