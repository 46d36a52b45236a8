"""Who comes to a laptop and who is visited by it in a check, and how it is asked."""
from __future__ import annotations

import http.client
from dataclasses import replace
from pathlib import Path

from checker.encoding import Reader, encode
from checker.limits import Reject
from checker.messages import Refusal

from pyclient.acts import Acts
from pyclient.lan_forum import ALL, DAY, Forum
from pyclient.replica import Replica
from pyclient.schema import BASE
from pyclient.store import wall
from pyclient.tls import TYPE, context, pin_of
from pyclient.writer import Target, Writer


def asked(address: str, method: str, path: str, body: bytes | None = None, header: str | None = None,
          type_: str = TYPE) -> tuple[tuple[int, str | None], bytes, http.client.HTTPResponse, bytes]:
    """What a server says to a request: (status, code), the body, the answer, and the pin of the one that gave it."""
    host, port = address.rsplit(":", 1)
    line = http.client.HTTPSConnection(host, int(port), timeout=60, context=context())
    try:
        line.connect()
        pin = pin_of(line.sock.getpeercert(binary_form=True) or b"")
        headers = ({"Karvan-Signature": header} if header is not None else {}) | (
            {"Content-Type": type_} if body is not None else {})
        line.request(method, path, body, headers)
        answer = line.getresponse()
        data = answer.read()
    finally:
        line.close()
    code = None
    if answer.status != 200 and answer.getheader("Content-Type") == TYPE:
        try:
            code = Refusal.read(Reader(data)).name
        except Reject as reason:
            code = f"unreadable: {reason}"
    return (answer.status, code), data, answer, pin


def changed(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


def more(data: bytes) -> bytes:
    """A message of 6 items with a seventh, as a later build may write it."""
    return bytes([data[0] + 1]) + data[1:] + encode(("array", (("text", b"later"), ("bool", True))))


class Cast:
    """A forum, another one, and those that come to a laptop or are visited by it."""

    def __init__(self, folder: Path):
        for name in ("forum", "other"):
            (folder / name).mkdir()
        self.folder, self.forum, self.other = folder, Forum(folder / "forum"), Forum(folder / "other")
        self.opened = [self.forum.hub, self.other.hub]
        self.guest, self.third = self.let_in("guest"), self.let_in("third")
        self.late = self.let_in("late", lasts=-DAY)
        self.lost, self.new = self.let_in("lost"), self.let_in("new", is_known=False)
        self.stranger = self.let_in("stranger", self.other)
        for name, grants in {
                "narrow": ALL[:1], "outdated": (*ALL[:1], replace(ALL[1], expiry=wall() - 1)),
                "named": (*ALL[:1], replace(ALL[1], scope=b"delegation/AA", expiry=wall() + DAY))}.items():
            found = self.let_in(name, grants=grants)
            if name == "narrow":
                s = found.trust.of(found.device)[0].statement
                self.wider = self.forum.of_device(s.key, s.encryption_key, s.name, earlier=DAY)
        self.forum.revoke(self.lost.public_key)

    def let_in(self, name: str, forum: Forum | None = None, **more) -> Replica:
        found = Replica.init(self.folder / name, name)
        self.opened.append(found)
        (forum or self.forum).let_in(found, **more)
        return found

    def close(self) -> None:
        for each in self.opened:
            each.close()

    def known(self, name: str) -> Replica:
        return next(each for each in self.opened if each.store.get("name") == name)

    @staticmethod
    def note(replica: Replica, scope: str) -> None:
        form = {"table": "note", "new": True, "scope": scope, "put": {"author": "x", "text": "y"}}
        Writer(replica).write([Acts(replica).row(form)])

    @staticmethod
    def wrote(replica: Replica, key: str) -> None:
        table = replica.schema.table("delegation")
        row = replica.schema.keyed(table.id, [("text", key.encode())])
        steps = [("put", table.column("code"), ("text", key.encode()), None)]
        Writer(replica).write([Target(table, row, BASE, steps)])
