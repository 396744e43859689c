"""Options of plugins as text: an example of a `[plugin.NAME]` table to paste, and rows for `config show`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from reactorhost.api.option import Option
from reactorhost.config.plugin_tables import FromEnvironment, FromFile, OptionText
from reactorhost.config.setting_rows import SettingRow
from reactorhost.config.settings import Layer, Origin, Settings

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_HIDDEN = "***"
_EMPTY: dict[type, object] = {bool: False, int: 0, float: 0.0, str: "", list: [], dict: {}}


def sample(name: str, options: Sequence[Option]) -> Iterator[str]:
    """Yield the lines: each option below its help, and commented out unless it is required."""
    yield f"[plugin.{_key(name)}]"
    for option in options:
        yield from (f"# {line}" for line in _about(option))
        mark = "" if option.required else "# "
        yield f"{mark}{_key(option.name)} = {_value(name, option)}"


def toml(value: object) -> str:
    """Return the value of an option as TOML."""
    if isinstance(value, str):
        # The escapes of JSON are valid in TOML, but JSON does not escape DEL, which TOML requires.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        pairs = ", ".join(f"{_key(key)} = {toml(each)}" for key, each in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
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


class OptionValue(NamedTuple):
    """An option that is set: its value as text, secret or not, and whether that is a reference to a value."""

    plugin: str
    option: str
    value: str
    is_reference: bool
    origin: str

    @property
    def setting(self) -> str:
        """Return the name of its row."""
        return f"plugin.{self.plugin}.{self.option}"


def values(settings: Settings) -> Iterator[OptionValue]:
    """Yield every key of every table that is set."""
    for plugin, table in settings.plugin_tables.items():
        for key, value in table.items():
            is_reference = isinstance(value, FromEnvironment | FromFile)
            text = str(value) if is_reference else _written(value.text if isinstance(value, OptionText) else value)
            yield OptionValue(plugin, key, text, is_reference, str(settings.origins[f"plugin.{plugin}.{key}"]))


def rows(found: Iterable[OptionValue], declared: Mapping[str, Sequence[Option]]) -> Iterator[SettingRow]:
    """Yield every key that is set, without secrets, then every option that has its default value.

    `declared` maps names of tables to the declared options. A value is shown only if its plugin declares the option,
    and not as secret; so nothing is shown of a plugin that cannot be loaded.
    """
    tables: dict[str, dict[str, OptionValue]] = {}
    for each in found:
        tables.setdefault(each.plugin, {})[each.option] = each
    for name in dict.fromkeys([*tables, *declared]):
        table = tables.get(name, {})
        options = {option.name: option for option in declared.get(name, ())}
        for each in table.values():
            yield SettingRow(each.setting, _shown(each, options.get(each.option)), each.origin)
        for option in options.values():
            if option.name not in table and not option.required:
                yield SettingRow(f"plugin.{name}.{option.name}", _default(option), str(Origin(Layer.DEFAULT)))


def _shown(value: OptionValue, option: Option | None) -> str:
    refers = value.is_reference and (option is None or option.type is not dict)
    return value.value if refers or (option is not None and not option.secret) else _HIDDEN


def _default(option: Option) -> str:
    if option.default is None:
        return "-"
    return _HIDDEN if option.secret else _written(option.default)


def _written(value: object) -> str:
    """Return a TOML value as text; dates are unchanged, and control characters are escaped for the terminal."""
    if isinstance(value, str) and value.isprintable():
        return value
    return json.dumps(value, default=str, ensure_ascii=False)
