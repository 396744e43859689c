"""Load in a child process what a worker would load, and make its parts, without serving.

The child runs the code that a worker runs up to `worker_start`, so it finds what would end the worker at its boot.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from reactorhost.api.connection import Connection
from reactorhost.config.problems import collected, raise_together
from reactorhost.config.settings import Settings
from reactorhost.errors import PluginError, ReactorhostError, error_from_fields
from reactorhost.ipc.messages import BootStep
from reactorhost.logs import EventLog
from reactorhost.plugins import child, discovery
from reactorhost.plugins.child import Send
from reactorhost.plugins.identity import LoadedPlugin
from reactorhost.plugins.worker_limit import WorkerLimit
from reactorhost.reactor import Reactor, new_poller
from reactorhost.system.account import Account
from reactorhost.worker.builder import WorkerBuilder, asyncio_bridge
from reactorhost.worker.context import Limits
from reactorhost.worker.loader import LoadedBackend, WorkerLoader
from reactorhost.worker.service import LoadedService

if TYPE_CHECKING:
    from reactorhost.worker.aio.event_loop import AsyncioBridge


class LoadedFacts(NamedTuple):
    """What a worker would have loaded: services with settings that do nothing, and what plugins declare of workers."""

    without_receive: list[str]
    without_message_timeout: list[str]
    most_workers: dict[str, WorkerLimit]


def dry_run(settings: Settings, account: Account | None) -> LoadedFacts:
    """Return what a worker would load.

    Raises:
        ReactorhostError: a worker could not boot.
    """
    process = child.start(partial(_run, settings, account), settings.boot_timeout)
    try:
        process.wait(settings.boot_timeout)
    finally:
        reports, status = process.end()
    loading = None
    for report in reports:
        if "loading" in report:
            loading = report["loading"]
        elif "what" in report:
            raise error_from_fields(report)
        else:
            most_workers = {name: WorkerLimit(*limit) for name, limit in report["most_workers"].items()}
            return LoadedFacts(report["without_receive"], report["without_message_timeout"], most_workers)
    raise PluginError(f"{_being_loaded(settings, loading)} {child.failure(status, settings.boot_timeout)}")


def _being_loaded(settings: Settings, name: str | None) -> str:
    """Return the plugin whose code ran when the child ended."""
    for named in (named for service in settings.services for named in service.plugins):
        if discovery.name_of(named) == name:
            with suppress(PluginError):
                return f"plugin {discovery.find(named)}"
    return "a plugin"


def _run(settings: Settings, account: Account | None, send: Send) -> None:
    def report_step(step: BootStep, plugin: str) -> None:
        send({"loading": plugin})

    def report_loaded(plugin: LoadedPlugin) -> None:
        send({"loading": None})

    services: list[LoadedService] = []
    failures: list[ReactorhostError] = []
    backend = None
    try:
        # Slot 1 logs no warnings.
        loader = WorkerLoader(settings, account, 1, EventLog(logging.getLogger()), report_loaded, report_step)
        with collected(failures):
            services = loader.load()
        with collected(failures):
            backend = loader.load_backend()
        raise_together(failures)
        _make_parts(settings, services, backend)
    except ReactorhostError as error:
        send(error.as_fields())
    else:
        without_receive = [service.name for service in services if not service.receives]
        without_message_timeout = [service.name for service in services if service.ignores_message_timeout]
        most_workers = {service.name: service.most_workers for service in services if service.most_workers}
        send(
            {
                "without_receive": without_receive,
                "without_message_timeout": without_message_timeout,
                "most_workers": most_workers,
            }
        )


def _make_parts(settings: Settings, services: list[LoadedService], backend: LoadedBackend | None) -> None:
    def new_bridge(reactor: Reactor) -> AsyncioBridge:
        return asyncio_bridge(reactor, settings.event_loop, on_signal_change=lambda: None)

    reactor = Reactor(new_poller(settings.poller))
    parts = WorkerBuilder(reactor=reactor, hook_failed=_ignore, new_bridge=new_bridge).build(services, Limits())
    if backend is not None:
        backend.make(parts.facades.of(backend.plugin))


def _ignore(plugin: str, hook: str, connection: Connection | None, error: Exception) -> None:
    """Ignore a failure of a hook: none is called."""
