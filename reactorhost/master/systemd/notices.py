"""Follow the life of a host, and notify the service manager of it (sd_notify(3)).

What is sent is found by comparing the records of the planner with what was sent before, each time the supervisor has
settled and once a second. The signal HUP is an exception. With Type=notify-reload systemd sends it, and waits for a
RELOADING=1 that is not older than the signal, and then for READY=1, also if the new configuration is refused.

The watchdog is fed while the loop of the master turns and a worker serves whose loop turns too. While the host starts
or stops no worker has to: these states have deadlines of their own. The same holds for EXTEND_TIMEOUT_USEC. It is sent
each second while a start, a reload or a stop makes progress, and no longer than the settings allow for one step of it:
a host whose step takes longer is broken, and the time limits of the unit apply.
"""

from __future__ import annotations

import contextlib
import enum
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from reactorhost.errors import ReactorhostError, counted
from reactorhost.master.context import MasterContext
from reactorhost.master.lifecycle import Lifecycle
from reactorhost.master.plan.planner import HostState
from reactorhost.master.plan.worker_table import WorkerState
from reactorhost.master.systemd.outbox import Outbox
from reactorhost.master.systemd.socket_store import SocketStore
from reactorhost.system.fork import ForkRegistry
from reactorhost.system.manager_variables import ManagerVariables
from reactorhost.system.notify import NotifySocket

_EXTENSION_SECONDS = 10.0
# What a step may take beyond its deadline: workers that are ended get ABRT first, and KILL two seconds later.
_SPARE_SECONDS = 10.0
_LONGEST_STATUS = 200


Callbacks = Mapping[signal.Signals, Callable[[], object]]
"""What the master does at each signal."""


class _Phase(enum.Enum):
    STARTING = "starting"
    READY = "ready"
    RELOADING = "reloading"
    STOPPING = "stopping"


