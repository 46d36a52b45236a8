"""Checks a replica's file against itself: runs, chains, keys, and the state against the definition of 03 §1."""
from __future__ import annotations

from checker import ed25519
from checker.identity import sha256
from checker.messages import SIGNATURE
from checker.runs import Header, run_hash

from checker.reading import fitting
from pyclient.replica import Replica
from pyclient.state import State


def faults(replica: Replica) -> list[str]:
    """What is wrong; nothing is changed."""
    found, store, state = [], replica.store, State(replica)
    for r in store.runs("1 ORDER BY id"):
        h, key = Header.decode(r["header"]), store.key_of(r["stream"])
        name = f"run {r['hash'].hex()[:12]}"
        if run_hash(r["header"]) != r["hash"] or sha256(r["body"]) != h.body_hash:
            found.append(f"{name} isn't what its hash says")
        if key and not ed25519.verifies(r["seal"][:SIGNATURE], r["hash"], key):
            found.append(f"{name} isn't signed by its device")
        if not h.later and not fitting(h.checks, r["seal"][SIGNATURE:]):
            found.append(f"{name} has other keys than its checks")
        if r["taken"] is not None and h.previous and not store.held(h.previous):
            found.append(f"{name} follows on a run that isn't held")
    before = state.hash()
    store.db.execute("BEGIN IMMEDIATE")
    try:
        state.rebuild()
        if state.hash() != before:
            found.append("the state isn't what the log gives")
    finally:
        store.db.execute("ROLLBACK")
    if store.db.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
        found.append("SQLite finds the file damaged")
    return found
