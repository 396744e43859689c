"""The source files that this process has imported and that are being developed: those of no installation."""

from __future__ import annotations

import os
import sys

import reactorhost
from reactorhost.system.changed_files import Signature, signature


def source_files() -> dict[str, Signature]:
    """Return the signature of each file as it is now; without the host itself, and what is installed for good."""
    skipped = tuple(f"{folder}{os.sep}" for folder in _folders())
    paths = (getattr(module, "__file__", None) for module in tuple(sys.modules.values()))
    found: dict[str, Signature] = {}
    for path in paths:
        if isinstance(path, str) and path.endswith(".py") and not os.path.realpath(path).startswith(skipped):
            known = signature(path)
            if known is not None:
                found[os.path.abspath(path)] = known
    return found


def _folders() -> set[str]:
    # Here: only a host that watches its sources needs it.
    import sysconfig

    names = ("stdlib", "platstdlib", "purelib", "platlib")
    own = os.path.dirname(reactorhost.__file__)
    return {os.path.realpath(folder) for folder in (own, *(sysconfig.get_path(name) for name in names))}
