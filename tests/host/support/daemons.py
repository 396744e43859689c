"""Hosts started with `start -d`, and single runs of the command."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

from reactorhost.testing import DEADLINE_SECONDS, HostFailedError, LiveHost
from schemas import check_printed

COMMAND = (sys.executable, "-m", "reactorhost")


def without_progress(stderr: str) -> str:
    """Return what a command wrote without the lines of its progress, which it has if it is slow."""
    return re.sub(r"(?m)^(?:starting|reloading|scaling|stopping|restarting|upgrading): .*\n", "", stderr)


class Daemon(LiveHost):
    """A host started with -d that logs to a file beside its run directory.

    Attributes:
        started: result of the starting command.
    """

    started: subprocess.CompletedProcess[str]

    def __init__(
        self, directory: Path, *arguments: str, environment: dict[str, str] | None = None, cwd: Path | None = None
    ) -> None:
        super().__init__(directory, *arguments, environment=environment)
        self._cwd = cwd
        self._pid: int | None = None
        self._pidfd: int | None = None

    def start(self) -> None:
        """Start the host; the command returns when the workers are ready.

        Raises:
            HostFailedError: the host did not start.
        """
        listen = ["--listen", "tcp://127.0.0.1:0"]
        if any(word in self._arguments for word in ("--listen", "--config")):
            listen = []
        places = ["--run-dir", str(self.run_dir), "--log-file", str(self.log_path)]
        self.started = subprocess.run(
            [*COMMAND, "start", "-d", *places, *listen, *self._arguments],
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
            env=self._environment,
            cwd=self._cwd,
            stdin=subprocess.DEVNULL,
        )
        if self.started.returncode != 0:
            raise HostFailedError(self.started.returncode, self.started.stderr)
        self.find()

    def find(self) -> None:
        """Read the master's process id from the pid file."""
        self._close_pidfd()
        self._pid = int((self.run_dir / "master.pid").read_text())
        self._pidfd = os.pidfd_open(self._pid)

    @property
    def pid(self) -> int:
        """The master's process id."""
        assert self._pid is not None
        return self._pid

    def signal(self, number: signal.Signals) -> None:
        """Send the master a signal."""
        assert self._pidfd is not None
        signal.pidfd_send_signal(self._pidfd, number)

    def wait(self) -> int:
        """Wait until the master has ended. Its parent is not this process, so its status is unknown: return 0."""
        if self._pidfd is not None and not select.select([self._pidfd], (), (), DEADLINE_SECONDS)[0]:
            raise TimeoutError(f"the daemon {self._pid} still runs\n{self.log()}")
        return 0

    def end(self) -> None:
        """End the host at once if it still runs, and its workers."""
        if self._pidfd is None:
            return
        try:
            for number in (signal.SIGCONT, signal.SIGQUIT):
                self.signal(number)
            if not select.select([self._pidfd], (), (), 10)[0]:
                self.signal(signal.SIGKILL)
                self.wait()
        except ProcessLookupError:
            pass
        finally:
            self._close_pidfd()

    def _close_pidfd(self) -> None:
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None


def run(
    *arguments: str, environment: dict[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `reactorhost ARGUMENTS` until it exits; what it prints with `--json` has to have the shape of its schema."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
        env={**os.environ, **(environment or {})},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
    )
    check_printed(done.stdout, *arguments)
    return done
