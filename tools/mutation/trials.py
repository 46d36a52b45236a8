"""Runs the built tests against one mutation after another."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from workcopy import CANARY_ID, NULL_ID, Failure

SCHEDULES = {"KARVAN_SCHEDULES": "2000", "KARVAN_STORE_SCHEDULES": "20"}
# What a test file says about a step of its own is more telling than long random schedules.
RANDOM = r"\.(RandomSchedules|RandomStoreSchedules|RandomBytes)"
STAGES = {
    "causality": (r"^CausalityTests\.", None),
    "merge": (r"^MergeTests\.", RANDOM),
    "merge schedules": (r"^MergeTests\.RandomSchedules", None),
    "store": (r"^ReplicaStoreTests\.", RANDOM),
    "store schedules": (r"^ReplicaStoreTests\.RandomStoreSchedules", None),
    "protocol": (r"^(SyncProtocolTests|ProtocolTests)\.", RANDOM),
    "random bytes": (r"^SyncProtocolTests\.RandomBytes", None),
}
# The cheapest and most telling first. Only the store's tests and those of the wire reach the store.
MERGE_ORDER = ["store schedules", "merge", "merge schedules", "protocol", "store", "random bytes"]
ORDERS = {
    "Causality": ["causality", *MERGE_ORDER],
    "Merge": MERGE_ORDER,
    "ReplicaStore": ["store schedules", "store", "protocol"],
}
FAILED = b" recorded an issue "
POLL_SECONDS = 0.1
# A run of tests may take so many times what it takes without a mutation: a busy machine is no
# reason to call a mutation caught.
PATIENCE = 6
COUNT = re.compile(r"Test run with (\d+) tests?\b")


@dataclass
class Outcome:
    caught: bool
    stage: str = ""
    how: str = ""
    seconds: float = 0


class Trials:
    def __init__(self, copy, timeout_seconds, deadline):
        self.copy, self.deadline = copy, deadline
        self.limits = {stage: max(timeout_seconds, 180) for stage in STAGES}
        self.timeout_seconds = timeout_seconds
        self.stopped = False
        self.logs = copy.scratch / "logs"
        shutil.rmtree(self.logs, ignore_errors=True)
        self.logs.mkdir(parents=True)

    def check(self):
        """Without a mutation all passes, the null mutation survives, the canary never does.

        Returns the seconds of each stage without a mutation.
        """
        seconds = {}
        for stage in STAGES:
            outcome = self._stage(stage, None)
            if outcome.caught:
                raise Failure(f"without a mutation the stage {stage} fails ({outcome.how}); "
                              f"see {self._log(stage, None)}")
            found = COUNT.search(self._log(stage, None).read_text(errors="replace"))
            if not found or int(found[1]) == 0:
                raise Failure(f"the stage {stage} ran no test")
            seconds[stage] = outcome.seconds
            self.limits[stage] = max(self.timeout_seconds, PATIENCE * outcome.seconds)
            if not self._stage(stage, CANARY_ID).caught:
                raise Failure(f"the canary survives the stage {stage}: the switch doesn't work")
        outcome = self.run_one(NULL_ID, "Merge")
        if outcome.caught:
            raise Failure(f"the null mutation is caught in the stage {outcome.stage}: the tests "
                          "fail without a reason")
        return seconds

    def run(self, sites, jobs, report):
        """Outcomes by id; a site that there was no time for has none."""
        outcomes = {}

        def trial(site):
            if time.monotonic() < self.deadline and not self.stopped:
                outcomes[site.id] = self.run_one(site.id, site.file.split("/")[1])
                report(site, outcomes[site.id])

        with ThreadPoolExecutor(jobs) as pool:
            try:
                for done in [pool.submit(trial, site) for site in sites]:
                    done.result()
            except BaseException:
                self.stopped = True
                raise
        return outcomes

    def run_one(self, mutant, module):
        seconds = 0
        for stage in ORDERS[module]:
            outcome = self._stage(stage, mutant)
            seconds += outcome.seconds
            if outcome.caught:
                return Outcome(True, stage, outcome.how, seconds)
        return Outcome(False, seconds=seconds)

    def _stage(self, stage, mutant):
        started = time.monotonic()
        log = self._log(stage, mutant)
        with tempfile.TemporaryDirectory(prefix="karvan-mutate-", dir=memory()) as scratch:
            environment = {key: value for key, value in os.environ.items()
                           if not key.startswith("KARVAN_")}
            environment |= SCHEDULES | {"TMPDIR": scratch, "KARVAN_TEST_MEMORY": scratch}
            if mutant:
                environment["KARVAN_MUTANT"] = mutant
            how = self._run(self._command(stage), environment, log, self.limits[stage])
        return Outcome(how != "", stage, how, time.monotonic() - started)

    def _command(self, stage):
        only, without = STAGES[stage]
        binary = self.copy.package / ".build/debug/karvanPackageTests.xctest"
        # A file on Linux; elsewhere a bundle, which `swift test` knows how to load.
        start = [str(binary), "--testing-library", "swift-testing"] if binary.is_file() else [
            "swift", "test", "--skip-build", "--disable-xctest"]
        return start + ["--filter", only] + (["--skip", without] if without else [])

    def _run(self, command, environment, log, limit_seconds):
        """How the tests failed; empty when they passed."""
        with log.open("wb") as output:
            process = subprocess.Popen(command, cwd=self.copy.package, env=environment,
                                       stdin=subprocess.DEVNULL, stdout=output,
                                       stderr=subprocess.STDOUT, start_new_session=True)
            try:
                status = self._wait(process, log, limit_seconds)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
        if isinstance(status, str):
            return status
        if status < 0:
            return f"signal {-status}"
        return "" if status == 0 else "failure"

    def _wait(self, process, log, limit_seconds):
        """The exit status, or what came first: a failed expectation, or the end of the time."""
        until = time.monotonic() + limit_seconds
        with log.open("rb") as written:
            unread = b""
            while process.poll() is None:
                unread = unread[-len(FAILED):] + written.read()
                if FAILED in unread:
                    return "failure"
                if time.monotonic() > until:
                    return "timeout"
                if self.stopped:
                    return "interruption"
                time.sleep(POLL_SECONDS)
        return process.returncode

    def _log(self, stage, mutant):
        return self.logs / f"{mutant or 'none'}.{stage.replace(' ', '-')}.log"


def memory():
    """A directory in memory where the machine has one: tests that crash leave files behind."""
    place = Path("/dev/shm")
    return place if os.access(place, os.W_OK) else None
