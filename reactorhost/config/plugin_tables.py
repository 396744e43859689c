"""The tables `[plugin.NAME]`: kept as they are, for the plugin itself to check."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePath

from reactorhost.config import file_tables
from reactorhost.config.plugin_values import FromEnvironment, Text, from_table
from reactorhost.config.problems import Problems
from reactorhost.config.settings import Origin
from reactorhost.config.toml_file import TomlFile
from reactorhost.config.values import InvalidValueError
from reactorhost.errors import did_you_mean

PluginTables = Mapping[str, Mapping[str, object]]


def in_file(file: TomlFile, named: Iterable[str], problems: Problems) -> PluginTables:
    """Return the tables, and note each that is for none of the `named` plugins."""
    tables = file_tables.named(file, "plugin", problems)
    known = {table_name(plugin) for plugin in named}
    for name in (name for name in tables if name not in known):
        what = f"[plugin.{name}] is for a plugin that no service names"
        note_unnamed(what, name, known, file.origin("plugin", name), problems)
    return {
        name: {key: _value(file, name, key, value, problems) for key, value in table.items()}
        for name, table in tables.items()
    }


def note_unnamed(what: str, name: str, known: Collection[str], origin: Origin, problems: Problems) -> None:
    """Note that something is for a plugin that no service names, and which one may be meant."""
    hint = did_you_mean(name, known) or f"services name: {', '.join(sorted(known)) or 'no plugin'}"
    problems.add(what, origin, hint)


def table_name(plugin: str) -> str:
    """Return the NAME of the table of the plugin that a service names: the stem of a file, else as it is named."""
    is_file = plugin.endswith(".py") and ("/" in plugin or ":" not in plugin)
    return PurePath(plugin).stem if is_file else plugin


def with_texts(tables: PluginTables, texts: Mapping[str, Mapping[str, Text]]) -> PluginTables:
    """Return the tables with what flags and environment say in place of what the file does."""
    names = [*tables, *(name for name in texts if name not in tables)]
    return {name: {**tables.get(name, {}), **texts.get(name, {})} for name in names}


def origins(file: TomlFile | None, tables: PluginTables) -> dict[str, Origin]:
    """Return where each table and each of its keys is written."""
    found = {f"plugin.{name}": file.origin("plugin", name) for name in tables} if file else {}
    for name, table in tables.items():
        for key, value in table.items():
            if isinstance(value, Text):
                found[f"plugin.{name}.{key}"] = value.origin
            elif file is not None:
                found[f"plugin.{name}.{key}"] = file.origin("plugin", name, key)
    return found


def variables(tables: PluginTables) -> set[str]:
    """Return the environment variables that values are to come from."""
    values = (value for table in tables.values() for value in table.values())
    return {value.variable for value in values if isinstance(value, FromEnvironment)}


def _value(file: TomlFile, name: str, key: str, value: object, problems: Problems) -> object:
    if not isinstance(value, dict):
        return value
    try:
        return from_table(value, file.path.parent)
    except InvalidValueError as error:
        problems.add(f"{key!r} of plugin {name} {error}", file.origin("plugin", name, key), error.hint)
        return value
