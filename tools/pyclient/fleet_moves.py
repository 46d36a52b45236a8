"""Random writes of every kind, on laptops of both implementations."""
from __future__ import annotations

import json
import random

from pyclient.fleet_laptops import Broken, Laptop, PythonLaptop
from pyclient.schema import forum

DELEGATIONS, ITEMS, SITES = ["KZ", "UZ", "TR"], ["P01", "V02", "V03"], ["HALL", "DOME"]
BADGES = [f"{code}-{n:03}" for code in DELEGATIONS for n in (1, 2)]
WORDS = ["", "yes", "Әсет", "İstanbul", "Gülşən", "a longer remark that takes more than one block of the cipher", "no"]
STATUS = ["planned", "cancelled", "done"]
FORM = ("name_native", "name_latin", "role", "status", "headcount", "outcome", "title_en")
REFUSED = {64, 65, 66, 20, 21, 1, 2, 77}  # a program says that it doesn't do this, and why


class Moves:
    """One random move of a laptop at a time; what a program refuses is no failure, a crash is."""

    def __init__(self, rng: random.Random):
        self.rng = rng
        self.forms: dict[str, tuple] = {}  # by laptop: what a form showed when it was opened (03 §3)

    def word(self) -> str:
        return self.rng.choice(WORDS) + self.rng.choice(["", str(self.rng.randrange(100))])

    def delegation(self, laptop: Laptop) -> str:
        mine = [scope.removeprefix("delegation/") for scope in laptop.scopes if scope != "forum"]
        return self.rng.choice(mine or DELEGATIONS)

    def time(self) -> int:
        return 1_795_800_000_000 + self.rng.randrange(40) * 120_000

    def write(self, laptop: Laptop) -> str:
        moves = self.python if isinstance(laptop, PythonLaptop) else self.swift
        what, words, more = moves(laptop)
        code, out, err = laptop.call(what, *words, **more)
        if code not in REFUSED | {0} or "Traceback" in err:
            raise Broken(f"{laptop}: {what} {words} {more}: {code} {out} {err}")
        return f"{what} {' '.join(words)} {more.get('stdin', '')}: {code} {(out + err).strip()[:160]}"

    # Python

    def python(self, laptop: Laptop) -> tuple[str, list[str], dict]:
        if self.rng.random() < 0.15 and (found := self.python_settling(laptop)):
            return found
        if self.rng.random() < 0.2 and (found := self.python_form(laptop)):
            return found
        rows = [self.row(laptop) for _ in range(self.rng.choice([1, 1, 1, 2, 4]))]
        return "write", ["-"], {"stdin": json.dumps({"author": self.rng.choice(["", "Ayla", "Боб"]), "rows": rows})}

    def python_settling(self, laptop: Laptop) -> tuple[str, list[str], dict] | None:
        found = json.loads(laptop.must("conflicts"))
        if not found:
            return None
        c = self.rng.choice(found)
        labels = [candidate["label"] for candidate in c["candidates"]]
        take = self.rng.choice(["delete", "restore"] if c["column"] is None else labels)
        return "settle", [c["id"][:12], "--take", take], {}

    def shown_row(self, laptop: Laptop) -> tuple[str, str]:
        visit = f"{self.rng.choice(ITEMS)}/{self.delegation(laptop)}"
        return self.rng.choice([
            ("person", self.rng.choice(BADGES)), ("visit", visit), ("item", self.rng.choice(ITEMS))])

    def python_form(self, laptop: Laptop) -> tuple[str, list[str], dict] | None:
        """03 §4.2: a form that was opened earlier is written with its basis; 05 §4: a resolution is taken back."""
        if form := self.forms.pop(laptop.name, None):
            table, key, column, basis = form
            row = {"table": table, "key": key, "put": {column: self.given(column)}, "basis": {column: basis}}
            return "write", ["-"], {"stdin": json.dumps({"rows": [row]})}
        table, key = self.shown_row(laptop)
        columns = json.loads(laptop.must("show", table, key))["columns"]
        registers = {name: c for name, c in columns.items() if isinstance(c, dict)}
        for name, c in registers.items():
            if c["resolved"]:
                return "retract", [table, key, name, c["dot"]], {}
        fit = [name for name in registers if name in FORM]
        if fit:
            name = self.rng.choice(fit)
            self.forms[laptop.name] = table, key, name, registers[name]["basis"]
        return None

    def given(self, column: str):
        return self.rng.randrange(50) if column == "headcount" else self.word()

    def row(self, laptop: Laptop) -> dict:
        rng, code = self.rng, self.delegation(laptop)
        visit = [rng.choice(ITEMS), code]
        kinds = {
            "visit": lambda: {"table": "visit", "key": visit, "new": rng.random() < 0.5, "put": rng.choice([
                {"status": rng.choice(STATUS)}, {"headcount": rng.choice([None, rng.randrange(9)])},
                {"actual_arrival": self.time()}, {"actual_departure": self.time(), "outcome": self.word()}])},
            "note": lambda: {"table": "note", "new": True, "scope": rng.choice(["forum", f"delegation/{code}"]),
                             "put": {"subject_table": rng.choice([2, 5]), "subject": self.person_id(), "author": "x",
                                     "text": self.word()}},
            "observation": lambda: {"table": "observation", "new": True, "scope": f"delegation/{code}",
                                    "put": {"item": rng.choice(ITEMS), "person": rng.choice(BADGES),
                                            "kind": rng.choice(["in", "excused", "absent"]), "claimed_at": self.time(),
                                            "reason": self.word()}},
            "tally": lambda: {"table": "tally", "key": [rng.choice(ITEMS), "door", rng.choice(["s1", "s2"])],
                              "new": True, "count": {"count": rng.choice([1, 3, -1])}},
            "person": lambda: {"table": "person", "key": rng.choice(BADGES), **rng.choice([
                {"put": {"name_native": self.word()}}, {"put": {"name_latin": self.word(), "role": self.word()}},
                {"add": {"languages": rng.sample(["ru", "kk", "en", "tr"], 2)}}, {"remove": {"languages": "ru"}},
                {"put": {"delegation": rng.choice(DELEGATIONS)}}])},
            "contact": lambda: {"table": "contact", "key": [rng.choice(BADGES), code], "new": True,
                                "put": {rng.choice(["phone", "email", "notes"]): self.word()}},
            "item": lambda: {"table": "item", "key": rng.choice(ITEMS), "put": rng.choice([
                {"status": rng.choice(STATUS)}, {"title_en": self.word()}, {"planned_end": self.time()},
                {"site": rng.choice(SITES)}])},
            "site": lambda: {"table": "site", "key": rng.choice(SITES), "put": rng.choice([
                {"position": [rng.randrange(90), 1.5, rng.choice([0.1, 10])]}, {"position": None},
                {"name_tr": self.word()}])},
            "gone": lambda: {"table": "visit", "key": visit, rng.choice(["delete", "restore"]): True},
            "site gone": lambda: {"table": "site", "key": rng.choice(SITES), rng.choice(["delete", "restore"]): True},
        }
        return kinds[rng.choice(list(kinds))]()

    def person_id(self) -> str:
        return forum().keyed(2, [("text", self.rng.choice(BADGES).encode())]).hex()

    # Swift

    def swift(self, laptop: Laptop) -> tuple[str, list[str], dict]:
        rng, code, item = self.rng, self.delegation(laptop), self.rng.choice(ITEMS)
        badge, site, by = rng.choice(BADGES), rng.choice(SITES), ["--as", rng.choice(["Ayla", "Боб"])]
        iso = "2026-11-27T1%d:%02d:00+04:00" % (rng.randrange(10), rng.randrange(60))
        moves = [
            lambda: ("set", ["visit", f"{item}/{code}", f"status={rng.choice(STATUS)}"]),
            lambda: ("set", ["person", badge, f"name_latin={self.word()}", "languages+=tr"]),
            lambda: ("set", ["person", badge, f"name_native={self.word()}", "languages-=ru"]),
            lambda: ("set", ["item", item, f"title_en={self.word()}"]),
            lambda: ("set", ["item", item, f"status={rng.choice(STATUS)}"]),
            lambda: ("set", ["site", site, f"name_tr={self.word()}"]),
            lambda: ("visit", [item, code, "--arrived", iso, "--headcount", str(rng.randrange(9))]),
            lambda: ("visit", [item, code, "--outcome", self.word() or "x", "--note", self.word() or "y"]),
            lambda: ("attend", [item, badge, "--door", "B"]),
            lambda: ("attend", [item, badge, "--excused", self.word() or "ill"]),
            lambda: ("attend", [item, badge, "--absent"]),
            lambda: ("attend", [item, badge, "--undo"]),
            lambda: ("tally", [item, "door", rng.choice(["+2", "-1"]), "--session", rng.choice(["s1", "s2"])]),
            lambda: ("delete", ["visit", f"{item}/{code}"]),
            lambda: ("delete", ["site", site]),
            lambda: ("person add", ["--native", self.word() or "N", "--delegation", code]),
            lambda: ("person merge", rng.sample(BADGES, 2)),
            lambda: ("person transfer", [badge, code]),
            lambda: ("shell", ["--", "UPDATE site SET lat = %d, lon = 2.5, accuracy_m = 1" % rng.randrange(50)]),
            lambda: ("shell", ["--", "DELETE FROM note WHERE id IN (SELECT min(id) FROM note)"]),
            lambda: ("shell", ["--", "UPDATE visit SET headcount = %d" % rng.randrange(50)]),
            lambda: ("shell", ["--", "UPDATE note SET text = '%s'" % self.word()]),
        ]
        if rng.random() < 0.15 and (found := self.swift_settling(laptop)):
            return found
        if rng.random() < 0.2 and (found := self.swift_form(laptop)):
            return found
        what, words = rng.choice(moves)()
        return what, ([*by, *words] if what != "shell" else words), {}

    def swift_settling(self, laptop: Laptop) -> tuple[str, list[str], dict] | None:
        found = json.loads(laptop.must("conflicts list", "--json", "--all"))["conflicts"]
        if not found:
            return None
        c = self.rng.choice(found)
        if self.rng.random() < 0.15:
            return "conflicts defer", [c["id"][:12], "--reason", "later"], {}
        labels = [candidate["label"] for candidate in c["candidates"] or c["choices"]]
        if not labels:
            return None
        return "conflicts resolve", [c["id"][:12], "--take", self.rng.choice(labels), "--reason", self.word()], {}

    def swift_form(self, laptop: Laptop) -> tuple[str, list[str], dict] | None:
        """The same by the other program: a form with a basis, or a decision that is taken back."""
        if form := self.forms.pop(laptop.name, None):
            table, key, column, basis = form
            return "set", [table, key, f"{column}={self.given(column)}", "--basis", basis], {}
        if self.rng.random() < 0.4:
            found = json.loads(laptop.must("conflicts log", "--json"))["decisions"]
            return ("conflicts undo", [self.rng.choice(found)["id"]], {}) if found else None
        table, key = self.shown_row(laptop)
        code, out, _ = laptop.call("show", "--json", table, key)
        fit = [c for c in json.loads(out)["columns"] if c["column"] in FORM and c.get("basis")] if code == 0 else []
        if fit:
            c = self.rng.choice(fit)
            self.forms[laptop.name] = table, key, c["column"], c["basis"]
        return None
