"""Check which tables and keys a configuration file has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reactorhost.config.problems import Problems
from reactorhost.config.settings import HOST_KEYS, SERVICE_KEYS
from reactorhost.config.toml_file import TomlFile
from reactorhost.config.values import written
from reactorhost.errors import did_you_mean

_TABLES = ("host", "plugin", "service")


def check(file: TomlFile, problems: Problems) -> None:
    """Report unknown tables, and unknown keys of `[host]`."""
    report_unknown(file, (), file.data, _TABLES, problems)
    host = file.data.get("host", {})
    if isinstance(host, dict):
        report_unknown(file, ("host",), host, HOST_KEYS, problems)
    else:
        problems.add(f"host must be a table, not {written(host)}", file.origin("host"), "write its keys under [host]")


def named_tables(file: TomlFile, kind: str, problems: Problems) -> dict[str, Mapping[str, object]]:
    """Return the tables `[KIND.NAME]` by name; report each value in their place that is not a table."""
    tables = file.data.get(kind, {})
    hint = f"write it under a header [{kind}.NAME]"
    if not isinstance(tables, dict):
        problems.add(f"{kind} must be a table of tables, not {written(tables)}", file.origin(kind), hint)
        return {}
    for name, table in tables.items():
        if not isinstance(table, dict):
            problems.add(f"{kind}.{name} must be a table, not {written(table)}", file.origin(kind, name), hint)
    return {name: table for name, table in tables.items() if isinstance(table, dict)}


def report_unknown(
    file: TomlFile, path: tuple[str, ...], keys: Iterable[str], known: Iterable[str], problems: Problems
) -> None:
    """Report each of `keys`, which are in the table at `path`, that is not one of `known`."""
    known = frozenset(known)
    for key in keys:
        if key not in known:
            what = f"unknown key {key!r} in [{'.'.join(path)}]" if path else f"unknown table or key {key!r}"
            problems.add(what, file.origin(*path, key), _hint(path, key, known))


def _hint(path: tuple[str, ...], key: str, known: frozenset[str]) -> str | None:
    """Return the table that a misplaced key belongs in, else the most similar known key."""
    if key in HOST_KEYS:
        return f"move {key} to [host]"
    if key in SERVICE_KEYS:
        return f"move {key} to [service.NAME]"
    return did_you_mean(key, known) or f"use one of: {', '.join(sorted(known))}"
