"""The line of every key and table in a TOML text, which `tomllib` does not tell.

Reads only text that tomllib has accepted, so it finds its way by the first character of each value and checks
nothing.
"""

from __future__ import annotations

import re
from bisect import bisect_right

Path = tuple[str, ...]

_GAP = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# The long forms come first. A text in them may end in one or two quotes of its own, hence {3,5}.
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]+")


def key_lines(text: str) -> dict[Path, int]:
    """Return the line, from 1, of each key and table, by the path from the root.

    Elements of an array share the array's path, and the first of them that has a key gives its line. A table that
    is never written by itself (`a` in `[a.b]`) has the line of what first implied it.
    """
    scan = _Scan(text)
    scan.document()
    return {**scan.implied, **scan.written}


class _Scan:
    """One walk through a text, from its start to its end."""

    __slots__ = ("at", "implied", "newlines", "text", "written")

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.newlines = [match.start() for match in re.finditer("\n", text)]
        self.written: dict[Path, int] = {}
        self.implied: dict[Path, int] = {}

    def document(self) -> None:
        """Walk through all tables and pairs."""
        table: Path = ()
        self.skip(_GAP)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self.header()
            else:
                self.pair(table)
            self.skip(_GAP)

    def header(self) -> Path:
        """Walk through `[table]` or `[[table]]`."""
        brackets = 2 if self.text.startswith("[[", self.at) else 1
        start = self.at
        self.at += brackets
        table = self.key()
        self.at += brackets
        self.note(table, 0, start)
        return table

    def pair(self, table: Path) -> None:
        """Walk through `key = value`."""
        start = self.at
        path = table + self.key()
        self.note(path, len(table), start)
        self.at += 1
        self.skip(_SPACE)
        self.value(path)

    def key(self) -> Path:
        """Walk through a key, dotted or not, up to the sign after it."""
        parts = []
        while True:
            self.skip(_SPACE)
            parts.append(self.key_part())
            self.skip(_SPACE)
            if self.text[self.at] != ".":
                return tuple(parts)
            self.at += 1

    def key_part(self) -> str:
        """Walk through one part of a key."""
        if self.text[self.at] == "'":
            return self.skip(_STRING)[1:-1]
        if self.text[self.at] != '"':
            return self.skip(_BARE_KEY)
        quoted = self.skip(_STRING)
        return _unescaped(quoted) if "\\" in quoted else quoted[1:-1]

    def value(self, path: Path) -> None:
        """Walk through a value, noting the keys inside it under `path`."""
        first = self.text[self.at]
        if first in "\"'":
            self.skip(_STRING)
        elif first in "[{":
            self.at += 1
            self.members(path, "]" if first == "[" else "}")
        else:
            self.skip(_SCALAR)

    def members(self, path: Path, end: str) -> None:
        """Walk through what is between the brackets of an array or inline table."""
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
        """Move behind what `pattern` matches here and return it."""
        match = pattern.match(self.text, self.at)
        if match is None:
            raise ValueError(f"not TOML at character {self.at}")
        self.at = match.end()
        return match[0]

    def note(self, path: Path, known: int, start: int) -> None:
        """Note that `path`, of which the first `known` parts are noted elsewhere, is written at `start`."""
        line = bisect_right(self.newlines, start) + 1
        self.written.setdefault(path, line)
        for length in range(known + 1, len(path)):
            self.implied.setdefault(path[:length], line)


def _unescaped(quoted: str) -> str:
    import tomllib

    text = tomllib.loads(f"key = {quoted}")["key"]
    assert isinstance(text, str)
    return text
