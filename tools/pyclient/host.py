"""08 §8 "Who serves": a laptop that others visit."""
from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from pathlib import Path

from checker.blobs import BlobRequest
from checker.certificates import Certificate
from checker.limits import Reject
from checker.messages import Stub

from pyclient.blob_driver import PATH as BLOB_PATH
from pyclient.blob_peer import BlobHost
from pyclient.bundle_read import BundleReader
from pyclient.bundle_write import BundleWriter
from pyclient.company import Unwelcome, company, own_papers
from pyclient.meeting import MEETING_PATH, STATEMENT_PATH, Meeting, Statement, pin_message, signer_of
from pyclient.replica import Replica
from pyclient.schema import UsageError
from pyclient.tls import MAX_MESSAGE
from pyclient.tls_serve import Answered, Asked, Front, Paths, TLSKey, message, refusal
from pyclient.trust import Holder


class Host:
    """Serves one replica. Meetings are one after another, each with the file opened anew."""

    def __init__(self, path: Path, address: tuple[str, int] = ("127.0.0.1", 0)):
        self.path, self.key, self.turn = path, TLSKey(), threading.Lock()
        self.counts: Counter = Counter()
        self.shown: dict[bytes, Certificate] = {}  # by public key: of those that were met
        replica = Replica(path)
        try:
            self.statement = statement(replica, self.key.pin).encode()
            self.name = replica.store.get("name")
        finally:
            replica.close()
        paths = {STATEMENT_PATH: "GET", MEETING_PATH: "POST", BLOB_PATH: "POST"}
        self.front = Front(address, self.key, Paths(paths, self.answer))

    def start(self) -> None:
        self.front.start()

    def stop(self) -> None:
        self.front.stop()

    def answer(self, asked: Asked) -> Answered:
        if asked.path == STATEMENT_PATH:
            return message(self.statement)
        with self.turn:
            try:
                replica = Replica(self.path)
                try:
                    return self.met(replica, asked)
                finally:
                    replica.close()
            except sqlite3.Error as error:
                return refusal("RETRY", f"nothing can be stored at the moment: {error}")

    def met(self, replica: Replica, asked: Asked) -> Answered:
        """07 §5 item 1: the signature, then the body; then who it is, and what it brings."""
        is_meeting = asked.path == MEETING_PATH
        try:
            sender = signer_of(asked.headers.get("karvan-signature"), replica.public_key, asked.path, asked.body)
        except Reject:
            return refusal("REVOKED", "the request isn't signed")
        try:
            came = Meeting.decode(asked.body) if is_meeting else BlobRequest.decode(asked.body)
        except Reject as reason:
            return refusal("UPGRADE" if str(reason) == "later" else "POISON", f"the request can't be read ({reason})")
        return self.meet(replica, sender, came) if is_meeting else self.blobs(replica, sender, came)

    def meet(self, replica: Replica, sender: bytes, came: Meeting) -> Answered:
        if fault := came.fault(replica.trust.root, sender):
            return refusal("REVOKED", f"the device that comes isn't known to be of this forum ({fault})")
        try:
            if came.bundle is not None:
                self.take(replica, came, company(replica, came.device))
            other = company(replica, came.device)  # by what it brought, too
            answer = self.given(replica, other, heads_of(came))
            self.shown[sender] = came.device
            return answer
        except Unwelcome as reason:
            return refusal("REVOKED", f"the device that comes is to get nothing ({reason})")
        except UsageError as error:
            return refusal("POISON", str(error))

    def blobs(self, replica: Replica, sender: bytes, came: BlobRequest) -> Answered:
        """13 §5: of one that was met, and is given something still."""
        if sender not in self.shown:
            return refusal("REVOKED", "the device that asks hasn't been met here: meet first")
        try:
            found = BlobHost(replica, company(replica, self.shown[sender]))
        except Unwelcome as reason:
            return refusal("REVOKED", f"the device that comes is to get nothing ({reason})")
        answer = message(found.reply(came).encode())
        self.counts["photos"] += found.taken
        return answer

    def take(self, replica: Replica, came: Meeting, other: Holder) -> None:
        taken = BundleReader(replica).import_bytes(came.bundle, f"the bundle of {other.name}", other)
        self.counts["received"] += taken.changesets

    def given(self, replica: Replica, other: Holder, said: tuple[Stub, ...]) -> Answered:
        if other.device != replica.device:
            with replica.store.transaction():
                BundleReader(replica).peer.note_said(other.device, said)
        writer = BundleWriter(replica)
        found = writer.in_one(other, writer.lacking(other, said), MAX_MESSAGE)
        self.counts["meetings"] += 1
        return message(found)


def heads_of(came: Meeting) -> tuple[Stub, ...]:
    return tuple(head for held in came.list.scopes for head in held.heads)


def statement(replica: Replica, pin: bytes) -> Statement:
    hub, device = own_papers(replica)
    root = replica.trust.root
    return Statement(root, hub, device, pin, replica.sign(pin_message(root, pin)))
