"""08 §8: the bytes of a statement and of a meeting, and who may have made them."""
from __future__ import annotations

from dataclasses import dataclass

from checker import ed25519, meetings
from checker.identity import digest, sha256
from checker.limits import Reject

STATEMENT_PATH, MEETING_PATH = "/v1/peer", "/v1/meet"
SIGNATURE_DIGITS = 192  # 09 §7


def pin_message(root: bytes, pin: bytes) -> bytes:
    """What the device that serves signs."""
    return digest("karvan/1/peer", root, pin)


@dataclass(frozen=True)
class Statement(meetings.Statement):
    """Who serves, and with which TLS key."""

    def fault(self, root: bytes, own: bytes) -> str | None:
        """Why a device of this forum doesn't go on with it; None where it does."""
        return super().fault(root) or ("itself" if self.device.holder == own else None)


@dataclass(frozen=True)
class Meeting(meetings.Meeting):
    """What the one who comes brings."""

    def fault(self, root: bytes, sender: bytes) -> str | None:
        """Why one of this forum doesn't take it from the one that signed the request; None where it does."""
        if self.root != root:
            return "otherRoot"
        if fault := self.device.device_fault(root, self.device.holder, self.hub):
            return fault
        return None if sender == self.device.statement.key else "signature"


def signer_of(header: str | None, server: bytes, path: str, body: bytes) -> bytes:
    """09 §7: whose valid signature a request has; `signature` for none."""
    text = header or ""
    if len(text) != SIGNATURE_DIGITS or set(text) - set("0123456789abcdef"):
        raise Reject("signature")
    raw = bytes.fromhex(text)
    message = digest("karvan/1/request", server, path.encode("ascii"), sha256(body))
    if not ed25519.verifies(raw[32:], message, raw[:32]):
        raise Reject("signature")
    return raw[:32]
