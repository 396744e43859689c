"""What operators can request of a running host: reload, scale, recycle, stop, settings, log files, lists, status."""

from __future__ import annotations

import dataclasses
import time

from reactorhost.address import Address
from reactorhost.config.settings import Settings
from reactorhost.errors import ReactorhostError, UsageError
from reactorhost.ipc.messages import Order
from reactorhost.ipc.status import StatusDocument
from reactorhost.logs import AppendHandler
from reactorhost.master.context import MasterContext
from reactorhost.master.lifecycle import Lifecycle
from reactorhost.master.plan.planner import HostState
from reactorhost.master.plan.watcher import Watcher
from reactorhost.master.plan.worker_table import WorkerState
from reactorhost.master.supervisor import Supervisor
from reactorhost.master.workers.connection_lists import RowReceiver
from reactorhost.master.workers.pool import MOST_WORKERS

_FIXED_SETTINGS = ("name", "daemon", "run_dir", "pid_file", "log_file", "user", "group", "backlog", "peer_timeout")
_SERVING = (WorkerState.READY, WorkerState.DRAINING, WorkerState.STOPPING)


class Requests:
    """Validates requests and passes them to the planner."""

    def __init__(
        self, context: MasterContext, supervisor: Supervisor, lifecycle: Lifecycle, log_file: AppendHandler
    ) -> None:
        self._context = context
        self._supervisor = supervisor
        self._lifecycle = lifecycle
        self._log_file = log_file
        self._log = context.log
        self._planner = context.planner

    @property
    def settings(self) -> Settings:
        """The settings that the host runs with."""
        return self._planner.settings

    def reload(self, watcher: Watcher | None = None) -> None:
        """Replace every worker.

        Raises:
            ReactorhostError: the host is being stopped.
        """
        self._check_not_stopping()
        self._planner.reload.request(watcher)
        self._supervisor.schedule()

    def scale(self, workers: int, watcher: Watcher | None = None) -> None:
        """Change the number of workers.

        Raises:
            ReactorhostError: the host is being stopped, or the number is out of range.
        """
        self._check_not_stopping()
        if not 1 <= workers <= MOST_WORKERS:
            raise UsageError(f"cannot scale to {workers} workers", hint=f"give a number from 1 to {MOST_WORKERS}")
        self._log.info("scaling", workers=workers, before=self._planner.scaling.target)
        self._planner.scaling.request(workers, watcher)
        self._supervisor.schedule()

    def scale_by(self, difference: int) -> None:
        """Change the number of workers by a difference.

        Raises:
            ReactorhostError: the host is being stopped, or the number is out of range.
        """
        self.scale(self._planner.scaling.target + difference)

    def recycle(self, pid: int, watcher: Watcher) -> None:
        """Replace one worker.

        Raises:
            ReactorhostError: the process is not a worker that serves, or the host is being stopped.
        """
        self._check_not_stopping()
        self._planner.recycle(pid, watcher)
        self._log.info("recycling", pid=pid)
        self._supervisor.schedule()

    def stop(self, watcher: Watcher | None = None, *, at_once: bool = False) -> None:
        """Stop; a second signal stops at once, a second client only follows."""
        again = watcher is None and self._planner.state is HostState.STOPPING
        self._lifecycle.stop(watcher, at_once=at_once or again)

    def connections(self, receiver: RowReceiver) -> None:
        """List the connections of every worker that serves."""
        serving = [each for each in self._planner.workers.values() if each.state in _SERVING]
        self._context.connection_lists.request(receiver, serving)

    def status(self, *, history: bool = False) -> StatusDocument:
        """Return the status document, with the samples of the last minutes if they are wanted."""
        return self._context.status.document(self.settings, time.monotonic(), history=history)

    def change_settings(self, fresh: Settings) -> None:
        """Run with other settings from now on; those of workers take effect in the workers that start from now on.

        Raises:
            ReactorhostError: they have other addresses, which a running host cannot change. Nothing is changed.
        """
        if _bound(self.settings) != _bound(fresh):
            what = "services and addresses cannot change in a running host"
            raise ReactorhostError(what, hint="use `reactorhost restart`")
        if fresh.workers != self.settings.workers:
            self._planner.scaling.request(fresh.workers)
        # What a process keeps for its whole life is kept in the settings too, so that the status document is right.
        kept = {name: getattr(self.settings, name) for name in _FIXED_SETTINGS}
        waiting = [name for name, value in kept.items() if getattr(fresh, name) not in (value, None)]
        if waiting:
            self._log.warning("settings_wait_for_restart", settings=",".join(waiting))
        self._planner.settings = dataclasses.replace(fresh, **kept)
        self._supervisor.schedule()

    def reopen_logs(self) -> None:
        """Open the log file again in every process.

        Raises:
            ReactorhostError: the master cannot open it; it keeps writing to the old one.
        """
        for pid in self._context.pool.pids():
            self._context.pool.order(pid, {"order": Order.REOPEN})
        try:
            self._log_file.reopen()
        except OSError as error:
            self._log.error("log_not_reopened", error=error.strerror)
            what = f"cannot open {self.settings.log_file} again: {error.strerror}"
            raise ReactorhostError(what, hint="the old file stays in use") from None

    def _check_not_stopping(self) -> None:
        if self._planner.state is HostState.STOPPING:
            raise ReactorhostError("the host is being stopped")


def _bound(settings: Settings) -> list[tuple[str, Address, bool]]:
    """Return every service's addresses, and whether TLS is used there."""
    return [(each.name, address, each.speaks_tls(address)) for each in settings.services for address in each.listen]
