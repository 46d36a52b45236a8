"""What all runs of the tools came to, commit by commit.

Each tool's JSON object is added to what the tool found at that commit before: counts are summed,
and nothing is ever taken away. Where a figure is a state and no count (coverage, mutations of one
choice), the last one of a commit stands.
"""

import hashlib
import json
from dataclasses import dataclass

from running import Failure

FORMAT = 1
# Figures of tools/torture that are no counts of what happened.
NO_SUMS = ("usual ms", "changes", "bytes", "of the answer", "planned", "longest", "seconds",
           "points")


def recognised(value):
    """The tool that printed it; earlier ones didn't say."""
    marks = {"forums": "simulate", "targets": "fuzz", "kinds": "torture"}
    return value.get("tool") or next((marks[key] for key in marks if key in value), None)


def parsed(text, name):
    """The JSON object at the end of a tool's output; lines before it tell of what failed."""
    start = 0 if text.startswith("{\n") else text.find("\n{\n") + 1
    try:
        value = json.loads(text[start:])
    except ValueError as error:
        raise Failure(f"{name} holds no JSON object of a tool: {error}") from None
    if not isinstance(value, dict) or recognised(value) not in ADDERS:
        raise Failure(f"{name} is from none of {', '.join(ADDERS)}")
    return value


def summed(held, more):
    """Adds numbers, and what lies deeper alike; lists are joined."""
    for key, value in more.items():
        if isinstance(value, dict):
            held[key] = summed(held.get(key, {}), value)
        elif isinstance(value, list):
            held[key] = held.get(key, []) + value
        elif key in held:
            held[key] += value
        else:
            held[key] = value
    return held


def picked(value, *keys):
    return {key: value[key] for key in keys if key in value}


def add_simulate(held, value):
    more = picked(value, "forums", "laptops", "steps", "acknowledged", "violations", "stalls",
                  "ran_another_way", "run_twice", "judged", "seconds", "faults")
    more["failures"] = [f"{it['invariant']} of seed {it['seed']}"
                        for it in value.get("failures", [])]
    more["seconds"] = round(more.get("seconds", 0))
    summed(held, more)
    if "from" in value and value["forums"]:
        first = value["from"]
        held["seeds"] = union(held.get("seeds", []), [first, first + value["forums"] - 1])


def union(spans, span):
    """Intervals of whole numbers, both ends included."""
    result = []
    for first, last in sorted(spans + [span]):
        if result and first <= result[-1][1] + 1:
            result[-1][1] = max(result[-1][1], last)
        else:
            result.append([first, last])
    return result


def add_fuzz(held, value):
    summed(held, {
        "executions": {it["target"]: it["executions"] for it in value["targets"]},
        "crashes": {it["target"]: it["crashes"] for it in value["targets"] if it["crashes"]},
        "incomplete": len(value["total"]["incomplete"])})


def add_torture(held, value):
    for name, figures in value["kinds"].items():
        sums = {key: count for key, count in figures.items() if not key.startswith(NO_SUMS)}
        kinds = held.setdefault("kinds", {})
        kinds[name] = summed(kinds.get(name, {}), sums)
        if "points" in figures:
            kinds[name]["points"] = max(kinds[name].get("points", 0), figures["points"])
    summed(held, {"failedRuns": 0 if value["passed"] else 1})
    held["lastSeed"] = max(held.get("lastSeed", 0), value["seed"])


def add_mutate(held, value):
    choices = held.setdefault("choices", {})
    choices[value["choice"]] = picked(value, "mutations", "caught", "survivors", "notListed",
                                      "notRun")


def add_coverage(held, value):
    held |= picked(value, "modules", "engine", "hasBranches")
    summed(held, {"failedRuns": 0 if value["passed"] else 1})


def add_threads(held, value):
    summed(held, picked(value, "tests", "reports") | {"failedRuns": 0 if value["passed"] else 1})


