"""The builder: makes the parts of a worker from loaded services, and connects them.

There is one, for the program, for `reactorhost.testing` and for benchmarks. What they do not share is passed in: the
reactor with its poller and clock, the dialer, the bridge to asyncio, and where failures are reported.
"""

from __future__ import annotations

import functools
import itertools
import logging
import time
from collections.abc import Callable, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn

from reactorhost.api.connection import Connection
from reactorhost.api.worker import Worker
from reactorhost.ipc.counters import Counters
from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.moments import Moment
from reactorhost.logs import HOST_LOGGER, EventLog
from reactorhost.plugins import chain
from reactorhost.plugins.identity import LoadedPlugin
from reactorhost.reactor import Reactor
from reactorhost.worker.admission.address_counts import AddressCounts, counts_without_host
from reactorhost.worker.bus.bus import Bus, BusSetup
from reactorhost.worker.context import Limits, WorkerContext
from reactorhost.worker.facades import WorkerFacades
from reactorhost.worker.hooks.holds import Holds
from reactorhost.worker.hooks.hook_errors import HookFailure
from reactorhost.worker.hooks.hook_timing import HookTiming, ServiceTiming
from reactorhost.worker.hooks.jobs import JobSchedule
from reactorhost.worker.hooks.loop_thread import LoopThread
from reactorhost.worker.hooks.metrics import Metrics, MetricsReport
from reactorhost.worker.hooks.shared_counters import SharedCounters, counters_without_host
from reactorhost.worker.hooks.soon_calls import SoonCalls
from reactorhost.worker.hooks.thread_pool import ThreadPool
from reactorhost.worker.hooks.watches import DuplicateDescriptor, WatchedDescriptor, Watches
from reactorhost.worker.hooks.worker_calls import WorkerCalls
from reactorhost.worker.leadership import WorkerLeadership
from reactorhost.worker.monitor.service_stats import ServiceStats
from reactorhost.worker.outbound.connections import OutboundConnections
from reactorhost.worker.outbound.dialer import Dialer, SocketDialer
from reactorhost.worker.role import Role
from reactorhost.worker.service import LoadedService, RunningService
from reactorhost.worker.stream.dispatch import Dispatcher
from reactorhost.worker.stream.states import CLOSING
from reactorhost.worker.stream.transport import StreamTransport
from reactorhost.worker.throttles import Throttles

if TYPE_CHECKING:
    from reactorhost.worker.aio.event_loop import AsyncioBridge
    from reactorhost.worker.hooks.hook_queues import HookQueues


@dataclass(slots=True, eq=False, repr=False)
class WorkerParts:
    """The parts of a worker.

    Attributes:
        services: by name.
        service_stats: what each of them counts, in the same order.
        hooks: the worker's own hooks, `worker_start` and so on.
        calls: calls the worker's hooks while the loop runs.
        soon: what threads and signal handlers pass to the loop.
        holds: what plugins keep the worker from leaving for.
        bus: messages between workers.
        leadership: whether this worker leads, with the hooks and jobs of the leader.
        bridge: drives the reactor in a worker with async hooks; None in any other.
    """

    plugins: tuple[LoadedPlugin, ...]
    context: WorkerContext
    services: dict[str, RunningService]
    service_stats: tuple[ServiceStats, ...]
    outbound: OutboundConnections
    hooks: chain.WorkerHooks
    facades: WorkerFacades
    metrics: Metrics
    metrics_report: MetricsReport
    calls: WorkerCalls
    soon: SoonCalls
    holds: Holds
    bus: Bus
    leadership: WorkerLeadership
    bridge: AsyncioBridge | None

    @property
    def occupied(self) -> bool:
        """Whether a service has connections or pending handshakes."""
        return any(service.occupied for service in self.services.values())

    def transports(self) -> list[StreamTransport]:
        """Return the connections of all services."""
        return [transport for service in self.services.values() for transport in service.transports]

    def call(self, hook: Callable[[chain.WorkerOf], Any], worker_of: chain.WorkerOf | None = None) -> None:
        """Call a hook of the worker; if it is async, until it has finished.

        `worker_of` is called in turn for each plugin, right before its hook.
        """
        variables = self.context.variables
        returned = variables.run(hook, worker_of or self.facades.of)
        if self.hooks.awaits:
            assert self.bridge is not None
            self.bridge.complete(returned, variables)

    def check_sends(self) -> None:
        """Check the thread of each `send` of the open connections."""
        for transport in (*self.transports(), *self.outbound.transports()):
            self.context.loop_thread.check_sends(transport.connection)

    def end_handshakes(self) -> None:
        """Close the clients whose TLS handshake or PROXY header is pending."""
        for service in self.services.values():
            service.pending_handshakes.end_all()

    def abandon(self, on_return: Callable[[], NoReturn]) -> None:
        """Deliver nothing more in a forked child; `on_return` ends it when it returns into the event loop."""
        for transport in (*self.transports(), *self.outbound.transports()):
            transport.held |= CLOSING
        self.metrics.shared.abandon()
        self.soon.stop()
        self.bus.abandon()
        if self.context.hook_queues is not None:
            self.context.hook_queues.end_child = on_return
        if self.bridge is not None:
            self.bridge.abandon(on_return)


