"""Memory, processor time and descriptors of processes, from /proc; None where they cannot be read."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal

_PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")

_STATES = {"R": "running", "S": "sleeping", "D": "disk", "T": "stopped", "t": "stopped", "Z": "ended", "X": "ended"}


def resident_bytes(pid: int) -> int | None:
    """Return the resident memory of a process."""
    try:
        return int(_content(f"/proc/{pid}/statm").split()[1]) * _PAGE_SIZE
    except (OSError, ValueError, IndexError):
        return None


def _content(path: str) -> bytes:
    # A third of the time of `Path.read_text`: a document has a few numbers of each worker, and the watchdog of a worker
    # reads one at each look. Of a file in /proc that fits into the buffer one read returns the whole.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 4096)
    finally:
        os.close(descriptor)


def state(pid: int) -> str | None:
    """Return what the main thread of a process does: running, sleeping, disk, stopped or ended."""
    try:
        return _STATES.get(_content(f"/proc/{pid}/stat").decode(errors="replace").rpartition(")")[2].split()[0])
    except (OSError, IndexError):
        return None


def cpu_seconds(pid: int) -> float | None:
    """Return the processor time that a process has used so far, user and system."""
    try:
        # Fields 14 and 15 (proc(5)).
        user, system = _content(f"/proc/{pid}/stat").rpartition(b")")[2].split()[11:13]
        return (int(user) + int(system)) / _TICKS
    except (OSError, ValueError):
        return None


def start_time(pid: int) -> int | None:
    """Return when a process started, in clock ticks since the system did; with the id it identifies a process."""
    try:
        # The name, in parentheses, may contain blanks and parentheses. The start is field 22 (proc(5)).
        return int(_content(f"/proc/{pid}/stat").rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def age_seconds(pid: int) -> float | None:
    """Return how long ago a process started."""
    started = start_time(pid)
    # CLOCK_BOOTTIME: like the start, it counts the time for which the system was suspended.
    return None if started is None else time.clock_gettime(time.CLOCK_BOOTTIME) - started / _TICKS


def processes_named(name: str) -> Iterator[int]:
    """Yield the ids of all processes of a name, of any user; a process can choose its name."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_bytes() == f"{name}\n".encode():
                yield int(pid)


def open_files(pid: int) -> Iterator[Path]:
    """Yield the paths of the files that a process has open, if this user may know them."""
    folder = f"/proc/{pid}/fd"
    with suppress(OSError):
        for name in os.listdir(folder):
            with suppress(OSError):
                yield Path(os.readlink(f"{folder}/{name}"))


def open_descriptors() -> int | None:
    """Return how many descriptors this process has open."""
    try:
        return descriptors_of(os.getpid()) or len(os.listdir("/proc/self/fd")) - 1
    except OSError:
        return None


def descriptors_of(pid: int) -> int | None:
    """Return how many descriptors a process has open; None before Linux 6.2."""
    try:
        # Not a list of the directory, which takes long for a process with many connections. It is 0 on older kernels.
        return os.stat(f"/proc/{pid}/fd").st_size or None
    except OSError:
        return None


def waited_seconds(pid: int | Literal["self"] = "self") -> float:
    """Return how long the main thread of a process was ready to run so far and had no processor."""
    try:
        return int(_content(f"/proc/{pid}/schedstat").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def proportional_bytes(pid: int) -> int | None:
    """Return the resident memory of a process with shared pages divided among their users (PSS)."""
    try:
        for line in _content(f"/proc/{pid}/smaps_rollup").splitlines():
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        return None
    return None
