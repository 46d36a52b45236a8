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
STAGES = {
    "merge": (r"^(MergeTests|CausalityTests)\.", None),
    "store": (r"^ReplicaStoreTests\.", r"^ReplicaStoreTests\.RandomStoreSchedules"),
    "schedules": (r"^ReplicaStoreTests\.RandomStoreSchedules", None),
    "protocol": (r"^(SyncProtocolTests|ProtocolTests)\.", None),
}
ORDERS = {
    "ReplicaStore": ["store", "schedules", "protocol", "merge"],
    "Merge": ["merge", "schedules", "store", "protocol"],
    "Causality": ["merge", "store", "protocol", "schedules"],
}
COUNT = re.compile(r"Test run with (\d+) tests?\b")


@dataclass
class Outcome:
    caught: bool
    stage: str = ""
    how: str = ""
    seconds: float = 0


class Trials:
    def __init__(self, copy, timeout_seconds, deadline):
        self.copy, self.timeout_seconds, self.deadline = copy, timeout_seconds, deadline
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
                              f"see {self.logs}/none.{stage}.log")
            found = COUNT.search((self.logs / f"none.{stage}.log").read_text(errors="replace"))
            if not found or int(found[1]) == 0:
                raise Failure(f"the stage {stage} ran no test")
            seconds[stage] = outcome.seconds
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
            if time.monotonic() < self.deadline:
                outcomes[site.id] = self.run_one(site.id, site.file.split("/")[1])
                report(site, outcomes[site.id])

        with ThreadPoolExecutor(jobs) as pool:
            for done in [pool.submit(trial, site) for site in sites]:
                done.result()
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
        name = mutant or "none"
        log = self.logs / f"{name}.{stage}.log"
        with tempfile.TemporaryDirectory(prefix="karvan-mutate-", dir=memory()) as scratch:
            environment = {key: value for key, value in os.environ.items()
                           if not key.startswith("KARVAN_")}
            environment |= SCHEDULES | {"TMPDIR": scratch, "KARVAN_TEST_MEMORY": scratch}
            if mutant:
                environment["KARVAN_MUTANT"] = mutant
            how = self._run(self._command(stage), environment, log)
        return Outcome(how != "", stage, how, time.monotonic() - started)

    def _command(self, stage):
        only, without = STAGES[stage]
        binary = self.copy.package / ".build/debug/karvanPackageTests.xctest"
        # A file on Linux; elsewhere a bundle, which `swift test` knows how to load.
        start = [str(binary), "--testing-library", "swift-testing"] if binary.is_file() else [
            "swift", "test", "--skip-build", "--disable-xctest"]
        return start + ["--filter", only] + (["--skip", without] if without else [])

    def _run(self, command, environment, log):
        """How the tests failed; empty when they passed."""
        with log.open("wb") as output:
            process = subprocess.Popen(command, cwd=self.copy.package, env=environment,
                                       stdin=subprocess.DEVNULL, stdout=output,
                                       stderr=subprocess.STDOUT, start_new_session=True)
            try:
                status = process.wait(self.timeout_seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return "timeout"
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        if status < 0:
            return f"signal {-status}"
        return "" if status == 0 else "failure"


def memory():
    """A directory in memory where the machine has one: tests that crash leave files behind."""
    place = Path("/dev/shm")
    return place if os.access(place, os.W_OK) else None
