"""Memory that forked processes share, and that a process can pass to the program that it executes."""

from __future__ import annotations

import mmap
import os
import weakref


class SharedMemory:
    """`size` bytes, zeros at first, or the memory of `descriptor`.

    A memfd and not an anonymous mapping, which ends with `execve`. It has no place on a disk: a full one cannot end a
    process with SIGBUS.

    Attributes:
        descriptor: the file of the memory, until `close` is called.
        memory: the mapping, which stays when the descriptor is closed.

    Raises:
        OSError: the system refuses it.
        ValueError: the file of `descriptor` is shorter.
    """

    def __init__(self, name: str, size: int, descriptor: int | None = None) -> None:
        if descriptor is None:
            descriptor = os.memfd_create(name)
            os.ftruncate(descriptor, size)
        self.descriptor = descriptor
        self.close = weakref.finalize(self, os.close, descriptor)
        self.memory = mmap.mmap(descriptor, size)
