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
from reactorhost.jsonline import Message
from reactorhost.logs import EventLog
from reactorhost.plugins import chain, framings, loading, options
from reactorhost.plugins.identity import LoadedPlugin
from reactorhost.reactor import Reactor
from reactorhost.worker import process
from reactorhost.worker.bulletin import Bulletin
from reactorhost.worker.complaints import Complaints
from reactorhost.worker.dialling import SocketDialler
from reactorhost.worker.figures import Figures
from reactorhost.worker.inbox import Inbox
from reactorhost.worker.numbers import Numbers
from reactorhost.worker.outbound import Outbounds
from reactorhost.worker.service import Limits, RunningService, Surroundings
from reactorhost.worker.task import WorkerTask
from reactorhost.worker.threads import Threads
from reactorhost.worker.transport import StreamTransport
from reactorhost.worker.views import Views

if TYPE_CHECKING:
    from reactorhost.worker.guest import Guest
    from reactorhost.worker.lanes import Lanes
    from reactorhost.worker.tls import ServerTls


@dataclass(frozen=True, slots=True)
class Assembly:
    """What serves in a worker.

    Attributes:
        inbox: takes in what comes for the services.
        guest: drives the reactor in a worker with async hooks, where `lanes` run those; None in any other.
    """

    plugins: tuple[LoadedPlugin, ...]
    services: dict[str, RunningService]
    inbox: Inbox
    outbounds: Outbounds
    hooks: chain.WorkerHooks
    views: Views
    bulletin: Bulletin
    guest: Guest | None
    lanes: Lanes | None

    @property
    def occupied(self) -> bool:
        """Whether a service has clients, or somebody who may become one."""
        return any(service.occupied for service in self.services.values())

    def transports(self) -> list[StreamTransport]:
        """Return the connections of all services."""
        return [transport for service in self.services.values() for transport in service.transports]

    def call(self, hook: Callable[[chain.WorkerOf], Any]) -> None:
        """Call a hook of the worker, and wait for it when it awaits something."""
        returned = hook(self.views.of)
        if self.hooks.awaits:
            assert self.guest is not None
            self.guest.complete(returned)

    def end_preludes(self) -> None:
        """Wait no more for TLS handshakes and PROXY headers."""
        for service in self.services.values():
            service.preludes.end_all()


@dataclass(frozen=True, slots=True)
class Assembler:
    """Puts the parts of one worker together; `tell_master` sends a report, `ended` hears of each connection's end."""

    task: WorkerTask
    reactor: Reactor
    figures: Figures
    threads: Threads
    complaints: Complaints
    log: EventLog
    tell_master: Callable[[Message], object]
    ended: Callable[[], object]

    def assemble(self) -> Assembly:
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
        guest, lanes = self._guest() if any(plugin.awaits for plugin in plugins.values()) else (None, None)
        surroundings = Surroundings(
            self.reactor,
            self.figures.tally,
            Inbox(self.reactor, self.figures.tally),
            itertools.count(1),
            self.complaints.hook_failed,
            self.figures.stopwatch,
            self.log,
            lanes,
        )
        services = {
            service.name: self._service(
                service, [plugins[named] for named in service.plugins], surroundings, certificates[service.name]
            )
            for service in settings.services
        }
        outbounds = self._outbounds(surroundings)
        hooks = chain.resolve_worker(tuple(plugins.values()), self.complaints.worker_hook_failed)
        numbers = Numbers(hooks.stats, self.complaints.hook_failed, self.complaints.stats_refused)
        views = Views(
            self.task.slot,
            self.task.generation,
            tuple(services.values()),
            self.reactor,
            self.threads,
            numbers,
            outbounds,
            self.complaints.hook_failed,
        )
        bulletin = Bulletin(self.reactor, numbers, self.tell_master)
        return Assembly(
            tuple(plugins.values()), services, surroundings.inbox, outbounds, hooks, views, bulletin, guest, lanes
        )

    def _certificates(self, service: Service) -> ServerTls | None:
        if service.tls is None:
            return None
        # Here and not above: a worker that speaks no TLS does without it.
        from reactorhost.worker.tls import ServerTls

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
        self.complaints.know(plugin)
        return plugin

    def _guest(self) -> tuple[Guest, Lanes]:
        """Let a loop of asyncio drive the reactor, because a hook awaits something."""
        from reactorhost.worker.guest import Guest, new_loop
        from reactorhost.worker.lanes import Lanes

        guest = Guest(self.reactor, new_loop(self.task.settings.event_loop))
        return guest, Lanes(self.complaints.hook_left_behind)

    def _service(
        self, service: Service, plugins: list[LoadedPlugin], surroundings: Surroundings, tls: ServerTls | None
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
        running = RunningService(service.name, plugins, surroundings, limits, new_framing, tls, service.proxy_from)
        running.on_ended = self.ended
        return running

    def _outbounds(self, surroundings: Surroundings) -> Outbounds:
        settings = self.task.settings
        limits = Limits(close_timeout=settings.close_timeout, max_send_buffer=settings.max_send_buffer)
        dialler = SocketDialler(self.reactor, settings.peer_timeout, self.complaints.outbound_tls_broken)
        return Outbounds(surroundings, limits, dialler)
