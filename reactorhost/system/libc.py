"""Functions of the C library that Python does not have."""

from __future__ import annotations

import ctypes
import os


def libc() -> ctypes.CDLL:
    """Return the C library of this process."""
    return ctypes.CDLL(None, use_errno=True)


def last_error() -> OSError:
    """Return the error of the last call that failed in this thread."""
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
