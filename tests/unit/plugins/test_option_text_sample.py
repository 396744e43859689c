"""The example of a plugin's table can be pasted: it is TOML, and it matches what the plugin declares."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reactorhost.api.option import Option
from reactorhost.plugins.option_text import sample

VALUES: dict[type, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    str: st.text(st.characters(exclude_categories=["Cs"])),
    list: st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=3),
    dict: st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])),
        st.integers(0, 9) | st.lists(st.sampled_from(["", '"', "x = 1"])) | st.just({"*.a": {}}),
        max_size=3,
    ),
}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def test_a_sample_has_help_and_comments() -> None:
    options = (
        Option("greeting", str, "hello", "what every client\nreads first"),
        Option("limit", int),
        Option("form", str, choices=("text", "json")),
        Option("patience", float, None),
        Option("password", secret=True),
    )
    assert list(sample("chat:Greeter", options)) == [
        '[plugin."chat:Greeter"]',
        "# what every client reads first",
        '# greeting = "hello"',
        "limit = 0",
        '# one of "text", "json"',
        'form = "text"',
        "# patience = 0.0",
        'password = { env = "CHAT_GREETER_PASSWORD" }',
    ]


@given(TEXTS, st.lists(st.tuples(TEXTS, st.sampled_from(list(VALUES)), TEXTS), max_size=3), st.data())
def test_every_declaration_yields_toml_with_its_defaults(
    name: str, declared: list[tuple[str, type, str]], data: st.DataObject
) -> None:
    options = [
        Option(key, kind, data.draw(VALUES[kind], key), text) for key, kind, text in dict.fromkeys(declared)
        if [each[0] for each in declared].count(key) == 1
    ]  # fmt: skip
    lines = list(sample(name, options))
    assert tomllib.loads("\n".join(lines)) == {"plugin": {name: {}}}
    # Every option is commented out by two characters, as its help is; help comes first.
    values = [
        tomllib.loads(lines[number].removeprefix("# "))
        for number in _option_lines(options)
    ]  # fmt: skip
    assert values == [{option.name: option.default} for option in options]


def _option_lines(options: list[Option]) -> list[int]:
    numbers, line = [], 0
    for option in options:
        shown = "".join(character if character.isprintable() else " " for character in option.help)
        line += 2 if shown.strip() else 1
        numbers.append(line)
    return numbers
