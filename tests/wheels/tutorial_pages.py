"""What the pages of the tutorial let a reader do, in order: files to save, edits, and what is typed and printed.

- A block of Python or TOML is a file. The paragraph before it names the path.
- A block with differences changes such a file: lines with a plus take the place of those with a minus.
- A block of a console is for the first terminal, or for the one that the paragraph before it names last.
  A line after `$` is a command, `^C` is Ctrl-C, and in a session of `nc` a line that is one word is typed.
  All else is printed.
- In what is printed, `...` stands for any lines. Process ids, times, and the width of gaps may differ. The comment
  `<!-- numbers vary -->` before a block lets all numbers differ.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

NUMBERS_VARY = "<!-- numbers vary -->"

_PAGE = re.compile(r"^\d+\. \[[^\]]+\]\(([a-z-]+\.md)\)$", re.MULTILINE)
_BLOCK = re.compile(r"^```([\w{}]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"`([\w./-]+\.(?:py|toml))`")
_TERMINAL = re.compile(r"\b(first|second) terminal")
_WORD = re.compile(r"[a-z]+")
_ANY_LINES = r"(?:.*\n)*?"
# What differs from run to run, in a line that is escaped for a regular expression.
_VARIABLE = (
    (re.compile(r"\b(pid\\ |pid=|master=|worker=)\d+"), r"\1\\d+"),
    (re.compile(r"\b\d+\\\.\d+s\b"), r"[\\d.]+s"),
    # Of a file of settings, those that no variable replaces.
    (re.compile(r"\b\d+\\ lines\b"), r"\\d+\\ lines"),
    # The width of a column follows from the longest entry, such as a path.
    (re.compile(r"(?:\\ ){2,}"), r"\\ \\ +"),
    (re.compile(r"\d{4}\\-\d\d\\-\d\dT[\d:]+\\\.\d+Z"), r"[\\dT:.-]+Z"),
)


class Typed(enum.Enum):
    """What a reader types."""

    NOTHING = ""
    COMMAND = "$ "
    WORD = "a word and Enter"
    CONTROL_C = "^C"


@dataclass(frozen=True, slots=True)
class SaveFile:
    """Save a file, in the folder of the first terminal."""

    place: str
    path: str
    text: str


@dataclass(frozen=True, slots=True)
class EditFile:
    """Replace lines of a file."""

    place: str
    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What is typed, and what is printed after it.

    Attributes:
        stays: whether a program is running afterwards, so that the prompt does not return
    """

    kind: Typed
    text: str
    stays: bool
    printed: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Session:
    """A block of a console."""

    place: str
    text: str
    terminal: str
    entries: list[Entry]
    numbers_vary: bool


Step = SaveFile | EditFile | Session


def steps_of(folder: Path) -> Iterator[Step]:
    """Yield the steps of the index, and of the pages in the order of its list."""
    index = (folder / "index.md").read_text(encoding="utf-8")
    for name in ("index.md", *_PAGE.findall(index)):
        yield from steps_of_page(f"docs/{folder.name}/{name}", (folder / name).read_text(encoding="utf-8"))


def steps_of_page(name: str, text: str) -> Iterator[Step]:
    """Yield the steps of one page.

    Raises:
        ValueError: a block that a reader could not follow.
    """
    running = {"first": False, "second": False}
    end = 0
    for block in _BLOCK.finditer(text):
        before, end = text[end : block.start()].strip(), block.end()
        paragraph = before.removesuffix(NUMBERS_VARY).strip().rpartition("\n\n")[2]
        line = text.count("\n", 0, block.start()) + 2
        place = f"{name}:{line}"
        match block[1]:
            case "python" | "toml":
                yield SaveFile(place, _file_in(paragraph, place), block[2])
            case "diff":
                lines = block[2].splitlines(keepends=True)
                old, new = (_without(lines, sign) for sign in "+-")
                yield EditFile(place, _file_in(paragraph, place), old, new)
            case "console":
                terminal = (_TERMINAL.findall(paragraph) or ["first"])[-1]
                entries = list(_entries(block[2].splitlines(), running[terminal]))
                running[terminal] = entries[-1].stays
                yield Session(place, block[2], terminal, entries, before.endswith(NUMBERS_VARY))
            case "{toctree}":
                pass
            case kind:
                raise ValueError(f"{place}: a reader does not know what to do with a block of the kind {kind!r}")


def _file_in(paragraph: str, place: str) -> str:
    names = _FILE.findall(paragraph)
    if not names:
        raise ValueError(f"{place}: the paragraph before it does not name a file")
    return str(names[-1])


def _without(lines: Iterable[str], sign: str) -> str:
    return "".join(line[1:] for line in lines if not line.startswith(sign))


def _entries(lines: Iterable[str], running: bool) -> Iterator[Entry]:
    entry = Entry(Typed.NOTHING, "", running)
    for line in lines:
        if line.startswith("$ "):
            kind, text = Typed.COMMAND, line.removeprefix("$ ")
            stays = text.startswith("nc ") or (text.startswith("reactorhost start ") and " -d" not in text)
        elif line == Typed.CONTROL_C.value:
            kind, text, stays = Typed.CONTROL_C, "", False
        elif entry.stays and _WORD.fullmatch(line):
            kind, text, stays = Typed.WORD, line, True
        else:
            entry.printed.append(line)
            continue
        if entry.kind is not Typed.NOTHING or entry.printed:
            yield entry
        entry = Entry(kind, text, stays)
    yield entry


def shown_after(session: Session, count: int) -> re.Pattern[str]:
    """Return what the terminal shows after the first `count` entries, what was typed included."""
    pattern = ""
    for entry in session.entries[:count]:
        match entry.kind:
            case Typed.COMMAND:
                pattern += f"{re.escape(f'$ {entry.text}')}\n"
            case Typed.WORD:
                pattern += f"{entry.text}\n"
            case Typed.CONTROL_C:
                # A program that was left running may have printed more. What it prints now may follow on the same line.
                pattern += r"\^C\n?" if pattern else rf"{_ANY_LINES}\^C\n?"
        for line in entry.printed:
            pattern += _ANY_LINES if line == "..." else f"{_pattern_of(line, session.numbers_vary)}\n"
    return re.compile(pattern)


def _pattern_of(line: str, numbers_vary: bool) -> str:
    escaped = re.escape(line)
    for variable, pattern in _VARIABLE:
        escaped = variable.sub(pattern, escaped)
    return re.sub(r"\d+", r"\\d+", escaped) if numbers_vary else escaped
