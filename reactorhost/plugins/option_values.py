"""Turn what an operator gave for one option into a value of the option's type.

What comes from the environment, from a file, or for an option that is secret, stands in no error.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping

from reactorhost.api.option import Option
from reactorhost.config.plugin_values import FromEnvironment, FromFile, Text
from reactorhost.config.values import SWITCH
from reactorhost.errors import did_you_mean

_MOST_BYTES = 64 << 10
_MOST_SHOWN = 200
_WHOLE = re.compile(r"[+-]?[0-9]+(?:_[0-9]+)*")


class WrongValueError(ValueError):
    """A value that an option does not take; its text follows the option's name in a sentence."""

    def __init__(self, text: str, hint: str | None = None) -> None:
        super().__init__(text)
        self.hint = hint


def read(option: Option, given: object) -> object:
    """Return the value of an option.

    Raises:
        WrongValueError: it is not there, or is not what the option takes.
    """
    shown = None
    match given:
        case Text(text):
            value, shown = _from_text(option, text), text
        case FromEnvironment(variable):
            value = _from_text(option, _of_environment(variable))
        case FromFile(path):
            value = _from_text(option, _of_file(str(path)))
        case _:
            value = given
    if option.accepts(value):
        return _own(option, value)
    raise _wrong(option, given, given if shown is None else shown)


def default(option: Option) -> object:
    """Return the default of an option, for a plugin to keep."""
    return _own(option, option.default)


def _own(option: Option, value: object) -> object:
    # A list is copied: the declared default, or the configuration, must not change when the plugin changes its own.
    if isinstance(value, list):
        return list(value)
    return float(value) if option.type is float and isinstance(value, int) else value


def _wrong(option: Option, given: object, shown: object) -> WrongValueError:
    hint = option.help or None
    match given:
        case FromEnvironment(variable):
            return WrongValueError(f"from the variable {variable} is not {option.kind}", hint)
        case FromFile(path):
            return WrongValueError(f"from the file {path} is not {option.kind}", hint)
    if option.secret:
        return WrongValueError(f"is not {option.kind}", hint)
    near = did_you_mean(shown, map(str, option.choices)) if isinstance(shown, str) else None
    written = repr(shown)
    written = written if len(written) <= _MOST_SHOWN else f"{written[:_MOST_SHOWN]}..."
    return WrongValueError(f"is {written}, which is not {option.kind}", near or hint)


def _from_text(option: Option, text: str) -> object:
    """Return the text as a value of the option's type, or as it is when it is none."""
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
        hint = f"set {variable} where the host is started"
        raise WrongValueError(f"is to come from the variable {variable}, which is {state}", hint)
    return text


def _of_file(path: str) -> str:
    """Return what a file holds, without the end of its last line."""
    try:
        content = _content(path)
    except OSError as error:
        raise _file_error(path, f"cannot be read: {error.strerror}") from None
    if len(content) > _MOST_BYTES:
        raise _file_error(path, "is longer than 64 KiB")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        # Without the cause, which holds the content.
        raise _file_error(path, "is not UTF-8 text") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise _file_error(path, "is empty")
    return text


def _content(path: str) -> bytes:
    # A pipe with nobody at its other end would keep the worker from booting.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _file_error(path, "is not a regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(_MOST_BYTES + 1)
    finally:
        os.close(descriptor)


def _file_error(path: str, state: str) -> WrongValueError:
    return WrongValueError(f"is to come from the file {path}, which {state}")
