"""Find the application: import it, call its factory, and recognise how it is called."""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import sys
import types
from collections.abc import Callable
from typing import Any

from reactorhost import SetupError

Application = Callable[..., Any]

# By the number of arguments of a call: (scope, receive, send), (scope), (environ, start_response).
_INTERFACES = {3: "asgi3", 1: "asgi2", 2: "wsgi"}


class ApplicationError(SetupError):
    """The application cannot be found or called; the text says what to change."""

    def __init__(self, what: str, *, hint: str | None = None) -> None:
        super().__init__(what, option="app", hint=hint)


def imported(app: str, app_dir: str) -> Application:
    """Return the application that `package.module:name` names, or its factory.

    Raises:
        ApplicationError: there is no such module or name, or it cannot be called.
        Exception: raised by the application's own code.
    """
    folder = os.path.abspath(app_dir)
    # First, as `python folder/program.py` has it: the operator has named the folder.
    if folder not in sys.path:
        sys.path.insert(0, folder)
    importlib.invalidate_caches()
    module_name, _, path = app.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # A module that the application itself does not find is reported with the application's traceback.
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise ApplicationError(f"there is no module {error.name!r} in {folder} or installed; see app_dir") from None
    for name in path.split("."):
        if not hasattr(found, name):
            similar = difflib.get_close_matches(name, dir(found), 1)
            raise ApplicationError(
                f"there is no {name!r} in {_described(found)}, to which app = {app!r} leads",
                hint=f"did you mean {similar[0]!r}?" if similar else None,
            )
        found = getattr(found, name)
    if not callable(found):
        raise ApplicationError(f"app = {app!r} leads to {found!r}, which cannot be called")
    return found  # type: ignore[no-any-return]  # checked above


def _described(found: object) -> str:
    # A module's repr has its path twice: in its name and in that of the file.
    return f"the module {found.__name__}" if isinstance(found, types.ModuleType) else repr(found)


def made(factory: Application, app: str) -> Application:
    """Return the application that a factory makes.

    Raises:
        ApplicationError: it makes something else.
        Exception: raised by the application's own code.
    """
    made = factory()
    if not callable(made):
        raise ApplicationError(f"the factory {app!r} has returned {made!r}, which cannot be called")
    return made  # type: ignore[no-any-return]  # as above


def interface_of(application: Application) -> str:
    """Return `asgi3`, `asgi2` or `wsgi`, by the arguments that the application takes.

    Raises:
        ApplicationError: they fit none.
    """
    try:
        parameters = inspect.signature(application).parameters.values()
    except (TypeError, ValueError):
        parameters = {}.values()
    positional = [
        each
        for each in parameters
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD) and each.default is each.empty
    ]
    interface = _INTERFACES.get(len(positional))
    if interface is None:
        takes = "takes no arguments: set factory = true" if not positional else "is neither ASGI nor WSGI"
        hint = "set interface to asgi3, asgi2 or wsgi if it is one"
        raise ApplicationError(f"the application {application!r} {takes}; {hint}")
    return interface
