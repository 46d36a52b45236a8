"""08 §8 "Who serves": a laptop that others visit."""
from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from pathlib import Path

from checker.limits import Reject
from checker.messages import Stub

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
        replica = Replica(path)
        try:
            self.statement = statement(replica, self.key.pin).encode()
            self.name = replica.store.get("name")
        finally:
            replica.close()
        self.front = Front(address, self.key, Paths({STATEMENT_PATH: "GET", MEETING_PATH: "POST"}, self.answer))

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
        try:
            sender = signer_of(asked.headers.get("karvan-signature"), replica.public_key, asked.path, asked.body)
        except Reject:
            return refusal("REVOKED", "the request isn't signed")
        try:
            came = Meeting.decode(asked.body)
        except Reject as reason:
            return refusal("UPGRADE" if str(reason) == "later" else "POISON", f"the meeting can't be read ({reason})")
        if fault := came.fault(replica.trust.root, sender):
            return refusal("REVOKED", f"the device that comes isn't known to be of this forum ({fault})")
        try:
            if came.bundle is not None:
                self.take(replica, came, company(replica, came.device))
            other = company(replica, came.device)  # by what it brought, too
            return self.given(replica, other, heads_of(came))
        except Unwelcome as reason:
            return refusal("REVOKED", f"the device that comes is to get nothing ({reason})")
        except UsageError as error:
            return refusal("POISON", str(error))

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
