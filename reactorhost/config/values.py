"""The kinds of value that a setting may have: what each accepts, and how it is shown.

A kind checks a TOML value (`read`). Text from a flag or the environment is first converted to the TOML value that it
stands for (`from_text`), so the same rules apply to all layers.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeGuard

from reactorhost import address
from reactorhost.config.plugin_names import names_a_file
from reactorhost.errors import UsageError, did_you_mean

# At most 30 digits: int() raises a ValueError for more than 4,300, and no limit below needs more.
_WHOLE = re.compile(r"[+-]?[0-9]{1,30}")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+) ?(ms|s|m|h)?")
_SIZE = re.compile(r"([0-9]{1,30}) ?(B|KiB|MiB|GiB)?")
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_MODE = re.compile(r"0?[0-7]{3}")
_OWNER = re.compile(r"[^:\s]+(:[^:\s]+)?|:[^:\s]+")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://\S+")
_PASSWORD = re.compile(r"(://[^/?#]*?:)[^/?#]*@")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_SWITCH = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


class InvalidValueError(ValueError):
    """The value of a setting or option is invalid; the text continues a sentence that begins with its name."""

    def __init__(self, text: str, hint: str | None = None) -> None:
        super().__init__(text)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class ValueKind:
    """A kind of value: its name in `--help`, how it is read, and how it is shown."""

    metavar: str
    read: Callable[[object], object]
    """Check a value and return it in its final type. Raises InvalidValueError."""
    from_text: Callable[[str], object] = str
    show: Callable[[object], str] = str
    choices: tuple[str, ...] = ()
    switch: bool = False


def whole(low: int, high: int, word: str | None = None) -> ValueKind:
    """Return the kind of whole numbers from `low` to `high`, or else `word`."""

    def read(value: object) -> object:
        if (_is_whole(value) and low <= value <= high) or (word is not None and value == word):
            return value
        others = f" or {word!r}" if word else ""
        raise InvalidValueError(f"must be a whole number from {low} to {high}{others}, not {written(value)}")

    return ValueKind(f"N|{word}" if word else "N", read, _number_from_text)


def _is_whole(value: object) -> TypeGuard[int]:
    # True and False are numbers in Python, but not in TOML.
    return isinstance(value, int) and not isinstance(value, bool)


def duration(low: float, high: float, *, zero_is_none: bool = False) -> ValueKind:
    """Return the kind of durations from `low` to `high` seconds; the value is float seconds."""
    kind = ValueKind("DURATION", _within(_seconds, low, high, show_duration), show=show_duration)
    return replace(kind, read=lambda value: kind.read(value) or None) if zero_is_none else kind


def size(low: int, high: int) -> ValueKind:
    """Return the kind of sizes from `low` to `high` bytes."""
    return ValueKind("SIZE", _within(_byte_count, low, high, show_size), _number_from_text, show_size)


def _within(
    convert: Callable[[object], float], low: float, high: float, show: Callable[[object], str]
) -> Callable[[object], object]:
    def read(value: object) -> object:
        number = convert(value)
        if not low <= number <= high:
            raise InvalidValueError(f"must be from {show(low)} to {show(high)}, not {written(value)}")
        return number

    return read


def choice(*words: str) -> ValueKind:
    """Return the kind of one of `words`, case-insensitive."""

    def read(value: object) -> object:
        if isinstance(value, str) and value.lower() in words:
            return value.lower()
        hint = did_you_mean(value.lower(), words) if isinstance(value, str) else None
        allowed = f"one of {', '.join(words)}" if len(words) > 1 else words[0]
        raise InvalidValueError(f"must be {allowed}, not {written(value)}", hint)

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
    # The largest number is excluded: as (uid_t)-1 it means "unchanged" in setresuid(2) and chown(2).
    if _is_whole(value) and 0 <= value < 2**32 - 1:
        return str(value)
    return plain_text(value, "a name or a number")


def _read_address(value: object) -> address.Address:
    try:
        return address.parse(plain_text(value, "an address"))
    except UsageError as error:
        raise InvalidValueError(error.what, error.hint) from None


def _read_admin_address(value: object) -> object:
    found = _read_address(value)
    if found.scheme not in ("tcp", "unix"):
        raise InvalidValueError(f"must be a tcp:// or unix:// address, not {written(value)}")
    return found


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


def _seconds(value: object) -> float:
    if isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        return float(match[1]) * _SECONDS[match[2] or "s"]
    # TOML has nan and inf.
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    hint = "write a number of seconds, or a unit: 500ms, 30s, 2m, 1h"
    raise InvalidValueError(f"must be a duration, not {written(value)}", hint)


def _byte_count(value: object) -> int:
    if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())):
        return int(match[1]) * _BYTES[match[2] or "B"]
    if _is_whole(value):
        return value
    hint = "write a number of bytes, or a unit: 64KiB, 16MiB, 1GiB"
    raise InvalidValueError(f"must be a size in B, KiB, MiB or GiB, not {written(value)}", hint)


def plain_text(value: object, kind: str) -> str:
    """Return `value` if it is text, not blank, and without control characters.

    Raises:
        InvalidValueError: it is not; the text says that it must be `kind`.
    """
    # NUL ends a path in the kernel, and a line break would begin a new line in the log.
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


def _read_network(value: object, *, unix: bool = False) -> object:
    import ipaddress

    text = plain_text(value, "an IP address or a network")
    if unix and text == "unix":
        return text
    try:
        # Strict: 10.0.0.7/8 is more often a slip of the keyboard than a network.
        return str(ipaddress.ip_network(text))
    except ValueError:
        hint = f"write 10.0.0.7, 10.0.0.0/8, ::1{', or unix for all clients of a unix socket' if unix else ''}"
        with contextlib.suppress(ValueError):
            hint = f"for the network write {ipaddress.ip_network(text, strict=False)}"
        raise InvalidValueError(f"must be an IP address or a network, not {written(value)}", hint) from None


def _read_mode(value: object) -> object:
    if isinstance(value, str) and _MODE.fullmatch(value):
        return int(value, 8)
    # Only as a string: the TOML integer 660 is decimal, and meant octal.
    hint = 'write three octal digits as a string: "0660"'
    raise InvalidValueError(f"must be a file mode, not {written(value)}", hint)


def _read_owner(value: object) -> object:
    if value == "-":
        return None
    if isinstance(value, str) and _OWNER.fullmatch(value):
        return value
    raise InvalidValueError(f"must be an owner, not {written(value)}", 'write "USER", "USER:GROUP" or ":GROUP"')


def _read_protocol(value: object) -> object:
    # RFC 7301: the length of a protocol name is one byte, and not zero.
    if isinstance(value, str) and value.isascii() and value.isprintable() and 1 <= len(value) <= 255:
        return value
    raise InvalidValueError(f"must be a protocol's name, not {written(value)}", 'for example "h2" or "mqtt"')


def _read_url(value: object) -> object:
    if value == "-":
        return None
    text = plain_text(value, "a URL")
    if not _URL.fullmatch(text):
        # Without the text, which may contain a password.
        raise InvalidValueError("must be a URL with a scheme and a host", 'for example "redis://127.0.0.1:6379"')
    return text


def _show_url(value: object) -> str:
    return _or_dash(value and _PASSWORD.sub(r"\1***@", str(value)))


def _show_mode(value: object) -> str:
    return f"{value:04o}" if isinstance(value, int) else "-"


def _or_dash(value: object) -> str:
    return "-" if value is None else str(value)


SWITCH = ValueKind("BOOLEAN", _read_switch, _switch_from_text, lambda value: "true" if value else "false", switch=True)
NAME = ValueKind("NAME", _read_name)
PATH = ValueKind("PATH", _read_path, show=_or_dash)
LOG_PATH = ValueKind("PATH", _read_log_path, show=_or_dash)
ACCOUNT = ValueKind("NAME", _read_account, show=_or_dash)
ADDRESS = ValueKind("URI", _read_address)
ADMIN_ADDRESS = ValueKind("URI", _read_admin_address, show=_or_dash)
PLUGIN = ValueKind("NAME", _read_plugin)
OPTION_TEXT = ValueKind("NAME.KEY=VALUE", str)
NETWORK = ValueKind("NETWORK", _read_network)
PROXY_NETWORK = ValueKind("NETWORK", partial(_read_network, unix=True))
MODE = ValueKind("MODE", _read_mode, show=_show_mode)
OWNER = ValueKind("USER:GROUP", _read_owner, show=_or_dash)
PROTOCOL = ValueKind("NAME", _read_protocol)
MEMORY = replace(size(1 << 20, 1 << 44), show=lambda value: "-" if value is None else show_size(value))
COUNT = replace(whole(1, 2**31 - 1), show=_or_dash)
URL = ValueKind("URL", _read_url, show=_show_url)
