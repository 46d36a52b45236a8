"""What neither release knows: refused with words that say what to update, and left as it was."""

import hashlib
import http.client
import shutil
import sqlite3
import ssl
import struct
from urllib.parse import urlsplit

from release_check.commands import Broken
from release_check.days import check_in

ADVICE = "update this program"
MAGIC = bytes.fromhex("8b4b564e0d0a1a0a")
# Nothing that opens a replica takes one that a later release has written.
OPENING = (("status",), ("list", "tally"), ("conflicts", "list"), ("history", "person", "AZ-014"),
           ("sql", "SELECT 1"), ("verify",), ("attend", "P07", "AZ-014"), ("adopt",), ("sync",),
           ("backup", "copy.karvan"), ("bundle", "export", "copy.karvan"),
           ("serve", "--listen", "127.0.0.1:0"))
HUB_OPENING = (("device", "list"), ("token", "create"), ("backup", "copy.karvan"),
               ("serve", "--listen", "127.0.0.1:0"))
# What a later release may count higher, each far over what any knows.
RAISED = {
    "layout": "PRAGMA user_version = 1000",
    "schema": "UPDATE sy_meta SET value = 1000 WHERE key = 'schema_version'",
}


def unknown(release, old, new, forum):
    """A request, files and bundles of a later format meet this release's programs."""
    with forum.hub(release):
        refuse_request(forum)
        one, other = (forum.join(name, release) for name in ("L1", "L2"))
        forum.lists(one)
        forum.settle(one, other)
        check_in(one)
        for taker, options in ((other, ("--for", "L2")), (None, ())):
            bundle = f"for-{taker.name if taker else 'hub'}.karvan"
            one.json("bundle", "export", bundle, *options)
            refuse_bundle(forum, bundle, taker)
        forum.must_be_one(one, other)
        one.run("backup", "laptop.karvan")
        forum.operator("backup", "hub.karvan")
    refuse_files(forum, one)
    refuse_backups(forum, one)


def refuse_request(forum):
    """Another major version of the protocol, at a hub that doesn't know it."""
    address = urlsplit(forum.url)
    context = ssl._create_unverified_context()
    connection = http.client.HTTPSConnection(
        address.hostname, address.port, timeout=forum.commands.bound(30), context=context)
    try:
        connection.request("POST", "/v2/exchange", body=b"\x80",
                           headers={"Content-Type": "application/vnd.karvan.2+cbor"})
        answer = connection.getresponse()
        body = answer.read(65_536)
    except (OSError, http.client.HTTPException) as error:
        raise Broken(f"POST {forum.url}/v2/exchange: {error}") from None
    finally:
        connection.close()
    if answer.status != 426 or b"update" not in body:
        raise Broken(f"POST {forum.url}/v2/exchange: {answer.status} {body}; 426 was expected, "
                     "with a word on what to update")


def crc32c(data):
    """RFC 3720 §12.1, bits reflected."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def with_head(data, number):
    """The bundle with another format in its head, and the check that fits (Protocol/08-bundle)."""
    kind, length, check = struct.unpack_from(">BII", data, len(MAGIC))
    start, at = data[len(MAGIC):len(MAGIC) + 5], len(MAGIC) + 9
    head = data[at:at + length]
    if data[:len(MAGIC)] != MAGIC or kind != 1 or crc32c(start + head) != check or head[1] != 1:
        raise Broken("a bundle begins otherwise than Protocol/08-bundle says")
    head = head[:1] + bytes([number]) + head[2:]
    return MAGIC + start + crc32c(start + head).to_bytes(4, "big") + head + data[at + length:]


def refuse_bundle(forum, name, taker):
    folder = forum.commands.folder
    later = f"later-{name}"
    (folder / later).write_bytes(with_head((folder / name).read_bytes(), 2))
    store = taker or forum.hub_file()
    before = store.state_hash(), store.dots(), digest(folder / later)
    if taker:
        refused = taker.run("bundle", "import", later, ends=65)
    else:
        refused = forum.operator("bundle", "import", later, ends=65)
    must_advise(refused)
    if (store.state_hash(), store.dots(), digest(folder / later)) != before:
        raise Broken(f"{refused}\n    the store or the bundle is another one than before")


def refuse_files(forum, laptop):
    """Copies of a replica and of a hub's store, as a later release would leave them."""
    folder = forum.commands.folder
    for name, statement in RAISED.items():
        raised = type(laptop)(forum, f"later-{name}", laptop.release)
        copy(folder, laptop.file, raised.file, statement)
        before = contents(folder, raised.file)
        for words in OPENING:
            must_advise(raised.run(*words, ends=78))
            must_be(folder, raised.file, before, words)
        store = f"later-hub-{name}.sqlite"
        copy(folder, forum.store, store, statement)
        before = contents(folder, store)
        for words in HUB_OPENING:
            must_advise(forum.commands.run(laptop.release, "karvan-hub", *words, "--store", store,
                                           ends=78))
            must_be(folder, store, before, words)


def refuse_backups(forum, laptop):
    """Backups of a later release, where nothing was before."""
    folder = forum.commands.folder
    for name, statement in RAISED.items():
        for backup, program, option in (("laptop.karvan", "karvan", "--replica"),
                                        ("hub.karvan", "karvan-hub", "--store")):
            raised, target = f"later-{name}-{backup}", f"restored-{name}-{program}.sqlite"
            copy(folder, backup, raised, statement)
            before = digest(folder / raised)
            refused = forum.commands.run(laptop.release, program, "restore", raised, option,
                                         target, ends=78)
            must_advise(refused)
            if digest(folder / raised) != before or contents(folder, target):
                raise Broken(f"{refused}\n    the backup was changed, or something was restored")


def must_advise(refused):
    said = refused.errors.lower()
    if ADVICE not in said or "newer karvan" not in said:
        raise Broken(f"{refused}\n    it should say that a newer Karvan wrote it, and to "
                     f"{ADVICE}")


def copy(folder, source, target, statement):
    """A copy of a file that nobody has open, with what lies beside it, changed by a statement."""
    for path in folder.glob(f"{source}*"):
        if not path.name.endswith(("-shm", ".lock")):
            shutil.copy2(path, folder / path.name.replace(source, target))
    connection = sqlite3.connect(folder / target, isolation_level=None)
    try:
        connection.execute(statement)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def contents(folder, file):
    """All files of a replica by their hashes; an empty log is as good as none."""
    return {path.name: digest(path) for path in sorted(folder.glob(f"{file}*"))
            if not path.name.endswith(("-shm", ".lock")) and path.stat().st_size}


def must_be(folder, file, before, words):
    found = contents(folder, file)
    if found != before:
        changed = sorted(name for name in before.keys() | found.keys()
                         if before.get(name) != found.get(name))
        raise Broken(f"`{' '.join(words)}` on {file} was refused, and changed {changed}")
