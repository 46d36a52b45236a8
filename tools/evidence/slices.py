"""A short run of each tool, with seeds that were not drawn before."""

import tempfile

from running import Failure

# Name: the tool, and what it is told, given the seconds that it may take and the totals so far.
SLICES = {
    "simulate": lambda seconds, totals: [
        "simulate", "--seeds", "100000", "--from", str(next_seed(totals)),
        "--seconds", str(max(5, int(seconds * 0.6)))],
    "points": lambda seconds, totals: ["torture", "--kind", "points", "--points", "part"],
    "torture": lambda seconds, totals: [
        "torture", "--kind", "kills", "--kind", "network", "--kills", "40", "--pushes", "40",
        "--bytes", "199", "--changes", "60", "--seed", str(next_torture(totals)),
        "--minutes", str(max(1, int(seconds / 600)))],
    # Nine targets, two at a time; most of it is for the build.
    "fuzz": lambda seconds, totals: ["fuzz", "--seconds", str(max(5, int(seconds / 20)))],
    "mutate": lambda seconds, totals: [
        "mutate", "--slice", "12", "--seed", str(next_choice(totals)),
        "--minutes", minutes(seconds)],
    "coverage": lambda seconds, totals: ["coverage", "--minutes", minutes(seconds)],
    "threads": lambda seconds, totals: ["threads", "--minutes", minutes(seconds)],
}


def minutes(seconds):
    return str(max(1, int(seconds / 60)))


def next_seed(totals):
    return 1 + max((span[1] for it in totals.tool("simulate").values()
                    for span in it.get("seeds", [])), default=0)


def next_torture(totals):
    return 1 + max((it.get("lastSeed", 0) for it in totals.tool("torture").values()), default=0)


def next_choice(totals):
    """The seed of a choice of mutations: slices of seed 1 are the default choice's."""
    seeds = [int(choice.rsplit(" ", 1)[1]) for it in totals.tool("mutate").values()
             for choice in it["choices"] if " of seed " in choice]
    return 1 + max(seeds, default=0)


def run_slice(name, totals, seconds, deadline, root):
    """What the tool printed: it ends with 1 when it found something, and says it all the same."""
    tool, *options = SLICES[name](seconds, totals)
    with tempfile.TemporaryFile("w+") as output:
        status = deadline.run([str(root / "tools" / tool), *options, "--json"], limit=seconds,
                              output=output, folder=root)
        output.seek(0)
        text = output.read()
    if status not in (0, 1) or not text.strip():
        raise Failure("out of time" if status == 124 else f"ended with {status}")
    return text
