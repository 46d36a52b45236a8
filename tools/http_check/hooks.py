"""What schemathesis loads: bodies from plans, signatures, a check of what messages say, and a line for each answer."""
from __future__ import annotations

import json
import os
import sys
from email.utils import parsedate_to_datetime
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2] / "Protocol")]

import schemathesis  # noqa: E402
from checker.encoding import Reader  # noqa: E402
from checker.kinds_of_trust import request as signature  # noqa: E402
from checker.blobs import BlobReply, BlobRequest  # noqa: E402
from checker.limits import Reject  # noqa: E402
from checker.meetings import Ends, Wait  # noqa: E402
from checker.messages import Enrolled, Enrolment, Refusal, Reply, Request  # noqa: E402
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from schemathesis.core.parameters import ParameterLocation  # noqa: E402
from schemathesis.generation.meta import TestPhase  # noqa: E402

from http_check import plans  # noqa: E402

TYPE, TEXT = "application/vnd.karvan.1+cbor", "text/plain; charset=utf-8"
ENROL, EXCHANGE, WAIT, BLOBS, HEALTH = "/v1/enrol", "/v1/exchange", "/v1/wait", "/v1/blobs", "/v1/health"
METHODS = {ENROL: "POST", EXCHANGE: "POST", WAIT: "POST", BLOBS: "POST", HEALTH: "GET, HEAD"}
SIGNED = {EXCHANGE: Request, WAIT: Wait, BLOBS: BlobRequest}
SIGNATURE = "Karvan-Signature"
# 07 §2
STATUS = {"RETRY": 503, "GAP": 409, "FORK": 409, "REWOUND": 409, "EPOCH": 409, "REVOKED": 403, "SCOPE": 403,
          "UPGRADE": 426, "POISON": 400, "TOO_LARGE": 413}

found = plans.load()
log = Path(os.environ["KARVAN_HTTP_LOG"])
seeds = st.binary(min_size=8, max_size=8)
bodies = {ENROL: seeds.map(found.enrolment), EXCHANGE: seeds.map(found.exchange), WAIT: seeds.map(found.wait),
          BLOBS: seeds.map(found.blobs)}
schemathesis.openapi.media_type(TYPE, st.one_of(*bodies.values()))


@schemathesis.deserializer("text/plain")
def words(ctx, response):
    """So that they are held against their schema."""
    return response.content.decode()


@schemathesis.hook
def before_generate_body(context, strategy):
    """A message of the operation's own kind."""
    return bodies.get(context.operation.path if context.operation else None, strategy)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Signs what is to be signed, but for those requests of the coverage phase that are about the header itself."""
    plan = found.of(case.body)
    if case.operation.path not in SIGNED or case.method != "POST" or plan is None or plan.seed is None:
        return
    meta = case.meta
    if meta and meta.phase.name == TestPhase.COVERAGE and meta.is_negative_at(ParameterLocation.HEADER):
        return
    case.headers[SIGNATURE] = signature(plan.seed, bytes.fromhex(found.world.hub_key),
                                        case.operation.path.encode(), case.body).hex()


def refused(response) -> str:
    """07 §2: the code's name."""
    reader = Reader(response.content)
    try:
        refusal = Refusal.read(reader)
        reader.end()
    except Reject as reason:
        raise AssertionError(f"the refusal can't be read: {reason}") from None
    assert STATUS[refusal.name] == response.status_code, f"{refusal.name} with status {response.status_code}"
    assert refusal.explanation, "a refusal without a word for people"
    return refusal.name


def rightly(path: str, code: str, body) -> None:
    """07 §5, 09 §6: by another reader of the same text. Of a body that isn't there nothing is said."""
    if not isinstance(body, bytes) or path not in bodies:
        return
    try:
        read = SIGNED.get(path, Enrolment).decode(body)
        why = "" if path in SIGNED else at_fault(read)
    except Reject as reason:
        why = str(reason)
    if code == "POISON":
        assert why not in ("", "later"), "POISON, and it can be read"
    elif code == "UPGRADE":
        assert why == "later", "UPGRADE, and it isn't of a later format"
    elif code == "EPOCH" or path == ENROL and code == "REVOKED":
        assert not why, f"{code}, and it can't be read: {why}"


