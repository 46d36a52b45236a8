"""The programs of a release: those that are there, or a commit's, built for this run."""

import contextlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from running import Failure

NAMES = ("karvan", "karvan-hub")
BUILD_SECONDS = 1800
ADVICE = "build them with `swift build -c release --product karvan` and `--product karvan-hub`"


@dataclass(frozen=True)
class Release:
    """`old` or `new`, where its programs lie, and what they say of themselves."""
    name: str
    folder: Path
    version: str = ""

    def __str__(self):
        return self.name

    def path(self, program):
        return str(self.folder / program)


def found(name, folder, advice=ADVICE):
    """The release whose programs lie in a folder."""
    release = Release(name, Path(folder).resolve())
    for program in NAMES:
        path = release.path(program)
        if not os.access(path, os.X_OK) or not os.path.isfile(path):
            raise Failure(f"there is no program {path}: {advice}, or name another folder")
    try:
        said = subprocess.run([release.path("karvan"), "--version"], text=True, timeout=60,
                              stdin=subprocess.DEVNULL, capture_output=True)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failure(f"{release.path('karvan')} can't be run: {error}") from None
    if said.returncode != 0:
        raise Failure(f"{release.path('karvan')} --version ended with {said.returncode}: "
                      f"{said.stdout}{said.stderr}")
    return Release(name, release.folder, said.stdout.strip())


def resolved(root, commit):
    """The whole name of a commit of this repository."""
    done = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}"],
        cwd=root, text=True, timeout=60, stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode != 0:
        raise Failure(f"{commit} is no commit of this repository: fetch it, or name another")
    return done.stdout.strip()


@contextlib.contextmanager
def built(root, commit, folder, deadline):
    """The folder with the programs of a commit, built in a work tree that goes afterwards."""
    tree = Path(folder) / "previous"
    deadline.must("git worktree add", [
        "git", "worktree", "add", "--quiet", "--detach", str(tree), commit], folder=root)
    try:
        for program in NAMES:
            deadline.must(
                f"the build of {program} at {commit}",
                ["swift", "build", "-c", "release", "--product", program],
                limit=BUILD_SECONDS, folder=tree)
        yield tree / ".build/release"
    finally:
        shutil.rmtree(tree, ignore_errors=True)
        subprocess.run(["git", "worktree", "prune"], cwd=root, timeout=60, check=False,
                       stdin=subprocess.DEVNULL)
