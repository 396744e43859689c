"""The kinds of value that a setting may have: what each accepts, and how it is shown.

A kind checks a TOML value (`read`). Text from a flag or the environment is first converted to the TOML value that it
stands for (`from_text`), so the same rules apply to all layers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reactorhost import address
from reactorhost.config.plugin_names import names_a_file
from reactorhost.errors import UsageError, did_you_mean

_WHOLE = re.compile(r"[+-]?[0-9]{1,30}")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+) ?(ms|s|m|h)?")
_SIZE = re.compile(r"([0-9]{1,30}) ?(B|KiB|MiB|GiB)?")
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_SWITCH = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


class InvalidValueError(ValueError):
    """The value of a setting or option is invalid; the text continues a sentence that begins with its name."""

    def __init__(self, text: str, hint: str | None = None) -> None:
        super().__init__(text)
        self.hint = hint


def _unchanged(text: str) -> object:
    return text


@dataclass(frozen=True, slots=True)
class ValueKind:
    """A kind of value: its name in `--help`, how it is read, and how it is shown."""

    metavar: str
    read: Callable[[object], object]
    """Check a value and return it in its final type. Raises InvalidValueError."""
    from_text: Callable[[str], object] = _unchanged
    show: Callable[[object], str] = str
    choices: tuple[str, ...] = ()
    switch: bool = False


def whole(low: int, high: int) -> ValueKind:
    """Return the kind of whole numbers from `low` to `high`."""

    def read(value: object) -> object:
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        raise InvalidValueError(f"must be a whole number from {low} to {high}, not {written(value)}")

    return ValueKind("N", read, _number_from_text)


def worker_count(high: int) -> ValueKind:
    """Return the kind of `"auto"` or a whole number from 1 to `high`."""

    def read(value: object) -> object:
        if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= high):
            return value
        raise InvalidValueError(f"must be a whole number from 1 to {high} or 'auto', not {written(value)}")

    return ValueKind("N|auto", read, _number_from_text)


def duration(low: float, high: float, *, zero_is_none: bool = False) -> ValueKind:
    """Return the kind of durations from `low` to `high` seconds; the value is float seconds."""

    def read(value: object) -> object:
        seconds = _seconds(value)
        if not low <= seconds <= high:
            raise InvalidValueError(f"must be from {show_duration(low)} to {show_duration(high)}, not {written(value)}")
        return None if zero_is_none and seconds == 0 else seconds

    return ValueKind("DURATION", read, show=show_duration)


def size(low: int, high: int) -> ValueKind:
    """Return the kind of sizes from `low` to `high` bytes."""

    def read(value: object) -> object:
        count = _byte_count(value)
        if not low <= count <= high:
            raise InvalidValueError(f"must be from {show_size(low)} to {show_size(high)}, not {written(value)}")
        return count

    return ValueKind("SIZE", read, _number_from_text, show_size)


def choice(*words: str) -> ValueKind:
    """Return the kind of one of `words`, case-insensitive."""

    def read(value: object) -> object:
        if isinstance(value, str) and value.lower() in words:
            return value.lower()
        hint = did_you_mean(value.lower(), words) if isinstance(value, str) else None
        raise InvalidValueError(f"must be one of {', '.join(words)}, not {written(value)}", hint)

    return ValueKind("|".join(words), read, choices=words)


def _read_switch(value: object) -> object:
    if isinstance(value, bool):
        return value
    raise InvalidValueError(f"must be true or false, not {written(value)}")


def _read_name(value: object) -> object:
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    hint = "use 1 to 64 of the characters A-Z a-z 0-9 . _ - and no dot at the start"
    raise InvalidValueError(f"must be a name of letters, digits, . _ and -, not {written(value)}", hint)


def _read_path(value: object) -> object:
    text = plain_text(value, "a path")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise InvalidValueError(f"must be a path, but the home directory in {text!r} is unknown") from None


def _read_log_path(value: object) -> object:
    return None if value == "-" else _read_path(value)


def _read_account(value: object) -> object:
    if value == "-":
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**32 - 1:
        return str(value)
    return plain_text(value, "a name or a number")


def _read_address(value: object) -> object:
    try:
        return address.parse(plain_text(value, "an address"))
    except UsageError as error:
        raise InvalidValueError(error.what, error.hint) from None


def _read_plugin(value: object) -> object:
    text = plain_text(value, "a plugin's name")
    if text != text.strip():
        raise InvalidValueError(f"must be a plugin's name, not {text!r} with spaces around it")
    # As a Path, so that `read_value` resolves it against the folder that it is relative to.
    return _read_path(text) if names_a_file(text) else text


def _switch_from_text(text: str) -> object:
    return _SWITCH.get(text.strip().lower(), text)


def _number_from_text(text: str) -> object:
    return int(text) if _WHOLE.fullmatch(text.strip()) else text.strip()


SWITCH = ValueKind("BOOLEAN", _read_switch, _switch_from_text, lambda value: "true" if value else "false", switch=True)
NAME = ValueKind("NAME", _read_name)
PATH = ValueKind("PATH", _read_path)
LOG_PATH = ValueKind("PATH", _read_log_path, show=lambda value: "-" if value is None else str(value))
ACCOUNT = ValueKind("NAME", _read_account, show=lambda value: "-" if value is None else str(value))
ADDRESS = ValueKind("URI", _read_address)
PLUGIN = ValueKind("NAME", _read_plugin)
OPTION_TEXT = ValueKind("NAME.KEY=VALUE", str)


def _seconds(value: object) -> float:
    if isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        return float(match[1]) * _SECONDS[match[2] or "s"]
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    hint = "write a number of seconds, or a unit: 500ms, 30s, 2m, 1h"
    raise InvalidValueError(f"must be a duration, not {written(value)}", hint)


def _byte_count(value: object) -> int:
    if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())):
        return int(match[1]) * _BYTES[match[2] or "B"]
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    hint = "write a number of bytes, or a unit: 64KiB, 16MiB, 1GiB"
    raise InvalidValueError(f"must be a size in B, KiB, MiB or GiB, not {written(value)}", hint)


def plain_text(value: object, kind: str) -> str:
    """Return `value` if it is text, not blank, and without control characters.

    Raises:
        InvalidValueError: it is not; the text says that it must be `kind`.
    """
    if isinstance(value, str) and value.strip() and not any(ord(character) < 32 for character in value):
        return value
    raise InvalidValueError(f"must be {kind}, not {written(value)}")


def written(value: object) -> str:
    """Return `value` as short text for a message, in TOML notation if that is short."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, dict):
        return "a table"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def show_duration(seconds: object) -> str:
    """Return seconds (None: 0) in the notation of a duration."""
    if not isinstance(seconds, int | float) or seconds == 0:
        return "0s"
    for unit, length in (("h", 3600), ("m", 60)):
        if seconds % length == 0:
            return f"{int(seconds // length)}{unit}"
    number, unit = (seconds * 1000, "ms") if seconds < 1 else (seconds, "s")
    return f"{number:.6f}".rstrip("0").rstrip(".") + unit


def show_size(count: object) -> str:
    """Return a number of bytes in the largest unit that divides it."""
    if not isinstance(count, int) or count == 0:
        return "0B"
    unit = next(unit for unit in ("GiB", "MiB", "KiB", "B") if count % _BYTES[unit] == 0)
    return f"{count // _BYTES[unit]}{unit}"
