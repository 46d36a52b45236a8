"""A private Avahi daemon on the loopback: through it another implementation announces itself, and looks for others."""
from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from pyclient.fleet_laptops import Broken

BUS, READY, MOST = "DBUS_SYSTEM_BUS_ADDRESS", 10, "120"
TYPES = "method_call", "method_return", "signal", "error"
POLICY = "".join(f'<allow send_type="{each}"/><allow receive_type="{each}"/>' for each in TYPES)
BUS_CONF = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={bus}</listen>
  <auth>EXTERNAL</auth>{more}
  <policy context="default"><allow user="*"/><allow own="*"/>{policy}</policy>
</busconfig>
"""
AVAHI_CONF = """[server]
host-name=karvan-py-{number}
allow-interfaces=lo
disallow-other-stacks=no
[publish]
publish-hinfo=no
publish-workstation=no
"""
MOUNTED = "mount -t tmpfs tmpfs /run; {more}exec avahi-daemon -f avahi.conf --no-drop-root --no-chroot --no-rlimits"
# Without root: there is one user alone, so that Avahi can't give its folder to another, nor name itself on the bus.
ANONYMOUS = "<auth>ANONYMOUS</auth><allow_anonymous/>"
USERS = "mount --bind passwd /etc/passwd; mount --bind group /etc/group; "
ACCOUNTS = {"passwd": "root:x:0:0::/:/bin/sh\navahi:x:0:0::/:/bin/sh\n", "group": "root:x:0:\navahi:x:0:\n"}


class Daemon:
    """For as long as the block takes; both processes are ended by their own ids, and by themselves after 120 s."""

    def __init__(self, folder: Path):
        self.folder, self.running = folder, []
        self.before = os.environ.get(BUS)

    def __enter__(self) -> "Daemon":
        bus = self.folder / "bus"
        is_root = os.geteuid() == 0
        more = "" if is_root else ANONYMOUS
        (self.folder / "bus.conf").write_text(BUS_CONF.format(bus=bus, policy=POLICY, more=more))
        for name, text in ACCOUNTS.items():
            (self.folder / name).write_text(text)
        (self.folder / "avahi.conf").write_text(AVAHI_CONF.format(number=os.getpid()))
        os.environ[BUS] = f"unix:path={bus}"
        try:
            self.start("bus", "dbus-daemon", "--nofork", "--nopidfile", "--config-file", "bus.conf")
            self.wait("the bus", bus.exists)
            as_root = () if is_root else ("--map-root-user",)
            mounted = MOUNTED.format(more="" if is_root else USERS)
            self.start("avahi", "unshare", "--mount", *as_root, "sh", "-e", "-c", mounted)
            self.wait("Avahi", lambda: "Server startup complete" in self.log("avahi"))
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self, name: str, *command: str) -> None:
        with open(self.folder / f"{name}.log", "wb") as log:
            self.running.append(subprocess.Popen(["timeout", MOST, *command], cwd=self.folder, stdin=subprocess.DEVNULL,
                                                 stdout=log, stderr=log, start_new_session=True))

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def wait(self, what: str, is_ready) -> None:
        deadline = time.monotonic() + READY
        while not is_ready():
            if time.monotonic() > deadline or self.running[-1].poll() is not None:
                raise Broken(f"{what} doesn't start: {self.log('bus')} {self.log('avahi') if self.running[1:] else ''}")
            time.sleep(0.05)

    def __exit__(self, *_) -> None:
        for process in reversed(self.running):
            for number in (signal.SIGTERM, signal.SIGKILL):
                if process.poll() is None:
                    os.killpg(process.pid, number)  # `timeout` leads the group that it made
                try:
                    process.wait(timeout=5)
                except subprocess.TimeoutExpired:
                    continue
        self.running = []
        if self.before is None:
            os.environ.pop(BUS, None)
        else:
            os.environ[BUS] = self.before
