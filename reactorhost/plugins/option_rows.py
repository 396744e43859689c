"""Return the options of plugins as rows of text, for `config show`, without secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from reactorhost.api.option import Option
from reactorhost.config.plugin_tables import FromEnvironment, FromFile, OptionText
from reactorhost.config.setting_rows import SettingRow
from reactorhost.config.settings import Layer, Origin, Settings

_HIDDEN = "***"


def rows(settings: Settings, declared: Mapping[str, Sequence[Option]]) -> Iterator[SettingRow]:
    """Yield every key that is set, then every option that has its default value.

    `declared` maps names of tables to the declared options. A value is shown only if its plugin declares the option,
    and not as secret; so nothing is shown of a plugin that cannot be loaded.
    """
    for name in dict.fromkeys([*settings.plugin_tables, *declared]):
        table = settings.plugin_tables.get(name, {})
        options = {option.name: option for option in declared.get(name, ())}
        for key, value in table.items():
            place = f"plugin.{name}.{key}"
            yield SettingRow(place, _shown(value, options.get(key)), str(settings.origins[place]))
        for option in options.values():
            if option.name not in table and not option.required:
                yield SettingRow(f"plugin.{name}.{option.name}", _default(option), str(Origin(Layer.DEFAULT)))


def _shown(value: object, option: Option | None) -> str:
    if isinstance(value, FromEnvironment | FromFile):
        return str(value)
    if option is None or option.secret:
        return _HIDDEN
    return _written(value.text if isinstance(value, OptionText) else value)


def _default(option: Option) -> str:
    if option.default is None:
        return "-"
    return _HIDDEN if option.secret else _written(option.default)


def _written(value: object) -> str:
    """Return a TOML value as text; dates are unchanged, and control characters are escaped for the terminal."""
    if isinstance(value, str) and value.isprintable():
        return value
    return json.dumps(value, default=str, ensure_ascii=False)
