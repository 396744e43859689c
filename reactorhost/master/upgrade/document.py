"""The file that a master leaves for the next program: its state, and how to return to the program of before.

If the next program cannot continue, it executes the one of before with the same file, which has the failure then. Until
it can continue it closes no descriptor, and all of them stay inheritable.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import signal
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from reactorhost import __version__
from reactorhost.errors import BootError, ReactorhostError, error_from_fields
from reactorhost.ipc.typed_json import from_json, to_json
from reactorhost.master.upgrade.state import MasterState
from reactorhost.system.handover import Handover, Program, Purpose

SCHEMA = 1
"""Changed when a program cannot continue from the state of an earlier one, or not with its workers."""


@dataclass(frozen=True, slots=True)
class Document:
    """What the next program reads.

    Attributes:
        version: the version of the program that wrote it, and `python`, its interpreter's.
        program: the program that wrote it.
        requesters: the clients of the control socket that requested the upgrade, by their index in the state.
        has_metrics: its installation can serve metrics; assumed of an earlier version.
        failure: the fields of the error for which another program has returned to this one.
    """

    state: MasterState
    program: Program
    requesters: tuple[int, ...] = ()
    schema: int = SCHEMA
    version: str = __version__
    python: str = field(default_factory=platform.python_version)
    has_metrics: bool = True
    failure: dict[str, Any] | None = None


def write(content: dict[str, Any]) -> int:
    """Return the descriptor of a file in memory with this content.

    Raises:
        OSError: the system has no room for it.
    """
    descriptor = os.memfd_create("upgrade")
    with open(descriptor, "w", encoding="ascii", closefd=False) as file:
        json.dump(content, file, separators=(",", ":"))
    return descriptor


def read(descriptor: int) -> dict[str, Any]:
    """Return the content of a file that `write` made.

    Raises:
        ReactorhostError: it has no such content.
    """
    try:
        content = json.loads(os.pread(descriptor, os.fstat(descriptor).st_size, 0))
    except (OSError, ValueError) as error:
        raise ReactorhostError(f"the state of the host cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise ReactorhostError("the state of the host cannot be read: it is not a JSON object")
    return content


def decode(content: dict[str, Any]) -> Document:
    """Return the document of a content.

    Raises:
        ReactorhostError: this version cannot continue from it.
    """
    version = content.get("version")
    if content.get("schema") != SCHEMA:
        what = f"version {__version__} cannot continue a host of version {version}"
        raise ReactorhostError(what, hint="use `reactorhost restart` for this step")
    try:
        return from_json(Document, content)
    except ValueError as error:
        what = f"version {__version__} cannot read the state of version {version}: {error}"
        raise ReactorhostError(what, hint="use `reactorhost restart` for this step") from None


class Resumption:
    """A host that this program continues; `document` is read by `load`.

    Attributes:
        completed: this program runs the host now, and does not return to the one of before.
    """

    document: Document

    def __init__(self, descriptor: int) -> None:
        self.completed = False
        self._descriptor = descriptor

    def load(self) -> Document:
        """Read the document.

        Raises:
            ReactorhostError: this version cannot continue from it.
        """
        self.document = decode(read(self._descriptor))
        return self.document

    @contextlib.contextmanager
    def falling_back(self) -> Iterator[None]:
        """Execute the program of before when the code within fails before `complete` was called."""
        # BaseException: whatever ends this program before it supervises would end the host.
        try:
            yield
        except BaseException as error:
            # While it is handled, its traceback keeps the objects that own descriptors, so none was closed.
            if not self.completed:
                self._fall_back(error)
            raise

    def complete(self) -> None:
        """Run the host from now on: keep the descriptors from other programs, and let signals arrive."""
        for descriptor in self.document.state.descriptors():
            os.set_inheritable(descriptor, False)
        os.close(self._descriptor)
        self.completed = True
        signal.pthread_sigmask(signal.SIG_SETMASK, self.document.state.blocked)

    def _fall_back(self, error: BaseException) -> None:
        content = read(self._descriptor)
        if content.get("failure") is not None:
            # This is the program of before.
            return
        if not isinstance(error, ReactorhostError):
            details = "".join(traceback.format_exception(error))
            error = BootError(f"version {__version__} failed to continue the host: {error!r}", details=details)
        program = from_json(Program, content["program"])
        # If it was removed meanwhile, what is raised is why this program cannot continue.
        with contextlib.suppress(OSError):
            program.execute(Handover(Purpose.RESUME, write(content | {"failure": error.as_fields()})))


def failure_of(document: Document) -> ReactorhostError | None:
    """Return the error for which another program has returned to this one, or None."""
    return None if document.failure is None else error_from_fields(document.failure)


def encode(document: Document) -> dict[str, Any]:
    """Return the content of a document."""
    content: dict[str, Any] = to_json(document)
    return content
