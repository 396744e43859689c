"""`breakpoint()` in a worker, for `start --debug`."""

from __future__ import annotations

import os
import pdb  # noqa: T100  it is what this module is for
import sys


def use_debugger() -> None:
    """Let `breakpoint()` open a debugger that leaves Ctrl-C to the master; `PYTHONBREAKPOINT` replaces it."""
    if not os.environ.get("PYTHONBREAKPOINT"):
        sys.breakpointhook = _break


def _break(*arguments: object, **named: object) -> None:
    # By default, pdb handles INT itself once it continues: the Ctrl-C that stops the host would open it again.
    pdb.Pdb(nosigint=True).set_trace(sys._getframe(1))  # noqa: SLF001  the documented way to the caller
