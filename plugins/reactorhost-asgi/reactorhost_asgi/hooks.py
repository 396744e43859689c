"""The hooks of the plugin: one application for all services that use it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

from uvicorn.middleware.asgi2 import ASGI2Middleware

from reactorhost import Connection, Option, Worker, hookimpl
from reactorhost_asgi import application
from reactorhost_asgi.access_log import AccessLog
from reactorhost_asgi.application import Application, ApplicationError
from reactorhost_asgi.forwarded import forwarded, forwarding
from reactorhost_asgi.http_protocol import HttpProtocol
from reactorhost_asgi.lifespan import Lifespan
from reactorhost_asgi.serving import Serving
from reactorhost_asgi.settings import OPTIONS, Settings
from reactorhost_asgi.websocket_protocol import WebSocketProtocol
from reactorhost_asgi.wsgi.application import WsgiApplication
from reactorhost_asgi.wsgi.protocol import WsgiProtocol

_TASK_SECONDS = 2.0


class Asgi:
    """Serves one ASGI or WSGI application in one worker."""

    # Set by `configure` and `worker_start`, which are called before anything else.
    _settings: Settings
    _app: Application
    _serving: Serving

    def __init__(self) -> None:
        self._lifespan: Lifespan | None = None
        self._access_log: AccessLog | None = None
        self._new_protocol: Callable[[Serving], HttpProtocol] = HttpProtocol

    @hookimpl
    def options(self) -> list[Option]:
        """Declare the keys of `[plugin.asgi]`."""
        return list(OPTIONS)

    @hookimpl
    def configure(self, config: Mapping[str, object]) -> None:
        """Set the options, and import the application: `reactorhost check` calls this too.

        Raises:
            ExceptionGroup: of a `SetupError` for each option with an invalid value.
            SetupError: there is no such application, or its import has failed.
        """
        self._settings = settings = Settings.checked(config)
        try:
            self._app = application.imported(settings.app, settings.app_dir)
        except ApplicationError:
            raise
        except Exception as error:  # the code of the application may raise any
            line = f"{type(error).__name__}: {error}"
            raise ApplicationError(f"{settings.app!r} cannot be imported: {line}") from error
        # A factory is called later, in the event loop, as it expects.
        if settings.interface == "auto" and not settings.factory:
            application.interface_of(self._app)

    @hookimpl
    def protocol(self) -> Callable[[], asyncio.Protocol]:
        """Serve clients with HTTP/1.1 and WebSocket."""
        return lambda: self._new_protocol(self._serving)

    @hookimpl
    async def worker_start(self, worker: Worker) -> None:
        """Start the application; what fails fails the boot of the worker."""
        settings = self._settings
        app = application.made(self._app, settings.app) if settings.factory else self._app
        interface = application.interface_of(app) if settings.interface == "auto" else settings.interface
        if interface == "wsgi":
            change = forwarding(settings.forwarded_allow_ips) if settings.forwarded_allow_ips else None
            app = WsgiApplication(app, worker)
            self._new_protocol = partial(WsgiProtocol, app, change)
        elif interface == "asgi2":
            app = ASGI2Middleware(cast("Any", app))
        app_state: dict[str, Any] = {}
        if interface != "wsgi" and settings.lifespan != "off":
            self._lifespan = Lifespan(app, worker, required=settings.lifespan == "on")
            await self._lifespan.startup()
            app_state = self._lifespan.state
        if settings.forwarded_allow_ips:
            app = forwarded(app, settings.forwarded_allow_ips)
        if settings.access_log != "off":
            self._access_log = AccessLog(settings.access_log, settings.access_log_format, worker.log)
            self._access_log.open()
        self._serving = Serving(app, settings, worker, self._access_log, app_state, websockets=interface != "wsgi")

    @hookimpl
    def drain(self, connection: Connection) -> None:
        """Answer what the client has requested, then close the connection."""
        protocol = connection.protocol
        if isinstance(protocol, HttpProtocol | WebSocketProtocol):
            protocol.drain()

    @hookimpl
    def stats(self) -> Mapping[str, float]:
        """Return what is open now."""
        state = self._serving.state
        return {"open": len(state.connections), "running": self._serving.running}

    @hookimpl
    async def worker_stop(self, worker: Worker) -> None:
        """Let work behind answers end, and stop the application."""
        if tasks := self._serving.state.tasks:
            await asyncio.wait(tasks, timeout=_TASK_SECONDS)
        if self._lifespan is not None:
            await self._lifespan.shutdown()
        if self._access_log is not None:
            self._access_log.close()
