"""Carry out the steps of a plan on a host: requests, signals, files, limits, and clients that do harm."""

from __future__ import annotations

import contextlib
import resource
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from pathlib import Path

from chaos_plan import Step
from chaos_plugins import BROKEN, PLAIN
from chaos_processes import Processes, comes_to_rest
from chaos_requests import Requests
from host_log import HostLog
from judge import Causes, Kill
from kernel import accepted_ports, leave_descriptors
from later import Later
from reactorhost.ipc.control_client import CONTROL_SOCKET, ControlClient
from reactorhost.testing import LiveHost
from started import children

MOST_WORKERS = 5
STALL_SECONDS = 5.0
"""The host's `stall_timeout`; a worker that is blocked or stopped for longer is killed by it."""

_CLIENT_SECONDS = 20.0
_BROKEN_EVENTS = frozenset({"worker_not_booted", "reload_failed"})
_KILLED_EVENTS = frozenset({"worker_crashed", "reload_failed", "worker_not_booted"})
_LOG_EVENTS = frozenset({"log_not_reopened"})
_FILE_EVENTS = frozenset({"log_not_reopened", "workers_file_not_written", "file_lost"})
_UPGRADE_EVENTS = frozenset({"upgrade_failed"})
_SCARCE_EVENTS = _FILE_EVENTS | {
    "worker_not_forked",
    "action_failed",
    "slot_not_opened",
    "reload_failed",
    "configuration_refused",
}


