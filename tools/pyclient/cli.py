"""The commands. Errors go to standard error, with what to do next; the exit code is 0 only when all was done."""
from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import sys
import threading
from contextlib import nullcontext
from pathlib import Path

from checker.identity import sha256

from pyclient import carry_check, fleet, lan_check, nearby_check, photo_check, vectors
from pyclient.acts import Acts
from pyclient.blobs import Blobs, Named, read_picture
from pyclient.bundle_read import BundleReader, shown as seen, words_of
from pyclient.bundle_write import BundleWriter
from pyclient.conflicts import all_open, by_start, settlement
from pyclient.enrolment import enrol
from pyclient.export import export, show
from pyclient.host import Host
from pyclient.peer import Peer
from pyclient.replica import Replica
from pyclient.schema import UsageError
from pyclient.session import Session
from pyclient.state import State
from pyclient.tls import HubRefused, NoHub
from pyclient.verify import faults
from pyclient.visit import Visit
from pyclient.writer import Target, Written, Writer

DONE, WAITS, USAGE, UNAVAILABLE, NO_INPUT, DAMAGED = 0, 20, 64, 69, 66, 74


OPENED: list[Replica] = []


def opened(args) -> Replica:
    """The replica of a command; `main` closes it."""
    OPENED.append(Replica(args.replica))
    return OPENED[-1]


def say(form) -> None:
    print(json.dumps(form, ensure_ascii=False, indent=2))


def init(args) -> int:
    replica = Replica.init(args.replica, args.name)
    OPENED.append(replica)
    print(f"{args.replica} is a new replica, of the device {replica.device.hex()}")
    return DONE


def join(args) -> int:
    replica = opened(args)
    found = enrol(replica, args.url, args.token, args.timeout, args.new_root)
    scopes = ", ".join(grant.scope.decode() for grant in found.device.statement.grants)
    print(f"joined the hub {found.hub.statement.name.decode()}; this laptop may write in {scopes or 'no scope'}")
    return DONE


def sync(args) -> int:
    if args.peer:
        return visit(args)
    if args.nearby is not None:
        from pyclient.nearby import sync_nearby  # what finds laptops is loaded where it is needed
        is_done = sync_nearby(opened(args), args.nearby, args.timeout, args.photos)
        return DONE if is_done else UNAVAILABLE
    outcome = Session(opened(args), args.timeout, args.rounds, args.hub, args.photos).run()
    words, photos = [f"sent {outcome.sent}, received {outcome.received} changesets"], outcome.photos
    if photos.brought or photos.fetched:
        words.append(f"brought {photos.brought}, fetched {photos.fetched} photos")
    if outcome.dropped:
        words.append("took from the disk " + ", ".join(outcome.dropped) + ", which may be read no more")
    if outcome.waits:
        words.append(f"{outcome.waits} wait here, safe in the replica")
    if photos.waits:
        words.append(f"{photos.waits} photos wait here")
    words += outcome.reasons
    print("; ".join(words), file=sys.stdout if outcome.is_done else sys.stderr)
    is_done = outcome.is_done or photos.knows_nothing and not outcome.waits and not outcome.reasons
    return DONE if is_done else UNAVAILABLE if outcome.is_unreachable else WAITS


def visit(args) -> int:
    try:
        found = Visit(opened(args), args.peer, args.timeout, args.photos).run()
    except HubRefused as error:
        return failed(f"the laptop at {args.peer} refused it ({error})", UNAVAILABLE)
    words = [f"met {found.name} in {found.meetings} meetings: brought {found.brought} runs, received "
             f"{found.received} changesets"]
    if found.photos.brought or found.photos.fetched:
        words.append(f"brought {found.photos.brought}, fetched {found.photos.fetched} photos")
    words += found.photos.reasons
    if found.lacks or found.left_out:
        words.append(f"{found.lacks} runs weren't taken there" if found.lacks else "not all came: meet once more")
    print("; ".join(words), file=sys.stdout if found.is_done else sys.stderr)
    return DONE if found.is_done else WAITS


