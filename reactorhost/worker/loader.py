"""The loader: from a worker's settings to its services, with certificates, plugins, options and framings loaded."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from reactorhost import __version__
from reactorhost.api.worker import Worker
from reactorhost.bus.backend import Backend
from reactorhost.config.problems import Problems, collected, raise_together
from reactorhost.config.service import Service
from reactorhost.config.settings import Origin, Settings
from reactorhost.errors import ConfigError, Problem, ReactorhostError
from reactorhost.ipc.messages import BootStep
from reactorhost.logs import EventLog
from reactorhost.plugins import discovery, framings, guard, loading, options, protocols, worker_limit
from reactorhost.plugins.identity import LoadedPlugin, PluginIdentity
from reactorhost.system import process
from reactorhost.system.account import Account
from reactorhost.worker.admission.admission import AdmissionRules
from reactorhost.worker.context import Limits
from reactorhost.worker.service import LoadedService

if TYPE_CHECKING:
    from reactorhost.tls.context import ServerTls


@dataclass(frozen=True, slots=True)
class LoadedBackend:
    """What makes the backend of the bus; `url` was set at `origin`."""

    identity: PluginIdentity
    factory: loading.BackendFactory
    url: str = field(repr=False)
    origin: Origin

    @property
    def plugin(self) -> str:
        """The name under which its connections, timers and log lines are known."""
        return self.identity.distribution or self.identity.name

    def make(self, worker: Worker) -> Backend:
        """Return the backend of a worker; it connects when it is started.

        Raises:
            ConfigError: it refuses the URL.
            PluginError: it raises anything but a ValueError.
        """
        with guard.loading(self.identity, "failed to make the bus", None):
            try:
                return self.factory(worker, self.url)
            except ValueError as error:
                problems = Problems()
                problems.add(f"bus_url: {error}", self.origin)
                refused = problems.error()
        raise refused


@dataclass(slots=True, eq=False, repr=False)
class WorkerLoader:
    """Loads what the settings of one worker name.

    Attributes:
        account: user id, group id and user name to change to, or None.
        slot: the worker's slot. Only the first one logs what is the same for all; it is the first of a reload too.
        on_plugin: called with each plugin that was loaded.
        on_step: called before code of a plugin runs, with the name of the plugin.
    """

    settings: Settings
    account: Account | None
    slot: int
    log: EventLog
    on_plugin: Callable[[LoadedPlugin], object]
    on_step: Callable[[BootStep, str], object] = lambda step, plugin: None
    # By plugin; of one that is not configured, because of a problem that is reported, nothing.
    _brought: dict[str, framings.Kinds] = field(default_factory=dict, init=False)

    def load(self) -> list[LoadedService]:
        """Read the certificates, drop privileges, load the plugins; return the services.

        Raises:
            ReactorhostError: a certificate, a plugin or its options are wrong.
        """
        settings = self.settings
        # Before privileges are dropped: the worker's user may not read the key files.
        certificates = {service.name: self._certificates(service) for service in settings.services}
        if self.account is not None:
            process.drop_privileges(self.account)
        # After it: the kernel clears the request when the user changes.
        process.tie_to_parent()
        named = dict.fromkeys(named for service in settings.services for named in service.plugins)
        failures: list[ReactorhostError] = []
        plugins: dict[str, LoadedPlugin] = {}
        for name in named:
            with collected(failures):
                plugins[name] = self._plugin(name, failures)
        chosen: dict[str, framings.NewFraming | None] = {}
        for service in settings.services:
            if plugins.keys() >= set(service.plugins):
                with collected(failures):
                    chosen[service.name] = self._framing(service, [plugins[name] for name in service.plugins])
        raise_together(failures)
        services: list[LoadedService] = []
        for service in settings.services:
            of_service = [plugins[name] for name in service.plugins]
            with collected(failures):
                services.append(self._service(service, of_service, certificates[service.name], chosen[service.name]))
        raise_together(failures)
        for loaded in services if self.slot == 0 else ():
            if not loaded.receives:
                self.log.warning("no_receive", service=loaded.name)
            if loaded.ignores_message_timeout:
                self.log.warning("message_timeout_unused", service=loaded.name)
        return services

    def load_backend(self) -> LoadedBackend | None:
        """Load the backend of the bus that the settings name, if any; `load` was called before.

        Raises:
            PluginError: it is not installed, or cannot be loaded.
        """
        url = self.settings.bus_url
        if url is None:
            return None
        scheme = url.partition("://")[0]
        self.on_step(BootStep.IMPORT, scheme)
        identity, factory = loading.load_backend(scheme, __version__)
        return LoadedBackend(identity, factory, url, self.settings.origins["bus_url"])

    def _certificates(self, service: Service) -> ServerTls | None:
        if service.tls is None:
            return None
        # Here and not above: a worker without TLS does not import ssl.
        from reactorhost.tls.context import ServerTls

        loaded = ServerTls(service.tls, self.settings.where(f"service.{service.name}.certificate"))
        for certificate in loaded.certificates:
            days = certificate.days_left(time.time())
            if days is not None and self.slot == 0:
                self.log.warning("certificate_expires", service=service.name, file=certificate.path, days_left=days)
        return loaded

    def _plugin(self, named: str, failures: list[ReactorhostError]) -> LoadedPlugin:
        self.on_step(BootStep.IMPORT, discovery.name_of(named))
        plugin = loading.load(named, __version__)
        settings = self.settings
        table = settings.plugin_tables.get(plugin.name, {})
        self.on_step(BootStep.CONFIGURE, plugin.name)
        used_by = [service.name for service in settings.services if named in service.plugins]
        try:
            options.configure(plugin, table, partial(settings.where_option, plugin.name), used_by)
        except ConfigError as error:
            # The framing of the service is checked all the same.
            failures.append(error)
        else:
            self._brought[plugin.name] = framings.brought_by(plugin)
        self.on_plugin(plugin)
        return plugin

    def _framing(self, service: Service, plugins: list[LoadedPlugin]) -> framings.NewFraming | None:
        """Return what makes the framings of a service.

        Raises:
            ReactorhostError: the setting is wrong, or the hook of a plugin is.
        """
        unconfigured = [plugin for plugin in plugins if plugin.name not in self._brought]
        # One that is not configured can say neither what it brings nor what it needs.
        if unconfigured and (service.framing is None or any("framings" in plugin.hooks for plugin in unconfigured)):
            return None
        brought = framings.brought_by_all(service.name, plugins, self._brought)
        if service.framing is None:
            return framings.from_plugins(service.name, plugins)
        key = f"service.{service.name}.framing"
        problems = Problems()
        try:
            return framings.from_config(service.name, service.framing, self.settings.where(key), brought)
        except ConfigError as error:
            for problem in error.problems:
                problems.add(problem.what, self.settings.origins[key], problem.hint)
        raise problems.error()

    def _service(
        self,
        service: Service,
        plugins: list[LoadedPlugin],
        tls: ServerTls | None,
        new_framing: framings.NewFraming | None,
    ) -> LoadedService:
        settings = self.settings
        limits = Limits(
            close_timeout=settings.close_timeout,
            idle_timeout=service.idle_timeout,
            message_timeout=service.message_timeout,
            max_send_buffer=settings.max_send_buffer,
            handshake_timeout=service.handshake_timeout,
            max_datagram=service.max_datagram,
        )
        most_workers = worker_limit.from_plugins(service.name, plugins)
        serving = protocols.from_plugins(service.name, plugins)
        if serving is not None:
            self._check_datagrams(service, plugins, serving)
        return LoadedService(
            service.name,
            plugins,
            limits,
            new_framing,
            tls,
            proxy_from=service.proxy_from,
            rules=AdmissionRules(service.allow, service.deny, service.max_connections_per_address),
            most_workers=most_workers,
            serving=serving,
            has_sessions=new_framing is not None and new_framing.is_session,
        )

    def _check_datagrams(self, service: Service, plugins: list[LoadedPlugin], serving: protocols.ServingPlugin) -> None:
        """Raise a ConfigError if the service has a UDP address, and no plugin that receives datagrams."""
        receives = any("receive" in plugin.hooks for plugin in plugins)
        if not receives and any(address.scheme == "udp" for address in service.listen):
            what = (
                f"service {service.name!r} has a UDP address, "
                f"but the protocol of plugin {serving.plugin.name} gets no datagrams"
            )
            hint = "use a service of its own for UDP, with a plugin that has the hook receive"
            raise ConfigError([Problem(what, self.settings.where(f"service.{service.name}.listen"), hint=hint)])
