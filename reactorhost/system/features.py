"""What a host needs of the system. Plugins are tested on systems without it too: see `reactorhost.testing`."""

from __future__ import annotations

import os
import sys

from reactorhost.errors import ReactorhostError

_OF_PYTHON = ("memfd_create", "pidfd_open", "sched_getaffinity")
"""Functions of `os` that Python has only where the kernel has them."""

_OF_LINUX = ("prctl", "SO_PEERCRED", "TCP_USER_TIMEOUT", "/proc")


def require_features() -> None:
    """Make sure that a host can run on this system.

    Raises:
        ReactorhostError: the system has not all that a host needs.
    """
    missing = [name for name in _OF_PYTHON if not hasattr(os, name)]
    if sys.platform != "linux":
        missing += _OF_LINUX
    if missing:
        raise ReactorhostError(
            f"a host needs Linux: this system has no {', '.join(missing)}",
            hint="plugins can be tested here, on the bench of reactorhost.testing",
        )
