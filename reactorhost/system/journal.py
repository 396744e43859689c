"""Lines for the journal of systemd: it takes a number at the beginning of a line as its priority (sd-daemon(3))."""

from __future__ import annotations

import os
from collections.abc import Mapping

ERROR, WARNING = 3, 4


def leads_to_journal(descriptor: int, environment: Mapping[str, str]) -> bool:
    """Return whether what is written to a descriptor becomes entries of the journal (systemd.exec(5))."""
    stream = environment.get("JOURNAL_STREAM")
    if stream is None:
        return False
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    # The variable is inherited by programs whose output leads elsewhere.
    return stream == f"{status.st_dev}:{status.st_ino}"


def with_priority(text: str, priority: int) -> str:
    """Return a text whose lines, each an entry of its own, have a priority."""
    return "\n".join(f"<{priority}>{line}" for line in text.split("\n"))
