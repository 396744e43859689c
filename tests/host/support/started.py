"""The processes that a test started, found by the token that all of them have in their environment."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

TOKEN = "RH_TEST_TOKEN"


def running(token: str) -> dict[int, str]:
    """Return process id and name of everything that runs with a token."""
    needle = f"{TOKEN}={token}".encode()
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if needle in Path(f"/proc/{pid}/environ").read_bytes():
                found[int(pid)] = Path(f"/proc/{pid}/comm").read_text().strip()
        except OSError:
            # Gone already, or not ours to look at, and so nothing that a test started.
            continue
    return found


def of_this_test() -> set[int]:
    """Return the process ids of everything that the running test started and that still runs."""
    return set(running(os.environ[TOKEN]))


def children(pid: int) -> set[int]:
    """Return the process ids of a process's children, those included that wait to be reaped."""
    found: set[int] = set()
    for thread in os.listdir(f"/proc/{pid}/task"):
        # A thread may end between the two looks.
        with contextlib.suppress(FileNotFoundError):
            found.update(map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split()))
    return found


def lives(pid: int) -> bool:
    """Say whether a process runs: neither gone nor waiting to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False
