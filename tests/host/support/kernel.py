"""What the kernel tells of a process or of a port, for tests that look at a host from outside."""

from __future__ import annotations

import os
import resource
from itertools import count, islice
from pathlib import Path

_LISTEN = "0A"


def resident_bytes(pid: int) -> int:
    """Return the memory that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors(pid: int) -> int:
    """Return how many descriptors a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def leave_descriptors(pid: int, more: int) -> None:
    """Limit a process to so many descriptors besides those that it has open."""
    taken = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    free = (number for number in count() if number not in taken)
    limit = next(islice(free, more, None))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, limit))


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used, its own and the kernel's for it."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_stopped(pid: int) -> bool:
    """Say whether a SIGSTOP has arrived."""
    return _stat(pid)[0] == "T"


def queues(port: int) -> list[int]:
    """Return the length of the accept queue of every listener on a port of IPv4."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    # Of a listener, the second queue is what waits to be accepted.
    return [
        int(row[4].partition(":")[2], 16)
        for row in rows
        if row[3] == _LISTEN and int(row[1].partition(":")[2], 16) == port
    ]


def _stat(pid: int) -> list[str]:
    """Return the fields that come after the name of the program, its state first."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
