"""Count the CPUs that this process may use: its affinity mask, limited by the CPU quota of its control groups."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath


def available_cpus(
    affinity: int | None = None,
    memberships: Path = Path("/proc/self/cgroup"),
    hierarchy: Path = Path("/sys/fs/cgroup"),
) -> int:
    """Return the number of CPUs, at least 1; a quota of 1.5 CPUs counts as 2.

    `affinity` is the number of CPUs in the scheduler's mask; None reads it from the kernel.
    """
    if affinity is None:
        # Not on every system where settings are read: see `system.features`.
        affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limits = [limit for folder, version in _groups(memberships, hierarchy) if (limit := _limit(folder, version))]
    return max(1, min([affinity, *limits]))


def _groups(memberships: Path, hierarchy: Path) -> list[tuple[Path, int]]:
    """Return folder and version of this process's control groups that may have a CPU quota, and of their ancestors.

    A quota limits all groups below it. In a container with version 1 the path in /proc/self/cgroup is that of the
    machine and does not exist, but the container's own group is mounted at the root, which is the last ancestor.
    """
    found = []
    for line in _lines(memberships):
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            mounts, version = [hierarchy], 2
        elif "cpu" in controllers.split(","):
            mounts, version = [hierarchy / "cpu", hierarchy / controllers], 1
        else:
            continue
        relative = PurePosixPath(path.lstrip("/"))
        found += [(mount / part, version) for mount in mounts for part in (relative, *relative.parents)]
    return found


def _limit(folder: Path, version: int) -> int | None:
    """Return the quota in whole CPUs, rounded up, or None if there is none."""
    if version == 2:
        words = " ".join(_lines(folder / "cpu.max")).split()
    else:
        words = [*_lines(folder / "cpu.cfs_quota_us"), *_lines(folder / "cpu.cfs_period_us")]
    # Without a quota version 2 has "max" in the file, version 1 has -1; neither is decimal.
    if len(words) != 2 or not (words[0].isdecimal() and words[1].isdecimal()) or int(words[1]) == 0:
        return None
    return -(-int(words[0]) // int(words[1]))


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii", errors="replace").split("\n")[:-1] if file.is_file() else []
    except OSError:
        return []
