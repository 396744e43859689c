"""Find the processes that a test started, by a token in their environment."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

TOKEN = "RH_TEST_TOKEN"


def running(token: str) -> dict[int, str]:
    """Return process id and name of every running process with the token."""
    needle = f"{TOKEN}={token}".encode()
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if needle in Path(f"/proc/{pid}/environ").read_bytes():
                found[int(pid)] = Path(f"/proc/{pid}/comm").read_text().strip()
        except OSError:
            # It has ended, or belongs to another user and so was not started by a test.
            continue
    return found


def of_this_test() -> set[int]:
    """Return the ids of the running processes that this test started."""
    return set(running(os.environ[TOKEN]))


def children(pid: int) -> set[int]:
    """Return the process ids of a process's children, zombies included."""
    found: set[int] = set()
    for thread in os.listdir(f"/proc/{pid}/task"):
        # The thread may have ended since listdir.
        with contextlib.suppress(FileNotFoundError):
            found.update(map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split()))
    return found


def lives(pid: int) -> bool:
    """Return whether a process runs and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False
