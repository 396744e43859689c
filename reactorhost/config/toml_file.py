"""A TOML file read whole, whose every key knows its line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reactorhost.config.settings import Origin, Source
from reactorhost.errors import ConfigError, Problem

_POSITION = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")

_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class TomlFile:
    """What a file says, and where."""

    path: Path
    data: Mapping[str, object]
    lines: Mapping[tuple[str, ...], int]

    def origin(self, *key: str) -> Origin:
        """Return the place of a key, or of the nearest table around it that has one."""
        for length in range(len(key), 0, -1):
            if line := self.lines.get(key[:length]):
                return Origin(Source.FILE, f"{self.path}:{line}")
        return Origin(Source.FILE, str(self.path))


def read(path: Path) -> TomlFile:
    """Read the file at `path`.

    Raises:
        ConfigError: it cannot be read, or is not TOML; with the line.
    """
    try:
        # One byte more than may be, of whatever it is: a device would never end.
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        what = f"the configuration file cannot be read: {error.strerror}"
        raise ConfigError([Problem(what, str(path))]) from None
    if len(content) > _MOST_BYTES:
        raise ConfigError([Problem("the configuration file is longer than 1 MiB", str(path))])
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _not_toml(path, line, "a TOML file is UTF-8 text, and this is not") from None
    return parse(text, path)


def parse(text: str, path: Path) -> TomlFile:
    """Take `text` as the content of the file at `path`.

    Raises:
        ConfigError: it is not TOML; with the line.
    """
    # Here, because most commands read no file.
    import tomllib

    from reactorhost.config.key_lines import key_lines

    try:
        return TomlFile(path, tomllib.loads(text), key_lines(text))
    except RecursionError:
        raise _not_toml(path, None, "arrays or tables are nested too deeply") from None
    # ValueError: tomllib lets through the one of int() for a number of more than 4,300 digits.
    except ValueError as error:
        line, column, message = _position(str(error), text)
        raise _not_toml(path, line, f"{message}{column}") from None


def _position(message: str, text: str) -> tuple[int | None, str, str]:
    """Take a message of tomllib apart: the line, the column as words, the message without them."""
    match = _POSITION.search(message)
    if not match:
        return None, "", message
    if match[1]:
        return int(match[1]), f" (column {match[2]})", message[: match.start()]
    return max(1, len(text.splitlines())), " (at the end of the file)", message[: match.start()]


def _not_toml(path: Path, line: int | None, message: str) -> ConfigError:
    where = f"{path}:{line}" if line else str(path)
    return ConfigError([Problem(f"the configuration is not valid TOML: {message}", where)])
