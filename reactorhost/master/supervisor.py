"""The master: carries out what the roster decides, and tells it what happened.

Every event (a signal, a report, a verb, a timer) ends in one `_settle`, which asks the roster until it wants
nothing more. Nothing here waits: the reactor does.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from collections.abc import Callable, Sequence

from reactorhost import __version__
from reactorhost.address import Address
from reactorhost.config.settings import Settings
from reactorhost.errors import ReactorhostError, StoppedEarlyError, UsageError
from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import Order, Report
from reactorhost.ipc.scoreboard import Scoreboard
from reactorhost.ipc.status import StatusDocument
from reactorhost.logs import AppendHandler
from reactorhost.master.admin.control_server import Session
from reactorhost.master.listen.listeners import Listeners, SlotSocket
from reactorhost.master.plan import actions
from reactorhost.master.plan.operations import Recycles, Reloads, Scalings, Watcher
from reactorhost.master.plan.planner import Exit, ExitKind, HostState, Planner, WorkerState
from reactorhost.master.rundir import RunDirectory
from reactorhost.master.stats.events import EventRing
from reactorhost.master.stats.monitor import Monitor
from reactorhost.master.stats.samples import INTERVAL_SECONDS
from reactorhost.master.stats.status_document import StatusBuilder
from reactorhost.master.workers.connection_lists import Listings
from reactorhost.master.workers.pool import ExitReport, WorkerPool
from reactorhost.reactor import Reactor
from reactorhost.reactor import Timer as ReactorTimer
from reactorhost.system.fork import ForkRegistry

MOST_WORKERS = 256
_PAGES = MOST_WORKERS * 8
_RETIRE_RETRY_SECONDS = 1.0
_FIXED_SETTINGS = ("name", "daemon", "run_dir", "pid_file", "log_file", "user", "group", "backlog", "peer_timeout")
_STOP_PROGRESS_SECONDS = 1.0


class Supervisor:
    """One host's supervising process."""

    def __init__(
        self,
        reactor: Reactor,
        registry: ForkRegistry,
        settings: Settings,
        account: tuple[int, int, str] | None,
        listeners: Listeners,
        rundir: RunDirectory,
        log: EventRing,
        log_file: AppendHandler,
        on_started: Callable[[StatusDocument], None],
    ) -> None:
        self._settings = settings
        self._account = account
        self._listeners = listeners
        self._rundir = rundir
        self._log = log
        self._log_file = log_file
        self._on_started = on_started
        self._started = False
        self._failure: ReactorhostError | None = None
        self._reactor = reactor
        self._planner = Planner(
            settings.workers,
            settings.boot_timeout,
            settings.stop_timeout,
            settings.drain_timeout,
            settings.retire_delay,
        )
        self._pool = WorkerPool(self._reactor, registry, Scoreboard(_PAGES), self)
        self._monitor = Monitor(self._reactor, self._pool)
        self._reporter = StatusBuilder(
            self._planner, self._pool, self._monitor, listeners, log, time.time(), time.monotonic()
        )
        self._reloads = Reloads(self._planner)
        self._scalings = Scalings(self._planner)
        self._recycles = Recycles(self._planner)
        self._listings = Listings(self._reactor, self._pool)
        self._stop_watchers: list[Watcher] = []
        self._reasons: dict[int, str] = {}
        self._written_workers: list[tuple[int, int, int]] | None = None
        self._settling = False
        self._timer: ReactorTimer | None = None

    def run(self) -> None:
        """Supervise until the host was stopped.

        Raises:
            ReactorhostError: it never came up; nothing of it is left.
        """
        self._log.info("host_starting", version=__version__, workers=self._planner.target)
        self._touch()
        self._look()
        self._reactor.run()
        if self._failure is not None:
            raise self._failure
        self._log.info("host_stopped")

    # Deciding and acting.

    def _touch(self) -> None:
        """Let the roster decide at the end of this turn."""
        if not self._settling:
            self._settling = True
            self._reactor.call_soon(self._settle)

    def _settle(self) -> None:
        self._settling = False
        now = time.monotonic()
        self._act_on_all(now)
        if self._reloads.start_if_wanted():
            self._log.info("reload_started", generation=self._planner.generation + 1)
            self._act_on_all(now)
        if self._reloads.finish_if_done():
            self._log.info("reload_finished", generation=self._planner.generation)
            self._touch()
        self._scalings.look(sum(1 for each in self._planner.members.values() if each.state is WorkerState.DRAINING))
        self._tell_if_started()
        self._write_workers()
        self._set_timer(now)
        if self._planner.stopped():
            self._reactor.stop()

    def _act_on_all(self, now: float) -> None:
        while wanted := self._planner.decide(now):
            for action in wanted:
                self._act(action, now)

    def _act(self, action: actions.Action, now: float) -> None:  # noqa: C901  one arm for each kind of action
        match action:
            case actions.Open(slot):
                self._open(slot)
            case actions.Close(slot):
                self._listeners.close_slot(slot)
            case actions.Spawn(slot, generation):
                self._spawn(slot, generation, now)
            case actions.Drain(pid, seconds, final):
                self._drain(pid, seconds, final=final)
            case actions.LeaveNow(pid):
                self._pool.signal(pid, signal.SIGQUIT)
            case actions.Abort(pid, why):
                self._end(pid, signal.SIGABRT, why)
            case actions.Kill(pid, why):
                self._end(pid, signal.SIGKILL, why)
            case actions.Adopt(slot, pid):
                self._adopt(slot, pid)
            case actions.Release(slot, pid):
                self._pool.order(pid, {"order": Order.RELEASE, "slot": slot})
            case actions.Steer(leaving):
                if not self._listeners.steer_away(leaving) and leaving:
                    self._log.info("steering_refused", slots=_joined(leaving), hint="kept served by neighbours")
            case actions.Retire(slot, adopter):
                self._retire(slot, adopter, now)

    def _open(self, slot: int) -> None:
        try:
            self._listeners.open_slot(slot)
        except OSError as error:
            # The slot exists without sockets of its own: its worker would serve nothing, so there is to be none.
            self._log.error("slot_not_opened", slot=slot, error=error.strerror)
            self._scalings.abandon(ReactorhostError(f"slot {slot} cannot listen: {error.strerror}"))
            self._planner.scale(slot)

    def _spawn(self, slot: int, generation: int, now: float) -> None:
        sockets = self._listeners.of_slot(slot)
        try:
            handle = self._pool.fork(self._settings, self._account, slot, generation, sockets)
        except OSError as error:
            self._log.error("worker_not_forked", slot=slot, error=error.strerror)
            if self._planner.fork_failed(slot, now):
                self._reloads.fail(ReactorhostError(f"cannot fork: {error.strerror}"))
            return
        self._planner.forked(handle.pid, slot, generation, handle.page, now)
        self._log.info("worker_starting", slot=slot, pid=handle.pid, generation=generation)

    def _drain(self, pid: int, seconds: float, *, final: bool) -> None:
        self._remember_draining(pid, seconds)
        self._pool.order(pid, {"order": Order.DRAIN, "seconds": seconds, "final": final})

    def _remember_draining(self, pid: int, seconds: float) -> None:
        # The worker puts it into the log itself, and knows better how many connections it has by then.
        member = self._planner.members[pid]
        self._log.remember(
            "info",
            "worker_draining",
            slot=member.slot,
            pid=pid,
            generation=member.generation,
            connections=self._pool.counters(pid).connections,
            seconds=round(seconds, 1),
        )

    def _end(self, pid: int, number: signal.Signals, why: str) -> None:
        member = self._planner.members[pid]
        self._reasons.setdefault(pid, why)
        self._log.error("worker_killed", slot=member.slot, pid=pid, signal=number.name, reason=why)
        self._pool.signal(pid, number)

    def _adopt(self, slot: int, pid: int) -> None:
        sockets = self._listeners.owned_by(slot)
        if sockets:
            self._pool.order(
                pid,
                {"order": Order.ADOPT, "slot": slot, "listeners": [_described(each) for each in sockets]},
                [each.socket.fileno() for each in sockets],
            )

    def _retire(self, slot: int, adopter: int | None, now: float) -> None:
        if not self._listeners.steered:
            self._planner.retire_later(slot, now + _RETIRE_RETRY_SECONDS)
        elif adopter is not None:
            self._pool.order(adopter, {"order": Order.RELEASE, "slot": slot})
        else:
            self._close_retired(slot, now)

    def _close_retired(self, slot: int, now: float) -> None:
        if self._listeners.queued(slot):
            self._planner.retire_later(slot, now + _RETIRE_RETRY_SECONDS)
            return
        self._listeners.close_slot(slot)
        self._planner.retired(slot)
        self._log.info("slot_retired", slot=slot)

    def _set_timer(self, now: float) -> None:
        next_at = self._planner.next_at(now)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if next_at is None else self._reactor.call_at(next_at, self._deadline)

    def _deadline(self) -> None:
        self._timer = None
        now = time.monotonic()
        for action in self._planner.expire(now):
            self._act(action, now)
        self._touch()

    def _look(self) -> None:
        """Look at every worker once a second."""
        now = time.monotonic()
        self._monitor.look(now)
        for pid, seconds in self._monitor.stalled(self._settings.stall_timeout or 0.0, now):
            self._planner.stalled(pid, seconds, now)
            self._touch()
        self._reactor.call_later(INTERVAL_SECONDS, self._look)

    # What workers tell.

    def worker_reported(self, pid: int, message: Message) -> None:
        """Act on what a worker said of itself."""
        match message["report"]:
            case Report.READY:
                self._ready(pid)
            case Report.LEAVING:
                self._remember_draining(pid, message["seconds"])
                self._planner.leaving(pid, message["seconds"], time.monotonic())
            case Report.HOOK_FAILED:
                self._hook_failed(pid, message["plugin"], message["error"])
            case Report.STATS:
                self._monitor.metrics.told(pid, message)
            case Report.RELEASED:
                if self._planner.released(message["slot"], pid, time.monotonic()):
                    self._close_retired(message["slot"], time.monotonic())
            case Report.CONNECTIONS:
                self._listings.rows(pid, message["request"], message["rows"], last=message["last"])
        self._touch()

    def _hook_failed(self, pid: int, plugin: str, error: str) -> None:
        member = self._planner.members.get(pid)
        if member is not None:
            self._monitor.hook_failed(plugin, error, time.monotonic())
            self._log.remember("error", "hook_failed", slot=member.slot, pid=pid, plugin=plugin, error=error)

    def _ready(self, pid: int) -> None:
        member = self._planner.ready(pid, time.monotonic())
        if member is None:
            return
        try:
            self._listeners.let_in(member.slot)
        except OSError as error:
            # It serves what can be served, and the next worker that is ready tries again.
            self._log.error("slot_not_opened", slot=member.slot, error=error.strerror)
        self._pool.order(pid, {"order": Order.SERVE})
        self._log.info("worker_ready", slot=member.slot, pid=pid, generation=member.generation)
        self._recycles.ready(member)
        if self._reloads.running:
            old = [each.pid for each in self._planner.in_slot(member.slot, WorkerState.READY) if each is not member]
            self._reloads.replaced(member, old)

    def reap(self) -> None:
        """Bury every child that ended; strangers, as process 1 gets them, without a word."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            report = self._pool.reap(pid, status)
            if report is not None:
                self._worker_exited(pid, report)
        self._touch()

    def _worker_exited(self, pid: int, report: ExitReport) -> None:
        self._listings.gone(pid)
        self._recycles.gone(pid)
        self._monitor.ended(pid, report)
        reason = self._reasons.pop(pid, None)
        ended = self._planner.exited(pid, report.why, time.monotonic())
        if ended is None:
            return
        if ended.kind is ExitKind.EXPECTED:
            self._log.info("worker_exited", slot=ended.member.slot, pid=pid, how=report.why)
            return
        if ended.kind is ExitKind.CRASHED:
            self._tell_crash(ended, report)
            return
        error = report.boot_error(ended.member.slot, pid, reason)
        self._log.error("worker_not_booted", slot=ended.member.slot, pid=pid, error=error.what, details=error.details)
        if ended.failed_reload:
            self._log.error("reload_failed", slot=ended.member.slot, error=error.what)
            self._reloads.fail(error)
        elif self._planner.mode is HostState.STARTING:
            self._fail_start(error)
        else:
            self._scalings.slot_failed(ended.member.slot, error)
            self._recycles.slot_failed(ended.member.slot, error)

    def _tell_crash(self, ended: Exit, report: ExitReport) -> None:
        counters = report.last.counters
        self._log.error(
            "worker_crashed",
            slot=ended.member.slot,
            pid=ended.member.pid,
            how=report.why,
            last_turn_seconds_ago=round(max(0.0, time.monotonic() - counters.tick), 1) if counters.tick else None,
            connections=counters.connections,
            rss_peak_bytes=counters.rss_peak_bytes,
            restarts=self._planner.slots[ended.member.slot].restarts,
            details=None if report.stack is None else report.stack.text,
        )

    # Starting.

    def _tell_if_started(self) -> None:
        """End the start once every slot has its worker, or failed to get one while others serve."""
        slots = self._planner.slots.values()
        if self._started or self._planner.mode is not HostState.RUNNING:
            return
        if any(not slot.failures and not self._planner.in_slot(slot.number, WorkerState.READY) for slot in slots):
            return
        try:
            self._rundir.write_pid_file()
        except ReactorhostError as error:
            self._fail_start(error)
            return
        self._started = True
        effective = self._listeners.effective_backlog()
        if effective < self._settings.backlog:
            self._log.info("backlog_limited", asked=self._settings.backlog, effective=effective)
        self._log.info("host_ready", workers=self._planner.ready_slots())
        self._on_started(self.status())

    def _fail_start(self, error: ReactorhostError) -> None:
        self._failure = error
        self._stop(at_once=True)

    # Stopping.

    def _stop(self, *, at_once: bool) -> None:
        now = time.monotonic()
        begins = self._planner.mode is not HostState.STOPPING
        if begins:
            self._tell_stopping(at_once=at_once)
            stopping = ReactorhostError("the host is being stopped")
            self._reloads.abandon(stopping)
            self._scalings.abandon(stopping)
            self._recycles.abandon(stopping)
            # Before the workers: each closes its own copies right after it saw its queues empty, and is the last.
            self._listeners.close()
            if self._failure is None and not self._started:
                self._failure = StoppedEarlyError("stopped before it was ready")
        self._planner.stop(now, at_once=at_once)
        self._touch()
        if begins:
            # Once the roster gave everybody a deadline to tell of.
            self._reactor.call_soon(self._tell_stop_progress)

    def _tell_stopping(self, *, at_once: bool) -> None:
        connections = self._reporter.connections()
        if at_once or not connections:
            self._log.info("host_stopping", connections=connections)
        else:
            seconds = self._settings.stop_timeout
            self._log.info("host_stopping", connections=connections, seconds=seconds, hint="again: stops at once")

    def _tell_stop_progress(self) -> None:
        left = self._reporter.connections()
        seconds = self._planner.seconds_to_stop(time.monotonic())
        for watcher in self._stop_watchers:
            text = f"{left} connections open on {len(self._planner.members)} workers, at most {seconds:.0f} s left"
            watcher.progress(text, connections=left, workers=len(self._planner.members), seconds=round(seconds, 1))
        self._reactor.call_later(_STOP_PROGRESS_SECONDS, self._tell_stop_progress)

    # What can be asked of it.

    def ask_reload(self, watcher: Watcher | None = None) -> None:
        """Replace every worker; `watcher` hears how it goes.

        Raises:
            ReactorhostError: the host is being stopped.
        """
        self._refuse_while_stopping()
        self._reloads.ask(watcher)
        self._touch()

    def ask_scale(self, workers: int, watcher: Watcher | None = None) -> None:
        """Want so many workers; `watcher` hears when they are ready.

        Raises:
            ReactorhostError: the host is being stopped, or it cannot have so many.
        """
        self._refuse_while_stopping()
        if not 1 <= workers <= MOST_WORKERS:
            raise UsageError(f"cannot scale to {workers} workers", hint=f"give a number from 1 to {MOST_WORKERS}")
        self._log.info("scaling", workers=workers, before=self._planner.target)
        self._planner.scale(workers)
        self._scalings.ask(watcher)
        self._touch()

    def ask_recycle(self, pid: int, watcher: Watcher) -> None:
        """Replace one worker; the old one drains when the new one is ready.

        Raises:
            ReactorhostError: it is no worker that serves, or the host is being stopped.
        """
        self._refuse_while_stopping()
        self._recycles.ask(pid, watcher)
        self._log.info("recycling", pid=pid)
        self._touch()

    def ask_stop(self, watcher: Watcher | None = None, *, at_once: bool = False) -> None:
        """Stop; asked again while it stops, stop at once. The end of this process is what tells that it is done."""
        if watcher is not None:
            self._stop_watchers.append(watcher)
        elif self._planner.mode is HostState.STOPPING:
            at_once = True
        self._stop(at_once=at_once)

    def ask_connections(self, session: Session) -> None:
        """List the connections of every worker that serves."""
        serving = (WorkerState.READY, WorkerState.DRAINING, WorkerState.STOPPING)
        self._listings.ask(session, [each for each in self._planner.members.values() if each.state in serving])

    @property
    def workers(self) -> int:
        """How many workers are wanted."""
        return self._planner.target

    @property
    def settings(self) -> Settings:
        """What it runs with."""
        return self._settings

    def change_settings(self, fresh: Settings) -> None:
        """Run with other settings from now on; those of workers count from their next start.

        Raises:
            ReactorhostError: they have other addresses, which a running host cannot change. Nothing is changed.
        """
        if _spoken(self._settings) != _spoken(fresh):
            what = "services and addresses cannot change in a running host"
            raise ReactorhostError(what, hint="use `reactorhost restart`")
        if fresh.workers != self._settings.workers:
            self._planner.scale(fresh.workers)
        # What a process has for its whole life stays as it is, in the status too.
        kept = {name: getattr(self._settings, name) for name in _FIXED_SETTINGS}
        waiting = [name for name, value in kept.items() if getattr(fresh, name) not in (value, None)]
        if waiting:
            self._log.warning("settings_wait_for_restart", settings=",".join(waiting))
        self._settings = dataclasses.replace(fresh, **kept)
        self._planner.boot_timeout = fresh.boot_timeout
        self._planner.stop_timeout = fresh.stop_timeout
        self._planner.drain_timeout = fresh.drain_timeout
        self._planner.retire_delay = fresh.retire_delay
        self._touch()

    def reopen_logs(self) -> None:
        """Open the log files again, in every process.

        Raises:
            ReactorhostError: the master's cannot be opened; the old one stays in use.
        """
        for pid in self._pool.pids():
            self._pool.order(pid, {"order": Order.REOPEN})
        try:
            self._log_file.reopen()
        except OSError as error:
            self._log.error("log_not_reopened", error=error.strerror)
            what = f"cannot open {self._settings.log_file} again: {error.strerror}"
            raise ReactorhostError(what, hint="the old file stays in use") from None

    def status(self, *, history: bool = False) -> StatusDocument:
        """Return the status document of this moment, with the last minutes if they are asked for."""
        return self._reporter.document(self._settings, time.monotonic(), history=history)

    def _refuse_while_stopping(self) -> None:
        if self._planner.mode is HostState.STOPPING:
            raise ReactorhostError("the host is being stopped")

    def _write_workers(self) -> None:
        rows = sorted((each.slot, each.pid, each.generation) for each in self._planner.members.values())
        if rows != self._written_workers:
            self._written_workers = rows
            try:
                self._rundir.write_workers(rows)
            except OSError as error:
                self._log.error("workers_file_not_written", error=error.strerror)


def _joined(slots: Sequence[int]) -> str:
    return ",".join(str(slot) for slot in slots)


def _described(each: SlotSocket) -> dict[str, str]:
    return {"service": each.group.service, "scheme": each.group.scheme}


def _spoken(settings: Settings) -> list[tuple[str, Address, bool]]:
    """Return every service's addresses, and whether TLS is spoken there."""
    return [(each.name, address, each.speaks_tls(address)) for each in settings.services for address in each.listen]
