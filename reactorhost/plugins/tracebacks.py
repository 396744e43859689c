"""Describe an exception of a plugin for its author: one line, its place, and the traceback without host frames."""

from __future__ import annotations

import os
import traceback
import types
from collections.abc import Iterable

import pluggy

from reactorhost.api.setup_error import SetupError

# From this file's own path and not from the package: importing `reactorhost` here would be an import upward.
_HOST_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_PLUGGY_FOLDER = os.path.dirname(os.path.abspath(pluggy.__file__)) + os.sep
_STANDARD_LIBRARY = os.path.dirname(os.path.abspath(os.__file__)) + os.sep


def headline(error: BaseException) -> str:
    """Return the exception in one line, for example `KeyError: 'port'`."""
    if isinstance(error, SetupError):
        return " ".join(str(error).split())
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    line = (
        next(traceback.TracebackException.from_exception(error).format_exception_only())
        .splitlines()[0]
        .removesuffix(": ")
    )
    # The class of the host's own exceptions (`NotAnExceptionError`) means nothing to the plugin's author.
    return line.partition(": ")[2] if type(error).__module__.startswith("reactorhost.plugins.") else line


def words(error: BaseException) -> str:
    """Return the class name and the whole text of an exception, even if its `__str__` raises."""
    name = _name_of(type(error))
    try:
        return f"{name}: {error}"
    except BaseException:  # noqa: BLE001 - plugin code, and called outside of every guard
        return f"{name}: <its __str__ raised>"


def _name_of(kind: type[BaseException]) -> str:
    # With its module, as a traceback has it: `struct.error` and `zlib.error` are both called `error`.
    module = f"{kind.__module__}"
    return kind.__name__ if module.partition(".")[0] in {"builtins", "reactorhost"} else f"{module}.{kind.__qualname__}"


def evidence(error: BaseException, home: str | None) -> dict[str, str | None]:
    """Return the hint of a `SetupError`, and `where` and `details` of an error in the plugin's code."""
    if isinstance(error, SetupError):
        return {"hint": error.hint}
    return {"where": place(error, home), "details": text(error)}


def text(error: BaseException) -> str:
    """Return the traceback without the frames of the host and of the import system that lead to the plugin."""
    summary = traceback.TracebackException.from_exception(error)
    summary.stack = traceback.StackSummary.from_list(
        frame for frame in summary.stack if not leads_to_plugins(frame.filename)
    )
    return "".join(summary.format())


def place(error: BaseException, home: str | None) -> str | None:
    """Return `FILE:LINE` of the innermost line in the plugin's `home`, or if there is none of the innermost line."""
    if isinstance(error, SyntaxError) and error.filename and not error.filename.startswith("<"):
        return f"{error.filename}:{error.lineno or 1}"
    return place_of_frames(reversed(list(traceback.walk_tb(error.__traceback__))), home)


def place_of_frames(
    frames: Iterable[tuple[types.FrameType, int]], home: str | None, *, with_callees: bool = False
) -> str | None:
    """Return `FILE:LINE` of the first of `frames` in the plugin's `home`, or if there is none of the first one.

    `frames` are frames and lines, the innermost first; those of the host are left out. With `with_callees` the code
    that the plugin calls counts as well, unless it is of a library: a plugin may serve the application of an operator.
    """
    files = ((frame.f_code.co_filename, line) for frame, line in frames)
    places = [place for place in files if not leads_to_plugins(place[0]) and not place[0].startswith("<frozen ")]
    if not places:
        return None
    at_home = (number for number, (file, _) in enumerate(places) if home is not None and lies_in(home, file))
    first = next(at_home, None)
    callees = places[:first] if with_callees and first is not None else []
    file, line = next((place for place in callees if not _is_of_library(place[0])), places[first or 0])
    return f"{file}:{line}"


def _is_of_library(file: str) -> bool:
    return file.startswith((_STANDARD_LIBRARY, "<")) or "/site-packages/" in file or "/dist-packages/" in file


def lies_in(home: str, file: str) -> bool:
    """Return whether a file is `home`, or is below it."""
    return file == home or file.startswith(home + os.sep)


def leads_to_plugins(file: str) -> bool:
    """Return whether a file is part of the host, of pluggy or of the import system, whose frames call plugins."""
    return file.startswith(("<frozen importlib", _HOST_FOLDER, _PLUGGY_FOLDER)) or file.endswith(
        "/importlib/__init__.py"
    )
