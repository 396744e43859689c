"""Settings as rows of text, for `config show`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

from reactorhost.config.settings import HOST_KEYS, TABLE, Settings


class Row(NamedTuple):
    """One setting, its value as it could be written, and where it came from."""

    setting: str
    value: str
    origin: str


def rows(settings: Settings) -> Iterator[Row]:
    """Yield every setting, then every service, then every key of the plugins' tables."""
    for setting in TABLE:
        if setting.name in HOST_KEYS:
            yield _row(settings, setting.name, setting.kind.show(getattr(settings, setting.name)))
    yield _row(settings, "config_file", str(settings.config_file or "-"))
    for service in settings.services:
        yield _row(settings, f"service.{service.name}.listen", ", ".join(map(str, service.listen)))
        yield _row(settings, f"service.{service.name}.plugins", ", ".join(service.plugins))
    for name, table in settings.plugin_tables.items():
        for key, value in table.items():
            yield _row(settings, f"plugin.{name}.{key}", _written(value))


def _row(settings: Settings, key: str, value: str) -> Row:
    return Row(key, value, str(settings.origins[key]))


def _written(value: object) -> str:
    """Return a value of TOML as text, with dates as they are."""
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