@dataclass(slots=True)
class ManagerNotices:
    """Sends READY, RELOADING, STOPPING, STATUS, WATCHDOG and EXTEND_TIMEOUT_USEC.

    Attributes:
        watchdog_seconds: the longest time between two signs of life, or None if the service manager wants none.
    """

    context: MasterContext
    lifecycle: Lifecycle
    outbox: Outbox
    watchdog_seconds: float | None
    _phase: _Phase = _Phase.STARTING
    _status: str = ""
    _hung_up: bool = False
    _refused: bool = False
    _step: tuple[object, ...] = ()
    _step_since: float = field(default_factory=time.monotonic)

    def begin(self) -> None:
        """Follow the host from now on."""
        # The process id: a daemon is not the process that the service manager started.
        self.outbox.send(f"MAINPID={os.getpid()}")
        if self.lifecycle.started:
            # This program continues the host of another one, which has reported that it is ready.
            self._phase = _Phase.READY
        else:
            self._send_status(self._sentence())
        self.lifecycle.supervisor.after_settling.append(self.update)
        self.lifecycle.each_second.append(self._each_second)
        if self.watchdog_seconds is not None:
            self._feed_watchdog()

    def around(self, callbacks: Callbacks) -> Callbacks:
        """Return the callbacks of signals, with one for HUP that reports a reload in any case."""
        hangup = callbacks[signal.SIGHUP]

        def run() -> None:
            if self._phase in (_Phase.READY, _Phase.RELOADING):
                self._hung_up = True
                self._send_reloading()
            hangup()
            self._refused = not self._reloads() and not self._stops()
            # Also if nothing was changed: then `update` reports that the host is ready again.
            self.lifecycle.supervisor.schedule()

        return {**callbacks, signal.SIGHUP: run}

    def update(self) -> None:
        """Report the phase if it changed."""
        phase = self._current()
        if phase is self._phase and not self._hung_up:
            return
        is_reported, self._hung_up, self._phase = self._hung_up, False, phase
        if phase is _Phase.RELOADING:
            self._refused = False
            if not is_reported:
                self._send_reloading()
        elif phase is _Phase.READY:
            self.outbox.send("READY=1")
        elif phase is _Phase.STOPPING:
            self.outbox.send("STOPPING=1")
        self._send_status(self._sentence())

    def _each_second(self) -> None:
        self.update()
        self._send_status(self._sentence())
        self._extend_timeout(time.monotonic())

    def _current(self) -> _Phase:
        if self._stops():
            return _Phase.STOPPING
        if not self.lifecycle.started:
            return _Phase.STARTING
        return _Phase.RELOADING if self._reloads() else _Phase.READY

    def _stops(self) -> bool:
        return self.context.planner.state in (HostState.LEAVING, HostState.STOPPING)

    def _reloads(self) -> bool:
        reload = self.context.planner.reload
        return reload.running or reload.requested

    # Status.

    def _sentence(self) -> str:
        planner = self.context.planner
        ready, target = planner.scaling.ready_slots(), planner.scaling.target
        connections = counted(self.context.pool.connections(), "connection")
        workers = counted(ready, "worker") if ready == target else f"{ready} of {counted(target, 'worker')}"
        match self._phase:
            case _Phase.STARTING:
                return f"Starting: {workers} ready"
            case _Phase.STOPPING if planner.state is HostState.LEAVING:
                left = planner.stopping.delay_left(time.monotonic())
                return f"Stopping in {left:.0f} s (drain_delay): {workers} ready, {connections}"
            case _Phase.STOPPING:
                left = planner.stopping.seconds_left(time.monotonic())
                return (
                    f"Stopping: {connections} on {counted(len(planner.workers), 'worker')}, at most {left:.0f} s left"
                )
            case _Phase.RELOADING:
                done = f"{planner.reload.replaced} of {counted(planner.reload.total, 'worker')} replaced"
                return f"Reloading: {done}, {workers} ready, {connections}"
        problem = ""
        if self._refused:
            problem = "; the new configuration was refused, see the log"
        elif planner.reload.error is not None:
            problem = f"; the last reload failed: {planner.reload.error.what}"
        return f"Serving: {workers} ready, {connections}{problem}"

    def _send_status(self, sentence: str) -> None:
        if sentence != self._status:
            self._status = sentence
            self.outbox.send(_status_line(sentence), kind="STATUS")

    # Signs of life.

    def _feed_watchdog(self) -> None:
        assert self.watchdog_seconds is not None
        if self._is_alive():
            self.outbox.send("WATCHDOG=1", kind="WATCHDOG")
        # Half of it, as sd_watchdog_enabled(3) recommends.
        self.context.reactor.call_later(self.watchdog_seconds / 2, self._feed_watchdog)

    def _is_alive(self) -> bool:
        if self._current() in (_Phase.STARTING, _Phase.STOPPING):
            return True
        workers = self.context.planner.workers.values()
        return any(each.state is WorkerState.READY and not each.silent for each in workers)

    def _extend_timeout(self, now: float) -> None:
        planner = self.context.planner
        settings = planner.settings
        if self._phase is _Phase.READY:
            return
        if self._phase is _Phase.STOPPING:
            step: tuple[object, ...] = (self._phase,)
            allowed = settings.drain_delay + settings.stop_seconds
        else:
            step = (self._phase, planner.scaling.ready_slots(), planner.reload.generation, planner.reload.replaced)
            allowed = settings.boot_timeout
        if step != self._step:
            self._step, self._step_since = step, now
        left = self._step_since + allowed + _SPARE_SECONDS - now
        if left > 0:
            usec = round(min(left, _EXTENSION_SECONDS) * 1e6)
            self.outbox.send(f"EXTEND_TIMEOUT_USEC={usec}", kind="EXTEND_TIMEOUT")

    def _send_reloading(self) -> None:
        # The clock is the one that systemd compares with.
        self.outbox.send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")


def notify_manager(
    sock: NotifySocket | None,
    manager: ManagerVariables,
    context: MasterContext,
    lifecycle: Lifecycle,
    callbacks: Callbacks,
) -> Callbacks:
    """Notify the service manager from now on, if there is one; return the callbacks of signals for the reactor."""
    if sock is None:
        return callbacks
    outbox = Outbox(context.reactor, sock, context.log)
    notices = ManagerNotices(context, lifecycle, outbox, manager.watchdog_seconds)
    notices.begin()
    if manager.most_stored:
        store = SocketStore(context, outbox, manager.most_stored)
        store.begin(context.pool.registry)
        lifecycle.supervisor.after_settling.append(store.update)
    return notices.around(callbacks)


@contextlib.contextmanager
def reporting_failure(manager: ManagerVariables, registry: ForkRegistry) -> Iterator[NotifySocket | None]:
    """Yield the socket for notifications, if there is one, and report an error that ends the host."""
    if manager.notify_socket is None:
        yield None
        return
    sock = NotifySocket(manager.notify_socket)
    registry.add(sock, sock.close)
    try:
        yield sock
    except ReactorhostError as error:
        with contextlib.suppress(OSError):
            sock.send(_status_line(error.what))
        raise
    finally:
        registry.discard(sock)
        sock.close()


def _status_line(sentence: str) -> str:
    text = " ".join(sentence.split())[:_LONGEST_STATUS]
    # A file name that is not UTF-8 is text with lone surrogates.
    return f"STATUS={text.encode(errors='backslashreplace').decode()}"
