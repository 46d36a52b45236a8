"""Commands within one bound of time, each ended with all that it has started."""

import os
import signal
import subprocess
import sys
import time


class Failure(Exception):
    """The tool can't go on, and says why."""


class Deadline:
    """What is left of a tool's time; every command that it starts is held to it."""

    def __init__(self, seconds):
        self.started = time.monotonic()
        self.seconds = seconds

    @property
    def spent(self):
        return time.monotonic() - self.started

    @property
    def left(self):
        return self.seconds - self.spent

    def run(self, command, limit=None, output=None, environment=None, folder=None):
        """The exit status. What the command prints goes to `output`, or to standard error.

        `limit` bounds this command by itself, in seconds: after it the status is 124.
        """
        if self.left <= 0:
            raise Failure(f"out of time ({self.seconds:.0f} s)")
        bound = min(self.left, limit or self.left)
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output or sys.stderr, cwd=folder,
            env=os.environ | (environment or {}), start_new_session=True)
        try:
            return process.wait(bound)
        except subprocess.TimeoutExpired:
            if self.left <= 0:
                raise Failure(f"out of time ({self.seconds:.0f} s): {command[0]}") from None
            return 124
        finally:
            if process.poll() is None:
                end(process)

    def must(self, what, command, **options):
        status = self.run(command, **options)
        if status != 0:
            raise Failure(f"{what} ended with {status}")


def end(process):
    """First asked, so that a tool ends what it has started; then made to."""
    for number, seconds in ((signal.SIGTERM, 20), (signal.SIGKILL, None)):
        try:
            os.killpg(process.pid, number)
            process.wait(seconds)
            return
        except ProcessLookupError:
            process.wait()
            return
        except subprocess.TimeoutExpired:
            continue


def commit(root):
    """The commit that is measured; `-dirty` when the files aren't those of the commit."""
    done = subprocess.run([str(root / "tools/evidence/commit")], text=True,
                          stdout=subprocess.PIPE, timeout=60)
    return done.stdout.strip() or "unknown"


def guarded(name, main):
    """Runs a tool to its exit status: 2 when it couldn't do its work or not in time."""
    def stop(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        return main()
    except Failure as failure:
        print(f"{name}: {failure}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
