"""The description of one plugin that `reactorhost plugins NAME` prints."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reactorhost.plugins.option_text import toml

_INDENT = "  "
_WIDTH = 100


def lines(row: Mapping[str, Any], sample: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the description; `sample` is a table of the plugin for a configuration file."""
    yield " ".join(filter(None, (row["name"], row["version"])))
    if row["description"]:
        yield from textwrap.wrap(row["description"], _WIDTH)
    yield ""
    for heading in ("distribution", "target", "file"):
        yield f"{heading + ':':14}{row[heading] or '-'}"
    yield f"{'hooks:':14}{', '.join(row['hooks']) or '-'}"
    yield f"{'active:':14}{'yes' if row['active'] else '-'}"
    yield from _options(row["options"])
    yield from _commands(row)
    if row["options"]:
        yield from ("", "example", *(f"{_INDENT}{line}".rstrip() for line in sample))


def _options(options: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not options:
        return
    yield from ("", "options")
    for option in options:
        yield f"{_INDENT}{option['name']}  {', '.join(_properties(option))}"
        yield from textwrap.wrap(
            option["help"], _WIDTH, initial_indent=_INDENT * 3, subsequent_indent=_INDENT * 3, break_on_hyphens=False
        )


def _properties(option: Mapping[str, Any]) -> Iterator[str]:
    yield option["type"]
    if option["required"]:
        yield "required"
    elif not option["secret"]:
        yield f"default {'none' if option['default'] is None else toml(option['default'])}"
    if option["choices"]:
        yield f"{'some' if option['type'] == 'list' else 'one'} of {' | '.join(map(str, option['choices']))}"
    if option["secret"]:
        yield "secret"


def _commands(row: Mapping[str, Any]) -> Iterator[str]:
    if not row["commands"]:
        return
    yield from ("", "commands")
    width = max(len(command["name"]) for command in row["commands"])
    for command in row["commands"]:
        yield f"{_INDENT}reactorhost {row['named']} {command['name']:{width}}  {command['help']}".rstrip()
    if row["shadowed"]:
        yield f"{_INDENT}hidden: `reactorhost {row['named']}` is a built-in command"
