"""Commands of both releases, each with a bound and held to its exit status."""

import contextlib
import json
import os
import shlex
import subprocess
import time
from dataclasses import dataclass, field

COMMAND_SECONDS = 60
END_SECONDS = 20
START_SECONDS = 30


class Broken(Exception):
    """A command did not end as it should, or a promise was not kept."""


@dataclass
class Figures:
    """What a run did, over all its steps."""
    steps: int = 0
    commands: int = 0
    recorded: int = 0
    lost: int = 0
    hashes: int = 0
    failures: list = field(default_factory=list)


@dataclass
class Finished:
    """A command that has ended, and what it printed."""
    words: str
    status: int
    output: str
    errors: str

    def __str__(self):
        said = "".join(f"\n    {line}" for line in (self.output + self.errors).splitlines()[-40:])
        return f"{self.words}: ended with {self.status}{said or ', and printed nothing'}"

    @property
    def json(self):
        try:
            return json.loads(self.output)
        except ValueError:
            raise Broken(f"what it prints is no JSON: {self}") from None


class Commands:
    """Runs the programs in one folder, within what is left of the whole."""

    def __init__(self, folder, deadline, figures):
        self.folder, self.deadline, self.figures = folder, deadline, figures

    def _environment(self, replica):
        kept = {name: value for name, value in os.environ.items()
                if not name.startswith("KARVAN_")}
        return kept | ({"KARVAN_REPLICA": replica} if replica else {})

    def _words(self, release, program, arguments, replica):
        return " ".join([f"{release} {program}", *map(shlex.quote, map(str, arguments)),
                         *([f"(on {replica})"] if replica else [])])

    def bound(self, seconds):
        """So many seconds, or what is left of the whole."""
        if self.deadline.left <= 0:
            raise Broken(f"out of time ({self.deadline.seconds:.0f} s): give more --minutes")
        return min(seconds, self.deadline.left)

    def run(self, release, program, *arguments, replica=None, ends=0):
        """Runs a command to its end; one that ends with another status is a failure."""
        words = self._words(release, program, arguments, replica)
        seconds = self.bound(COMMAND_SECONDS)
        self.figures.commands += 1
        try:
            done = subprocess.run(
                [release.path(program), *map(str, arguments)], cwd=self.folder, timeout=seconds,
                env=self._environment(replica), stdin=subprocess.DEVNULL, capture_output=True,
                text=True, errors="replace")
        except subprocess.TimeoutExpired as error:
            said = b"".join(part for part in (error.stdout, error.stderr) if part)
            raise Broken(f"{words}: not ended after {seconds:.0f} s: "
                         f"{said.decode(errors='replace')}") from None
        finished = Finished(words, done.returncode, done.stdout, done.stderr)
        if done.returncode != ends:
            raise Broken(f"{finished}\n    {ends} was expected")
        return finished

    @contextlib.contextmanager
    def running(self, release, program, *arguments, replica=None):
        """A command that goes on until the block ends; then it is asked to, and must end with 0."""
        words = self._words(release, program, arguments, replica)
        seconds = max(1, self.bound(self.deadline.left))
        self.figures.commands += 1
        number = self.figures.commands
        files = [self.folder / f"{program}-{number}.{kind}" for kind in ("out", "log")]
        with open(files[0], "wb") as output, open(files[1], "wb") as errors:
            # `timeout` hands on what it is sent, and ends the program when nobody else does.
            process = subprocess.Popen(
                ["timeout", "--kill-after=10", f"{seconds:.0f}", release.path(program),
                 *map(str, arguments)],
                cwd=self.folder, env=self._environment(replica), stdin=subprocess.DEVNULL,
                stdout=output, stderr=errors, start_new_session=True)

        def now(status):
            return Finished(words, status, *(
                file.read_text(errors="replace") for file in files))

        running = Running(self, process, now)
        try:
            yield running
        except BaseException:
            self._end(process)
            raise
        was_there = process.poll() is None
        status = self._end(process)
        if status != 0 or not was_there:
            before = "" if was_there else "\n    it should have gone on until it was asked to end"
            raise Broken(f"{now(status)}{before}")

    def _end(self, process):
        """First asked, then made to, by its own process id."""
        if process.poll() is None:
            process.terminate()
        try:
            return process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait(END_SECONDS)

    def until(self, what, holds, seconds, every=0.2):
        """Waits until something holds, and says what it is when it never does."""
        end = time.monotonic() + self.bound(seconds)
        while not (found := holds()):
            if time.monotonic() > end:
                raise Broken(f"{what}: not within {seconds} s")
            time.sleep(every)
        return found


@dataclass
class Running:
    """A command that goes on: a hub, a laptop that serves, a watch."""
    commands: Commands
    process: subprocess.Popen
    now: object

    @property
    def said(self):
        return self.now(self.process.poll())

    def first(self, seconds=START_SECONDS):
        """The first JSON object that it prints."""
        def read():
            if self.process.poll() is not None:
                raise Broken(f"it did not go on: {self.said}")
            with contextlib.suppress(ValueError):
                return json.JSONDecoder().raw_decode(self.said.output.lstrip())[0]

        return self.commands.until(f"a first word of {self.said.words}", read, seconds)
