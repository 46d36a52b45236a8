"""Swift source as tokens, and how far an operand, a condition or a statement reaches.

Not a parser: it knows brackets, where a statement ends, and which operators bind tighter. What it
gets wrong doesn't compile, and is dropped then.
"""

import importlib.util
import re
import sys
from dataclasses import dataclass
from pathlib import Path


def _lint_imports():
    """The scanner of comments and strings is that of tools/lint-imports.py."""
    path = Path(__file__).resolve().parent.parent / "lint-imports.py"
    spec = importlib.util.spec_from_file_location("lint_imports", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["lint_imports"] = module
    spec.loader.exec_module(module)
    return module


_scanner = _lint_imports()

TOKEN = re.compile(
    r"""(?P<string>"s*") | (?P<name>`[^`\n]*`)
    | (?P<number>0x[0-9a-fA-F_]+|\d[\d_]*(?:\.\d+)?) | (?P<word>[$@\#]?\w+)
    | (?P<postfix>(?<=[\w)\]}>`])[?!]) | (?P<operator>\.\.[.<]|\.|[-+*/%=<>!&|^~?]+)
    | (?P<open>[(\[{]) | (?P<close>[)\]}]) | (?P<mark>[,;:\\])""",
    re.VERBOSE,
)
COMPARISONS = {"<", "<=", ">", ">=", "==", "!="}
BINDING = {
    "=": 0, "+=": 0, "-=": 0, "*=": 0, "|=": 0, "&=": 0, ">>=": 0, "<<=": 0, "->": 0,
    "?": 1, "||": 2, "&&": 3, **{comparison: 4 for comparison in COMPARISONS}, "??": 5,
    "..<": 7, "...": 7, "+": 8, "-": 8, "|": 8, "^": 8, "&+": 8, "&-": 8,
    "*": 9, "/": 9, "%": 9, "&": 9, "<<": 10, ">>": 10,
}
ASSIGNMENTS = {"=", "+=", "-=", "*=", "|=", "&=", ">>=", "<<="}
# Words that no operand reaches across.
FENCES = {
    "return", "guard", "if", "while", "where", "in", "case", "else", "try", "let", "var", "throw",
    "for", "switch", "repeat", "await", "do", "catch", "default", "defer", "inout", "as", "is",
}
# Words that begin what is no plain statement.
HEADS = FENCES - {"try"} | {
    "func", "init", "deinit", "subscript", "struct", "enum", "class", "actor", "extension",
    "protocol", "import", "public", "package", "internal", "private", "fileprivate", "static",
    "mutating", "break", "continue", "fallthrough", "typealias", "indirect", "final", "lazy",
    "get", "set", "weak", "unowned", "nonisolated", "some", "any", "throws", "associatedtype",
}


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    start: int
    end: int


def masked(source):
    """The source of the same length with comments blanked and string literals as `"sss"`."""
    parts, position = [], 0
    while found := _scanner.OPAQUE.search(source, position):
        parts.append(source[position:found.start()])
        if found["name"]:
            end = found.end()
            parts.append(found[0])
        elif found["block"] or found["line"]:
            end = found.end() if found["line"] else _scanner.end_of_block_comment(
                source, found.start())
            parts.append(re.sub(r"[^\n]", " ", source[found.start():end]))
        else:
            end = _scanner.end_of_string(source, found)
            parts.append('"' + "s" * (end - found.start() - 2) + '"')
        position = max(end, found.start() + 1)
    return "".join(parts) + source[position:]


class SwiftText:
    """One file's tokens with their brackets matched."""

    def __init__(self, source):
        self.source = source
        self.masked = masked(source)
        self.tokens = [
            Token(found.lastgroup, found[0], found.start(), found.end())
            for found in TOKEN.finditer(self.masked)
        ]
        self.match, self.parent = {}, []
        stack = []
        for index, token in enumerate(self.tokens):
            if token.kind == "close" and stack:
                opened = stack.pop()
                self.match[opened], self.match[index] = index, opened
            self.parent.append(stack[-1] if stack else None)
            if token.kind == "open":
                stack.append(index)

    def text(self, first, last):
        """The source from one token to another, both included."""
        return self.source[self.tokens[first].start:self.tokens[last].end]

    def line(self, index):
        return self.source.count("\n", 0, self.tokens[index].start) + 1

    def is_word(self, index, *words):
        return 0 <= index < len(self.tokens) and self.tokens[index].text in words

    def is_infix(self, index):
        token = self.tokens[index]
        if token.kind != "operator" or token.text not in BINDING:
            return False
        if token.text in ("..<", "..."):
            return True
        around = self.masked[token.start - 1] + self.masked[token.end:token.end + 1]
        return around[:1].isspace() and around[1:].isspace()

    def is_brace_level(self, index):
        parent = self.parent[index]
        return parent is None or self.tokens[parent].text == "{"

    def is_break(self, index):
        """Whether a statement may end between this token and the one before."""
        before, here = self.tokens[index - 1], self.tokens[index]
        if "\n" not in self.masked[before.end:here.start] or not self.is_brace_level(index):
            return False
        if here.text in (".", "else", "where", "?", ":") or self.is_infix(index):
            return False
        return not (before.text in (",", "(", "[", ":", "else", "->", "\\")
                    or self.is_infix(index - 1))

    def head(self, index):
        """The word that the condition or statement around a token begins with."""
        level, position = self.parent[index], index
        while position >= 0 and position != level:
            token = self.tokens[position]
            if token.kind == "close" and position != index:
                position = self.match.get(position, 0)
            elif token.text in HEADS and token.text not in ("try", "as", "is", "any", "some"):
                return token.text
            if position < index and position + 1 < len(self.tokens) and self.is_break(position + 1):
                return ""
            position -= 1
        return ""

    def left(self, index, *, beyond):
        """The first token of the operand that ends before `index`; operators that bind no
        tighter than `beyond` end it. `None` for nothing."""
        position = index - 1
        first = None
        while position >= 0:
            token = self.tokens[position]
            if position + 1 < index and self.is_break(position + 1):
                break
            if token.kind == "close":
                position = self.match.get(position, 0)
            elif token.kind == "open" or token.text in (",", ";", ":") or token.text in FENCES:
                break
            elif self.is_infix(position) and BINDING[token.text] <= beyond:
                break
            first = position
            position -= 1
        return first

    def right(self, index, *, beyond):
        """The last token of the operand that begins after `index`. `None` for nothing."""
        has_body = self.head(index) in ("if", "while", "for", "switch", "where", "else")
        position, last = index + 1, None
        while position < len(self.tokens):
            token = self.tokens[position]
            if position > index + 1 and self.is_break(position):
                break
            if token.kind == "open":
                if token.text == "{" and has_body:
                    break
                position = self.match.get(position, position)
            elif token.kind == "close" or token.text in (",", ";", ":"):
                break
            elif token.text in FENCES and token.text not in ("try", "as", "is"):
                break
            elif self.is_infix(position) and BINDING[token.text] <= beyond:
                break
            last = position
            position += 1
        return last

    def postfix_start(self, index):
        """The first token of `a.b(c).d` whose last part is at `index`."""
        position = index
        while position > 0:
            before = self.tokens[position - 1]
            adjoins = before.end == self.tokens[position].start
            if before.text == "." and (adjoins or self.tokens[position].kind == "word"):
                position -= 1
                if not self._continues(position):
                    return position
            elif self.tokens[position].text == "." and self._continues(position):
                position -= 1
                if self.tokens[position].kind == "close":
                    position = self.match.get(position, position)
            elif self.tokens[position].kind in ("open", "postfix") and adjoins and (
                    before.kind in ("word", "close", "postfix")):
                position -= 1
                if before.kind == "close":
                    position = self.match.get(position, position)
            else:
                break
        return position

    def _continues(self, dot):
        return self.tokens[dot - 1].kind in ("word", "close", "postfix") and (
            self.tokens[dot - 1].text not in FENCES)

    def statements(self):
        """First and last token of each statement inside braces, labels of cases left off."""
        for opened, token in enumerate(self.tokens):
            if token.text == "{" and opened in self.match:
                yield from self._statements(opened + 1, self.match[opened])

    def _statements(self, position, end):
        first = position
        while position < end:
            token = self.tokens[position]
            is_label = self.is_word(first, "case", "default") and token.text == ":"
            is_signature = token.text == "in" and not self.is_word(first, "for")
            if is_label or is_signature or token.text == ";":
                first = position = position + 1
                continue
            if position > first and self.is_break(position):
                yield first, position - 1
                first = position
            position = self.match.get(position, position) + 1 if token.kind == "open" else (
                position + 1)
        if first < end:
            yield first, end - 1
