"""Starts a hub, makes devices, runs schemathesis and the odd requests, and says what was answered."""
from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[1]
sys.path[0] = str(TOOLS)
sys.dont_write_bytecode = True

from pyclient.fleet_laptops import Broken, HubProcess  # noqa: E402

from http_check import wire  # noqa: E402
from http_check.world import Maker, World  # noqa: E402

DOCUMENT = TOOLS.parent / "Protocol" / "openapi.yaml"
# Left out: positive_data_acceptance, since any bytes fit the schema of a message; negative_data_rejection, since a hub
# passes over queries and further headers; and those that need links between operations, or credentials.
CHECKS = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
          "response_schema_conformance", "missing_required_header", "unsupported_method", "allow_header_conformance",
          "said_as_written")
# Operations that read nothing get a tenth. What is wrong on purpose comes from the coverage phase and from `plans`.
CONFIG = """
[phases.fuzzing]
generation.mode = "positive"
[[operations]]
include-tag = "others"
generation.max-examples = {}
"""


def schemathesis(args, url: str, folder: Path) -> int:
    """Its exit code: 0 when no check failed."""
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": "http_check.hooks", "PYTHONPATH": str(TOOLS), "PYTHONDONTWRITEBYTECODE": "1",
        "KARVAN_HTTP_WORLD": str(folder / "world.json"), "KARVAN_HTTP_LOG": str(folder / "answers.jsonl")}
    config = folder / "schemathesis.toml"
    config.write_text(CONFIG.format(max(1, args.examples // 10)))
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", str(DOCUMENT),
               "--url", url, "--tls-verify", str(folder / "hub.sqlite.tls-cert.pem"),
               "--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing",
               "--max-examples", str(args.examples), "--seed", str(args.seed), "--request-timeout", "30",
               "--generation-database", "none", "--suppress-health-check", "all", "--warnings", "off",
               "--continue-on-failure", "--no-color"]
    # What it says besides is for the case that it fails.
    said = subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", timeout=args.seconds)
    if said.returncode or args.verbose:
        print(said.stdout, file=sys.stderr)
    return said.returncode


def figures(folder: Path) -> tuple[dict[str, Counter], Counter, Counter, list[dict]]:
    """Answers by operation; by what was sent; what replies say; and what failed."""
    answers, plans, inside, failed = defaultdict(Counter), Counter(), Counter(), []
    log = folder / "answers.jsonl"
    for line in log.read_text().splitlines() if log.exists() else []:
        form = json.loads(line)
        if form["failed"]:
            failed.append(form)
        if form["status"] is not None:
            answers[form["operation"]][f"{form['status']}{' ' + form['code'] if form['code'] else ''}"] += 1
            inside.update(form.get("inside", []))
            if form["plan"]:
                plans[f"{form['operation'].split('/')[-1]}: {form['plan']}: {form['status']} {form['code']}"] += 1
    return answers, plans, inside, failed


def check(args, folder: Path) -> int:
    started = time.monotonic()
    hub = HubProcess(str(Path(args.hub).resolve()), folder)
    hub.start()
    try:
        maker = Maker(hub, folder)
        try:
            world: World = maker.make()
        finally:
            maker.close()
        world.save(folder / "world.json")
        code = schemathesis(args, f"https://localhost:{hub.port}", folder)
        odd, odd_seconds = wire.run(world, hub.port, folder)
        alive = hub.process.poll() is None
    finally:
        hub.stop()
    return report(folder, args.verbose, code, odd, alive, time.monotonic() - started, odd_seconds)


def report(folder: Path, verbose: bool, code: int, odd: list, alive: bool, seconds: float, odd_seconds: float) -> int:
    answers, plans, inside, failed = figures(folder)
    for name, count in sorted(plans.items()):
        print(f"  {count:6} {name}", file=sys.stderr)
    for form in failed:
        print(f"http-check: {form['operation']}: {form['code']} {form['failed']}",
              file=sys.stderr)
    for name, came, _ in odd if verbose else []:
        print(f"  {', '.join(map(str, came)):>12} {name}", file=sys.stderr)
    wrong = [(name, came, why) for name, came, why in odd if why]
    for name, came, why in wrong:
        print(f"http-check: {name}: {came}: {why}", file=sys.stderr)
    for operation in sorted(answers, key=lambda name: name.split()[::-1]):
        found = answers[operation]
        print(f"{operation:28} {found.total():6}  " + ", ".join(f"{n} × {what}" for what, n in sorted(found.items())))
    print("inside of replies: " + ", ".join(f"{n} × {what}" for what, n in sorted(inside.items())))
    total = sum(found.total() for found in answers.values())
    # The last of the odd ones is a hub that can't store.
    errors = sum(n for found in answers.values() for what, n in found.items() if what[0] == "5")
    errors += sum(status >= 500 for _, came, _ in odd[:-1] for status in came)
    undocumented = len(failed) + len(wrong)
    print(f"http-check: {total} requests of {len(answers)} operations and {len(odd)} odd ones ({odd_seconds:.0f} s), "
          f"{errors} × 5xx, {undocumented} undocumented answers, {seconds:.0f} s")
    if not alive:
        print("http-check: the hub ended by itself", file=sys.stderr)
    if code:
        print(f"http-check: schemathesis ended with {code}", file=sys.stderr)
    return 1 if errors or undocumented or code or not alive or not total else 0


def main() -> int:
    found = argparse.ArgumentParser(prog="http_check", description=__doc__)
    found.add_argument("--hub", required=True, help="the built karvan-hub")
    found.add_argument("--examples", type=int, default=100)
    found.add_argument("--seed", type=int, default=1)
    found.add_argument("--seconds", type=int, default=600)
    found.add_argument("--verbose", action="store_true")
    args = found.parse_args()
    with tempfile.TemporaryDirectory(prefix="karvan-http-") as folder:
        try:
            return check(args, Path(folder))
        except Broken as error:
            print(f"http-check: {error}", file=sys.stderr)
            return 1
        except subprocess.TimeoutExpired:
            print(f"http-check: schemathesis took more than {args.seconds} s", file=sys.stderr)
            return 124


if __name__ == "__main__":
    sys.exit(main())
