"""Memory that forked processes share, and that a process can pass to the program that it executes."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import weakref

from reactorhost.errors import ReactorhostError
from reactorhost.system.libc import last_error, libc

_PROTECTION = mmap.PROT_READ | mmap.PROT_WRITE
# MAP_NORESERVE (0x4000): memory that is never written is not charged.
_ANONYMOUS = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | 0x4000
_FAILED = ctypes.c_void_p(-1).value


class SharedMemory:
    """`size` bytes, zeros at first, or the memory of `descriptor`.

    A memfd and not an anonymous mapping, which ends with `execve`. It has no place on a disk: a full one cannot end a
    process with SIGBUS. The limit of file sizes applies to it: where that is too low for it, the mapping is anonymous,
    and cannot be passed on.

    Attributes:
        memory: the mapping, which stays when the file is closed.

    Raises:
        OSError: the system refuses it.
        ValueError: the file of `descriptor` is shorter.
    """

    def __init__(self, name: str, size: int, descriptor: int | None = None) -> None:
        if descriptor is None:
            descriptor = _file(name, size)
        elif os.fstat(descriptor).st_size < size:
            raise ValueError(f"memory of {size} bytes in a shorter file")
        self._descriptor = descriptor
        self._close = None if descriptor is None else weakref.finalize(self, os.close, descriptor)
        self._size = size
        self._address = _map(size, descriptor)
        array = (ctypes.c_ubyte * size).from_address(self._address)
        # The views of the memory refer to the array.
        weakref.finalize(array, _unmap, self._address, size).atexit = False
        self.memory = memoryview(array).cast("B")

    def export(self) -> int:
        """Return the descriptor of the file, for the program that this process executes.

        Raises:
            ReactorhostError: the memory has no file.
        """
        if self._descriptor is None:
            what = "the memory that master and workers share is no file, because the limit of file sizes is too low"
            hint = f"start the host with a limit of at least {self._size} bytes (LimitFSIZE=, ulimit -f), or without"
            raise ReactorhostError(what, hint=hint)
        return self._descriptor

    def close(self) -> None:
        """Close the file; later calls do nothing."""
        if self._close is not None:
            self._close()

    def discard(self, start: int, size: int) -> None:
        """Release whole pages of the memory, which are zeros then."""
        place = ctypes.c_void_p(self._address + start)
        if libc().madvise(place, ctypes.c_size_t(size), mmap.MADV_REMOVE) != 0:
            raise last_error()


def _file(name: str, size: int) -> int | None:
    descriptor = os.memfd_create(name)
    try:
        os.ftruncate(descriptor, size)
    except OSError as error:
        os.close(descriptor)
        if error.errno != errno.EFBIG:
            raise
        return None
    return descriptor


def _map(size: int, descriptor: int | None) -> int:
    # Not `mmap.mmap`, which keeps a duplicate of the descriptor until the mapping ends (`trackfd` is of Python 3.13):
    # workers would have it open, and what their plugins fork.
    call = libc().mmap
    call.restype = ctypes.c_void_p
    flags, file = (_ANONYMOUS, -1) if descriptor is None else (mmap.MAP_SHARED, descriptor)
    address = call(None, ctypes.c_size_t(size), _PROTECTION, flags, file, ctypes.c_long(0))
    if address in (None, _FAILED):
        raise last_error()
    return int(address)


def _unmap(address: int, size: int) -> None:
    libc().munmap(ctypes.c_void_p(address), ctypes.c_size_t(size))
