"""The lifecycle of host and workers: start, ready, crash, exit, stop."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from reactorhost import __version__
from reactorhost.errors import ReactorhostError, StoppedEarlyError
from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import Order, Report
from reactorhost.master.context import MasterContext
from reactorhost.master.plan.planner import HostState
from reactorhost.master.plan.watcher import Watcher
from reactorhost.master.plan.worker_table import Exit, ExitKind, WorkerState
from reactorhost.master.rundir import RunDirectory
from reactorhost.master.stats.samples import INTERVAL_SECONDS
from reactorhost.master.supervisor import Supervisor
from reactorhost.master.workers.pool import ExitReport

_STOP_PROGRESS_SECONDS = 1.0


class Lifecycle:
    """Runs a host from its first fork to its last exit; `on_started` is called once, when the workers are ready."""

    def __init__(
        self,
        context: MasterContext,
        supervisor: Supervisor,
        rundir: RunDirectory,
        on_started: Callable[[], None],
    ) -> None:
        self._context = context
        self._supervisor = supervisor
        self._rundir = rundir
        self._on_started = on_started
        self._reactor = context.reactor
        self._log = context.log
        self._planner = context.planner
        self._pool = context.pool
        self._monitor = context.monitor
        self._started = False
        self._failure: ReactorhostError | None = None
        self._stop_watchers: list[Watcher] = []
        self._written_workers: list[tuple[int, int, int]] | None = None
        self._pool.on(Report.READY, self._ready)
        self._pool.on(Report.LEAVING, self._leaving)
        self._pool.on(Report.HOOK_FAILED, self._hook_failed)
        self._pool.on(Report.STATS, self._monitor.metrics.update)
        self._pool.on(Report.CONNECTIONS, context.connection_lists.add_rows)
        supervisor.after_settling(self._report_start)
        supervisor.after_settling(self._write_workers)

    def run(self) -> None:
        """Supervise until the host has stopped.

        Raises:
            ReactorhostError: the host did not start; no worker is left.
        """
        self._log.info("host_starting", version=__version__, workers=self._planner.scaling.target)
        self._supervisor.schedule()
        self._sample()
        self._reactor.run()
        if self._failure is not None:
            raise self._failure
        self._log.info("host_stopped")

    def _sample(self) -> None:
        """Sample every worker once a second, and find those whose loop stands still."""
        now = time.monotonic()
        self._monitor.sample(now)
        for pid, seconds in self._monitor.stalled(self._context.settings.stall_timeout or 0.0, now):
            self._planner.stalled(pid, seconds, now)
            self._supervisor.schedule()
        self._reactor.call_later(INTERVAL_SECONDS, self._sample)

    # Reports of workers.

    def _ready(self, pid: int, message: Message) -> None:
        worker = self._planner.ready(pid, time.monotonic())
        if worker is None:
            return
        try:
            self._context.listeners.open(worker.slot)
        except OSError as error:
            # The worker serves the listeners that did open; the next one that is ready tries the others again.
            self._log.error("slot_not_opened", slot=worker.slot, error=error.strerror)
        self._pool.order(pid, {"order": Order.SERVE})
        self._log.info("worker_ready", slot=worker.slot, pid=pid, generation=worker.generation)
        self._supervisor.schedule()

    def _leaving(self, pid: int, message: Message) -> None:
        self._supervisor.remember_draining(pid, message["seconds"])
        self._planner.leaving(pid, message["seconds"], time.monotonic())
        self._supervisor.schedule()

    def _hook_failed(self, pid: int, message: Message) -> None:
        worker = self._planner.workers.get(pid)
        if worker is not None:
            plugin, error = message["plugin"], message["error"]
            self._monitor.hook_failed(plugin, error, time.monotonic())
            self._log.remember("error", "hook_failed", slot=worker.slot, pid=pid, plugin=plugin, error=error)

    # Exits.

    def reap(self) -> None:
        """Reap every child that ended; as process 1 of a container the master gets the children of others too."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            report = self._pool.reap(pid, status)
            if report is not None:
                self._exited(pid, report)
        self._supervisor.schedule()

    def _exited(self, pid: int, report: ExitReport) -> None:
        self._context.connection_lists.worker_ended(pid)
        self._monitor.worker_ended(pid, report.last)
        worker = self._planner.workers[pid]
        boot_error = report.boot_error(worker.slot, pid, worker.reason)
        ended = self._planner.exited(pid, report.how, boot_error, time.monotonic())
        if ended is None:
            return
        match ended.kind:
            case ExitKind.EXPECTED:
                self._log.info("worker_exited", slot=worker.slot, pid=pid, how=report.how)
            case ExitKind.CRASHED:
                self._log_crash(ended, report)
            case ExitKind.NOT_BOOTED:
                self._log.error(
                    "worker_not_booted", slot=worker.slot, pid=pid, error=boot_error.what, details=boot_error.details
                )
                if ended.failed_reload:
                    self._log.error("reload_failed", slot=worker.slot, error=boot_error.what)
                elif self._planner.state is HostState.STARTING:
                    self._fail_start(boot_error)

    def _log_crash(self, ended: Exit, report: ExitReport) -> None:
        counters = report.last.counters
        self._log.error(
            "worker_crashed",
            slot=ended.worker.slot,
            pid=ended.worker.pid,
            how=report.how,
            last_turn_seconds_ago=round(max(0.0, time.monotonic() - counters.tick), 1) if counters.tick else None,
            connections=counters.connections,
            rss_peak_bytes=counters.rss_peak_bytes,
            restarts=self._planner.slots[ended.worker.slot].restarts,
            details=None if report.stack is None else report.stack.text,
        )

    # Start.

    def _report_start(self) -> None:
        """End the start once every slot has a worker, or failed to get one while others serve."""
        if self._started or self._planner.state is not HostState.RUNNING:
            return
        for slot in self._planner.slots.values():
            if not slot.backoff.failures and not self._planner.table.in_slot(slot.number, WorkerState.READY):
                return
        try:
            self._rundir.write_pid_file()
        except ReactorhostError as error:
            self._fail_start(error)
            return
        self._started = True
        settings = self._context.settings
        effective = self._context.listeners.effective_backlog()
        if effective < settings.backlog:
            self._log.info("backlog_limited", asked=settings.backlog, effective=effective)
        self._log.info("host_ready", workers=self._planner.scaling.ready_slots())
        self._on_started()

    def _fail_start(self, error: ReactorhostError) -> None:
        self._failure = error
        self._stop(at_once=True)

    def _write_workers(self) -> None:
        """Write the file of the workers' process ids when it changed."""
        rows = sorted((each.slot, each.pid, each.generation) for each in self._planner.workers.values())
        if rows != self._written_workers:
            self._written_workers = rows
            try:
                self._rundir.write_workers(rows)
            except OSError as error:
                self._log.error("workers_file_not_written", error=error.strerror)

    # Stop.

    def stop(self, watcher: Watcher | None = None, *, at_once: bool = False) -> None:
        """Stop the host; `watcher` follows the drain, and sees the end of this process as success."""
        if watcher is not None:
            self._stop_watchers.append(watcher)
        self._stop(at_once=at_once)

    def _stop(self, *, at_once: bool) -> None:
        begins = self._planner.state is not HostState.STOPPING
        if begins:
            self._log_stopping(at_once=at_once)
            # Before the workers drain: each closes its copies right after it found its queues empty. If the master
            # still had one, clients would be accepted by the kernel after that, and reset later.
            self._context.listeners.close()
            if self._failure is None and not self._started:
                self._failure = StoppedEarlyError("stopped before it was ready")
        self._planner.stop(time.monotonic(), at_once=at_once)
        self._supervisor.schedule()
        if begins:
            # After `_settle`, which sets the deadlines that are reported.
            self._reactor.call_soon(self._report_stop_progress)

    def _log_stopping(self, *, at_once: bool) -> None:
        connections = self._pool.connections()
        if at_once or not connections:
            self._log.info("host_stopping", connections=connections)
        else:
            seconds = self._context.settings.stop_timeout
            self._log.info("host_stopping", connections=connections, seconds=seconds, hint="again: stops at once")

    def _report_stop_progress(self) -> None:
        left, workers = self._pool.connections(), len(self._planner.workers)
        seconds = self._planner.seconds_to_stop(time.monotonic())
        for watcher in self._stop_watchers:
            text = f"{left} connections open on {workers} workers, at most {seconds:.0f} s left"
            watcher.progress(text, connections=left, workers=workers, seconds=round(seconds, 1))
        self._reactor.call_later(_STOP_PROGRESS_SECONDS, self._report_stop_progress)
