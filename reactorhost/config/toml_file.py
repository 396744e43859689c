"""Read a TOML file together with the line of each key, and check which tables and keys it has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from reactorhost.config.problems import Problems
from reactorhost.config.settings import HOST_TABLES, SERVICE_KEYS, Layer, Origin
from reactorhost.config.values import written
from reactorhost.errors import ConfigError, Problem, did_you_mean

# Read from the text of the message: tomllib's errors have `lineno` and `colno` only since Python 3.14.
_POSITION = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")

_MAX_BYTES = 1 << 20
_TABLES = (*HOST_TABLES, "plugin", "service")


@dataclass(frozen=True, slots=True)
class TomlFile:
    """The content of a file, and the line of each key and table."""

    path: Path
    data: Mapping[str, object]
    lines: Mapping[tuple[str, ...], int]

    def origin(self, *key: str) -> Origin:
        """Return the line of a key as its origin, or that of the nearest enclosing table that has a line."""
        for length in range(len(key), 0, -1):
            if line := self.lines.get(key[:length]):
                return Origin(Layer.FILE, f"{self.path}:{line}")
        return Origin(Layer.FILE, str(self.path))


def read(path: Path) -> TomlFile:
    """Read the file at `path`.

    Raises:
        ConfigError: it cannot be read, or is not TOML; with the line.
    """
    try:
        # One byte more than allowed, and not all of it: a device such as /dev/zero has no end.
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        what = f"cannot read the configuration file: {error.strerror}"
        raise ConfigError([Problem(what, str(path), "correct the path, or the permissions of the file")]) from None
    if len(content) > _MAX_BYTES:
        raise ConfigError([Problem("the configuration file is longer than 1 MiB", str(path))])
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _not_toml(path, line, "the file is not UTF-8 text") from None
    return parse(text, path)


def parse(text: str, path: Path) -> TomlFile:
    """Parse `text`, the content of the file at `path`.

    Raises:
        ConfigError: it is not TOML; with the line.
    """
    # Late imports: most commands read no configuration file.
    import tomllib

    from reactorhost.config.key_lines import key_lines

    try:
        return TomlFile(path, tomllib.loads(text), key_lines(text))
    except RecursionError:
        raise _not_toml(path, None, "arrays or tables are nested too deeply") from None
    # Not only TOMLDecodeError: tomllib does not catch the ValueError of int() for a number of more than 4,300 digits.
    except ValueError as error:
        line, column, message = _position(str(error), text)
        raise _not_toml(path, line, f"{message}{column}") from None


def _position(message: str, text: str) -> tuple[int | None, str, str]:
    """Split a message of tomllib into the line, the column as text, and the message without them."""
    match = _POSITION.search(message)
    if not match:
        return None, "", message
    if match[1]:
        return int(match[1]), f" (column {match[2]})", message[: match.start()]
    return max(1, len(text.splitlines())), " (at the end of the file)", message[: match.start()]


def _not_toml(path: Path, line: int | None, message: str) -> ConfigError:
    where = f"{path}:{line}" if line else str(path)
    return ConfigError([Problem(f"the configuration is not valid TOML: {message}", where)])


def check(file: TomlFile, problems: Problems) -> None:
    """Report unknown tables, and unknown keys of `[host]` and `[bus]`."""
    report_unknown(file, (), file.data, _TABLES, problems)
    for name, settings in HOST_TABLES.items():
        table = file.data.get(name, {})
        if isinstance(table, dict):
            report_unknown(file, (name,), table, settings, problems)
        else:
            what = f"{name} must be a table, not {written(table)}"
            problems.add(what, file.origin(name), f"write its keys under [{name}]")


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
    for table, settings in HOST_TABLES.items():
        if key in settings:
            return f"move {key} to [{table}]"
    if key in SERVICE_KEYS:
        return f"move {key} to [service.NAME]"
    return did_you_mean(key, known) or f"use one of: {', '.join(sorted(known))}"
