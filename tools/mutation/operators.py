"""Finds the places where a source can be mutated, one operator a function.

Each site rewrites a span so that the original runs unless the site's id is the active one:
`a < b` becomes `(mutant(0x…) ? a <= b : a < b)`. Ids come from what is written there, not from
line numbers, so they outlive edits elsewhere in the file.
"""

import hashlib
import re
from dataclasses import dataclass, field

from swift_text import ASSIGNMENTS, COMPARISONS, FENCES, HEADS, SwiftText

OPPOSITE = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
TESTS = {"contains", "filter", "allSatisfy", "removeAll", "firstIndex", "first", "lastIndex"}
# Checks and texts, not behaviour; and what only saves time. A hash may be the same for everything.
CHECKS = {"precondition", "preconditionFailure", "fatalError", "assert", "checkInvariants"}
SPEED = {"reserveCapacity"}
TEXTS = {"description", "debugDescription", "short", "checkInvariants", "hash"}


@dataclass
class Site:
    file: str
    line: int
    operator: str
    start: int
    end: int
    original: str
    mutated: str
    before: str
    after: str
    key: str = field(default="")
    fixed_id: str = field(default="")

    @property
    def id(self):
        return self.fixed_id or hashlib.sha256(self.key.encode()).hexdigest()[:8]

    def render(self, inner):
        return self.before.replace("ID", "0x" + self.id) + inner + self.after


