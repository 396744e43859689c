"""The assembly: everything that serves in a worker, put together from its settings while it boots."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from reactorhost import __version__
from reactorhost.config.service import Service
from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.worker_spec import WorkerSpec
from reactorhost.logs import EventLog
from reactorhost.plugins import chain, framings, loading, options
from reactorhost.plugins.identity import LoadedPlugin
from reactorhost.reactor import Reactor
from reactorhost.system import process
from reactorhost.worker.context import Dispatcher as AnyDispatcher
from reactorhost.worker.context import Limits, WorkerContext
from reactorhost.worker.facades import WorkerFacades
from reactorhost.worker.hooks.hook_errors import ErrorReporter
from reactorhost.worker.hooks.metrics import Metrics
from reactorhost.worker.hooks.thread_pool import ThreadPool
from reactorhost.worker.monitor.metrics_report import MetricsReport
from reactorhost.worker.monitor.stats_publisher import StatsPublisher
from reactorhost.worker.outbound.connections import OutboundConnections
from reactorhost.worker.outbound.dialer import SocketDialer
from reactorhost.worker.service import RunningService
from reactorhost.worker.stream.dispatch import Dispatcher
from reactorhost.worker.stream.transport import StreamTransport

if TYPE_CHECKING:
    from reactorhost.tls.context import ServerTls
    from reactorhost.worker.aio.event_loop import AsyncioBridge
    from reactorhost.worker.hooks.hook_queue import HookQueues


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """What serves in a worker.

    Attributes:
        inbox: takes in what comes for the services.
        guest: drives the reactor in a worker with async hooks, where `lanes` run those; None in any other.
    """

    plugins: tuple[LoadedPlugin, ...]
    services: dict[str, RunningService]
    dispatcher: AnyDispatcher
    outbound: OutboundConnections
    hooks: chain.WorkerHooks
    facades: WorkerFacades
    metrics_report: MetricsReport
    bridge: AsyncioBridge | None
    hook_queues: HookQueues | None

    @property
    def occupied(self) -> bool:
        """Whether a service has clients, or somebody who may become one."""
        return any(service.occupied for service in self.services.values())

    def transports(self) -> list[StreamTransport]:
        """Return the connections of all services."""
        return [transport for service in self.services.values() for transport in service.transports]

    def call(self, hook: Callable[[chain.WorkerOf], Any]) -> None:
        """Call a hook of the worker, and wait for it when it awaits something."""
        returned = hook(self.facades.of)
        if self.hooks.awaits:
            assert self.bridge is not None
            self.bridge.complete(returned)

    def end_handshakes(self) -> None:
        """Wait no more for TLS handshakes and PROXY headers."""
        for service in self.services.values():
            service.pending_handshakes.end_all()


@dataclass(frozen=True, slots=True)
class WorkerBuilder:
    """Puts the parts of one worker together; `tell_master` sends a report, `ended` hears of each connection's end."""

    task: WorkerSpec
    reactor: Reactor
    figures: StatsPublisher
    threads: ThreadPool
    error_reporter: ErrorReporter
    log: EventLog
    tell_master: Callable[[Message], object]
    ended: Callable[[], object]

    def assemble(self) -> WorkerParts:
        """Drop privileges, load everything, and return it.

        Raises:
            ReactorhostError: a certificate, a plugin or its options are not as they should be.
        """
        settings = self.task.settings
        # While the key files can be read.
        certificates = {service.name: self._certificates(service) for service in settings.services}
        if self.task.account is not None:
            process.drop_privileges(*self.task.account)
        process.tie_to_parent()
        named = dict.fromkeys(named for service in settings.services for named in service.plugins)
        plugins = {name: self._plugin(name) for name in named}
        bridge, hook_queues = self._bridge() if any(plugin.awaits for plugin in plugins.values()) else (None, None)
        context = WorkerContext(
            self.reactor,
            self.figures.counters,
            Dispatcher(self.reactor, self.figures.counters),
            itertools.count(1),
            self.error_reporter.hook_failed,
            self.figures.timing,
            self.log,
            hook_queues,
        )
        services = {
            service.name: self._service(
                service, [plugins[named] for named in service.plugins], context, certificates[service.name]
            )
            for service in settings.services
        }
        outbound = self._outbound(context)
        hooks = chain.resolve_worker(tuple(plugins.values()), self.error_reporter.worker_hook_failed)
        metrics = Metrics(hooks.stats, self.error_reporter.hook_failed, self.error_reporter.stats_invalid)
        facades = WorkerFacades(
            self.task.slot,
            self.task.generation,
            tuple(services.values()),
            self.reactor,
            self.threads,
            metrics,
            outbound,
            self.error_reporter.hook_failed,
        )
        metrics_report = MetricsReport(self.reactor, metrics, self.tell_master)
        return WorkerParts(
            tuple(plugins.values()),
            services,
            context.dispatcher,
            outbound,
            hooks,
            facades,
            metrics_report,
            bridge,
            hook_queues,
        )

    def _certificates(self, service: Service) -> ServerTls | None:
        if service.tls is None:
            return None
        # Here and not above: a worker that speaks no TLS does without it.
        from reactorhost.tls.context import ServerTls

        loaded = ServerTls(service.tls, self.task.settings.where(f"service.{service.name}.certificate"))
        for certificate in loaded.certificates:
            days = certificate.days_left(time.time())
            # Every worker has the same; the first slot's tells, whose worker is the first of a reload too.
            if days is not None and self.task.slot == 0:
                self.log.warning("certificate_expires", service=service.name, file=certificate.path, days_left=days)
        return loaded

    def _plugin(self, named: str) -> LoadedPlugin:
        plugin = loading.load(named, __version__)
        settings = self.task.settings
        table = settings.plugin_tables.get(plugin.name, {})
        options.configure(plugin, table, partial(settings.where_option, plugin.name))
        self.error_reporter.add_plugin(plugin)
        return plugin

    def _bridge(self) -> tuple[AsyncioBridge, HookQueues]:
        """Let a loop of asyncio drive the reactor, because a hook awaits something."""
        from reactorhost.worker.aio.event_loop import AsyncioBridge, new_loop
        from reactorhost.worker.hooks.hook_queue import HookQueues

        bridge = AsyncioBridge(self.reactor, new_loop(self.task.settings.event_loop))
        return bridge, HookQueues(self.error_reporter.hook_cancel_ignored)

    def _service(
        self, service: Service, plugins: list[LoadedPlugin], context: WorkerContext, tls: ServerTls | None
    ) -> RunningService:
        settings = self.task.settings
        limits = Limits(
            close_timeout=settings.close_timeout,
            idle_timeout=service.idle_timeout,
            max_send_buffer=settings.max_send_buffer,
            handshake_timeout=service.handshake_timeout,
            max_datagram=service.max_datagram,
        )
        if service.framing is None:
            new_framing = framings.of_plugins(service.name, plugins)
        else:
            where = settings.where(f"service.{service.name}.framing")
            new_framing = framings.written(service.name, service.framing, where)
        running = RunningService.of_plugins(
            service.name, plugins, context, limits, new_framing, tls, service.proxy_from
        )
        running.on_ended = self.ended
        return running

    def _outbound(self, context: WorkerContext) -> OutboundConnections:
        settings = self.task.settings
        limits = Limits(close_timeout=settings.close_timeout, max_send_buffer=settings.max_send_buffer)
        dialer = SocketDialer(self.reactor, settings.peer_timeout, self.error_reporter.outbound_tls_broken)
        return OutboundConnections(context, limits, dialer)
