"""The supervisor: carries out what the planner decides.

Every event (a signal, a report, a request, a timer) changes records of the planner and calls `schedule`. At the end of
the reactor's turn one `_settle` carries out the planner's actions until it returns none. Nothing here waits.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence

from reactorhost.errors import BootError, ReactorhostError, limit_hint
from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import Order, Report
from reactorhost.ipc.moments import Moment
from reactorhost.master.context import MasterContext
from reactorhost.master.listen.slot_socket import SlotSocket
from reactorhost.master.plan import actions
from reactorhost.master.plan.planner import HostState
from reactorhost.master.plan.service_limits import Declared
from reactorhost.master.plan.worker_table import WorkerState
from reactorhost.master.workers.pool import DESCRIPTORS_OF_A_WORKER
from reactorhost.reactor import TimerHandle
from reactorhost.system import process

SPARE_DESCRIPTORS = 8
"""What a slot above the first one must leave free, so that the host can be managed."""


class Supervisor:
    """Carries out the planner's actions; calls `after_settling` each time the planner has nothing more to do.

    `on_failure` is called with the error of a slot that cannot be opened, and of a first worker that cannot be forked.
    """

    def __init__(self, context: MasterContext) -> None:
        self._reactor = context.reactor
        self._log = context.log
        self._listeners = context.listeners
        self._planner = context.planner
        self._pool = context.pool
        self._introductions = context.introductions
        self._scheduled = False
        self._timer: TimerHandle | None = None
        self.after_settling: list[Callable[[], object]] = []
        self.on_failure: Callable[[ReactorhostError], object] = lambda error: None
        self._pool.on(Report.RELEASED, self._released)
        self._pool.on(Report.STEPPED_DOWN, self._stepped_down)

    def schedule(self) -> None:
        """Let the planner decide at the end of this turn: many events of one turn take one decision."""
        if not self._scheduled:
            self._scheduled = True
            self._reactor.call_soon(self._settle)

    def _settle(self) -> None:
        self._scheduled = False
        # One time for all of it: no back-off ends between two decisions of one turn.
        now = time.monotonic()
        # First what was wanted before the reload, so that it replaces the slots of a scaling in the same turn too.
        self._act_on_all(now)
        if self._planner.begin_reload():
            self._log.info("reload_started", generation=self._planner.reload.generation)
            self._act_on_all(now)
        if self._planner.reload.finish():
            self._log.info("reload_finished", generation=self._planner.generation)
            # Another one may have been requested meanwhile.
            self.schedule()
        self._planner.reload.report(self._planner.workers.values(), now)
        self._planner.scaling.report(now)
        for callback in self.after_settling:
            callback()
        self._set_timer(now)
        if self._planner.state is HostState.STOPPING and not self._planner.workers:
            self._reactor.stop()

    def _act_on_all(self, now: float) -> None:
        while decided := self._planner.decide(now):
            for action in decided:
                self._try(action, now)

    def _try(self, action: actions.Action, now: float) -> None:
        """Carry out an action; what the system refuses of it does not keep the others from being carried out."""
        try:
            self._act(action, now)
        except OSError as error:
            self._log.error("action_failed", action=type(action).__name__.lower(), error=error.strerror)

    def _act(self, action: actions.Action, now: float) -> None:  # noqa: C901, PLR0912  one arm for each kind of action
        match action:
            case actions.Open(slot):
                self._open(slot)
            case actions.Close(slot):
                self._listeners.close_slot(slot)
            case actions.Move(service, given_up, to, pids):
                self._move(service, given_up, to, pids)
            case actions.Spawn(slot, generation):
                self._spawn(slot, generation, now)
            case actions.Drain(pid, seconds, final):
                self.remember_draining(pid, seconds)
                self._pool.order(pid, {"order": Order.DRAIN, "seconds": seconds, "final": final})
            case actions.Signal(pid, number, why):
                worker = self._planner.workers[pid]
                # Of one that boots, `worker_not_booted` has the reason.
                if why and not (worker.state is WorkerState.STARTING and number is signal.SIGABRT):
                    self._log.error("worker_killed", slot=worker.slot, pid=pid, signal=number.name, reason=why)
                self._pool.signal(pid, number)
            case actions.Adopt(slot, pid):
                self._adopt(slot, pid)
            case actions.Release(slot, pid):
                self._pool.order(pid, {"order": Order.RELEASE, "slot": slot})
            case actions.Steer(leaving):
                if not self._listeners.steer_away(leaving) and leaving:
                    slots = ",".join(str(slot) for slot in leaving)
                    self._log.info("steering_refused", slots=slots, hint="other workers keep accepting for them")
            case actions.Avoid(full):
                self._listeners.avoid(full)
            case actions.Refuse(pid, refused):
                self._pool.order(pid, {"order": Order.REFUSE, "services": refused})
            case actions.Lead(pid, since, why):
                self._appoint(pid, since, why)
            case actions.Count(pid, count):
                self._pool.order(pid, {"order": Order.COUNT, "count": count})
            case actions.Retire(slot, adopter):
                self._retire(slot, adopter, now)

    def _open(self, slot: int) -> None:
        if slot >= self._planner.scaling.target:
            # A lower one could not be opened in this turn, for a reason that holds for this one too.
            return
        try:
            self._listeners.open_slot(slot, self._planner.slots[slot].services)
            # Of slot 0 the fork reports it, as the failure of the first worker.
            if slot:
                process.require_free_descriptors(self._descriptors_to_keep(slot))
        except OSError as error:
            self._listeners.close_slot(slot)
            self._log.error("slot_not_opened", slot=slot, error=error.strerror)
            failure = ReactorhostError(f"slot {slot} cannot listen: {error.strerror}", hint=limit_hint(error))
            # No retry: the host stays at the number of slots that could listen.
            self._planner.scaling.open_failed(slot, failure)
            self.on_failure(failure)

    def _descriptors_to_keep(self, slot: int) -> int:
        """Return how many descriptors a new slot must leave: for its worker and those of lower ones, and a few.

        At the limit a host could not replace a worker that crashes, nor be managed.
        """
        without_worker = max(0, slot + 1 - len(self._pool.pids()))
        return without_worker * DESCRIPTORS_OF_A_WORKER + SPARE_DESCRIPTORS

    def _spawn(self, slot: int, generation: int, now: float) -> None:
        if slot >= self._planner.scaling.target:
            # It could not be opened in this turn, and is removed in the next decision.
            return
        try:
            target = self._planner.scaling.target
            sockets = self._sockets_of(slot)
            used = self._introductions.bus_used
            pid = self._pool.fork(self._planner.settings, slot, generation, target, sockets, bus_used=used)
        except OSError as error:
            self._log.error("worker_not_forked", slot=slot, error=error.strerror)
            failure = BootError(f"cannot fork a worker: {error.strerror}", hint=limit_hint(error))
            if self._planner.fork_failed(slot, failure, now):
                self._log.error("reload_failed", slot=slot, serving=self._planner.serving(), error=failure.what)
            if self._planner.state is HostState.STARTING:
                self.on_failure(failure)
            return
        # SIGCHLD is a callback of the reactor, so even a worker that ends at once is recorded before it is reaped.
        self._planner.forked(pid, slot, generation, now)
        # One line for each try: the next one is that it is ready, or why it is not.
        if not self._planner.slots[slot].backoff.boot_failures:
            self._log.info("worker_starting", slot=slot, pid=pid, generation=generation)

    def _sockets_of(self, slot: int) -> list[SlotSocket]:
        """Return what a worker of a slot borrows; make the sockets that the slot lacks because it serves more now."""
        services = self._planner.slots[slot].services
        try:
            self._listeners.open_slot(slot, services)
        except OSError as error:
            # The worker serves the other sockets, and for the next one it is tried again.
            self._log.error("slot_not_opened", slot=slot, error=error.strerror)
        return self._listeners.of_slot(slot, services)

    def remember_draining(self, pid: int, seconds: float) -> None:
        """Add the start of a drain to the events of the status document."""
        # Not to the log: the worker writes the line itself, with the number of connections that it has by then.
        worker = self._planner.workers[pid]
        self._log.remember(
            "info",
            "worker_draining",
            slot=worker.slot,
            pid=pid,
            generation=worker.generation,
            connections=self._pool.counters(pid).connections,
            seconds=round(seconds, 1),
        )

    def limit_services(self, declared: Declared) -> None:
        """Fit the sockets of all slots to what the plugins of slot 0 declare."""
        before = self._planner.limits.limited()
        now = time.monotonic()
        for action in self._planner.limits_declared(declared, now):
            self._try(action, now)
        for service, (workers, plugin) in self._planner.limits.limited().items():
            # A reload changes it rarely.
            if before.get(service) != (workers, plugin):
                self._log.info("service_workers_limited", service=service, workers=workers, plugin=plugin)

    def _move(self, service: str, slots: Sequence[int], to: int | None, pids: Sequence[int]) -> None:
        order = {"order": Order.MOVE, "service": service, "slots": slots, "to": to}
        for pid in pids:
            self._pool.order(pid, order)
        if not self._listeners.move(service, slots, to) and to is not None:
            # It has only unix addresses.
            self._planner.adoption.retired(to)

    def _adopt(self, slot: int, pid: int) -> None:
        services = self._planner.limits.services_of(self._planner.workers[pid].slot)
        # One that does not listen yet would be reported without end by the adopter's poller.
        owned = [each for each in self._listeners.owned_by(slot) if each.is_open]
        sockets = [each for each in owned if each.group.service in services]
        # Without any, the host serves only unix sockets, which all slots share.
        if sockets and not self._pool.lend(pid, slot, sockets):
            # As when the worker has no descriptor left.
            self._log.warning("adoption_failed", for_slot=slot, reason="too many open files")
            self._planner.adoption.refused(slot, pid, time.monotonic())

    def _retire(self, slot: int, adopter: int | None, now: float) -> None:
        if not self._listeners.steered:
            # New clients still get into its queues, so that they never are certainly empty.
            self._planner.adoption.retire_later(slot, now)
        elif adopter is not None:
            self._pool.order(adopter, {"order": Order.RELEASE, "slot": slot})
        else:
            self._close_if_empty(slot, now)

    def _released(self, pid: int, message: Message) -> None:
        now = time.monotonic()
        if message["refused"]:
            self._planner.adoption.refused(message["slot"], pid, now)
        elif self._planner.adoption.released(message["slot"], pid, now):
            self._close_if_empty(message["slot"], now)
        self.schedule()

    def _close_if_empty(self, slot: int, now: float) -> None:
        # A client can have come between the adopter's last accept and now; then the slot needs an adopter again.
        # Handshakes that began before clients were steered away had the retire delay to complete.
        if self._listeners.queued(slot):
            self._planner.adoption.retire_later(slot, now)
            return
        self._listeners.close_slot(slot)
        self._planner.adoption.retired(slot)
        self._log.info("slot_retired", slot=slot)

    def _appoint(self, pid: int, since: Moment, why: str) -> None:
        self._pool.order(pid, {"order": Order.LEAD, "since": since.monotonic, "since_unix": since.unix})
        worker = self._planner.workers[pid]
        # Most hosts have nothing that the leader does.
        if worker.uses_leader:
            self._log.info("leader_changed", slot=worker.slot, pid=pid, reason=why)

    def _stepped_down(self, pid: int, message: Message) -> None:
        self._planner.leadership.stepped_down(pid, Moment(message["until"], message["until_unix"]))
        self.schedule()

    def _set_timer(self, now: float) -> None:
        # A timer in the past is due in the next turn, after the descriptors: `expire` needs their reports (planner.py).
        next_at = self._planner.next_at(now)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if next_at is None else self._reactor.call_at(next_at, self._deadline)

    def _deadline(self) -> None:
        self._timer = None
        now = time.monotonic()
        for action in self._planner.expire(now):
            self._try(action, now)
        self.schedule()