class Actions:
    """The actions by name, and what is still to come of them.

    Attributes:
        causes: what was done, for the judge.
        touched: workers that may end unexpectedly.
        frozen: workers that were stopped together with the master, whose deadlines may have passed meanwhile.
        requests: those on the control socket.
    """

    def __init__(self, host: LiveHost, folder: Path, log: HostLog, log_path: Path) -> None:
        self.causes = Causes()
        self.touched: set[int] = set()
        self.frozen: set[int] = set()
        self._may_execute = False
        self.requests = Requests(host)
        self._host = host
        self._folder = folder
        self._log = log
        self._log_path = log_path
        self._address = host.address("plain")
        self._later = Later()
        self._rotations = count(1)
        self._processes = Processes(host.pid, self._later)
        self._threads = ThreadPoolExecutor(4)
        self._running: list[Future[str]] = []

    def close(self) -> None:
        """Undo what lasts, and wait for threads."""
        self.undo()
        self._threads.shutdown()
        self.requests.close()

    def perform(self, step: Step) -> str:
        """Carry out a step; return in words what it was."""
        return str(getattr(self, f"_{step.action}")(step))

    def turn(self) -> None:
        """End what is due, and read replies."""
        self._later.turn()
        self.requests.read()

    def undo(self) -> None:
        """End at once what would end later: stopped processes, broken files, limits."""
        self._later.hurry()

    def forget(self) -> None:
        """Forget what was done: its effects are over."""
        self.causes = Causes()
        self.touched.clear()
        self.frozen.clear()
        self._may_execute = False

    def unfinished(self) -> list[str]:
        """Return what has not ended: requests by name and age, and clients."""
        self._running = [each for each in self._running if not each.done()]
        return self.requests.waiting() + ["a thread"] * len(self._running)

    def _expect(self, events: frozenset[str]) -> None:
        self.causes.expected_events |= events

    # Requests and signals to the master.

    def _reload(self, step: Step) -> str:
        return self.requests.send("reload")

    def _usr1(self, step: Step) -> str:
        # Of a worker that is stopped or blocked.
        self._expect(_LOG_EVENTS)
        return self._signal_master(signal.SIGUSR1)

    def _hup(self, step: Step) -> str:
        self._expect(_LOG_EVENTS)
        return self._signal_master(signal.SIGHUP)

    def _usr2(self, step: Step) -> str:
        # Its check fails while a plugin is broken or descriptors are scarce.
        self._expect(_UPGRADE_EVENTS)
        self._may_execute = True
        return self._signal_master(signal.SIGUSR2)

    def _ttin(self, step: Step) -> str:
        workers = sum(1 for _ in children(self._host.pid))
        return self._signal_master(signal.SIGTTIN) if workers < 2 * MOST_WORKERS else "enough workers"

    def _ttou(self, step: Step) -> str:
        return self._signal_master(signal.SIGTTOU)

    def _scale(self, step: Step) -> str:
        return self.requests.send("scale", workers=step.number(0, 1, MOST_WORKERS))

    def _recycle(self, step: Step) -> str:
        pid = self._processes.worker(step)
        return "no worker" if pid is None else self.requests.send("recycle", pid=pid)

    def _stop_master(self, step: Step) -> str:
        seconds = step.seconds(0, 0.1, 4.0)
        self._processes.stop(self._host.pid, seconds)
        return f"the master stopped for {seconds:.1f} s"

    def _freeze(self, step: Step) -> str:
        """Stop every process, as the freezer of a container does, and let the master continue first."""
        seconds = step.seconds(0, 0.1, 1.5 * STALL_SECONDS)
        self._processes.stop(self._host.pid, seconds)
        for pid in children(self._host.pid):
            self.frozen.add(pid)
            self._processes.stop(pid, seconds)
        return f"all stopped for {seconds:.1f} s"

    def _signal_master(self, number: signal.Signals) -> str:
        self._host.signal(number)
        return f"{number.name} to the master"

    # Workers that end or hang.

    def _kill(self, step: Step) -> str:
        pid = self._processes.worker(step)
        if pid is None:
            return "no worker"
        self._expect(_KILLED_EVENTS)
        ports = None
        if step.draws[1] < 0.7:
            # A stopped worker accepts nothing more, so these are all that may be lost.
            self._processes.send(pid, signal.SIGSTOP)
            ports = accepted_ports(pid) if comes_to_rest(pid) else None
        self._doom(pid, ports)
        return f"{self._processes.send(pid, signal.SIGKILL)} with {'?' if ports is None else len(ports)} clients"

    def _quit_worker(self, step: Step) -> str:
        pid = self._processes.worker(step)
        if pid is None:
            return "no worker"
        self._expect(_KILLED_EVENTS)
        self._doom(pid)
        return self._processes.send(pid, signal.SIGQUIT)

    def _terminate(self, step: Step) -> str:
        pid = self._processes.worker(step)
        if pid is None:
            return "no worker"
        # One that has not booted ends at once.
        self.touched.add(pid)
        self._expect(_KILLED_EVENTS)
        return self._processes.send(pid, signal.SIGTERM)

    def _stop_worker(self, step: Step) -> str:
        pid = self._processes.worker(step)
        if pid is None:
            return "no worker"
        seconds = step.seconds(0, 0.1, 3.0)
        if step.draws[1] < 0.15:
            seconds += STALL_SECONDS
        self._expect(_KILLED_EVENTS | {"worker_killed"})
        self.touched.add(pid)
        self._processes.stop(pid, seconds)
        return f"{pid} stopped for {seconds:.1f} s"

    def _block(self, step: Step) -> str:
        seconds = step.seconds(0, 0.1, 3.0)
        if step.draws[1] < 0.15:
            seconds += STALL_SECONDS
        self._expect(_KILLED_EVENTS | {"worker_killed"})
        return self._harm(b"!block %.1f\n" % seconds, kills=False)

    def _crash(self, step: Step) -> str:
        self._expect(_KILLED_EVENTS)
        return self._harm((b"!exit 3\n", b"!exit 0\n", b"!fault\n")[step.number(0, 0, 2)], kills=True)

    def _harm(self, line: bytes, *, kills: bool) -> str:
        """Send a line to any worker from another thread: all of them may be stopped."""
        self._running.append(self._threads.submit(self._send_line, line, kills))
        return line.decode().strip()

    def _send_line(self, line: bytes, kills: bool) -> str:
        with contextlib.suppress(OSError), socket.create_connection(self._address, _CLIENT_SECONDS) as client:
            greeting = client.makefile("rb").readline()
            if greeting.startswith(b"pid "):
                pid = int(greeting.split()[1])
                self.touched.add(pid)
                if kills:
                    self.causes.add_kill(Kill(pid, time.monotonic()))
                client.sendall(line)
                client.recv(1)
        return ""

    # Files, limits, and other programs.

    def _break_plugin(self, step: Step) -> str:
        seconds = step.seconds(0, 0.3, 3.0)
        source = BROKEN[step.number(1, 0, len(BROKEN) - 1)]
        self._expect(_BROKEN_EVENTS)
        self._write_plugin(source)
        self._later.add(seconds, lambda: self._write_plugin(PLAIN))
        return f"{source!r} for {seconds:.1f} s, {self.requests.send('reload')}"

    def _write_plugin(self, source: str) -> None:
        made = self._folder / "plain.new"
        made.write_text(source)
        made.rename(self._folder / "plain.py")

    def _rotate_log(self, step: Step) -> str:
        self._log.note_file()
        self._expect(_LOG_EVENTS)
        with contextlib.suppress(FileNotFoundError):
            self._log_path.rename(self._log_path.with_suffix(f".{next(self._rotations)}"))
        return self.requests.send("reopen") if step.draws[0] < 0.7 else self._signal_master(signal.SIGHUP)

    def _remove_files(self, step: Step) -> str:
        run_dir = self._host.run_dir
        paths = [run_dir / name for name in ("control.sock", "master.pid", "workers.pid", "lock")]
        paths += [self._folder / "plain.sock", self._log_path]
        chosen = [path for number, path in enumerate(paths) if int(step.draws[0] * 64) >> number & 1]
        if self.unfinished():
            # A second start would take a lock that is missing, as it should.
            chosen = [path for path in chosen if path.name != "lock"]
        self._log.note_file()
        self._expect(_FILE_EVENTS)
        for path in chosen:
            if path.name == "plain.sock":
                self.causes.unlinked.append(time.monotonic())
            path.unlink(missing_ok=True)
        return " ".join(path.name for path in chosen)

    def _few_descriptors(self, step: Step) -> str:
        pid = self._host.pid if step.draws[0] < 0.2 else self._processes.worker(step)
        if pid is None:
            return "no worker"
        if pid == self._host.pid and self._may_execute:
            # The upgrade has looked for free descriptors: a limit from outside between that and the first import of the
            # next program ends the host.
            return "the master may execute another program"
        more, seconds = step.number(1, 0, 8), step.seconds(2, 0.3, 3.0)
        if pid == self._host.pid:
            self._expect(_SCARCE_EVENTS)
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            leave_descriptors(pid, more)
            self._later.add(seconds, lambda: _restore_descriptors(pid))
        return f"{more} more descriptors for {pid} for {seconds:.1f} s"

    def _second_start(self, step: Step) -> str:
        if not (self._host.run_dir / "lock").exists():
            return "no lock file"
        self._running.append(self._threads.submit(self._start_again))
        return "a second start"

    def _start_again(self) -> str:
        command = [sys.executable, "-m", "reactorhost", "start", "--listen", "tcp://127.0.0.1:0", "--plugin", "echo"]
        command += ["--run-dir", str(self._host.run_dir)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        self.requests.replies.append(
            ("second start", {"status": 0 if ended.returncode == 6 else 99, "what": ended.stderr})
        )
        return ""

    def _control_noise(self, step: Step) -> str:
        noise = (b"\xff" * 3000 + b"\n", b'{"verb": "scale", "workers": "many"}\n', b'{"verb": "status"', b"[]\n")
        data = noise[step.number(0, 0, len(noise) - 1)]
        with contextlib.suppress(OSError), ControlClient(self._host.run_dir / CONTROL_SOCKET, 0.0) as client:
            client.socket.send(data)
        return f"{data[:20]!r} to the control socket"

    def _doom(self, pid: int, ports: frozenset[int] | None = None) -> None:
        self.touched.add(pid)
        self.causes.add_kill(Kill(pid, time.monotonic(), ports))


def _restore_descriptors(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