def _ignore(*args: object) -> None:
    """Drop a report that has no receiver."""


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class WorkerBuilder:
    """Makes the parts of one worker; what is left out is a default without a master.

    Attributes:
        hook_failed: called with every exception of a plugin's code.
        hook_cancel_ignored: called with the connection of an async hook that did not end when it was cancelled.
        stats_invalid: called when a plugin's `stats` returned something else than numbers, with its name and why.
        counters: those of the worker; each service has its own too.
        loop_thread: its `other_starts` is called before a plugin's thread starts.
        timing: measures hooks; None for a worker that is not measured.
        threads: runs what plugins pass to `run_in_thread`.
        soon: calls what plugins pass to `call_soon_threadsafe`.
        dialer: makes outbound connections; None for real ones.
        duplicate: makes a duplicate of a descriptor that a plugin watches.
        new_bridge: called in a worker with async hooks.
        send: sends a message to the master.
        on_ended: called after each connection or handshake that ended.
        role: the place of the worker in its host.
        shared_counters: the counters that the worker shares with the others of its host.
        address_counts: returns the counts of connections by address of all workers of the host.
        bus: this worker and the others, for messages between them.
        jobs_started: called with each moment up to which jobs of the host are started.
        unix_clock: returns Unix time.
    """

    reactor: Reactor
    hook_failed: HookFailure
    hook_cancel_ignored: Callable[[Connection], object] = _ignore
    stats_invalid: Callable[[str, str], object] = _ignore
    counters: Counters = field(default_factory=Counters)
    loop_thread: LoopThread = field(default_factory=LoopThread)
    timing: HookTiming | None = None
    threads: ThreadPool | None = None
    soon: SoonCalls | None = None
    dialer: Dialer | None = None
    duplicate: Callable[[int], WatchedDescriptor] = DuplicateDescriptor
    new_bridge: Callable[[Reactor], AsyncioBridge] | None = None
    log: EventLog = field(default_factory=lambda: EventLog(logging.getLogger(HOST_LOGGER)))
    send: Callable[[Message], object] = _ignore
    on_ended: Callable[[], object] = _ignore
    slot: int = 0
    generation: int = 1
    role: Role = field(default_factory=Role)
    shared_counters: SharedCounters = field(default_factory=counters_without_host)
    address_counts: Callable[[], AddressCounts] = counts_without_host
    bus: BusSetup = field(default_factory=BusSetup)
    jobs_started: Callable[[Moment], object] = _ignore
    unix_clock: Callable[[], float] = time.time

    def build(self, loaded: Sequence[LoadedService], outbound_limits: Limits) -> WorkerParts:
        """Return the parts of a worker that has these services.

        Raises:
            PluginError: a plugin breaks the contract, or two have one name.
            ReactorhostError: a plugin has async hooks, and the reactor's poller does not work with asyncio.
        """
        # A plugin that several services name is one object, and its worker hooks are called once.
        plugins = tuple({id(plugin): plugin for service in loaded for plugin in service.plugins}.values())
        bridge, hook_queues = self._bridge() if any(plugin.awaits for plugin in plugins) else (None, None)
        hooks = chain.resolve_worker(plugins, self.hook_failed)
        # With what plugins have set when they were imported.
        variables = copy_context()

        def worker_of(plugin: str) -> Worker:
            # Made below: the facades need the bus, and the bus needs the calls.
            return facades.of(plugin)

        calls = WorkerCalls(self.reactor, hooks.in_loop, worker_of, variables)
        bus = Bus(self.bus, self.reactor, self.counters, calls, self.hook_failed, self.log)
        timing = self.timing or HookTiming(self.reactor, _ignore)
        context = WorkerContext(
            self.reactor,
            self.counters,
            Dispatcher(self.reactor, Counters()),
            itertools.count(1),
            variables,
            self.loop_thread,
            self.hook_failed,
            timing,
            self.log,
            bus.groups,
            functools.cache(self.address_counts),
            Throttles(self.reactor),
            hook_queues,
        )
        services: dict[str, RunningService] = {}
        service_stats: list[ServiceStats] = []
        for each in loaded:
            service_stats.append(stats := ServiceStats())
            of_service = replace(
                context,
                dispatcher=Dispatcher(self.reactor, stats.counters),
                timing=ServiceTiming(timing, [plugin.name for plugin in each.plugins], stats.timings),
            )
            services[each.name] = RunningService(each, of_service, self.on_ended)
        dialer = self.dialer or SocketDialer(self.reactor, None, _ignore)
        outbound = OutboundConnections(context, outbound_limits, dialer)
        metrics = Metrics(hooks.stats, context.variables, self.hook_failed, self.stats_invalid, self.shared_counters)
        threads = self.threads or ThreadPool(1, 1, self.hook_failed, _ignore)
        soon = self.soon or SoonCalls(self.hook_failed, _ignore)
        own_jobs = JobSchedule(self.reactor, self.unix_clock, _ignore)
        own_jobs.begin(own_jobs.now())
        host_jobs = JobSchedule(self.reactor, self.unix_clock, self.jobs_started)
        holds = Holds(self.reactor, self.send, self.log, context.loop_thread.check)
        facades = WorkerFacades(
            self.slot,
            self.generation,
            tuple(services.values()),
            self.reactor,
            threads,
            metrics,
            outbound,
            self.role,
            bus,
            own_jobs,
            host_jobs,
            soon,
            Watches(self.reactor, self.hook_failed, self.duplicate),
            holds,
            self.hook_failed,
            context.loop_thread.check,
        )
        # Calls of its own: a leader must not have to wait for other hooks before it can step down.
        leader_calls = WorkerCalls(self.reactor, hooks.in_loop, facades.of, context.variables)
        leadership = WorkerLeadership(self.reactor, self.role, host_jobs, leader_calls, self.send, self.log)
        parts = WorkerParts(
            plugins,
            context,
            services,
            tuple(service_stats),
            outbound,
            hooks,
            facades,
            metrics,
            MetricsReport(self.reactor, metrics, self.send),
            calls,
            soon,
            holds,
            bus,
            leadership,
            bridge,
        )
        self.loop_thread.on_others = parts.check_sends
        return parts

    def _bridge(self) -> tuple[AsyncioBridge, HookQueues]:
        # Here and not above: a worker without async hooks does not import asyncio.
        from reactorhost.worker.hooks.hook_queues import HookQueues

        assert self.new_bridge is not None, "plugins with async hooks need a bridge"
        return self.new_bridge(self.reactor), HookQueues(self.hook_cancel_ignored)


def asyncio_bridge(reactor: Reactor, event_loop: str, on_signal_change: Callable[[], object]) -> AsyncioBridge:
    """Return a bridge to a new event loop, `asyncio` or `uvloop`.

    `on_signal_change` is called whenever a plugin has added or removed a signal handler of the loop.

    Raises:
        ReactorhostError: uvloop is not installed, or the reactor's poller has no descriptor for a loop to watch.
    """
    from reactorhost.worker.adapter.loop_methods import accept_own_transports
    from reactorhost.worker.aio.event_loop import AsyncioBridge, call_after_signal_changes, new_loop

    # Raises now what would end a worker that serves already.
    reactor.fileno()
    loop = new_loop(event_loop)
    call_after_signal_changes(loop, on_signal_change)
    accept_own_transports(loop)
    return AsyncioBridge(reactor, loop)
