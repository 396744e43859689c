"""Turn an exception out of a plugin's code into the words and the place that its author needs."""

from __future__ import annotations

import os
import traceback

import pluggy

import reactorhost

_HOST_FOLDERS = tuple(
    os.path.dirname(os.path.abspath(file)) + os.sep for file in (reactorhost.__file__, pluggy.__file__)
)


def headline(error: BaseException) -> str:
    """Return the exception in one line, as `KeyError: 'port'`."""
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    line = next(_summary(error).format_exception_only()).splitlines()[0].removesuffix(": ")
    # The host's own name for what the plugin did says nothing to anybody.
    return line.partition(": ")[2] if type(error).__module__.startswith("reactorhost.plugins.") else line


def words(error: BaseException) -> str:
    """Return the name and the whole text of an exception, also of one whose `__str__` raises."""
    name = type(error).__name__
    try:
        return f"{name}: {error}"
    except BaseException:  # noqa: BLE001  it is a plugin's, and this is called outside of every guard
        return f"{name}: <its __str__ raised>"


def text(error: BaseException) -> str:
    """Return the traceback without the frames of the host and of the import system that lead to the plugin."""
    summary = _summary(error)
    summary.stack = traceback.StackSummary.from_list(
        frame for frame in summary.stack if not leads_to_plugins(frame.filename)
    )
    return "".join(summary.format())


def place(error: BaseException, home: str | None) -> str | None:
    """Return `FILE:LINE` of the innermost line that lies in the plugin's `home`, else of the innermost line at all."""
    if isinstance(error, SyntaxError) and error.filename and not error.filename.startswith("<"):
        return f"{error.filename}:{error.lineno or 1}"
    innermost = innermost_at_home = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        if leads_to_plugins(file) or file.startswith("<frozen "):
            continue
        innermost = f"{file}:{line}"
        if home is not None and lies_in(home, file):
            innermost_at_home = innermost
    return innermost_at_home or innermost


def lies_in(home: str, file: str) -> bool:
    """Tell whether a file is `home`, or lies below it."""
    return file == home or file.startswith(home + os.sep)


def leads_to_plugins(file: str) -> bool:
    """Tell whether a file is the host's, or of what imports plugins for it."""
    return file.startswith(("<frozen importlib", *_HOST_FOLDERS)) or file.endswith("/importlib/__init__.py")


def _summary(error: BaseException) -> traceback.TracebackException:
    return traceback.TracebackException.from_exception(error)
