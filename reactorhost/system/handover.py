"""Execute another installation of the host in this process, or in a child that checks whether it could be.

The program learns what is wanted of it from one variable of its environment: the purpose, the process that it is meant
for, and the descriptor of a file. Its arguments are those of the first start, so that tools see the same command.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import NoReturn

# Not REACTORHOST_: that would be the variable of a setting.
_VARIABLE = "_REACTORHOST_HANDOVER"


class Purpose(enum.StrEnum):
    """What a program is executed for: to report whether it could resume the host, or to resume it."""

    CHECK = "check"
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class Handover:
    """What this program was executed for; the file of `descriptor` has the state of the host."""

    purpose: Purpose
    descriptor: int


@dataclass(frozen=True, slots=True)
class Program:
    """An installation of the host, as an interpreter, and how it is to be started."""

    interpreter: str
    arguments: tuple[str, ...]
    directory: str
    environment: dict[str, str]

    def execute(self, handover: Handover) -> NoReturn:
        """Replace the program of this process; every descriptor that is inheritable stays open.

        Raises:
            OSError: the directory or the interpreter cannot be used; the present program goes on.
        """
        os.chdir(self.directory)
        os.set_inheritable(handover.descriptor, True)
        environment = self.environment | {
            # `start` prefers this name of its directory: see `cli.parameters.options.working_directory`.
            "PWD": self.directory,
            _VARIABLE: f"{handover.purpose}:{os.getpid()}:{handover.descriptor}",
        }
        # -P as `restart` has it: a file `json.py` in the directory must not replace the one of the standard library.
        command = [self.interpreter, "-P", "-m", "reactorhost", *self.arguments]
        os.execve(self.interpreter, command, environment)  # noqa: S606  no shell


def is_resumed(environ: Mapping[str, str]) -> bool:
    """Say whether this process is to resume a host, with all its signals blocked until it can handle them."""
    return environ.get(_VARIABLE, "").startswith(f"{Purpose.RESUME}:{os.getpid()}:")


def received(environ: MutableMapping[str, str]) -> Handover | None:
    """Remove the variable, and return what this program was executed for, or None if it was started as usual."""
    purpose, _, rest = environ.pop(_VARIABLE, "").partition(":")
    pid, _, descriptor = rest.partition(":")
    # A variable that some other process has left is not meant for this one.
    if pid != str(os.getpid()) or purpose not in set(Purpose) or not descriptor.isdecimal():
        return None
    os.set_inheritable(int(descriptor), False)
    return Handover(Purpose(purpose), int(descriptor))
