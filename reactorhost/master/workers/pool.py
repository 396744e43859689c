"""The worker processes: forks them, sends orders and signals, receives reports, and reaps them."""

from __future__ import annotations

import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from reactorhost.bus.refs import ID_BYTES
from reactorhost.config.settings import Settings
from reactorhost.errors import ReactorhostError, error_from_fields
from reactorhost.ipc.counters import Counters
from reactorhost.ipc.jsonlines import JsonLine, Message
from reactorhost.ipc.messages import Order, Report
from reactorhost.ipc.scoreboard import Scoreboard
from reactorhost.ipc.service_pages import ServicePages, ServiceRecords
from reactorhost.ipc.stall import Stall
from reactorhost.ipc.worker_spec import BorrowedListener, WorkerSpec
from reactorhost.master.listen.listeners import Listeners
from reactorhost.master.listen.slot_socket import SlotSocket
from reactorhost.master.workers import exit_report
from reactorhost.master.workers.exit_report import ExitReport, Sample
from reactorhost.master.workers.pool_state import HandleState, PoolState
from reactorhost.reactor import Reactor
from reactorhost.system import oom
from reactorhost.system.account import Account
from reactorhost.system.descriptor_reserve import DescriptorReserve
from reactorhost.system.fork import ForkRegistry, fork

DESCRIPTORS_OF_A_WORKER = 2
"""The line and the file of its stack, which the master keeps while the worker runs."""

# Those, and for a moment the worker's end of the line.
_RESERVED_DESCRIPTORS = DESCRIPTORS_OF_A_WORKER + 1

# Runs a worker in a forked process and returns its exit status; the descriptor is where faulthandler writes.
RunWorker = Callable[[WorkerSpec, int], int]
# Handles a report of the worker with this process id.
ReportHandler = Callable[[int, Message], object]


@dataclass(slots=True, eq=False)
class WorkerHandle:
    """One worker process as the master holds it.

    Attributes:
        line: the line of orders and reports.
        page: its page of the scoreboard.
        stack_descriptor: file that its stack is in if it crashed.
        failure: why it could not boot, if it reported so.
        plugins: the plugins that it loaded, as it reported them.
        sockets: those that it borrowed at the fork, and the new ones in place of shared ones.
        killed: whether the master has sent KILL.
    """

    pid: int
    line: JsonLine
    page: int
    stack_descriptor: int
    failure: ReactorhostError | None = None
    plugins: list[Message] = field(default_factory=list)
    sockets: list[SlotSocket] = field(default_factory=list)
    killed: bool = False


