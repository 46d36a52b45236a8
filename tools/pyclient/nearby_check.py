"""Holds laptops against 08 §8 "To be found", with python-zeroconf as another implementation of multicast DNS."""
from __future__ import annotations

import signal
import tempfile
import time
from pathlib import Path

from pyclient.fleet_laptops import Broken, SwiftLaptop


LIMIT = 118  # seconds for all of it


def run(args) -> int:
    from pyclient.lan_check import Score
    from pyclient.nearby_daemon import Daemon
    from pyclient.nearby_stage import Stage  # needs zeroconf, as few commands do

    SwiftLaptop.program = [str(Path(args.karvan).resolve())]
    began, score = time.monotonic(), Score()
    signal.signal(signal.SIGALRM, over)
    signal.alarm(LIMIT)
    try:
        with tempfile.TemporaryDirectory() as folder, Daemon(Path(folder)), Stage(score, Path(folder)) as stage:
            stage.run()
    except Broken as error:
        score.expect("it goes on to its end", str(error), None)
    finally:
        signal.alarm(0)
    print(f"nearby: {score.good} checks pass, {score.bad} fail, {time.monotonic() - began:.0f} s", flush=True)
    return 1 if score.bad else 0


def over(*_) -> None:
    raise Broken(f"the check takes more than {LIMIT} s")


def add_command(commands) -> None:
    words = "check how another implementation's laptops are found nearby, and find others"
    command = commands.add_parser("nearby-check", help=words, description=words[0].upper() + words[1:] + ".")
    command.add_argument("--karvan", required=True, help="the other implementation's program for laptops")
    command.add_argument("--hub", help="its program for hubs; the forum of this check makes its own hub")
    command.set_defaults(act=run)
