"""08 §8: what a device shows of itself, and whom it meets."""
from __future__ import annotations

from checker.certificates import DEVICE, Certificate
from checker.identity import device_id

from pyclient.replica import Replica
from pyclient.schema import UsageError
from pyclient.store import wall
from pyclient.trust import Holder


class Unwelcome(Exception):
    """One who isn't given anything; the word says why."""


def own_papers(replica: Replica) -> tuple[Certificate, Certificate]:
    """The certificate of the hub, and the own one that it issued last."""
    trust, device = replica.trust, replica.device
    if trust.root is None:
        raise UsageError("this replica belongs to no forum yet: join a hub with `enrol URL TOKEN`")
    true = [(hub, c) for c in trust.of(device) if c.statement.kind == DEVICE
            for hub in trust.of(device_id(c.statement.issuer)) if c.device_fault(trust.root, device, hub) is None]
    if not true:
        raise UsageError("this laptop holds no certificate of its own that is true: ask the hub's operator for a token")
    return max(true, key=lambda pair: pair[1].statement.issued)


def company(replica: Replica, shown: Certificate) -> Holder:
    """The other one, whose certificate holds: by what it showed, or by what came as a record and was issued since."""
    trust, device, statement = replica.trust, shown.holder, shown.statement
    known = trust.holders().get(device)
    records = known.statements if known and not known.is_hub else ()
    counts = max((statement, *records), key=lambda s: s.issued)
    if device in trust.revoked():
        raise Unwelcome("revoked")
    if counts.expiry <= wall():
        raise Unwelcome("expired")
    return Holder(device, False, (counts,))
