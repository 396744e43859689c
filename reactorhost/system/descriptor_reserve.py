"""Descriptors that a process keeps for the moment in which it has no others left."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from reactorhost.system.fork import ForkRegistry


class DescriptorReserve:
    """Keeps `count` descriptors, as far as the limit allows."""

    def __init__(self, registry: ForkRegistry, count: int) -> None:
        self._count = count
        self._kept: list[int] = []
        self._fill()
        registry.add(self, self.close)

    @contextlib.contextmanager
    def released(self) -> Iterator[None]:
        """Let the code within use the descriptors; afterwards those that are free are kept again."""
        self.close()
        try:
            yield
        finally:
            self._fill()

    def close(self) -> None:
        """Keep none; called in forked children too."""
        while self._kept:
            os.close(self._kept.pop())

    def _fill(self) -> None:
        with contextlib.suppress(OSError):
            while len(self._kept) < self._count:
                self._kept.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
