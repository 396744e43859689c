"""Resources of a process tree as the kernel reports them: processor time, memory, descriptors."""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """Return a process and its descendants; empty if it has exited."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(path.parent.name)] = int(_fields(path)[1])
    found = {pid} & parents.keys()
    while grown := {process for process, parent in parents.items() if parent in found} - found:
        found |= grown
    return sorted(found)


def cpu_seconds(pid: int) -> float:
    """Return user and system time of a tree, including ended threads and reaped children.

    Raises:
        ProcessLookupError: the process at its top has exited.
    """
    processes = tree(pid)
    if pid not in processes:
        raise ProcessLookupError(f"process {pid} is gone")
    return sum(_cpu_seconds(process) for process in processes)


def pss_kib(pid: int) -> float:
    """Return the PSS of a tree, in which each process counts its share of a shared page."""
    total = 0
    for process in tree(pid):
        found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{process}/smaps_rollup").read_text(), re.MULTILINE)
        assert found
        total += int(found[1])
    return total


def descriptors(pid: int) -> int:
    """Return the number of open descriptors of a tree."""
    return sum(len(os.listdir(f"/proc/{process}/fd")) for process in tree(pid))


def _cpu_seconds(pid: int) -> float:
    # The CPU clock of another process, in nanoseconds, including ended threads. clock_getcpuclockid(3) computes its
    # number like this, and Python does not provide that function.
    try:
        running = time.clock_gettime((~pid << 3) | 2)
        # Reaped children are counted in ticks only, but hardly any child exits during a measurement.
        fields = _fields(Path(f"/proc/{pid}/stat"))
    except OSError:
        return 0.0
    return running + (int(fields[13]) + int(fields[14])) / _TICKS_PER_SECOND


def _fields(stat: Path) -> list[str]:
    # The name of the program is in parentheses and may itself contain blanks and parentheses.
    return stat.read_text().rpartition(")")[2].split()
