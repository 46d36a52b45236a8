#!/usr/bin/env python3
"""Writes the sample forum: delegations, people, sites and programme as CSV.

The same seed always writes the same bytes. Every participant is invented; telephone numbers
use an area code that doesn't exist and addresses are at example.org.
"""

import argparse
import csv
import io
import random
import re
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path

sys.dont_write_bytecode = True
from forum import DELEGATIONS, PROGRAMME, SITES, VISITS  # noqa: E402
from names import NAMES, NICKNAMES, feminine, latin  # noqa: E402

SEED = 20251124
PEOPLE_COUNT = 520
MEN = {"TR-031", "TM-006"}  # the acceptance stories say "him"
DELEGATES = {"AZ-014", "TR-031", "HU-009", "TM-006", "TM-011", "UZ-020"}
FIXED = {"KZ-017": ("Гюльшан Мамедова", "Gyulshan Mamedova")}
# Story 8 adds this one as a walk-in: it must not be on the list already.
WALK_INS = {"Gülşən Məmmədova"}
LANGUAGES = {"az", "tr", "kk", "uz", "ky", "tk", "hu", "en", "ru"}
ROLES = {"delegate", "head of delegation", "coordinator", "speaker", "volunteer", "press"}

COLUMNS = {
    "delegations": ["code", "name_en", "name_az", "name_tr", "name_ru", "contact"],
    "people": ["badge", "name_native", "name_latin", "role", "languages", "delegation", "phone",
               "email"],
    "sites": ["code", "name_en", "name_az", "lat", "lon", "accuracy_m"],
    "programme": ["code", "kind", "title_en", "title_az", "site", "planned_start", "planned_end",
                  "status"],
}


class Draw:
    """Repeatable choices; only `random()` is used, whose sequence Python keeps across versions."""

    def __init__(self, seed):
        self.source = random.Random(seed)

    def below(self, bound):
        return int(self.source.random() * bound)

    def pick(self, values):
        return values[self.below(len(values))]

    def chance(self, percent):
        return self.below(100) < percent


def role(draw, delegation, number, badge):
    if number == 1:
        return "head of delegation"
    if number <= (5 if delegation == "AZ" else 2):
        return "coordinator"
    if badge in DELEGATES:
        return "delegate"
    roll = draw.below(100)
    if roll < 9:
        return "speaker"
    if roll < 15:
        return "press"
    if delegation == "AZ" and roll < 40:
        return "volunteer"
    return "delegate"


def languages(draw, spoken):
    first, *others = spoken.split()
    return ";".join([first] + [code for code in others if draw.chance(45)])


def name(draw, delegation, badge, taken):
    """A native and a Latin name that nobody else on the list has."""
    while True:
        names = NAMES[delegation]
        man = draw.chance(50) or badge in MEN
        given = draw.pick(names.male if man else names.female)
        family = draw.pick(names.family)
        if not man:
            family = feminine(family, delegation)
        native = f"{family} {given}" if names.family_first else f"{given} {family}"
        if native in taken or native in WALK_INS:
            continue
        taken.add(native)
        return native, f"{latin(given, delegation)} {latin(family, delegation)}"


def decorated(draw, delegation, native):
    """Now and then a name carries what a CSV reader trips over: a comma or quotes."""
    if delegation == "HU" and draw.chance(15):
        return native + ", dr."
    if delegation in ("TR", "NC") and draw.chance(8):
        given, family = native.split(" ", 1)
        return f'{given} "{draw.pick(NICKNAMES)}" {family}'
    return native


def phone(draw, prefix):
    number = f"{prefix} 555 {draw.below(100):02} {draw.below(100):02}"
    return f"{number}, ext. {draw.below(90) + 10}" if draw.chance(6) else number


def email(latin_name, badge):
    words = re.sub(r"[^a-z ]", "", latin_name.lower()).split()
    return ".".join(words + [badge.lower().replace("-", "")]) + "@example.org"


def people():
    draw = Draw(SEED)
    taken = {native for native, _ in FIXED.values()}
    rows = []
    for code, _, seats, prefix, spoken in DELEGATIONS:
        for number in range(1, seats + 1):
            badge = f"{code}-{number:03}"
            if badge in FIXED:
                native, spelled = FIXED[badge]
            else:
                native, spelled = name(draw, code, badge, taken)
                native = decorated(draw, code, native)
            rows.append([
                badge, native, spelled, role(draw, code, number, badge), languages(draw, spoken),
                code, phone(draw, prefix), email(spelled, badge),
            ])
    return rows


def delegations():
    return [
        [code, *names, f"Liaison desk, {names[0]} <{code.lower()}.desk@example.org>"]
        for code, names, *_ in DELEGATIONS
    ]


def sites():
    return [[*site[:3], f"{site[3]:.4f}", f"{site[4]:.4f}", str(site[5])] for site in SITES]


def programme():
    titles = {site[0]: (f"Visit: {site[1]}", f"Ziyarət: {site[2]}") for site in SITES}
    items = PROGRAMME + [
        (code, "visit", *titles[site], site, day, start, end)
        for code, site, day, start, end in VISITS
    ]
    rows = [
        [*item[:5], *(f"2025-11-{item[5]}T{time}:00+04:00" for time in item[6:]), "planned"]
        for item in items
    ]
    return sorted(rows, key=lambda row: (row[5], row[0]))


