"""`key_lines` finds the line of every key that `tomllib` reads, in every layout of the text."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorhost.config.key_lines import key_lines

VALUES = (
    "1",
    "-inf",
    "0x1F",
    "1e3",
    "true",
    "1979-05-27 07:32:00",
    '""',
    '"a \\" # [ = { \\\\"',
    "'c:\\'",
    '""""""',
    '"""\n[x]\nkey = 1 # """',
    '"""a""""',
    '""""a"""""',
    '"""a \\""" b\\\\"""',
    "'''\n'a' = 1\n[y]\n'''",
    "''''a'''''",
    "[]",
    "[1, # ]\n 2,\n]",
    '[ "]", [ \'}\', """\n,]""" ] ]',
    "{}",
)
KEYS = st.one_of(
    st.from_regex(r"[A-Za-z0-9_-]{1,6}", fullmatch=True),
    st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=4),
    st.sampled_from(["a.b", "#", "'", '"', "\\", " ", "[x]", "=", "\t"]),
)
TABLES = st.recursive(
    st.sampled_from(VALUES),
    lambda inner: st.dictionaries(KEYS, inner, max_size=4) | st.lists(st.dictionaries(KEYS, st.sampled_from(VALUES))),
    max_leaves=12,
)
DOCUMENTS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(KEYS, TABLES, max_size=5)


class Writer:
    """Writes a tree as TOML in drawn layouts, and records the line of each key."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.text = ""
        self.written: dict[tuple[str, ...], int] = {}
        self.implied: dict[tuple[str, ...], int] = {}

    def note(self, path: tuple[str, ...], known: int) -> None:
        line = self.text.count("\n") + 1
        self.written.setdefault(path, line)
        for length in range(known + 1, len(path)):
            self.implied.setdefault(path[:length], line)

    def gap(self) -> None:
        self.text += self.draw(st.sampled_from(["", "", "\n", "  ", "\n # [c] = '\n"]))

    def end(self) -> None:
        self.text += self.draw(st.sampled_from(["\n", " # x = [\n", "\n\n"]))

    def key(self, path: tuple[str, ...]) -> str:
        return self.draw(st.sampled_from([".", " . "])).join(self.key_part(part) for part in path)

    def key_part(self, part: str) -> str:
        forms = [json.dumps(part, ensure_ascii=False)]
        if re.fullmatch("[A-Za-z0-9_-]+", part):
            forms.append(part)
        if "'" not in part:
            forms.append(f"'{part}'")
        return self.draw(st.sampled_from(forms))

    def table(self, table: dict[str, Any], path: tuple[str, ...]) -> None:
        later = {key: each for key, each in table.items() if self.goes_below(each)}
        self.pairs({key: each for key, each in table.items() if key not in later}, path, ())
        for key, each in later.items():
            for element in each if isinstance(each, list) else [each]:
                self.section(element, (*path, key), "[[" if isinstance(each, list) else "[")

    def goes_below(self, value: object) -> bool:
        return (isinstance(value, dict) or (isinstance(value, list) and bool(value))) and self.draw(st.booleans())

    def section(self, table: dict[str, Any], path: tuple[str, ...], opening: str) -> None:
        self.gap()
        inner = [value for value in table.values() if isinstance(value, dict)]
        if opening == "[" and inner and len(inner) == len(table) and self.draw(st.booleans()):
            for key, value in table.items():
                self.section(value, (*path, key), "[")
            return
        self.note(path, 0)
        self.text += opening + self.key(path) + opening.replace("[", "]")
        self.end()
        self.table(table, path)

    def pairs(self, table: dict[str, Any], path: tuple[str, ...], dotted: tuple[str, ...]) -> None:
        for key, value in table.items():
            if isinstance(value, dict) and value and self.draw(st.booleans()):
                self.pairs(value, path, (*dotted, key))
                continue
            self.gap()
            self.note((*path, *dotted, key), len(path))
            self.text += self.key((*dotted, key)) + " = "
            self.value(value, (*path, *dotted, key))
            self.end()

    def value(self, value: object, path: tuple[str, ...]) -> None:
        if isinstance(value, str):
            self.text += value
        elif isinstance(value, list):
            self.text += "["
            for element in value:
                self.gap()
                self.value(element, path)
                self.text += ","
            self.text += "]"
        elif isinstance(value, dict):
            self.inline(value, path)

    def inline(self, table: dict[str, Any], path: tuple[str, ...]) -> None:
        self.text += "{"
        for number, (key, value) in enumerate(table.items()):
            self.text += ", " if number else " "
            self.note((*path, key), len(path))
            self.text += self.key((key,)) + "="
            self.value(value, (*path, key))
        self.text += "}"


def paths_of(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from paths_of(inner, (*path, key))
    elif isinstance(value, list):
        for inner in value:
            yield from paths_of(inner, path)


@st.composite
def written_documents(draw: st.DrawFn) -> Writer:
    writer = Writer(draw)
    writer.table(draw(DOCUMENTS), ())
    if draw(st.booleans()):
        writer.text = writer.text.replace("\n", "\r\n")
    return writer


@given(written_documents())
def test_every_key_has_the_line_it_is_written_on(writer: Writer) -> None:
    data = tomllib.loads(writer.text)
    lines = key_lines(writer.text)
    assert lines == {**writer.implied, **writer.written}
    assert set(lines) == set(paths_of(data))


def test_dotted_and_quoted_keys_are_split_into_their_parts() -> None:
    text = '[service."a.b"]\nlisten = 1\n[host]\nx . "y\\u00e9" = 1\n'
    assert key_lines(text) == {
        ("service",): 1,
        ("service", "a.b"): 1,
        ("service", "a.b", "listen"): 2,
        ("host",): 3,
        ("host", "x"): 4,
        ("host", "x", "yé"): 4,
    }


def test_a_table_with_a_header_after_it_was_implied_has_the_line_of_its_header() -> None:
    assert key_lines("[a.b]\n[a]\n")["a",] == 2


def test_an_array_of_tables_has_the_line_of_its_first_table() -> None:
    lines = key_lines("[[a]]\nx = 1\n[[a]]\nx = 2\ny = 3\n")
    assert lines == {("a",): 1, ("a", "x"): 2, ("a", "y"): 5}


def test_text_like_a_key_inside_a_string_is_ignored() -> None:
    assert key_lines('a = """\nb = 1\n[c]\n"""\nd = 1') == {("a",): 1, ("d",): 5}


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment", " \t"])
def test_text_without_keys_has_no_lines(text: str) -> None:
    assert key_lines(text) == {}


def test_a_long_text_is_read_in_one_pass() -> None:
    lines = key_lines("".join(f"[t{number}]\nkey = [\n1,\n]\n" for number in range(3000)))
    assert lines["t2999", "key"] == 11998


@pytest.mark.parametrize("text", ["= 1", "a = ,", 'a = "'])
def test_text_that_is_not_toml_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not TOML at character"):
        key_lines(text)
