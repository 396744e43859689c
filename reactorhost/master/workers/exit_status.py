"""How a process ended: its exit status or signal, and kills for lack of memory."""

from __future__ import annotations

import os
import signal
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def decode(status: int) -> str:
    """Return a wait status in words: `exit status 3` or `signal 11 (SIGSEGV)`."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "unknown"
    return f"signal {-code} ({name})"


def killed(status: int) -> bool:
    """Say whether a process ended by KILL."""
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def out_of_memory_kills() -> int | None:
    """Return how many processes of this control group the kernel killed for lack of memory, or None if unknown."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
        unified = next(line.partition("::")[2] for line in lines if line.startswith("0::"))
        events = (_CGROUP / unified.lstrip("/") / "memory.events").read_text()
        return int(next(line.split()[1] for line in events.splitlines() if line.startswith("oom_kill ")))
    except (OSError, ValueError, StopIteration):
        return None
