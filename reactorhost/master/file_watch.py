"""Watch the files of a host: cleaners of temporary directories and logouts remove them.

The lock comes first. While this host holds it, every other file of the run directory is its own. When the lock's file
was removed, a second host can have made and locked a new one: then the directory belongs to that host, and this one
neither writes nor removes anything there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from reactorhost.errors import ReactorhostError
from reactorhost.logs import AppendHandler
from reactorhost.master.admin.control_server import ControlServer
from reactorhost.master.context import MasterContext
from reactorhost.master.plan.worker_table import WorkerState
from reactorhost.master.rundir import RunDirectory
from reactorhost.system.own_file import FileState

if TYPE_CHECKING:
    from reactorhost.master.http.server import HttpServer


@dataclass(slots=True)
class FileWatch:
    """Makes files anew that were removed, and reports those that it cannot."""

    context: MasterContext
    rundir: RunDirectory
    control: ControlServer
    endpoint: HttpServer | None
    log_file: AppendHandler
    restore_log: Callable[[], object]

    def check(self) -> None:
        """Look at every file; called once a second."""
        is_locked = self._ensure(self.rundir.lock_file, self.rundir.state(), self.rundir.take_lock_again)
        if is_locked:
            self._ensure(self.rundir.control_socket, self.control.state(), self.control.open)
            for path, state, write in self.rundir.written():
                self._ensure(path, state, write)
        log_path = self.context.planner.settings.log_file
        if log_path is not None and (is_locked or self.rundir.path not in log_path.parents):
            state = FileState.MISSING if self.log_file.was_removed() else FileState.PRESENT
            self._ensure(log_path, state, self.restore_log)
        if self.endpoint is not None and self.endpoint.path is not None:
            self._ensure_socket(self.endpoint.path, self.endpoint.state(), self.endpoint.open)
        listeners = self.context.listeners
        for each in listeners.shared():
            path = Path(str(each.group.sockaddr))
            self._ensure_socket(path, listeners.file_state(each), partial(listeners.bind_again, each))
        # Also to workers that were not ready when a socket was made, or could not be sent it for want of descriptors.
        shared = listeners.shared()
        for worker in self.context.planner.workers.values():
            if worker.state is WorkerState.READY:
                services = self.context.planner.limits.services_of(worker.slot)
                wanted = [each for each in shared if each.group.service in services]
                self.context.pool.lend_again(worker.pid, wanted)

    def _ensure_socket(self, path: Path, state: FileState, restore: Callable[[], object]) -> None:
        """Make the file of a socket anew, unless another process has put its own there."""
        if state is FileState.REPLACED:
            self._report(path, f"another process has replaced {path}, so that no client reaches this host there")
        else:
            self._ensure(path, state, restore)

    def _ensure(self, path: Path, state: FileState, restore: Callable[[], object]) -> bool:
        """Make a file anew if it is not there; returns whether it is there now."""
        if state is not FileState.PRESENT:
            try:
                restore()
            except ReactorhostError as error:
                self._report(path, error.what)
                return False
            self.context.log.warning("file_restored", path=path)
        self.context.problems.pop(path, None)
        return True

    def _report(self, path: Path, problem: str) -> None:
        # Once, not each second.
        if self.context.problems.get(path) != problem:
            self.context.problems[path] = problem
            self.context.log.error("file_lost", path=path, error=problem)
