"""The totals as a page: one table, the faults by kind, what was seen broken, the commits."""

from covered import percent
from totals import is_whole

HEAD = """\
# What was tried, and what broke

Written by `tools/reliability`; what each row adds up lies in `tools/reliability.json`, by commit.
Nothing is taken away from it: a promise that was seen broken stays here with its commit.

"""
MODULES_WITH_EVERY_REGION = ("Merge", "SyncProtocol")


def page(totals, at, machine):
    lines = [HEAD + f"At commit {at}. Machines: {'; '.join(totals.value['machines']) or machine}.",
             "", "| figure | so far |", "| --- | --- |"]
    lines += [f"| {name} | {text} |" for name, text in figures(totals)]
    lines += ["", "## Faults by kind", "", "| where | fault | times |", "| --- | --- | --- |"]
    lines += [f"| {where} | {kind} | {count:,} |" for where, kind, count in faults(totals)]
    lines += ["", "## Promises seen broken", ""]
    broken = [f"- `{commit}`, {tool}: {what}" for commit, tool, what in totals.broken()]
    lines += broken or ["None so far."]
    lines += ["", "## What ran at which commit", "", "| commit | runs |", "| --- | --- |"]
    lines += [f"| `{commit}` | {runs} |" for commit, runs in commits(totals)]
    return "\n".join(lines) + "\n"


def figures(totals):
    total = totals.sum
    yield "simulated forums", f"{total('simulate', 'forums'):,}"
    yield "different seeds among them", f"{seeds(totals):,}"
    yield "events (steps) in them", f"{total('simulate', 'steps'):,}"
    yield "changes acknowledged in them", f"{total('simulate', 'acknowledged'):,}"
    yield "faults that struck them", f"{sum(simulated_faults(totals).values()):,}"
    yield "violations", f"{total('simulate', 'violations'):,}"
    yield "stalls", f"{total('simulate', 'stalls'):,}"
    yield "runs that went another way the second time", f"{total('simulate', 'ran_another_way'):,}"
    kinds = totals.kinds()
    points = [it for name, it in kinds.items() if name.startswith("write points")]
    yield "points of a day at which a disk can fail", f"{points_of_a_day(kinds):,}"
    yield "times it failed at one", f"{sum(it['struck'] for it in points):,}"
    yield "processes killed", f"{killed(kinds):,}"
    broken = [kinds[name] for name in ("network broken", "above TLS") if name in kinds]
    yield "connections broken", f"{sum(it['struck'] for it in broken):,}"
    yield "changes acknowledged meanwhile", f"{across(kinds, 'acknowledged'):,}"
    yield "lost of those", f"{across(kinds, 'lost'):,}"
    executions = [count for it in totals.tool("fuzz").values()
                  for count in it["executions"].values()]
    yield "fuzz executions", f"{sum(executions):,}"
    yield "crashers", f"{sum(sum(it['crashes'].values()) for it in totals.tool('fuzz').values()):,}"
    yield from mutations(totals)
    yield from coverage(totals)
    yield "tests under ThreadSanitizer", f"{total('threads', 'tests'):,}"
    yield "its reports", f"{total('threads', 'reports'):,}"


def seeds(totals):
    """Seeds that were played at any commit; a seed that was played at two counts once."""
    spans = sorted(span for it in totals.tool("simulate").values() for span in it.get("seeds", []))
    count, end = 0, 0
    for first, last in spans:
        count += max(0, last - max(first, end + 1) + 1)
        end = max(end, last)
    return count


def simulated_faults(totals):
    result = {}
    for held in totals.tool("simulate").values():
        for kind, count in held["faults"].items():
            result[kind] = result.get(kind, 0) + count
    return result


def points_of_a_day(kinds):
    """Of the laptop's disk and of the hub's: each kind of fault meets the same ones."""
    most = {}
    for name, it in kinds.items():
        victim = name.split(" - ")[0]
        most[victim] = max(most.get(victim, 0), it.get("points", 0))
    return sum(most.values())


def killed(kinds):
    """Commands and hubs; earlier runs counted what was started, and what had ended by itself."""
    return sum(kills(it) for name, it in kinds.items() if is_of_kills(name, it))


def is_of_kills(name, it):
    return "killed" in it or name.endswith(" killed")


def kills(it):
    return it.get("killed", it.get("kills", it.get("started", 0) - it.get("finished", 0)))


def across(kinds, key):
    return sum(it.get(key, 0) for name, it in kinds.items() if is_whole(name))


def mutations(totals):
    choices = [it for held in totals.tool("mutate").values() for it in held["choices"].values()]
    count = sum(it["mutations"] for it in choices)
    caught = sum(it["caught"] for it in choices)
    yield "mutations tried", f"{count:,}"
    yield "caught", f"{caught:,} ({percent(caught, count)})"


def coverage(totals):
    at, held = totals.latest("coverage")
    if held is None:
        return
    for name, it in [("the engine", held["engine"])] + [
            (module, held["modules"][module]) for module in MODULES_WITH_EVERY_REGION]:
        yield (f"lines and regions of {name} that tests reach, at `{at}`",
               f"{percent(it['linesCovered'], it['lines'])}, "
               f"{percent(it['regionsCovered'], it['regions'])}")


def faults(totals):
    for kind, count in sorted(simulated_faults(totals).items()):
        yield "simulation", kind, count
    for name, it in sorted(totals.kinds().items()):
        is_killed = is_of_kills(name, it)
        count = kills(it) if is_killed else it.get("struck", it.get("failures"))
        if count is not None and name not in ("network broken", "above TLS"):
            yield "programs" if not name.startswith("write points") else "files", name, count


def commits(totals):
    result = {}
    for tool, held in totals.value["tools"].items():
        for commit, it in held.items():
            result.setdefault(commit, []).append(f"{tool} {it['runs']}")
    return [(commit, ", ".join(runs)) for commit, runs in result.items()]