def announced(args, host: Host):
    from pyclient import nearby
    return nearby.announced(args.replica, host.name, host.front.server_address[0], host.front.port)


def serve(args) -> int:
    """Until it is told to end, or its time is over."""
    host, colon, port = args.listen.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65_535:
        raise UsageError(f"{args.listen} is no address: it looks like 127.0.0.1:0")
    try:
        found = Host(args.replica, (host, int(port)))
    except OSError as error:
        raise UsageError(f"nothing can be served at {args.listen} ({error.strerror})") from None
    end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: end.set())
    found.start()
    address = f"{host}:{found.front.port}"
    form = {"name": found.name, "addresses": [address]}
    print(json.dumps(form) if args.json else f"{found.name} serves at {address}", flush=True)
    try:
        with announced(args, found) if args.announce else nullcontext():
            end.wait(args.seconds)
    finally:
        found.stop()
    print(f"{found.counts['meetings']} meetings, received {found.counts['received']} changesets and "
          f"{found.counts['photos']} photos", file=sys.stderr)
    return DONE


def written(found: list[Written]) -> int:
    for each in found:
        print(f"{each.dot[0].hex()}:{each.dot[1]} " + " ".join(row.hex() for row in each.rows))
    if not found:
        print("nothing to write: it is so already")
    return DONE


def write_rows(args, rows: list[dict], more: dict) -> int:
    replica = opened(args)
    acts = Acts(replica)
    targets = [acts.row(form) for form in rows]
    return written(Writer(replica).write(targets, more.get("author", args.author), more.get("claimed"),
                                         more.get("source", "")))


def photo_add(args) -> int:
    """13 §1: the bytes first, so that none is named that isn't there."""
    replica, data = opened(args), read_picture(Path(args.file))
    acts = Acts(replica)
    table = acts.schema.table(args.table)
    of = acts.existing(table, args.key, acts.scope(args.scope) if args.scope else None)
    if not replica.store.row(table.id, of.row):
        raise UsageError(f"there is no {table.name} {args.key} here")
    form = {"table": "photo", "new": True, "key": [str(table.id), of.row.hex(), sha256(data).hex()],
            "put": {"author": args.author} | ({"caption": args.caption} if args.caption else {})}
    target, writer = acts.row(form), Writer(replica)
    writer.allowed(target.scope, [target])
    blobs, name = Blobs(replica), (target.scope, sha256(data))
    if not blobs.holds(name):
        blobs.put(name, data)
    return written(writer.write([target], args.author))


def photo_form(blobs: Blobs, named: Named, had: set) -> dict:
    table = named.table
    columns = show(blobs.replica, table, named.row)["columns"]
    name = (named.scope, named.shown)
    holds = blobs.holds(name)
    return {"id": named.row.hex(), "scope": named.scope.decode(), "digest": named.shown.hex(), "held": holds,
            "size": blobs.size(name) if holds else None, "hub has": name in had, "erased": named.is_erased} | {
                name: columns[name] and columns[name]["value"] for name in ("subject_table", "subject", "caption")}


def photo_list(args) -> int:
    blobs = Blobs(opened(args))
    had = blobs.had()
    say([photo_form(blobs, named, had) for named in blobs.rows() if named.shown and not named.is_hidden])
    return DONE


def photo_save(args) -> int:
    blobs, path = Blobs(opened(args)), Path(args.file)
    found = [each for each in blobs.rows() if each.name and args.id in (each.row.hex(), each.shown.hex())]
    if not found:
        raise UsageError(f"no photo {args.id} is known here: see `photo list`")
    if not blobs.holds(found[0].name):
        raise UsageError("its bytes aren't here: `sync --photos all` fetches them")
    if path.exists():
        raise UsageError(f"{path} is there already")
    path.write_bytes(blobs.path(found[0].name).read_bytes())
    return DONE


def assignments(pairs: list[str]) -> dict:
    found: dict = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"{pair!r} is no COLUMN=VALUE")
        found[name] = value or None
    return found


