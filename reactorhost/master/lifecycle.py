"""The lifecycle of host and workers: start, ready, crash, exit, stop."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from reactorhost import __version__
from reactorhost.errors import BootError, IncompleteStopError, ReactorhostError, StoppedEarlyError
from reactorhost.ipc.hold_reason import HoldReason
from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import Order, Report
from reactorhost.ipc.moments import Moment
from reactorhost.master.context import MasterContext
from reactorhost.master.heartbeats import HeartbeatWatch
from reactorhost.master.plan.planner import Exit, ExitKind, HostState
from reactorhost.master.plan.progress import Watcher
from reactorhost.master.plan.slot import SlotState
from reactorhost.master.rundir import RunDirectory
from reactorhost.master.stats.ended_workers import exit_reason
from reactorhost.master.stats.hook_error import HookError
from reactorhost.master.stats.samples import INTERVAL_SECONDS
from reactorhost.master.stop_progress import StopProgress, StopReport
from reactorhost.master.supervisor import Supervisor
from reactorhost.master.workers.exit_report import ExitReport
from reactorhost.reactor import TimerHandle

_STOP_PROGRESS_SECONDS = 1.0


@dataclass(slots=True)
class Lifecycle:
    """Runs a host from its first fork to its last exit; `on_started` is called once, when the workers are ready.

    Attributes:
        started: the workers were ready once; of a host that another program has started, from the beginning.
        on_stopping: called once a second while a host stops that was started, with how far that is.
        other_children: called with the wait status of a child that is not a worker, by its process id.
    """

    context: MasterContext
    supervisor: Supervisor
    rundir: RunDirectory
    on_started: Callable[[], None]
    each_second: list[Callable[[], object]] = field(default_factory=list)
    started: bool = False
    other_children: dict[int, Callable[[int], object]] = field(default_factory=dict)
    on_stopping: Callable[[StopReport], object] = lambda report: None
    _failure: ReactorhostError | None = None
    _incomplete: IncompleteStopError | None = None
    _stop_watchers: list[Watcher] = field(default_factory=list)
    _delay: TimerHandle | None = None
    _written_workers: list[tuple[int, int, int]] | None = None
    _progress: StopProgress = field(init=False)

    def __post_init__(self) -> None:
        self._progress = StopProgress(self.context)
        pool = self.context.pool
        pool.on(Report.BOOTING, self._booting)
        pool.on(Report.READY, self._ready)
        pool.on(Report.LEAVING, self._leaving)
        pool.on(Report.FULL, self._full)
        pool.on(Report.HELD, self._held)
        pool.on(Report.HOOK_FAILED, self._hook_failed)
        pool.on(Report.EVENT, self._worker_event)
        pool.on(Report.STATS, self.context.monitor.metrics.update)
        pool.on(Report.BUS_BACKEND, self.context.bus.backend_changed)
        pool.on(Report.SHARED_COUNTER, self.context.shared_counters.requested)
        pool.on(Report.CONNECTIONS, self.context.requests.answered)
        pool.on(Report.DISCONNECTED, self.context.requests.answered)
        pool.on(Report.REOPENED, self.context.requests.answered)
        self.supervisor.after_settling += [self._report_start, self.write_workers]
        self.supervisor.on_failure = self._fail_start_if_starting

    def run(self) -> None:
        """Supervise until the host has stopped.

        Raises:
            ReactorhostError: the host did not start, or its stop was not complete; no worker is left.
        """
        if self.started:
            # Of those that ended while this program was loaded the signals are lost.
            self.reap()
        else:
            self.context.log.info("host_starting", version=__version__, workers=self.context.planner.scaling.target)
        self.supervisor.schedule()
        self._sample()
        HeartbeatWatch(self.context, self.supervisor).check()
        self.context.reactor.run()
        if self._failure is not None:
            raise self._failure
        self.context.log.info("host_stopped")
        if self._incomplete is not None:
            for watcher in self._stop_watchers:
                watcher.failed(self._incomplete)
            raise self._incomplete

    def _sample(self) -> None:
        """Sample every worker once a second, and find those whose loop stands still."""
        now = time.monotonic()
        monitor = self.context.monitor
        monitor.sample(now)
        for pid, seconds in monitor.stalled(self.context.planner.settings.stall_timeout or 0.0, now):
            self.context.planner.stalled(pid, seconds, self.context.pool.stall(pid), now)
            self.supervisor.schedule()
        for callback in self.each_second:
            callback()
        self.context.reactor.call_later(INTERVAL_SECONDS, self._sample)

    # Reports of workers.

    def _booting(self, pid: int, message: Message) -> None:
        self.context.planner.table.note_boot_step(pid, message["step"], message["plugin"], time.monotonic())
        self.supervisor.schedule()

    def _ready(self, pid: int, message: Message) -> None:
        log = self.context.log
        worker = self.context.planner.ready(pid, time.monotonic())
        if worker is None:
            return
        worker.uses_leader = message["uses_leader"]
        if worker.slot == 0:
            self.supervisor.limit_services(message["service_workers"])
        # Listen before the order: what the worker registers must be a socket that listens, and a client that connects
        # now waits no longer than the order takes.
        try:
            self.context.listeners.open(self.context.pool.borrowed(pid))
        except ReactorhostError as error:
            # The worker serves the listeners that did open; the next one that is ready tries the others again.
            log.error("slot_not_opened", slot=worker.slot, error=error.what)  # noqa: TRY400  no logger
            if not self.started:
                self._fail_start(error)
                return
            self.context.planner.scaling.fail(error)
        self.context.pool.order(pid, {"order": Order.SERVE})
        log.info("worker_ready", slot=worker.slot, pid=pid, generation=worker.generation)
        self.supervisor.schedule()

    def _leaving(self, pid: int, message: Message) -> None:
        if not message["waits"]:
            self.supervisor.remember_draining(pid, message["seconds"])
        self.context.planner.leaving(pid, message["seconds"], time.monotonic(), waits=message["waits"])
        self.supervisor.schedule()

    def _full(self, pid: int, message: Message) -> None:
        self.context.planner.full(pid, full=message["full"])
        self.supervisor.schedule()

    def _held(self, pid: int, message: Message) -> None:
        worker = self.context.planner.workers.get(pid)
        if worker is not None:
            worker.holds = tuple(HoldReason(each["plugin"], each["reason"]) for each in message["holds"])

    def _hook_failed(self, pid: int, message: Message) -> None:
        worker = self.context.planner.workers.get(pid)
        if worker is not None:
            failed = HookError.reported(message, worker.slot, time.monotonic())
            self.context.monitor.errors[message["plugin"]] = failed
            # The worker logged it, with the traceback.
            self.context.log.remember(
                "error",
                "hook_failed",
                slot=worker.slot,
                pid=pid,
                plugin=message["plugin"],
                hook=failed.hook,
                **({} if failed.peer is None else {"peer": failed.peer}),
                error=failed.message,
                where=failed.where,
                # A worker of an earlier version does not count those that it has not reported.
                **({"suppressed": count - 1} if (count := message.get("count", 1)) > 1 else {}),
            )

    def _worker_event(self, pid: int, message: Message) -> None:
        worker = self.context.planner.workers.get(pid)
        if worker is not None:
            # The worker logged it.
            fields = {"slot": worker.slot, "pid": pid, **message["fields"]}
            self.context.log.remember(message["level"], message["event"], **fields)

    # Exits.

    def reap(self) -> None:
        """Reap every child that ended; as process 1 of a container the master gets the children of others too."""
        # A loop, because signals do not queue: one CHLD can stand for many exits.
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            report = self.context.pool.reap(pid, status, usage)
            if report is not None:
                self._exited(pid, report)
            elif pid in self.other_children:
                self.other_children.pop(pid)(status)
        self.supervisor.schedule()

    def _exited(self, pid: int, report: ExitReport) -> None:
        log, planner = self.context.log, self.context.planner
        self.context.requests.worker_ended(pid)
        self.context.introductions.worker_ended(pid)
        worker = planner.workers[pid]
        if planner.state is HostState.STOPPING and worker.holds and self._incomplete is None:
            self._incomplete = _incomplete(worker.holds[0])
        self.context.monitor.worker_ended(pid, worker.slot, report)
        counters = report.last.counters
        planner.leadership.note_progress(pid, Moment(counters.jobs_until, counters.jobs_until_unix))
        boot_error = report.boot_error(worker.slot, pid, worker.reason)
        ended = planner.exited(pid, report.how, boot_error, time.monotonic())
        if ended is None:
            return
        self.context.monitor.samples.ended.exits[exit_reason(ended, report)] += 1
        match ended.kind:
            case ExitKind.EXPECTED if report.is_orderly(worker.reason):
                log.info("worker_exited", slot=worker.slot, pid=pid, how=report.how)
            case ExitKind.EXPECTED | ExitKind.CRASHED:
                self._log_crash(ended, report)
            case ExitKind.NOT_BOOTED:
                what, details = boot_error.what, boot_error.details
                log.error("worker_not_booted", slot=worker.slot, pid=pid, error=what, details=details)
                if ended.failed_reload:
                    log.error("reload_failed", slot=worker.slot, serving=planner.serving(), error=what)
                elif planner.state is HostState.STARTING:
                    # The first worker of all: the others would fail alike. Later failures are retried.
                    self._fail_start(boot_error)

    def _log_crash(self, ended: Exit, report: ExitReport) -> None:
        counters = report.last.counters
        slot = self.context.planner.slots.get(ended.worker.slot)
        self.context.log.error(
            "worker_crashed",
            slot=ended.worker.slot,
            pid=ended.worker.pid,
            how=report.how,
            last_turn_seconds_ago=round(max(0.0, time.monotonic() - counters.tick), 1) if counters.tick else None,
            connections=counters.connections,
            rss_peak_bytes=report.rss_peak_bytes,
            # A slot can be retired before the last worker of it ends.
            restarts=slot.restarts if slot is not None else 0,
            # A signal that the master has sent must not pass for one from outside.
            **({"reason": ended.worker.reason} if ended.worker.reason else {}),
            **({} if report.stall is None else report.stall.fields()),
            details=None if report.stack is None else report.stack.text,
        )

    # Start.

    def _report_start(self) -> None:
        """End the start once every slot has a worker, or failed to get one while others serve."""
        planner, settings = self.context.planner, self.context.planner.settings
        if self.started or planner.state is not HostState.RUNNING:
            return
        slots = [slot for slot in planner.slots.values() if slot.wanted]
        if not all(slot.backoff.failed or slot.state is SlotState.READY for slot in slots):
            return
        ready = planner.scaling.ready_slots()
        if not ready:
            why = next((slot.last_exit for slot in slots if slot.last_exit is not None), "unknown")
            hint = "the log has more; a plugin may have ended the process"
            self._fail_start(BootError(f"no worker is left at the end of the start: {why}", hint=hint))
            return
        # Before the report: scripts read the file as soon as `start -d` returns.
        try:
            self.rundir.write_pid_file()
        except ReactorhostError as error:
            self._fail_start(error)
            return
        self.started = True
        effective = self.context.listeners.effective_backlog()
        # The default asks for more than most systems allow; `status` has what it comes to.
        if effective < settings.backlog and settings.is_set("backlog"):
            self.context.log.warning("backlog_limited", asked=settings.backlog, effective=effective)
        if ready < len(slots):
            self.context.log.warning("workers_missing", ready=ready, wanted=len(slots))
        self.context.log.info("host_ready", workers=ready)
        self.on_started()

    def _fail_start_if_starting(self, error: ReactorhostError) -> None:
        if not self.started:
            # Not now: the supervisor is about to carry out other actions, some on the listeners that a stop closes.
            self.context.reactor.call_soon(self._fail_start, error)

    def _fail_start(self, error: ReactorhostError) -> None:
        # The first of several is the cause; nor does a start fail that an operator has stopped.
        if self.context.planner.state is not HostState.STOPPING:
            self._failure = error
            self.stop(at_once=True)

    def write_workers(self) -> None:
        """Write the file of the workers' process ids when it changed."""
        rows = sorted((each.slot, each.pid, each.generation) for each in self.context.planner.workers.values())
        if rows != self._written_workers:
            self._written_workers = rows
            try:
                self.rundir.write_workers(rows)
            except ReactorhostError as error:
                self.context.log.error("workers_file_not_written", error=error.what)  # noqa: TRY400  no logger

    # Stop.

    def stop(self, watcher: Watcher | None = None, *, delayed: bool = False, at_once: bool = False) -> None:
        """Stop the host; `watcher` follows the drain, and sees the end of this process as success.

        A `delayed` stop begins after `drain_delay`, if workers serve: until then only the readiness of the host has
        changed, so that load balancers send no more clients when its listeners are closed.
        """
        if watcher is not None:
            self._stop_watchers.append(watcher)
        planner = self.context.planner
        if delayed and planner.state is HostState.RUNNING and planner.settings.drain_delay:
            self._leave()
        elif not (delayed and planner.state is HostState.LEAVING):
            self._stop(at_once=at_once)

    def _leave(self) -> None:
        """Announce the stop."""
        planner, connections = self.context.planner, self.context.pool.connections()
        delay = planner.settings.drain_delay
        hint = "clients are accepted until then; a second signal ends the delay"
        self.context.log.info("host_leaving", connections=connections, seconds=delay, hint=hint)
        planner.leave(time.monotonic())
        self._delay = self.context.reactor.call_later(delay, self._stop)
        self.supervisor.schedule()
        self._report_stop_progress()

    def _stop(self, *, at_once: bool = False) -> None:
        state = self.context.planner.state
        begins = state is not HostState.STOPPING
        if self._delay is not None:
            self._delay.cancel()
            self._delay = None
        if begins:
            self._log_stopping(at_once=at_once)
            # Before the workers drain: each closes its copies right after it found its queues empty. If the master
            # still had one, clients would be accepted by the kernel after that, and reset later.
            self.context.listeners.close()
            if self._failure is None and not self.started:
                self._failure = StoppedEarlyError("stopped before it was ready")
        self.context.planner.stop(time.monotonic(), at_once=at_once)
        self.supervisor.schedule()
        if begins and state is not HostState.LEAVING:
            # After `_settle`, which sets the deadlines that are reported.
            self.context.reactor.call_soon(self._report_stop_progress)

    def _log_stopping(self, *, at_once: bool) -> None:
        log, connections = self.context.log, self.context.pool.connections()
        if at_once or not connections:
            log.info("host_stopping", connections=connections)
        else:
            seconds = round(self.context.planner.settings.stop_seconds, 1)
            log.info("host_stopping", connections=connections, seconds=seconds, hint="a second signal stops at once")

    def _report_stop_progress(self) -> None:
        report = self._progress.report()
        if self.started:
            self.on_stopping(report)
        text = "; ".join(filter(None, (report.text, report.waits_for)))
        for watcher in self._stop_watchers:
            watcher.progress(
                text,
                connections=report.connections,
                workers=report.workers,
                seconds=report.seconds,
                held=report.held,
            )
        self.context.reactor.call_later(_STOP_PROGRESS_SECONDS, self._report_stop_progress)


def _incomplete(hold: HoldReason) -> IncompleteStopError:
    """Return the failure of a stop whose deadline has passed before a plugin has released a hold."""
    what = f"the host has stopped before {hold.plugin} was done: {hold.reason}"
    return IncompleteStopError(what, hint="the log has more")
