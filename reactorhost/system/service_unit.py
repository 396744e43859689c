"""Which unit of systemd a process belongs to: its control group is named after it."""

from __future__ import annotations

import shlex
from pathlib import Path

_SUFFIX = ".service"
# The manager of a user, whose units are in control groups below that of its own unit.
_USER_MANAGER = "user@"


def systemctl(verb: str, pid: int) -> str:
    """Return the command of systemd for the unit of a process; `UNIT` stands for one that cannot be determined."""
    try:
        groups = Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        groups = ""
    return command(verb, groups)


def command(verb: str, groups: str) -> str:
    """Return the command of systemd for the unit that is named in the text of `/proc/PID/cgroup`."""
    for line in groups.splitlines():
        path = line.split(":", 2)[-1].split("/")
        units = [part for part in path if part.endswith(_SUFFIX)]
        if units and not units[-1].startswith(_USER_MANAGER):
            scope = " --user" if any(unit.startswith(_USER_MANAGER) for unit in units) else ""
            return f"systemctl{scope} {verb} {shlex.quote(units[-1].removesuffix(_SUFFIX))}"
    return f"systemctl {verb} UNIT"