def insert(args) -> int:
    form = {"table": args.table, "new": True, "put": assignments(args.values)}
    form |= {"key": args.key} if args.key else {}
    return write_rows(args, [form | ({"scope": args.scope} if args.scope else {})], {})


def one_row(args, verb: str, given: dict | bool) -> int:
    form = {"table": args.table, "key": args.key, verb: given}
    return write_rows(args, [form | ({"scope": args.scope} if args.scope else {})], {})


def put(args) -> int:
    value = None if args.null else args.value
    if value is None and not args.null:
        raise UsageError("give a value, or --null")
    return one_row(args, "put", {args.column: value})


def settle(args) -> int:
    replica = opened(args)
    with replica.store.transaction():
        conflict = by_start(replica, args.id)
        is_value = args.value is not None and conflict.column is not None
        value = Acts(replica).values.column(conflict.column, args.value) if is_value else None
        if (args.take is None) == (args.value is None):
            raise UsageError("say what holds: --take LETTER, --value VALUE, or of a row --take delete or restore")
        target: Target = settlement(replica, conflict, args.take, value)
        return written(Writer(replica).write([target], args.author))


def write(args) -> int:
    try:
        form = json.loads(sys.stdin.read() if args.file == "-" else Path(args.file).read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"{args.file} can't be read as JSON: {error}") from None
    if not isinstance(form, dict) or not isinstance(form.get("rows"), list):
        raise UsageError('the file is an object with "rows"')
    return write_rows(args, form["rows"], form)


def state_hash(args) -> int:
    replica = opened(args)
    if not args.scopes:
        print(State(replica).hash({scope.encode() for scope in args.of} if args.of else None).hex())
        return DONE
    for scope in replica.known_scopes():
        print(f"{State(replica).hash({scope}).hex()} {scope.decode()}")
    return DONE


def exported(args) -> int:
    replica = opened(args)
    if args.file == "-":
        export(replica, sys.stdout)
    else:
        with open(args.file, "x", encoding="ascii") as out:
            export(replica, out)
    return DONE


def shown(args) -> int:
    replica = opened(args)
    acts = Acts(replica)
    target = acts.existing(acts.schema.table(args.table), args.key, acts.scope(args.scope) if args.scope else None)
    say(show(replica, target.table, target.row))
    return DONE


def conflicts(args) -> int:
    say([conflict.form for conflict in all_open(opened(args))])
    return DONE


def status(args) -> int:
    replica = opened(args)
    aside = replica.store.db.execute("SELECT reason, count(*) FROM run WHERE taken IS NULL GROUP BY reason").fetchall()
    say({"device": replica.device.hex(), "name": replica.store.get("name"), "hub": replica.store.get("url"),
         "scopes": replica.store.get("scopes"), "waits": Peer(replica).waiting(), "aside": dict(aside),
         "missing keys": replica.store.db.execute("SELECT count(*) FROM run WHERE missing > 0").fetchone()[0],
         "erased": replica.store.get("erased", []), "conflicts": len(all_open(replica))})
    return DONE


def verify(args) -> int:
    found = faults(opened(args))
    print("\n".join(found) or "the file is whole")
    return DAMAGED if found else DONE


def bundle_export(args) -> int:
    since = Path(args.since) if args.since else None
    found = BundleWriter(opened(args)).export(Path(args.file), args.to, args.all, since, args.part_size, args.photos)
    print(f"{', '.join(map(str, found.files))} for {found.holder.name}: {found.changesets} changesets in {found.runs} "
          f"runs, {found.photos} photos; they count as sent when the hub says so")
    return DONE


def bundle_import(args) -> int:
    taken, faults = BundleReader(opened(args)).import_all(list(map(Path, args.files)))
    for found in taken:
        print("; ".join(words_of(found)))
    for fault in faults:
        failed(str(fault), USAGE)
    return USAGE if faults else WAITS if any(found.is_short for found in taken) else DONE