@dataclass(slots=True)
class WorkerPool:
    """Every worker process of a host; `account` is the user that workers change to."""

    reactor: Reactor
    registry: ForkRegistry
    scoreboard: Scoreboard
    run_worker: RunWorker
    account: Account | None
    _handles: dict[int, WorkerHandle] = field(default_factory=dict)
    _report_handlers: dict[str, ReportHandler] = field(default_factory=dict)
    _reserve: DescriptorReserve = field(init=False)
    _oom_kills: int | None = field(default_factory=oom.kills)
    _host_id: bytes = field(default_factory=partial(os.urandom, ID_BYTES))

    def __post_init__(self) -> None:
        self._reserve = DescriptorReserve(self.registry, _RESERVED_DESCRIPTORS)
        self.registry.add(self.scoreboard, self.scoreboard.close_descriptors)

    def export(self, listeners: Listeners) -> PoolState:
        """Return the state of all workers, whose descriptors stay open."""
        positions = listeners.positions()
        handles = tuple(
            HandleState(
                each.pid,
                each.line.export(),
                each.page,
                each.stack_descriptor,
                None if each.failure is None else each.failure.as_fields(),
                each.plugins,
                # A slot's own socket that was closed has left the slot; of a shared one a new one may replace it.
                tuple(at for sock in each.sockets if (at := positions.of(sock))[1] is not None or sock.slot is None),
                each.killed,
            )
            for each in self._handles.values()
        )
        return PoolState(self._host_id, self.scoreboard.export(), handles)

    def restore(self, state: PoolState, listeners: Listeners) -> None:
        """Have the workers of another program, which has executed this one; they are children of this process."""
        self._host_id = state.host_id
        positions = listeners.positions()
        for each in state.handles:
            line = JsonLine(
                self.reactor, socket.socket(fileno=each.line.descriptor), self, self.registry, state=each.line
            )
            failure = None if each.failure is None else error_from_fields(each.failure)
            sockets = [positions.at(at) for at in each.sockets]
            handle = WorkerHandle(
                each.pid, line, each.page, each.stack_descriptor, failure, each.plugins, sockets, each.killed
            )
            self._add(handle)

    def _add(self, handle: WorkerHandle) -> None:
        self.registry.add(handle, partial(os.close, handle.stack_descriptor))
        self._handles[handle.pid] = handle

    def on(self, report: Report, handler: ReportHandler) -> None:
        """Call `handler` for every report of this kind."""
        self._report_handlers[report] = handler

    def fork(
        self,
        settings: Settings,
        slot: int,
        generation: int,
        count: int,
        sockets: Sequence[SlotSocket],
        *,
        bus_used: bool,
    ) -> int:
        """Fork one of `count` workers, which borrows `sockets`; returns its process id.

        `bus_used`: other workers use the bus.

        Raises:
            OSError: the system has no room for it.
        """
        # A worker that crashed is replaced also if something else has taken its descriptors.
        with self._reserve.released():
            return self._fork(settings, slot, generation, count, sockets, bus_used=bus_used)

    def _fork(
        self,
        settings: Settings,
        slot: int,
        generation: int,
        count: int,
        sockets: Sequence[SlotSocket],
        *,
        bus_used: bool,
    ) -> int:
        # A file in memory, not a pipe: it is read after the end of the worker, and a full pipe would block a crash.
        try:
            if any(service.max_connections_per_address is not None for service in settings.services):
                # Before the fork, or the worker would make counts of its own.
                self.scoreboard.address_sketch()
            stack_descriptor = os.memfd_create(f"stack-{slot}")
        except OSError as error:
            # Some sandboxes refuse this call, and the operator has to know which one it was.
            raise OSError(error.errno, f"memfd_create: {error.strerror}") from None
        try:
            ours, theirs = socket.socketpair()
        except OSError:
            os.close(stack_descriptor)
            raise
        page = self.scoreboard.take_page()
        borrowed = tuple(
            BorrowedListener(each.slot, each.group.service, each.group.scheme, each.socket) for each in sockets
        )
        # A worker whose parent has another process id has lost its master.
        master = os.getpid()
        spec = WorkerSpec(
            settings,
            slot,
            generation,
            count,
            master,
            theirs,
            borrowed,
            self.scoreboard,
            page,
            self.account,
            self._host_id,
            bus_used,
        )
        # Before the fork, so that the worker closes its copy of this end with those of the other lines. A copy that
        # stayed open in any worker would hide the end of the master from this one.
        line = JsonLine(self.reactor, ours, self, self.registry)
        try:
            pid = fork(partial(self.run_worker, spec, stack_descriptor), self.registry, sockets)
        except OSError:
            os.close(stack_descriptor)
            line.close()
            self.scoreboard.give_back(page)
            raise
        finally:
            # With a copy of it here the master would see no end of the line when the worker ends.
            theirs.close()
        self._add(WorkerHandle(pid, line, page, stack_descriptor, sockets=list(sockets)))
        return pid

    def order(self, pid: int, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Send an order to a worker; one that ended already is ignored."""
        handle = self._handles.get(pid)
        if handle is not None:
            handle.line.send(message, descriptors)

    def lend(self, pid: int, slot: int | None, sockets: Sequence[SlotSocket]) -> bool:
        """Order a worker to accept from these sockets too; returns False when no descriptor is left for that."""
        described = [{"service": each.group.service, "scheme": each.group.scheme} for each in sockets]
        order = {"order": Order.ADOPT, "slot": slot, "listeners": described}
        try:
            self.order(pid, order, [each.socket.fileno() for each in sockets])
        except OSError:
            return False
        return True

    def borrowed(self, pid: int) -> list[SlotSocket]:
        """Return the sockets that a worker borrowed."""
        return self._handles[pid].sockets

    def lend_again(self, pid: int, shared: Sequence[SlotSocket]) -> None:
        """Lend a worker those shared sockets that were made again, in place of ones that it has."""
        sockets = self._handles[pid].sockets
        groups = [each.group for each in sockets]
        fresh = [each for each in shared if each not in sockets and each.group in groups]
        if fresh and self.lend(pid, None, fresh):
            replaced = [each.group for each in fresh]
            sockets[:] = [*(each for each in sockets if each.group not in replaced), *fresh]

    def signal(self, pid: int, number: signal.Signals) -> None:
        """Send a signal to a worker."""
        # A process that was not reaped keeps its id, so the signal cannot reach another one, nor fail.
        handle = self._handles.get(pid)
        if handle is not None:
            os.kill(pid, number)
            handle.killed = handle.killed or number == signal.SIGKILL

    def reap(self, pid: int, status: int, usage: resource.struct_rusage) -> ExitReport | None:
        """Remove a worker that was waited for; returns what is known of its end, or None if it is not a worker."""
        handle = self._handles.get(pid)
        if handle is None:
            return None
        # Its last reports may wait in the socket: SIGCHLD and the end of the line arrive in any order.
        handle.line.read_rest()
        del self._handles[pid]
        handle.line.close()
        self.registry.discard(handle)
        # Before the page is given back: its next user writes zeros first.
        last, stall = self._sample(handle, time.monotonic()), self.scoreboard.read_stall(handle.page)
        records = self.scoreboard.services_of(handle.page)
        services = ServiceRecords() if records is None else records.read(handle.page)
        self.scoreboard.give_back(handle.page)
        return ExitReport(
            self._describe(status, killed=handle.killed),
            # Linux counts in kilobytes.
            usage.ru_maxrss * 1024,
            last,
            exit_report.take_stack(handle.stack_descriptor),
            handle.failure,
            services,
            stall,
        )

    def counters(self, pid: int) -> Counters:
        """Return what a worker stored last; it may be stuck or have ended."""
        return self.scoreboard.read(self._handles[pid].page)

    def stall(self, pid: int) -> Stall | None:
        """Return what blocks the loop of a worker, as its watchdog found it."""
        return self.scoreboard.read_stall(self._handles[pid].page)

    def connections(self) -> int:
        """Return the number of open connections."""
        return sum(self.counters(pid).connections for pid in self._handles)

    def samples(self, now: float) -> dict[int, Sample]:
        """Return what every worker stored last, by process id."""
        return {pid: self._sample(handle, now) for pid, handle in self._handles.items()}

    def service_pages(self) -> list[tuple[ServicePages, int]]:
        """Return where each worker stores the records of its services: the memory, and its page in it."""
        found = ((self.scoreboard.services_of(handle.page), handle.page) for handle in self._handles.values())
        # A worker of an earlier version may have none.
        return [(pages, page) for pages, page in found if pages is not None]

    def plugins(self) -> dict[str, Message]:
        """Return the plugins of the newest worker that reported them, by name."""
        # During a reload workers of two versions of the code serve.
        for handle in reversed(self._handles.values()):
            if handle.plugins:
                return {plugin["name"]: plugin for plugin in handle.plugins}
        return {}

    @property
    def awaits_exit(self) -> bool:
        """Whether a worker has closed its line and was not waited for yet: it has no descriptor to hand over."""
        return any(handle.line.closed for handle in self._handles.values())

    def pids(self) -> list[int]:
        """Return the process ids of all workers."""
        return list(self._handles)

    # Receiver of the lines.

    def message_received(self, line: JsonLine, message: Message) -> None:
        """Record what the pool itself keeps, and call the handler of the report."""
        handle = next((handle for handle in self._handles.values() if handle.line is line), None)
        if handle is None:
            return
        if message["report"] == Report.FAILED:
            handle.failure = error_from_fields(message)
            return
        if message["report"] == Report.READY:
            handle.plugins = message["plugins"]
        handler = self._report_handlers.get(message["report"])
        if handler is not None:
            handler(handle.pid, message)

    def line_closed(self, line: JsonLine) -> None:
        """Do nothing: the exit of the process follows, and it has the cause."""

    def _sample(self, handle: WorkerHandle, now: float) -> Sample:
        names = tuple(plugin["name"] for plugin in handle.plugins)
        timings = self.scoreboard.read_timings(handle.page, len(names))
        return Sample(now, self.scoreboard.read(handle.page), timings, names)

    def _describe(self, status: int, *, killed: bool) -> str:
        words = exit_report.decode(status)
        if exit_report.killed(status) and not killed:
            # The kernel does not say which process it killed: a count that grew is the closest there is.
            kills = oom.kills()
            if kills is not None and self._oom_kills is not None and kills > self._oom_kills:
                words += exit_report.OUT_OF_MEMORY
            self._oom_kills = kills
        return words