def encoded(columns, rows):
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode("utf-8")


def require(holds, complaint):
    if not holds:
        sys.exit(f"make.py: {complaint}")


def read(folder):
    """Reads the four files back with the csv module, as an importer would."""
    tables = {}
    for table, columns in COLUMNS.items():
        data = (folder / f"{table}.csv").read_bytes()
        require(not data.startswith(b"\xef\xbb\xbf"), f"{table}.csv has a byte order mark")
        require(b"\r" not in data, f"{table}.csv has a carriage return")
        rows = list(csv.DictReader(io.StringIO(data.decode("utf-8"), newline=""), strict=True))
        require(list(rows[0]) == columns, f"{table}.csv: columns {list(rows[0])}")
        for row in rows:
            require(None not in row and all(row.values()), f"{table}.csv: incomplete row {row}")
        keys = [row[columns[0]] for row in rows]
        require(len(keys) == len(set(keys)), f"{table}.csv: a {columns[0]} occurs twice")
        tables[table] = rows
    return tables


def check_people(tables):
    rows = tables["people"]
    badges = {row["badge"] for row in rows}
    require(len(rows) == PEOPLE_COUNT, f"people.csv: {len(rows)} people, not {PEOPLE_COUNT}")
    require(DELEGATES <= badges, f"people.csv: missing {DELEGATES - badges}")
    for code, _, seats, *_ in DELEGATIONS:
        expected = [f"{code}-{number:03}" for number in range(1, seats + 1)]
        found = [row["badge"] for row in rows if row["delegation"] == code]
        require(found == expected, f"people.csv: badges of {code} are not contiguous from 001")
    codes = {row["code"] for row in tables["delegations"]}
    for row in rows:
        require(row["delegation"] in codes, f"people.csv: {row['badge']}: no such delegation")
        require(row["role"] in ROLES, f"people.csv: {row['badge']}: role {row['role']}")
        spoken = set(row["languages"].split(";"))
        require(spoken <= LANGUAGES, f"people.csv: {row['badge']}: languages {spoken}")
        require(row["name_latin"].isascii(), f"people.csv: {row['badge']}: name_latin not ASCII")
    for column in ("name_native", "email"):
        values = {row[column] for row in rows}
        require(len(values) == len(rows), f"people.csv: a {column} occurs twice")
    require("Гюльшан Мамедова" in {row["name_native"] for row in rows}, "people.csv: story 8")


def check_programme(tables):
    rows = {row["code"]: row for row in tables["programme"]}
    places = {row["code"] for row in tables["sites"]}
    kinds = {"P": {"panel", "ceremony"}, "V": {"visit"}, "C": {"cultural"}}
    for code, row in rows.items():
        require(row["site"] in places, f"programme.csv: {code}: no site {row['site']}")
        require(row["kind"] in kinds[code[0]], f"programme.csv: {code}: kind {row['kind']}")
        start, end = (datetime.fromisoformat(row[c]) for c in ("planned_start", "planned_end"))
        require(start < end, f"programme.csv: {code}: ends before it starts")
    for letter in kinds:
        numbers = sorted(int(code[1:]) for code in rows if code[0] == letter)
        require(numbers == list(range(1, len(numbers) + 1)), f"programme.csv: {letter} has gaps")
    require({"P07", "V09", "V12"} <= set(rows), "programme.csv: P07, V09 or V12 is missing")
    require(rows["V12"]["planned_start"].startswith("2025-11-26"), "programme.csv: V12's day")


def check_sites(tables):
    for row in tables["sites"]:
        lat, lon = float(row["lat"]), float(row["lon"])
        inside = 38.8 < lat < 40.6 and 44.7 < lon < 50.2 and int(row["accuracy_m"]) > 0
        require(inside, f"sites.csv: {row['code']}: position out of range")


def figures(tables):
    by_delegation = Counter(row["delegation"] for row in tables["people"])
    kinds = Counter(row["kind"] for row in tables["programme"])
    roles = Counter(row["role"] for row in tables["people"])
    quoted = sum(
        any("," in value or '"' in value for value in row.values()) for row in tables["people"])
    print("people by delegation:", " ".join(f"{k} {v}" for k, v in by_delegation.items()))
    print("people by role:", ", ".join(f"{k} {v}" for k, v in roles.most_common()))
    print("programme by kind:", ", ".join(f"{k} {v}" for k, v in kinds.most_common()))
    print(
        f"delegations {len(tables['delegations'])}, people {len(tables['people'])} "
        f"({quoted} with quoted fields), sites {len(tables['sites'])}, "
        f"programme {len(tables['programme'])}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    home = Path(__file__).resolve().parent
    parser.add_argument("--out", type=Path, default=home, metavar="DIR",
                        help="folder to write to (default: the script's own)")
    parser.add_argument("--check", action="store_true",
                        help="write nothing; fail unless DIR holds what would be written")
    options = parser.parse_args()

    makers = {"delegations": delegations, "people": people, "sites": sites, "programme": programme}
    for table, columns in COLUMNS.items():
        data, path = encoded(columns, makers[table]()), options.out / f"{table}.csv"
        if options.check:
            require(path.is_file() and path.read_bytes() == data, f"{path.name} is out of date")
        else:
            options.out.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    tables = read(options.out)
    check_people(tables)
    check_sites(tables)
    check_programme(tables)
    figures(tables)


if __name__ == "__main__":
    main()
