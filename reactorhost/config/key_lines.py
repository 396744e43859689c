"""Find the line of every key and table in a TOML text, which `tomllib` does not report.

The text must be one that tomllib has accepted: the scan decides by the first character of each value and checks
nothing.
"""

from __future__ import annotations

import re
from bisect import bisect_right

Path = tuple[str, ...]

_GAP = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# The long forms come first. Their content may end with one or two quotes, hence {3,5}.
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'",
    re.DOTALL,
)
# Numbers, dates, times and booleans: whatever ends at a comma, a closing bracket, a comment or the line end.
_SCALAR = re.compile(r"[^,\]}#\n]+")


def key_lines(text: str) -> dict[Path, int]:
    """Return the line, from 1, of each key and table, by the path from the root.

    Elements of an array share the array's path; a key has the line of its first occurrence. A table that has no header
    of its own (`a` in `[a.b]`) has the line of the first key or header that implies it.
    """
    scan = _Scan(text)
    scan.document()
    return {**scan.implied, **scan.written}


class _Scan:
    """One pass over a text from start to end."""

    __slots__ = ("at", "implied", "newlines", "text", "written")

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.newlines = [match.start() for match in re.finditer("\n", text)]
        self.written: dict[Path, int] = {}
        self.implied: dict[Path, int] = {}

    def document(self) -> None:
        """Read all headers and pairs."""
        table: Path = ()
        self.skip(_GAP)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self.header()
            else:
                self.pair(table)
            self.skip(_GAP)

    def header(self) -> Path:
        """Read `[table]` or `[[table]]`; return its path."""
        brackets = 2 if self.text.startswith("[[", self.at) else 1
        start = self.at
        self.at += brackets
        table = self.key()
        self.at += brackets
        self.record(table, 0, start)
        return table

    def pair(self, table: Path) -> None:
        """Read `key = value`."""
        start = self.at
        path = table + self.key()
        self.record(path, len(table), start)
        self.at += 1
        self.skip(_SPACE)
        self.value(path)

    def key(self) -> Path:
        """Read a key, dotted or not, up to the `=` or `]` after it."""
        parts = []
        while True:
            self.skip(_SPACE)
            parts.append(self.key_part())
            self.skip(_SPACE)
            if self.text[self.at] != ".":
                return tuple(parts)
            self.at += 1

    def key_part(self) -> str:
        """Read one part of a key."""
        if self.text[self.at] == "'":
            return self.skip(_STRING)[1:-1]
        if self.text[self.at] != '"':
            return self.skip(_BARE_KEY)
        quoted = self.skip(_STRING)
        return _unescaped(quoted) if "\\" in quoted else quoted[1:-1]

    def value(self, path: Path) -> None:
        """Read a value and record the keys in it under `path`."""
        first = self.text[self.at]
        if first in "\"'":
            self.skip(_STRING)
        elif first in "[{":
            self.at += 1
            self.members(path, "]" if first == "[" else "}")
        else:
            self.skip(_SCALAR)

    def members(self, path: Path, end: str) -> None:
        """Read the members of an array or inline table, up to and including its closing bracket."""
        while True:
            self.skip(_GAP)
            if self.text[self.at] == end:
                self.at += 1
                return
            if self.text[self.at] == ",":
                self.at += 1
            elif end == "]":
                self.value(path)
            else:
                self.pair(path)

    def skip(self, pattern: re.Pattern[str]) -> str:
        """Move past the match of `pattern` at this position, and return it."""
        match = pattern.match(self.text, self.at)
        if match is None:
            raise ValueError(f"not TOML at character {self.at}")
        self.at = match.end()
        return match[0]

    def record(self, path: Path, known: int, start: int) -> None:
        """Record the line of `path`, written at `start`; its first `known` parts have a header of their own."""
        line = bisect_right(self.newlines, start) + 1
        # The first occurrence: each [[table]] of an array repeats the path.
        self.written.setdefault(path, line)
        for length in range(known + 1, len(path)):
            self.implied.setdefault(path[:length], line)


def _unescaped(quoted: str) -> str:
    import tomllib

    return str(tomllib.loads(f"key = {quoted}")["key"])
