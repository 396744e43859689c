"""Write a plugin's `[plugin.NAME]` table as it could be pasted into a configuration."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from reactorhost.api.option import Option

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_EMPTY: dict[type, object] = {bool: False, int: 0, float: 0.0, str: "", list: []}


def sample(name: str, options: Sequence[Option]) -> Iterator[str]:
    """Yield the lines: each option with its help above it, and commented out unless it has to be given."""
    yield f"[plugin.{_key(name)}]"
    for option in options:
        yield from (f"# {line}" for line in _about(option))
        mark = "" if option.required else "# "
        yield f"{mark}{_key(option.name)} = {_value(name, option)}"


def toml(value: object) -> str:
    """Return a value of an option as TOML."""
    if isinstance(value, str):
        # JSON has the same escapes, but lets one character through that TOML does not.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return repr(value)


def _about(option: Option) -> Iterator[str]:
    text = "".join(character if character.isprintable() else " " for character in option.help)
    if text.strip():
        yield " ".join(text.split())
    if option.choices:
        yield f"{'some' if option.type is list else 'one'} of {', '.join(map(toml, option.choices))}"


def _value(name: str, option: Option) -> str:
    if option.secret:
        words = re.findall(r"[A-Za-z0-9]+", f"{name} {option.name}")
        return f'{{ env = "{"_".join(words).upper() or "SECRET"}" }}'
    if not option.required and option.default is not None:
        return toml(option.default)
    if option.choices:
        return toml([] if option.type is list else option.choices[0])
    return toml(_EMPTY[option.type])


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else toml(name)
