"""What a process and all that descend from it use: processor time, memory, descriptors, as the kernel tells it."""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """Return a process and those that descend from it; nothing when it is gone."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(path.parent.name)] = int(_fields(path)[1])
    found = {pid} & parents.keys()
    while grown := {process for process, parent in parents.items() if parent in found} - found:
        found |= grown
    return sorted(found)


def cpu_seconds(pid: int) -> float:
    """Return user and system time of a tree, with that of threads and children that have ended.

    Raises:
        ProcessLookupError: the process at its top is gone.
    """
    processes = tree(pid)
    if pid not in processes:
        raise ProcessLookupError(f"process {pid} is gone")
    return sum(_cpu_seconds(process) for process in processes)


def pss_kib(pid: int) -> float:
    """Return the memory of a tree, where pages shared by several processes count as a share for each."""
    total = 0
    for process in tree(pid):
        found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{process}/smaps_rollup").read_text(), re.MULTILINE)
        assert found
        total += int(found[1])
    return total


def descriptors(pid: int) -> int:
    """Return how many descriptors a tree has open."""
    return sum(len(os.listdir(f"/proc/{process}/fd")) for process in tree(pid))


def _cpu_seconds(pid: int) -> float:
    # The clock of another process: nanoseconds, of threads that have ended too. clock_getcpuclockid(3) makes its number
    # so, and Python does not offer that function.
    try:
        running = time.clock_gettime((~pid << 3) | 2)
        # Children that were waited for: only known in ticks, but in what is measured here hardly any end.
        fields = _fields(Path(f"/proc/{pid}/stat"))
    except OSError:
        return 0.0
    return running + (int(fields[13]) + int(fields[14])) / _TICKS_PER_SECOND


def _fields(stat: Path) -> list[str]:
    # The name of the program stands in parentheses and may hold blanks and parentheses itself.
    return stat.read_text().rpartition(")")[2].split()
