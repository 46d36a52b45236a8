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

# As few of the random schedules as tell something: each mutation meets them again.
SCHEDULES = {"KARVAN_SCHEDULES": "1000", "KARVAN_STORE_SCHEDULES": "20",
             "KARVAN_ORACLE_SCHEDULES": "250"}
MERGE_LONG = r"\.(EverySchedule|RandomSchedules|Laws)/"
# What breaks disks and files. Of all write points in turn (FaultPoints) a debug build would take
# many minutes.
STORE_FAULTS = "CopiedFiles|FlippedBytes|GatheredLog"
STORE_LONG = (r"\.(RandomStoreSchedules|PastStates|OracleTests|LargeTransactions|FaultPoints|"
              rf"{STORE_FAULTS})/")
# What a replica takes by whose word; without their random days.
TRUST = "GrantTests|RevokedDevices|AdmittedDevices"
TRUST_LONG = "whatever the order"
WIRE_LONG = r"\.RandomBytes/|flipped bit|many ops"
# Name: what to run, what of it not, and settings of its own.
STAGES = {
    "causality": (r"^CausalityTests\.", None, {}),
    "merge": (r"^MergeTests\.", MERGE_LONG, {}),
    "merge schedules": (r"^MergeTests\.RandomSchedules/", None, {}),
    "vectors": (r"^ProtocolTests\.", None, {}),
    "store schedules": (r"^ReplicaStoreTests\.RandomStoreSchedules/", None, {}),
    "store": (r"^ReplicaStoreTests\.", STORE_LONG, {}),
    "oracle": (r"^ReplicaStoreTests\.OracleTests/.*random", None, {}),
    "past states": (r"^ReplicaStoreTests\.PastStates/", None, {"KARVAN_STORE_SCHEDULES": "3"}),
    "store, faults": (rf"^ReplicaStoreTests\.({STORE_FAULTS})/", None, {}),
    "trust": (rf"^HubTests\.({TRUST})/", TRUST_LONG, {}),
    "wire": (r"^SyncProtocolTests\.", WIRE_LONG, {}),
    "large": (r"^ReplicaStoreTests\.LargeTransactions/", None, {}),
    "laws": (r"^MergeTests\.Laws/", None, {}),
    "every schedule": (r"^MergeTests\.EverySchedule/", None, {}),
    "oracle, every word": (r"^ReplicaStoreTests\.OracleTests/", r"random", {}),
    "wire, long": (rf"^SyncProtocolTests\..*({WIRE_LONG})", None, {}),
}
# The cheapest and most telling first, so that most mutations cost a few seconds. Only the store's
# tests and those of the wire reach the store.
MERGE_ORDER = ["merge", "merge schedules", "vectors", "store schedules", "store", "oracle", "wire",
               "past states", "laws", "every schedule", "large", "oracle, every word",
               "wire, long"]
ORDERS = {
    "Causality": ["causality", *MERGE_ORDER],
    "Merge": MERGE_ORDER,
    "ReplicaStore": ["store schedules", "store", "oracle", "past states", "large", "vectors",
                     "oracle, every word", "trust", "store, faults"],
}
FAILED = b" recorded an issue "
POLL_SECONDS = 0.05
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
        # Before it is known what a stage takes.
        self.limits = {stage: max(timeout_seconds, 900) for stage in STAGES}
        self.timeout_seconds = timeout_seconds
        self.stopped = False
        self.logs = copy.scratch / "logs"
        shutil.rmtree(self.logs, ignore_errors=True)
        self.logs.mkdir(parents=True)

    def check(self, jobs):
        """The null mutation passes every stage, the canary none.

        Returns the seconds of each stage with the null mutation.
        """
        with ThreadPoolExecutor(jobs) as pool:
            return dict(zip(STAGES, self._all(pool, self._check_stage, STAGES)))

    def _check_stage(self, stage):
        outcome = self._stage(stage, NULL_ID)
        if outcome.caught:
            raise Failure(f"without a mutation the stage {stage} fails ({outcome.how}); "
                          f"see {self._log(stage, NULL_ID)}")
        found = COUNT.search(self._log(stage, NULL_ID).read_text(errors="replace"))
        if not found or int(found[1]) == 0:
            raise Failure(f"the stage {stage} ran no test")
        if not self._stage(stage, CANARY_ID).caught:
            raise Failure(f"the canary survives the stage {stage}: the switch doesn't work")
        return outcome.seconds

    def expect(self, seconds):
        """Bounds each stage by what it takes without a mutation."""
        self.limits = {stage: max(self.timeout_seconds, PATIENCE * seconds[stage])
                       for stage in STAGES}

    def run(self, sites, jobs, report):
        """Reports the outcome of each site, other than those that there was no time for."""
        def trial(site):
            if time.monotonic() < self.deadline and not self.stopped:
                report(site, self.run_one(site.id, site.file.split("/")[1]))

        with ThreadPoolExecutor(jobs) as pool:
            self._all(pool, trial, sites)

    def _all(self, pool, work, items):
        """What each gave. Whatever ends one early ends the tests of the others too."""
        try:
            return [done.result() for done in [pool.submit(work, item) for item in items]]
        except BaseException:
            self.stopped = True
            pool.shutdown(cancel_futures=True)
            raise

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
            environment |= SCHEDULES | STAGES[stage][2] | {
                "TMPDIR": scratch, "KARVAN_TEST_MEMORY": scratch, "KARVAN_MUTANT": mutant}
            how = self._run(self._command(stage), environment, log, self.limits[stage])
        return Outcome(how != "", stage, how, time.monotonic() - started)

    def _command(self, stage):
        only, without, _ = STAGES[stage]
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
                    raise KeyboardInterrupt
                time.sleep(POLL_SECONDS)
        return process.returncode

    def _log(self, stage, mutant):
        return self.logs / f"{mutant}.{re.sub('[^a-z]+', '-', stage)}.log"


def memory():
    """A directory in memory where the machine has one: tests that crash leave files behind."""
    place = Path("/dev/shm")
    return place if os.access(place, os.W_OK) else None