def bundle_show(args) -> int:
    say(seen(Path(args.file), opened(args) if args.replica.is_file() else None))
    return DONE


ROW = (("table", "the table's name or number"),
       ("key", "the row's key (parts with / between), its id, or the start of its id"))
COMMANDS = {
    "init": (init, "make a device's key and an empty replica", (), {"--name": {"required": True}}),
    "enrol": (join, "join a hub with a token", (("url", "https://HOST:PORT"), ("token", "karvan1-…")),
              {"--new-root": {"action": "store_true", "help": "the hub has a new root key, by its operator's word"}}),
    "sync": (sync, "send what was recorded here, and fetch what others recorded", (),
             {"--rounds": {"type": int, "default": 10_000, "help": "stop after so many exchanges"},
              "--hub": {"help": "the hub's new address"},
              "--photos": {"choices": ("own", "all", "none"), "default": "own",
                           "help": "which go: own (what the other side lacks), all (and what is lacking here), none"},
              "--peer": {"metavar": "HOST:PORT", "help": "give and take with a laptop that serves there, not with the "
                                                          "hub"},
              "--nearby": {"nargs": "?", "const": "", "metavar": "ADDRESS",
                           "help": "with all laptops that are found nearby; by the interface of this address alone"}}),
    "serve": (serve, "let other laptops of this network give and take, without a hub", (),
              {"--listen": {"default": "127.0.0.1:0", "metavar": "HOST:PORT", "help": "port 0: any (default: "
                                                                                       "127.0.0.1:0)"},
               "--json": {"action": "store_true", "help": "print the name and the address as JSON"},
               "--announce": {"action": "store_true", "help": "let laptops nearby find this one, on that address"},
               "--seconds": {"type": float, "default": 3_600.0, "help": "end after so many (default: 3600)"}}),
    "insert": (insert, "make a row: under its key with --key, else under an id of its own", (ROW[0],),
               {"--key": {"help": "parts with / between"}, "values": {"nargs": "*", "help": "COLUMN=VALUE"}}),
    "put": (put, "put a value into a register", (*ROW, ("column", "the column")),
            {"value": {"nargs": "?"}, "--null": {"action": "store_true"}}),
    "add": (lambda a: one_row(a, "add", {a.column: a.value}), "add an element to a set",
            (*ROW, ("column", "the column"), ("value", "the element")), {}),
    "remove": (lambda a: one_row(a, "remove", {a.column: a.value}), "remove an element from a set",
               (*ROW, ("column", "the column"), ("value", "the element")), {}),
    "count": (lambda a: one_row(a, "count", {a.column: a.value}), "count a counter on, or back",
              (*ROW, ("column", "the column"), ("value", "+N or -N")), {}),
    "delete": (lambda a: one_row(a, "delete", True), "delete a row", ROW, {}),
    "restore": (lambda a: one_row(a, "restore", True), "restore a deleted row", ROW, {}),
    "settle": (settle, "settle an open conflict", (("id", "its id, or the start of it"),),
               {"--take": {"help": "a candidate's letter; of a row: delete or restore"}, "--value": {}}),
    "retract": (lambda a: one_row(a, "undo", {a.column: a.value}), "take a resolution back",
                (*ROW, ("column", "the column"), ("value", "the resolution's dot, STREAM:SEQ")), {}),
    "write": (write, "write a changeset of several rows from JSON", (("file", "a file, or - for standard input"),), {}),
    "state-hash": (state_hash, "print the state hash of all that is held", (),
                   {"--scopes": {"action": "store_true", "help": "of each scope by itself"},
                    "--of": {"action": "append", "metavar": "SCOPE", "help": "of these scopes together"}}),
    "export": (exported, "write all that is held as lines of JSON, for oracle.py", (("file", "a new file, or -"),), {}),
    "show": (shown, "show a row", ROW, {}),
    "conflicts": (conflicts, "list open conflicts with their ids", (), {}),
    "bundle export": (bundle_export, "write what somebody lacks into a new file", (("file", "the new file"),),
                      {"--for": {"dest": "to", "default": "hub", "metavar": "NAME",
                                 "help": "a laptop's name, the first digits of its device, or hub (default: hub)"},
                       "--all": {"action": "store_true", "help": "all that the recipient may read"},
                       "--since": {"metavar": "FILE", "help": "what lies behind this bundle, whatever is known"},
                       "--photos": {"choices": ("own", "all", "none"), "default": "own",
                                    "help": "which go in: own (what the hub lacks), all, none"},
                       "--part-size": {"type": int, "metavar": "BYTES",
                                       "help": "the most bytes for one file; more go into FILE.2, FILE.3, …"}}),
    "bundle import": (bundle_import, "take in what others have written into files", (),
                      {"files": {"nargs": "+", "metavar": "FILE", "help": "the files, in any order"}}),
    "bundle show": (bundle_show, "look at a file, and take nothing in", (("file", "the file"),), {}),
    "photo add": (photo_add, "keep a photo with a record", (*ROW, ("file", "the picture")),
                  {"--caption": {"help": "what is to be seen"}}),
    "photo list": (photo_list, "list photos, and whether their bytes are here and at the hub", (), {}),
    "photo save": (photo_save, "write a photo into a new file", (("id", "its id, or its SHA-256"),
                                                                 ("file", "the new file")), {}),
    "verify": (verify, "check the file against itself", (), {}),
    "status": (status, "show what waits, and what is kept aside", (), {}),
}


