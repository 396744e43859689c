"""Convert the configured value of an option to the option's type.

No error contains a value that comes from the environment or a file, or the value of a secret option.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping

from reactorhost.api.option import Option
from reactorhost.config.plugin_tables import FromEnvironment, FromFile, OptionText
from reactorhost.config.values import SWITCH, InvalidValueError
from reactorhost.errors import did_you_mean

_MAX_BYTES = 64 << 10
_MAX_SHOWN = 200
_WHOLE = re.compile(r"[+-]?[0-9]+(?:_[0-9]+)*")


def read(option: Option, given: object) -> object:
    """Return the value of an option.

    Raises:
        InvalidValueError: the variable or file has no value, or the value is not of the option's type.
    """
    shown = None
    match given:
        case OptionText(text):
            value, shown = _from_text(option, text), text
        case FromEnvironment(variable):
            value = _from_text(option, _of_environment(variable))
        case FromFile(path):
            value = _from_text(option, _of_file(str(path)))
        case _:
            value = given
    if option.accepts(value):
        return _copied(option, value)
    raise _invalid(option, given, given if shown is None else shown)


def default(option: Option) -> object:
    """Return the default of an option, as a copy if it is a list."""
    return _copied(option, option.default)


def _copied(option: Option, value: object) -> object:
    # A plugin may change a list that it gets; the declared default and the configuration must not change.
    if isinstance(value, list):
        return list(value)
    return float(value) if option.type is float and isinstance(value, int) else value


def _invalid(option: Option, given: object, shown: object) -> InvalidValueError:
    hint = option.help or None
    match given:
        case FromEnvironment(variable):
            return InvalidValueError(f"from the environment variable {variable} is not {option.kind}", hint)
        case FromFile(path):
            return InvalidValueError(f"from the file {path} is not {option.kind}", hint)
    if option.secret:
        return InvalidValueError(f"is not {option.kind}", hint)
    near = did_you_mean(shown, map(str, option.choices)) if isinstance(shown, str) else None
    written = repr(shown)
    written = written if len(written) <= _MAX_SHOWN else f"{written[:_MAX_SHOWN]}..."
    return InvalidValueError(f"is {written}, which is not {option.kind}", near or hint)


def _from_text(option: Option, text: str) -> object:
    """Return the text converted to the option's type, or unchanged if that is not possible."""
    try:
        return _READERS.get(option.type, str)(text)
    except ValueError:
        return text


def _whole(text: str) -> object:
    return int(text) if _WHOLE.fullmatch(text.strip()) else text


def _number(text: str) -> object:
    return float(text) if text.isascii() else text


def _items(text: str) -> object:
    return [item.strip() for item in text.split(",") if item.strip()]


_READERS: Mapping[type, Callable[[str], object]] = {
    bool: SWITCH.from_text,
    int: _whole,
    float: _number,
    list: _items,
}


def _of_environment(variable: str) -> str:
    text = os.environ.get(variable)
    if not text:
        state = "not set" if text is None else "empty"
        hint = f"set {variable} in the environment of the host"
        raise InvalidValueError(f"is read from the environment variable {variable}, which is {state}", hint)
    return text


def _of_file(path: str) -> str:
    """Return the content of a file without a line end at its end."""
    try:
        content = _content(path)
    except OSError as error:
        raise _file_error(path, f"cannot be read: {error.strerror}") from None
    if len(content) > _MAX_BYTES:
        raise _file_error(path, "is longer than 64 KiB")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        # Without the cause: it contains the content of the file.
        raise _file_error(path, "is not UTF-8 text") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise _file_error(path, "is empty")
    return text


def _content(path: str) -> bytes:
    # Non-blocking: opening a FIFO without a writer would block the boot of the worker.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _file_error(path, "is not a regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(_MAX_BYTES + 1)
    finally:
        os.close(descriptor)


def _file_error(path: str, state: str) -> InvalidValueError:
    return InvalidValueError(f"is read from the file {path}, which {state}")
