"""README "The vectors": what of this client isn't the checker's, held against the vectors."""
from __future__ import annotations

from dataclasses import replace

from checker import hpke
from checker.blobs import MAX_PART, Holdings, Part
from checker.bundles import KEY, Contents, encryption_key, read as checked
from checker.encoding import Reader, encode
from checker.identity import sha256
from checker.json_form import j_changeset, normal, p_bytes, p_dot, p_hex, p_int, p_op, p_text, p_time
from checker.kinds_of_bundles import j_bundle, p_batch, p_list
from checker.kinds_of_trust import p_row
from checker.limits import Reject
from checker.meetings import Advertisement
from checker.messages import Run
from checker.model import Changeset, RowItem
from checker.runs import Header, run_hash

from pyclient.body_columns import Columns as ColumnsWriter
from pyclient.body_rows import RowsWriter
from pyclient.blobs import Blobs, remove
from pyclient.bundle_photos import Photos, read, write
from pyclient.bundle_read import Unread, read_all, read_file
from pyclient.bundle_write import BundleWriter, put
from pyclient.ingest import DAMAGED, DUPLICATE, TAKEN, Damaged, Ingest, Refused
from checker.reading import Columns, Rows
from pyclient.replica import Replica
from pyclient.schema import BASE
from pyclient.state import State
from pyclient.trust import judged
from pyclient.txt_record import record, strings_of


class Failed(Exception):
    """This client finds something else than the vector."""


def expect(found, wanted) -> None:
    if found != wanted:
        raise Failed(f"{found!r:.300}, not {wanted!r:.300}")


def bodies(v: dict, _: Replica) -> int:
    """01 §4, §7: what a body says, written by rows and by columns, reads as the same."""
    given = v["given"]
    if "reject" in v["expect"]:
        return 0
    previous = b"" if given["previousRun"] is None else p_hex(given["previousRun"], 32)
    stream, first = p_hex(given["stream"], 16), p_int(given["firstSeq"])
    streams, namespace = [p_hex(s, 16) for s in given["streams"]], p_text(given["namespace"])
    place = stream, first, previous, streams, namespace
    if v["when"] == "read":
        said = Rows(p_bytes(given["body"]), *place).changesets()
    else:
        earlier = {}
        for part in given["earlier"]:
            before = b"" if part["previousRun"] is None else p_hex(part["previousRun"], 32)
            body = p_bytes(part["body"])
            words = Columns(body, stream, p_int(part["firstSeq"]), before, streams, namespace).vocabulary(len(body))
            earlier[words.last] = words
        said = Columns(p_bytes(given["body"]), *place).changesets(earlier)
    if not said:
        return 0
    writer = RowsWriter(streams)
    expect(Rows(b"".join(map(writer.changeset, said)), *place).changesets(), said)
    try:
        expect(Columns(ColumnsWriter(said, stream, streams).encode(), *place).changesets({}), said)
    except Reject as reason:
        if str(reason) != "tooLong":  # a body by columns has limits of its own (01 §7.8)
            raise
        return 1
    return 2


def runs(v: dict, replica: Replica) -> int:
    """02 §4, §5, §7: a run on the way encodes to what it was; and what becomes of one that is offered."""
    if not isinstance(v["when"], dict) or "offer" not in v["when"]:
        return 0
    offered, held = run_of(v["when"]["offer"]), list(map(run_of, v["given"]["held"]))
    replica.bodies.namespace = p_text(v["given"]["namespace"])
    replica.trust.may_read = lambda scope: scope == BASE
    ingest = Ingest(replica)
    for run in held:
        expect(ingest.offer(run)[0], TAKEN)
        expect(Run.read(Reader(encode(run.item()))), run)
    expect(normal(became(ingest, offered)), normal(v["expect"]))
    return 1 + len(held)


def run_of(form: dict) -> Run:
    return Run(*(p_bytes(form[part]) for part in ("header", "signature", "body")))


def became(ingest: Ingest, run: Run) -> dict:
    """01 §6.4: the answer to an offer."""
    before = {"stateHash": ingest.state.hash().hex()}
    try:
        h, this = Header.decode(run.header), run_hash(run.header)
    except Reject as reason:
        return {"result": "unreadable", "reason": str(reason)} | before
    what, _ = ingest.offer(run)
    after = {"stateHash": ingest.state.hash().hex()}
    if what == DUPLICATE or what == DAMAGED and ingest.store.held(this):
        return {"result": "duplicate"} | after
    if what == TAKEN:
        said = [c for c, received in ingest.state.contents() if c.dot[1] in range(h.first, h.last + 1)]
        name = h.stream if (names := ingest.state.names()) is None else names.line[this].name
        return {"result": "applied", "changesets": [j_changeset(c) for c in said if c.dot[0] == name]} | after
    if what == DAMAGED:  # step 6; what comes before it refuses first
        return {"result": "refused", "code": earlier_code(ingest, h, this, run)} | after
    return {"result": "refused", "code": ingest.store.run(this)["reason"]} | after


def earlier_code(ingest: Ingest, h: Header, this: bytes, run: Run) -> str:
    try:
        ingest.take(h, this, run)
    except (Refused, Damaged) as code:
        return str(code) or "POISON"
    return "POISON"


