"""09 §6: joining a hub by a token."""
from __future__ import annotations

from checker.certificates import token
from checker.identity import device_id
from checker.kinds_of_trust import enrolment
from checker.limits import Reject
from checker.messages import Enrolled

from pyclient.replica import Replica
from pyclient.schema import UsageError
from pyclient.tls import Hub


def enrol(replica: Replica, url: str, text: str, timeout: float = 20.0, new_root: bool = False) -> Enrolled:
    """Changes nothing unless the answer holds against the token's root and the own device id."""
    try:
        secret, pin, root, _ = token(text.strip())
    except Reject:
        raise UsageError("this is no token: it begins with karvan1-, and has to be typed whole") from None
    known = replica.store.get("root")
    other = bool(known) and known != root.hex()
    if other and not new_root:
        raise UsageError("this replica belongs to another forum: make a new one for this token with `init`. If the "
                         "hub's operator says that the forum's root was lost, use --new-root")
    hub = Hub(url, (pin,), timeout)
    try:
        answer = hub.post("/v1/enrol", enrolment(replica.seed, secret, replica.store.get("name").encode()), {})
    finally:
        hub.close()
    try:
        found = Enrolled.decode(answer)
    except Reject as reason:
        raise UsageError(f"the hub's answer can't be read ({reason}): nothing was changed") from None
    fault = found.device.device_fault(root, replica.device, found.hub)
    if fault:
        raise UsageError(f"the hub's answer isn't for this laptop ({fault}): nothing was changed")
    if other and not is_known_hub(replica, found):
        raise UsageError("the hub's new certificate isn't in the records here: sync once more, or ask its operator. "
                         "Nothing was changed")
    note(replica, url, root, pin, found)
    return found


def is_known_hub(replica: Replica, found: Enrolled) -> bool:
    """09 §6: whether the answer's certificate of the hub lies in the records of the hub that the replica knows."""
    hub = bytes.fromhex(replica.store.get("hub"))
    return found.hub.holder == hub and any(
        row == replica.schema.device_row(hub) and data == found.hub.encode()
        for row, data in replica.trust.said("certificates"))


def note(replica: Replica, url: str, root: bytes, pin: bytes, found: Enrolled) -> None:
    """09 §8: the token's pin counts from the hub's time on, or from what the hub stated later."""
    store, hub = replica.store, device_id(found.hub.statement.key)
    with store.transaction():
        if store.get("hub") != hub.hex():
            store.db.execute("DELETE FROM cursor")
            store.db.execute("UPDATE run SET has = 0, named = 0, give = 0")
            store.set("scopes", None)
            store.set("doubt", [])
        store.set("url", url.rstrip("/"))
        store.set("root", root.hex())
        store.set("hub", hub.hex())
        store.set("hubKey", found.hub.statement.key.hex())
        store.set("certificates", [found.hub.encode().hex(), found.device.encode().hex()])
        row = replica.schema.device_row(hub)
        stated = replica.trust.stated_times(row)
        store.set("pins", [pin.hex()])
        store.set("since", max([found.wall, *stated]))
        replica.trust.forget()