GROUPS = {"bundle": "carry changes on a stick: to the hub, to another laptop, and back",
          "photo": "keep photos with records, and look at them"}


def group(commands, name: str, words: str):
    found = commands.add_parser(name, help=words, description=words[0].upper() + words[1:] + ".")
    return found.add_subparsers(required=True, metavar="COMMAND")


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog="pyclient", description="A client of the Karvan protocol, format 1.")
    commands = found.add_subparsers(required=True, metavar="COMMAND")
    groups = {name: group(commands, name, words) for name, words in GROUPS.items()}
    for name, (act, words, places, more) in COMMANDS.items():
        first, _, last = name.rpartition(" ")
        place = groups.get(first, commands)
        command = place.add_parser(last, help=words, description=words[0].upper() + words[1:] + ".")
        command.set_defaults(act=act)
        default = Path(os.environ.get("PYCLIENT_REPLICA", "pyclient.sqlite"))
        command.add_argument("--replica", type=Path, default=default,
                             help="the replica's file (default: $PYCLIENT_REPLICA, else pyclient.sqlite here)")
        command.add_argument("--author", default="", help="who is recording")
        command.add_argument("--scope", help="the scope of a new row, such as delegation/KZ")
        command.add_argument("--timeout", type=float, default=20.0,
                             help="give up after so many seconds without an answer")
        for place, help_ in places:
            command.add_argument(place, help=help_)
        for option, settings in more.items():
            command.add_argument(option, **settings)
    vectors.add_command(commands)
    fleet.add_command(commands)
    lan_check.add_command(commands)
    nearby_check.add_command(commands)
    photo_check.add_command(commands)
    carry_check.add_command(commands)
    return found


def main() -> int:
    commands = parser()
    args, rest = commands.parse_known_args()
    if rest and ("values" not in args or any(word.startswith("-") for word in rest)):
        commands.error("unrecognized arguments: " + " ".join(rest))
    if rest:
        args.values = [*args.values, *rest]
    try:
        return args.act(args)
    except UsageError as error:
        return failed(str(error), USAGE)
    except NoHub as error:
        return failed(f"{error}. What was recorded is safe here", UNAVAILABLE)
    except HubRefused as error:
        return failed(f"the hub refused it ({error}): ask its operator", UNAVAILABLE)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except sqlite3.Error as error:
        return failed(f"the replica's file can't be used ({error}): is another program at it?", NO_INPUT)
    finally:
        while OPENED:
            OPENED.pop().close()


def failed(words: str, code: int) -> int:
    print(f"pyclient: {words}", file=sys.stderr)
    return code