def merge(v: dict, replica: Replica) -> int:
    """03 §2, §5: one causal order, by the tables that this client keeps."""
    state, done, left = State(replica), set(), {}
    for x in v["given"]["changesets"]:
        rows = tuple(RowItem(p_int(r["table"]), p_hex(r["row"], 16), False, tuple(map(p_op, r["ops"])))
                     for r in x["rows"])
        left[p_dot(x["dot"])] = Changeset(p_dot(x["dot"]), p_time(x["time"]), rows), set(map(p_dot, x["after"]))
    known = set(left)
    while left:
        dot = next(d for d, (_, after) in left.items()
                   if after & known <= done and (d[1] == 1 or (d[0], d[1] - 1) in done))
        state.apply([left.pop(dot)[0]])
        done.add(dot)
    expect(state.hash().hex(), v["expect"]["stateHash"])
    return 1


def certificates(v: dict, _: Replica) -> int:
    """09 §4: step 9 as this client takes it."""
    given = v["given"]
    if v["when"] != "may":
        return 0
    rows = dict(map(p_row, given["held"]))
    place = (p_hex(given["root"], 32), lambda device: rows.get(device, []), p_hex(given["device"], 32),
             p_text(given["scope"]), p_int(given["certificatesTable"]))
    found = [judged(*place, {table}) for table in given["tables"]]
    expect({"stranger": True} if "GAP" in found else {"may": [fault is None for fault in found]}, v["expect"])
    return 1


def bundles(v: dict, replica: Replica) -> int:
    """08 §5, §6: a file as this client reads it, and what this client writes of the same contents, for itself."""
    given, path = v["given"], replica.path.with_name("bundle")
    if v["when"] == "read":
        try:
            file, _, contents, of_photos = read_all(
                p_bytes(given["bytes"]), path, p_hex(given["seed"], 32), p_hex(given["root"], 32))
            found = j_bundle(file, joined(contents, of_photos))
        except Unread as error:
            found = {"reject": error.reason}
        expect(normal(found), normal(v["expect"]))
        return 1
    if v["when"] != "write":
        return 0
    contents = Contents(p_list(given["list"]), tuple(map(p_batch, given["frames"])))
    replica.store.set("root", p_text(given["root"]).decode())
    key = hpke.public(encryption_key(replica.seed))
    one, = BundleWriter(replica).parts(contents.list, list(contents.batches), {replica.device: key}, None)
    put(path, one)
    try:
        expect(read_file(path, replica.seed, replica.trust.root)[2], contents)
    finally:
        path.unlink()
    return 1 + photos(contents, replica)


def joined(contents: Contents, photos: Photos) -> Contents:
    """As the checker has them, which doesn't part photos from the rest."""
    return replace(contents, pieces=photos.pieces, holdings=photos.holdings)


def photos(contents: Contents, replica: Replica) -> int:
    """13 §5: the same with pieces and holdings behind it; and of pieces a photo comes."""
    data, by, key = bytes(range(250)) * 1_100, replica.device, bytes(range(KEY))
    cut = [Part(BASE, sha256(data), len(data), at, data[at:at + MAX_PART]) for at in range(0, len(data), MAX_PART)]
    told = Holdings(BASE, ((sha256(data), len(data)), (sha256(b""), 2**64 - 1)))
    with_photos, writer = Photos(tuple(cut), (told, Holdings(bytes(64), told.blobs[:1]))), BundleWriter(replica)
    box = writer.box(hpke.public(encryption_key(replica.seed)), key, bytes(16), 7, by)
    head = writer.head(5, bytes(16), 7, {by: box})
    file = write(head, key, contents, with_photos, False, replica.sign)
    expect(read(file, replica.seed, replica.trust.root)[1:], (key, contents, with_photos))
    expect(checked(file, replica.seed, replica.trust.root)[2], joined(contents, with_photos))
    blobs = Blobs(replica)
    for part in cut:
        blobs.take(part, by)
    expect(blobs.path((BASE, sha256(data))).read_bytes() == data, True)
    remove(blobs.path((BASE, sha256(data))))
    return 2


def meetings(v: dict, _: Replica) -> int:
    """08 §8 "To be found": a TXT record as it comes out of the messages of another implementation of DNS."""
    given = v["given"]
    if v["when"] == "advertise":
        said = Advertisement.by(p_hex(given["root"], 32), p_hex(given["device"], 32))
        expect(strings_of(passed(record(said.strings()))), list(map(p_text, v["expect"]["text"])))
        return 1
    if v["when"] != "advertisement":
        return 0
    found = Advertisement.read(strings_of(passed(record(list(map(p_text, given["text"]))))))
    expect({"forum": found and found.forum.decode(), "device": found and found.device.decode()}, v["expect"])
    return 1


def passed(data: bytes) -> bytes:
    """A TXT record, written into a message and read from it."""
    from zeroconf import DNSIncoming, DNSOutgoing, DNSText  # the only one of all vectors that needs it
    message = DNSOutgoing(0x8400)
    message.add_answer_at_time(DNSText("a._karvan._tcp.local.", 16, 0x8001, 120, data), 0)
    sent, = message.packets()
    answer, = DNSIncoming(sent).answers
    return answer.text


OWN = {"bodies.jsonl": bodies, "runs.jsonl": runs, "merge.jsonl": merge, "certificates.jsonl": certificates,
       "bundles.jsonl": bundles, "meetings.jsonl": meetings}
