"""Processors of the servers and of the load. A child inherits the affinity of its parent."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Places:
    """Processors of the servers, of the load, and all that this process may use."""

    server: int
    load: int
    usable: tuple[int, ...]

    @property
    def apart(self) -> bool:
        """Whether load and servers have different processors."""
        return self.server != self.load


def places() -> Places:
    """Choose the first and the last processor that this process may use."""
    usable = tuple(sorted(os.sched_getaffinity(0)))
    return Places(usable[0], usable[-1], usable)


@contextlib.contextmanager
def running_on(*processors: int) -> Iterator[None]:
    """Move this process to other processors while the context lasts."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
