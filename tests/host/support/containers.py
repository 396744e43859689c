"""A host as process 1 of a container: with namespaces of processes, users and mounts of its own."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
from pathlib import Path

import started
from reactorhost.testing import LiveHost
from waiting import until

USER = 10001
# A place that every system has and nothing of a test is in: short, because the path of a socket must be.
_VOLUME = "/mnt"
_OUTER = ("unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")
# As root of the namespaces: everything is read-only but one volume, which any user can write to, as that of a pod.
_SCRIPT = f"""
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=0777 none {_VOLUME}
mount -o remount,bind,ro /
exec unshare --user --map-user={USER} --map-group={USER} -- "$@"
"""
_CONTAINED = (*_OUTER, "sh", "-c", _SCRIPT, "sh")


@functools.cache
def available() -> bool:
    """Return whether this user may create namespaces."""
    try:
        done = subprocess.run(
            [*_CONTAINED, "true"],
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=30,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


class Container(LiveHost):
    """A host in a container; its commands run in the container too, as `kubectl exec` runs them.

    The run directory is the default one of its user, in the only place that can be written to.
    """

    def __init__(self, directory: Path, *arguments: str) -> None:
        super().__init__(directory, *arguments, environment={"TMPDIR": _VOLUME, "XDG_RUNTIME_DIR": ""})

    @property
    def pid(self) -> int:
        """The process id of the master outside of the container."""
        (found,) = started.children(self.process.pid)
        return found

    def signal(self, number: signal.Signals) -> None:
        """Send the master a signal from outside, as a runtime does."""
        os.kill(self.pid, number)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program in the container."""
        return subprocess.run(
            [*self._enter(), *words], capture_output=True, text=True, check=False, timeout=30, env=self._environment
        )

    def zombies(self) -> list[int]:
        """Return the processes that have ended and that process 1 has not reaped."""
        states = {pid: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in self._children()}
        return [pid for pid, state in states.items() if state == "Z"]

    def wait_for_children(self, count: int) -> None:
        """Wait until process 1 has so many children."""
        until(lambda: len(self._children()) == count, f"{count} children of process 1")

    def _children(self) -> set[int]:
        return started.children(self.pid)

    def _command(self, *arguments: str) -> list[str]:
        *words, _, _ = super()._command(*arguments)
        if arguments[0] != "start":
            return [*self._enter(), *words]
        return [*_CONTAINED, *words]

    def _enter(self) -> list[str]:
        return ["nsenter", "--target", str(self.pid), "--user", "--preserve-credentials", "--pid", "--mount"]
