"""Read the tables `[plugin.NAME]`, whose values are checked later, against the options that the plugin declares."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from reactorhost.config import file_tables
from reactorhost.config.option_sources import FromEnvironment, OptionText, from_table
from reactorhost.config.plugin_names import name_of
from reactorhost.config.problems import Problems
from reactorhost.config.settings import Origin
from reactorhost.config.toml_file import TomlFile
from reactorhost.config.values import InvalidValueError
from reactorhost.errors import did_you_mean

PluginTables = Mapping[str, Mapping[str, object]]


def from_file(file: TomlFile, named: Iterable[str], problems: Problems) -> PluginTables:
    """Return the tables; report each that is for none of the `named` plugins."""
    tables = file_tables.named_tables(file, "plugin", problems)
    known = {name_of(plugin) for plugin in named}
    for name in (name for name in tables if name not in known):
        what = f"[plugin.{name}] is for a plugin that no service uses"
        report_unnamed(what, name, known, file.origin("plugin", name), problems)
    return {
        name: {key: _value(file, name, key, value, problems) for key, value in table.items()}
        for name, table in tables.items()
    }


def report_unnamed(what: str, name: str, known: Collection[str], origin: Origin, problems: Problems) -> None:
    """Report a table or value for a plugin that no service uses, with the most similar name as the hint."""
    hint = did_you_mean(name, known) or f"the services use: {', '.join(sorted(known)) or 'no plugin'}"
    problems.add(what, origin, hint)


def with_texts(tables: PluginTables, texts: Mapping[str, Mapping[str, OptionText]]) -> PluginTables:
    """Return the tables with the values of flags and environment in place of those of the file."""
    names = [*tables, *(name for name in texts if name not in tables)]
    return {name: {**tables.get(name, {}), **texts.get(name, {})} for name in names}


def origins(file: TomlFile | None, tables: PluginTables) -> dict[str, Origin]:
    """Return the origin of each table and each of its keys."""
    found = {f"plugin.{name}": file.origin("plugin", name) for name in tables} if file else {}
    for name, table in tables.items():
        for key, value in table.items():
            if isinstance(value, OptionText):
                found[f"plugin.{name}.{key}"] = value.origin
            elif file is not None:
                found[f"plugin.{name}.{key}"] = file.origin("plugin", name, key)
    return found


def variables(tables: PluginTables) -> set[str]:
    """Return the environment variables that values refer to."""
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
