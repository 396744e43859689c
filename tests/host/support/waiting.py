"""Wait with a deadline for conditions that a host does not print."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterable

from reactorhost.testing import DEADLINE_SECONDS

_POLL_SECONDS = 0.02


def until(holds: Callable[[], object], what: str, seconds: float = DEADLINE_SECONDS) -> None:
    """Poll until `holds()` is true.

    Raises:
        TimeoutError: it was not within `seconds`.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come in {seconds:g} s")
        select.select((), (), (), _POLL_SECONDS)


def all_end(pids: Iterable[int], seconds: float = DEADLINE_SECONDS) -> bool:
    """Return whether all these processes end within `seconds` from now."""
    deadline = time.monotonic() + seconds
    return all(_ends(pid, deadline) for pid in pids)


def _ends(pid: int, deadline: float) -> bool:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], (), (), max(0.0, deadline - time.monotonic()))[0])
    finally:
        os.close(descriptor)