class Finder:
    def __init__(self, file, source):
        self.file, self.swift, self.sites = file, SwiftText(source), []
        self.tokens = self.swift.tokens
        self.excluded = [False] * len(self.tokens)
        self._exclude()

    def _exclude(self):
        for index, token in enumerate(self.tokens):
            if token.text in CHECKS and self.swift.is_word(index + 1, "("):
                self._mark(index, self.swift.match[index + 1])
            if token.text in TEXTS and self.swift.is_word(index - 1, "var", "func"):
                opened = next((i for i in range(index, len(self.tokens))
                               if self.tokens[i].text == "{"), None)
                if opened in self.swift.match:
                    self._mark(index, self.swift.match[opened])

    def _mark(self, first, last):
        for index in range(first, last + 1):
            self.excluded[index] = True

    def find(self):
        for index in range(len(self.tokens)):
            if not self.excluded[index]:
                self._comparison(index)
                self._conditions(index)
                self._ternary(index)
                self._connective(index)
                self._test(index)
                self._literal(index)
                self._extreme(index)
                self._addition(index)
                self._step(index)
        for first, last in self.swift.statements():
            if not self.excluded[first] and not self._is_result(first, last):
                self._statement(first, last)
        return self._distinct()

    def _distinct(self):
        """Sites in their order, each rewriting once, with keys that count equal ones."""
        seen, counts, result = set(), {}, []
        for site in sorted(self.sites, key=lambda s: (s.start, -s.end, s.operator)):
            rewriting = (site.start, site.end, site.before, site.after)
            if rewriting in seen:
                continue
            seen.add(rewriting)
            name = "|".join([site.file, site.operator, squeezed(site.original),
                             squeezed(site.mutated)])
            counts[name] = counts.get(name, 0) + 1
            site.key = f"{name}|{counts[name]}"
            result.append(site)
        return result

    # How a span is rewritten

    def _site(self, operator, first, last, mutated, before, after):
        original = self.swift.text(first, last)
        self.sites.append(Site(
            self.file, self.swift.line(first), operator, self.tokens[first].start,
            self.tokens[last].end, original, mutated, before, after))

    def _choose(self, operator, first, last, mutated):
        self._site(operator, first, last, mutated, f"(mutant(ID) ? {mutated} : ", ")")

    def _negate(self, first, last):
        if self._holds_one_equality(first, last):
            return
        text = self.swift.text(first, last)
        self._site("negate", first, last, f"!({text})", "flipped(ID, ", ")")

    def _force(self, first, last, value):
        word = "true" if value else "false"
        self._site("drop", first, last, word, f"forced(ID, {word}, ", ")")

    def _holds_one_equality(self, first, last):
        """Then the comparison's own opposite is the same mutation."""
        found = [self.tokens[i].text for i in range(first, last + 1)
                 if self.swift.is_infix(i) and self.tokens[i].text in COMPARISONS | {"&&", "||"}
                 and self.swift.parent[i] == self.swift.parent[first]]
        return found in (["=="], ["!="])

    # Operators

    def _comparison(self, index):
        token = self.tokens[index]
        if token.text not in COMPARISONS or not self.swift.is_infix(index):
            return
        first = self.swift.left(index, beyond=4)
        last = self.swift.right(index, beyond=4)
        if first is None or last is None:
            return
        source = self.swift.source
        opposite = OPPOSITE[token.text]
        if self._is_order(index) or self._is_unequal(first, index, last):
            opposite = {"<": ">", ">": "<"}.get(token.text, opposite)
        mutated = (source[self.tokens[first].start:token.start] + opposite
                   + source[token.end:self.tokens[last].end])
        self._choose("negate" if token.text in ("==", "!=") else "boundary", first, last, mutated)

    def _is_order(self, index):
        """In `sorted { a < b }` of what differs, `<=` says the same; the other way round doesn't."""
        opened = self.swift.parent[index]
        return opened is not None and self.swift.is_word(opened - 1, "sorted")

    def _is_unequal(self, first, index, last):
        """After `a != b ?`, to compare a and b with `<=` says the same too."""
        left = re.escape(self.swift.text(first, index - 1))
        right = re.escape(self.swift.text(index + 1, last))
        before = self.swift.source[:self.tokens[first].start]
        return re.search(rf"(?<!\S){left} != {right}\s*\?\s*$", before) is not None

    def _conditions(self, index):
        word = self.tokens[index].text
        if self.tokens[index].kind != "word" or word not in ("if", "guard", "while", "where"):
            return
        if word == "where" and self.swift.head(index - 1) in ("func", "extension", "init"):
            return
        ends = {"guard": ("else",), "where": ("{", ":")}.get(word, ("{",))
        elements, first, position = [], index + 1, index + 1
        while position < len(self.tokens) and self.tokens[position].text not in ends:
            token = self.tokens[position]
            if token.text == "," and position > first:
                elements.append((first, position - 1))
                first = position + 1
            position = self.swift.match.get(position, position) + 1 if token.kind == "open" else (
                position + 1)
        elements.append((first, position - 1))
        for first, last in elements:
            self._condition(word, first, last, len(elements))

    def _condition(self, word, first, last, count):
        if last < first or self.swift.is_word(first, "let", "var", "case"):
            return
        if self.swift.is_word(first, "try"):
            first += 1
        self._negate(first, last)
        if word != "while":
            self._force(first, last, word == "guard" or count > 1 or word == "where")

    def _ternary(self, index):
        if self.tokens[index].text == "?" and self.swift.is_infix(index):
            first = self.swift.left(index, beyond=1)
            if first is not None:
                self._negate(first, index - 1)

    def _connective(self, index):
        token = self.tokens[index]
        if token.text not in ("&&", "||") or not self.swift.is_infix(index):
            return
        binding = 3 if token.text == "&&" else 2
        left = self.swift.left(index, beyond=binding)
        right = self.swift.right(index, beyond=binding)
        for first, last in ((left, index - 1), (index + 1, right)):
            if first is not None and last is not None:
                self._negate(first, last)
                self._force(first, last, token.text == "&&")

    def _test(self, index):
        """The closure that a search or a filter is given."""
        if self.tokens[index].text not in TESTS:
            return
        opened = index + 1
        if self.swift.is_word(opened, "("):
            opened += 1
            if self.swift.is_word(opened, "where"):
                opened += 2
        if not self.swift.is_word(opened, "{"):
            return
        inside = list(self.swift._statements(opened + 1, self.swift.match[opened]))
        if len(inside) == 1 and not self.tokens[inside[0][0]].text in HEADS:
            self._negate(*inside[0])

    def _literal(self, index):
        token = self.tokens[index]
        if token.kind != "number" or "." in token.text or self.swift.is_word(index - 1, "."):
            return
        around = (self.tokens[index - 1].text, self.tokens[index + 1].text)
        if around == ("[", "]") or self._is_place(index):
            return
        number = int(token.text.replace("_", ""), 0)
        seed = hashlib.sha256(f"{self.file}{self._line_text(index)}".encode()).digest()[0]
        other = number - 1 if number > 0 and seed % 2 else number + 1
        self._choose("off by one", index, index, str(other))

    def _line_text(self, index):
        start = self.swift.source.rfind("\n", 0, self.tokens[index].start) + 1
        return squeezed(self.swift.source[start:self.swift.source.find("\n", start)])

    def _is_place(self, index):
        """Numbers of SQL parameters and columns, and names of declared things."""
        opened = self.swift.parent[index]
        return opened is not None and self.tokens[opened].text == "(" and opened == index - 1 and (
            self.tokens[opened - 1].text in ("bind", "bindNull", "integer", "blob", "text"))

    def _extreme(self, index):
        token = self.tokens[index]
        other = {"min": "max", "max": "min"}.get(token.text)
        if other is None:
            return
        is_member = self.swift.is_word(index - 1, ".")
        last = index
        if self.swift.is_word(last + 1, "("):
            last = self.swift.match[last + 1]
        if self.swift.is_word(last + 1, "{") and is_member:
            last = self.swift.match[last + 1]
        if last == index and is_member:
            return
        first = self.swift.postfix_start(index) if is_member else index
        source = self.swift.source
        mutated = (source[self.tokens[first].start:token.start] + other
                   + source[token.end:self.tokens[last].end])
        self._choose("swap min and max", first, last, mutated)

    def _addition(self, index):
        token = self.tokens[index]
        if token.text not in ("+", "|") or not self.swift.is_infix(index):
            return
        first = self.swift.left(index, beyond=7)
        last = self.swift.right(index, beyond=8)
        if first is None or last is None or self._holds_text(first, last):
            return
        if not (last == index + 1 and self.tokens[last].kind == "number"):
            self._choose("drop", first, last, self.swift.text(first, index - 1))
            start = self.swift.left(index, beyond=8)
            if start is not None:
                self._choose("drop", start, last, self.swift.text(index + 1, last))

    def _holds_text(self, first, last):
        return any(self.tokens[i].kind == "string" for i in range(first, last + 1))

    def _step(self, index):
        """A call in a chain that gives back what is of its receiver's kind."""
        if self.tokens[index].text not in ("sorted", "filter", "subtracting", "union"):
            return
        if not self.swift.is_word(index - 1, "."):
            return
        last = index
        if self.swift.is_word(last + 1, "("):
            last = self.swift.match[last + 1]
        if self.swift.is_word(last + 1, "{"):
            last = self.swift.match[last + 1]
        first = self.swift.postfix_start(index)
        if last > index and first < index - 1:
            self._choose("skip a call", first, last, self.swift.text(first, index - 2))

    def _statement(self, first, last):
        words = [token.text for token in self.tokens[first:last + 1]]
        level = self.swift.parent[first]
        top = [i for i in range(first, last + 1) if self.swift.parent[i] == level]
        is_throw = words[0] == "throw"
        if (words[0] in HEADS and not is_throw) or words[0][0] in "@#" or set(words) & SPEED:
            return
        if any(self.swift.is_infix(i) and self.tokens[i].text in ASSIGNMENTS for i in top):
            operator = "forget a field"
        elif is_throw:
            operator = "skip a throw"
        elif self._is_call(first, last, top):
            stores = re.search(r"\.bind(Null)?$|\.combine$|^encoder\.|\.append$",
                               self._callee(first, last))
            operator = "forget a field" if stores else "skip a call"
        else:
            return
        self._site(operator, first, last, "", "if !mutant(ID) { ", " }")

    def _is_result(self, first, last):
        """The only expression of a closure or a computed property: its value, not a step."""
        opened = self.swift.parent[first]
        before = self.tokens[first - 1]
        is_sole = last + 1 == self.swift.match[opened] and (
            opened == first - 1 or before.text == "in")
        return is_sole and self.swift.head(opened - 1) not in (
            "if", "else", "for", "while", "do", "defer", "func", "init", "mutating", "catch")

    def _callee(self, first, last):
        words = []
        for index in range(first, last + 1):
            if self.tokens[index].text in ("(", "{"):
                break
            if self.tokens[index].text != "try":
                words.append(self.tokens[index].text)
        return "".join(words)

    def _is_call(self, first, last, top):
        if any(self.swift.is_infix(i) for i in top):
            return False
        if any(self.tokens[i].text in FENCES - {"try"} for i in top):
            return False
        start = first + 1 if self.swift.is_word(first, "try") else first
        return self.tokens[start].kind == "word" and self.tokens[last].text in (")", "}")


def squeezed(text):
    return " ".join(text.split())


def nested(sites):
    """Without those that cross another's span: the rest can be rendered inside of each other."""
    kept, stack = [], []
    for site in sorted(sites, key=lambda s: (s.start, -s.end)):
        while stack and stack[-1].end <= site.start:
            stack.pop()
        if stack and site.end > stack[-1].end:
            continue
        stack.append(site)
        kept.append(site)
    return kept


def rendered(source, sites):
    """The rewritten source, and for each site where it lies in it: (start, end, site)."""
    order = nested(sites)
    out, places = [], []
    length = 0

    def emit(text):
        nonlocal length
        out.append(text)
        length += len(text)

    def write(start, end, index, limit):
        """Writes source[start:end]; the sites from `index` that begin before `limit` lie in it."""
        position = start
        while index < len(order) and order[index].start < end and order[index].end <= end:
            site = order[index]
            emit(source[position:site.start])
            place = length
            emit(site.before.replace("ID", "0x" + site.id))
            index = write(site.start, site.end, index + 1, site.end)
            emit(site.after)
            places.append((place, length, site))
            position = site.end
        emit(source[position:end])
        return index

    write(0, len(source), 0, len(source))
    return "".join(out), places
