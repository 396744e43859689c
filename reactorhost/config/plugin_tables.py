"""The tables `[plugin.NAME]`: kept as they are, for the plugin itself to check."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePath

from reactorhost.config import file_tables
from reactorhost.config.problems import Problems
from reactorhost.config.settings import Origin
from reactorhost.config.toml_file import TomlFile
from reactorhost.errors import did_you_mean

PluginTables = Mapping[str, Mapping[str, object]]


def in_file(file: TomlFile, named: Iterable[str], problems: Problems) -> PluginTables:
    """Return the tables, and note each that is for none of the `named` plugins."""
    tables = file_tables.named(file, "plugin", problems)
    known = {table_name(plugin) for plugin in named}
    for name in (name for name in tables if name not in known):
        hint = did_you_mean(name, known) or f"services name: {', '.join(sorted(known)) or 'no plugin'}"
        problems.add(f"[plugin.{name}] is for a plugin that no service names", file.origin("plugin", name), hint)
    return tables


def table_name(plugin: str) -> str:
    """Return the NAME of the table of the plugin that a service names: the stem of a file, else as it is named."""
    return PurePath(plugin).stem if plugin.startswith("/") else plugin


def origins(file: TomlFile, tables: PluginTables) -> dict[str, Origin]:
    """Return where each table and each of its keys is written."""
    found = {f"plugin.{name}": file.origin("plugin", name) for name in tables}
    for name, table in tables.items():
        found |= {f"plugin.{name}.{key}": file.origin("plugin", name, key) for key in table}
    return found
