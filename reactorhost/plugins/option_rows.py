"""The options of plugins as rows of text, for `config show`, without what is secret."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from reactorhost.api.option import Option
from reactorhost.config.plugin_values import FromEnvironment, FromFile, Text
from reactorhost.config.settings import Origin, Settings, Source
from reactorhost.config.show import Row

_HIDDEN = "***"


def rows(settings: Settings, declared: Mapping[str, Sequence[Option]]) -> Iterator[Row]:
    """Yield every key that was written, then every option that keeps its default.

    `declared` holds the options by the name of the table. A value is shown only when its plugin declares it and does
    not call it secret: a plugin that cannot be loaded says neither.
    """
    for name in dict.fromkeys([*settings.plugin_tables, *declared]):
        table = settings.plugin_tables.get(name, {})
        options = {option.name: option for option in declared.get(name, ())}
        for key, value in table.items():
            place = f"plugin.{name}.{key}"
            yield Row(place, _shown(value, options.get(key)), str(settings.origins[place]))
        for option in options.values():
            if option.name not in table and not option.required:
                yield Row(f"plugin.{name}.{option.name}", _default(option), str(Origin(Source.DEFAULT)))


def _shown(value: object, option: Option | None) -> str:
    if isinstance(value, FromEnvironment | FromFile):
        return str(value)
    if option is None or option.secret:
        return _HIDDEN
    return _written(value.text if isinstance(value, Text) else value)


def _default(option: Option) -> str:
    if option.default is None:
        return "-"
    return _HIDDEN if option.secret else _written(option.default)


def _written(value: object) -> str:
    """Return a value of TOML as text, with dates as they are, and what would move a terminal escaped."""
    if isinstance(value, str) and value.isprintable():
        return value
    return json.dumps(value, default=str, ensure_ascii=False)
