"""The kernel's out-of-memory killer: which process it chooses, and how many it has killed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_CGROUP = Path("/sys/fs/cgroup")
_PROC = Path("/proc")
_MOST = 1000


def raise_score(points: int) -> None:
    """Let the kernel prefer this process to its parent, by as many thousandths of the memory."""
    path = _PROC / "self/oom_score_adj"
    # Not in every container; without it the kernel chooses by size alone.
    with contextlib.suppress(OSError, ValueError):
        path.write_text(str(min(_MOST, int(path.read_text()) + points)))


def kills() -> int | None:
    """Return how many processes the kernel has killed for lack of memory, or None if that is unknown.

    The count is that of the control group of this process, of a parent of it, or of the machine.
    """
    for path in _counts():
        try:
            lines = path.read_text().splitlines()
            return next(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
        except (OSError, ValueError, IndexError, StopIteration):
            continue
    return None


def _counts() -> Iterator[Path]:
    """Yield the files that may have the count, the closest first."""
    try:
        groups = [line.split(":", 2) for line in (_PROC / "self/cgroup").read_text().splitlines()]
    except OSError:
        groups = []
    for _, controllers, group in groups:
        # cgroup version 2, or the memory controller of version 1. A container may not see its own group by that path,
        # but has it at the root.
        if controllers == "":
            directory, file = _CGROUP, "memory.events"
        elif "memory" in controllers.split(","):
            directory, file = _CGROUP / "memory", "memory.oom_control"
        else:
            continue
        inner = PurePosixPath(group.lstrip("/"))
        for each in (inner, *inner.parents):
            yield directory / each / file
    yield _PROC / "vmstat"
