"""The running hosts that the view can switch to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from reactorhost.config.default_paths import base_dirs
from reactorhost.ipc.control_client import CONTROL_SOCKET
from reactorhost.master import host_search


class RunningHost(NamedTuple):
    """A host of this user; the process id is 0 in another pid namespace."""

    label: str
    pid: int
    run_dir: Path

    @property
    def control_socket(self) -> Path:
        """The socket that it answers on."""
        return self.run_dir / CONTROL_SOCKET


def running_hosts(environ: Mapping[str, str]) -> tuple[RunningHost, ...]:
    """Return the hosts of this user, by name; none of them is connected to, because one that hangs would not answer."""
    bases = list(base_dirs(environ, os.geteuid()))
    found = host_search.hosts(bases)
    # One with a run directory of its own has no name in its path.
    labels = {run_dir: run_dir.name if run_dir.parent in bases else str(run_dir) for run_dir in found}
    return tuple(sorted(RunningHost(labels[run_dir], pid, run_dir) for run_dir, pid in found.items()))