ADDERS = {"simulate": add_simulate, "fuzz": add_fuzz, "torture": add_torture,
          "mutate": add_mutate, "coverage": add_coverage, "threads": add_threads}


@dataclass
class Totals:
    value: dict

    @staticmethod
    def read(path):
        if not path.exists():
            return Totals({"format": FORMAT, "machines": [], "added": [], "tools": {}})
        value = json.loads(path.read_text())
        if value.get("format") != FORMAT:
            raise Failure(f"{path.name} is of another format")
        return Totals(value)

    def write(self, path):
        path.write_text(json.dumps(self.value, indent=1, sort_keys=False) + "\n")

    def add(self, text, name, commit, machine):
        """One tool's output, once. `commit` stands in where it names none."""
        value = parsed(text, name)
        mark = hashlib.sha256(text.encode()).hexdigest()[:12]
        if mark in self.value["added"]:
            raise Failure(f"{name} was added before")
        at = value.get("commit", "unknown")
        at = commit if at == "unknown" else at
        if not at:
            raise Failure(f"{name} doesn't say which commit ran; say it with --commit")
        held = self.tool(recognised(value)).setdefault(at, {"runs": 0})
        held["runs"] += 1
        ADDERS[recognised(value)](held, value)
        self.value["added"].append(mark)
        if machine not in self.value["machines"]:
            self.value["machines"].append(machine)

    def tool(self, name):
        """By commit, in the order in which they were added."""
        return self.value["tools"].setdefault(name, {})

    def sum(self, tool, *keys):
        """Of one figure over all commits."""
        total = 0
        for held in self.tool(tool).values():
            for key in keys:
                held = held.get(key, {} if key != keys[-1] else 0)
            total += held
        return total

    def kinds(self):
        """The figures of tools/torture, over all commits."""
        result = {}
        for held in self.tool("torture").values():
            for name, figures in held["kinds"].items():
                points = max(result.get(name, {}).get("points", 0), figures.get("points", 0))
                result[name] = summed(result.get(name, {}), figures)
                if points:
                    result[name]["points"] = points
        return result

    def latest(self, tool):
        """The commit that was added last, and what was found there."""
        return next(reversed(self.tool(tool).items()), (None, None))

    def broken(self):
        """(commit, tool, what) of every promise that was seen broken. None is ever left out."""
        for commit, held in self.tool("simulate").items():
            named = held.get("failures", [])
            for what in named:
                yield commit, "simulate", what
            if held["violations"] > len(named):
                yield commit, "simulate", f"{held['violations'] - len(named)} violations"
            if held.get("ran_another_way"):
                yield commit, "simulate", f"{held['ran_another_way']} forums ran another way"
        for commit, held in self.tool("fuzz").items():
            for target, count in held["crashes"].items():
                yield commit, "fuzz", f"{count} crashers of {target}"
        for commit, held in self.tool("torture").items():
            for name, figures in held["kinds"].items():
                for key in ("lost", "torn", "stuck", "wrong", "failed"):
                    if figures.get(key) and is_told(name, key, held["kinds"]):
                        yield commit, "torture", f"{name}: {key} {figures[key]}"
        for commit, held in self.tool("threads").items():
            if held["reports"]:
                yield commit, "threads", f"{held['reports']} reports of ThreadSanitizer"
        for tool in ("threads", "coverage"):
            for commit, held in self.tool(tool).items():
                if held["failedRuns"] and not held.get("reports"):
                    yield commit, tool, f"tests failed in {held['failedRuns']} runs"


def is_told(name, key, kinds):
    """Pushes that fail while the hub is killed are no broken promise; a failed test is. What the
    rows of one kind of fault say is told again by the row that sums them up."""
    is_suite = "passed" in kinds[name]
    if key == "failed":
        return is_suite
    return is_whole(name)


def is_whole(name):
    """Not a row whose figures another one sums up."""
    return not name.startswith(("network ", "above TLS ")) or name == "network broken"