def at_fault(enrolment: Enrolment) -> str:
    """09 §6."""
    if not enrolment.signed:
        return "not signed by its key"
    try:
        X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(enrolment.encryption_key))
        return ""
    except ValueError:
        return "X25519 gives zeros"


def message(path: str, case, response) -> None:
    """07 §3, 09 §6: a reply has a part for each of the request's."""
    try:
        if path == ENROL:
            Enrolled.decode(response.content)
            assert not at_fault(Enrolment.decode(case.body)), "let in, and shouldn't be"
            return
        if path == WAIT:
            ends, wait = Ends.decode(response.content), Wait.decode(case.body)
            assert len(ends.cursors) == len(wait.places), "another number of cursors than the wait has places"
            assert ends.scopes[:1] == (b"forum",), "the base scope isn't the first that may be read"
            return
        if path == BLOBS:
            held, request = BlobReply.decode(response.content), BlobRequest.decode(case.body)
            assert len(held.holdings) == len(request.asks), "another number of holdings than the request has asks"
            assert (held.taken is None) == (request.part is None), "what became of the part, and there was none"
            return
        reply = Reply.decode(response.content)
        asked = Request.decode(case.body)
    except Reject as reason:
        raise AssertionError(f"the answer, or what it answers, can't be read: {reason}") from None
    assert len(reply.parts) == len(asked.parts), "another number of parts than the request has"
    assert reply.scopes[:1] == (b"forum",), "the base scope isn't the first that may be read"


@schemathesis.check
def said_as_written(ctx, response, case):
    """What OpenAPI can't say of an answer; and of answers to methods that the document doesn't list."""
    path, method = case.operation.path, response.request.method
    one = {name: values[0] for name, values in response.headers.items() if len(values) == 1}
    assert one.get("cache-control") == "no-store", "no Cache-Control: no-store"
    assert "date" in one and parsedate_to_datetime(one["date"]), "no date"
    kind = one.get("content-type")
    assert kind in (TYPE, TEXT), f"content type {kind}"
    if path in METHODS and method not in METHODS[path].split(", "):
        assert response.status_code == 405 and kind == TEXT, f"{method} was answered {response.status_code}, {kind}"
        assert one.get("allow") == METHODS[path], f"Allow: {one.get('allow')}"
    if method == "HEAD":
        assert not response.content, "an answer to HEAD with a body"
    elif kind == TYPE and response.status_code == 200:
        message(path, case, response)
    elif kind == TYPE:
        rightly(path, refused(response), case.body)
    else:
        assert response.content.decode().endswith("\n"), "words that don't end a line"


def line(case, method: str, status: int | None, **more) -> None:
    name = method if method == case.operation.method.upper() else "other"
    form = {"operation": f"{name} {case.operation.path}", "status": status, "code": "", "plan": "", "failed": ""}
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(form | more) + "\n")


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Where the document says "whatever the method", a method that it has no word for is answered likewise."""
    if (type(failure).__name__ == "UnsupportedMethodResponse" and "{" in case.operation.path
            and response.status_code in (404, 426)):
        return False
    line(case, response.request.method, None, code=str(response.status_code),
         failed=f"{type(failure).__name__}: {' '.join(failure.message.split())[:300]}")
    return True


def inside(content: bytes) -> list[str]:
    """What a reply says of each part, and of each run that wasn't taken."""
    said = []
    for part in Reply.decode(content).parts:
        if isinstance(part, Refusal):
            said.append(f"part refused {part.name}")
        elif part is None:
            said.append("part postponed")
        else:
            said += ["part answered", *(f"run rejected {refusal.name}" for _, refusal in part.rejections)]
    return said


@schemathesis.hook
def after_call(context, case, response):
    plan, code, said = found.of(case.body), "", []
    if response.headers.get("content-type") == [TYPE] and response.content:
        try:
            if response.status_code != 200:
                code = Refusal.read(Reader(response.content)).name
            elif case.operation.path == EXCHANGE:
                said = inside(response.content)
        except Reject:
            code = "unreadable"
    line(case, response.request.method, response.status_code, code=code, plan=plan.kind if plan else "", inside=said)


@schemathesis.hook
def after_network_error(context, case, request):
    line(case, request.method, None, failed="no answer")
