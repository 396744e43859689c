"""What the protocols of one worker share: the application, its limits, the metrics and the log."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from reactorhost import Worker
from reactorhost_asgi.access_log import AccessLog, Entry
from reactorhost_asgi.application import Application
from reactorhost_asgi.metrics import Metrics
from reactorhost_asgi.settings import Settings

_CHECK_SECONDS = 1.0
_ABANDONED = 499


class Serving:
    """The server of one worker.

    Attributes:
        application: called as ASGI 3 for each request.
        websockets: whether it is called for them too.
        config: uvicorn's, for its protocols; most of it is not used.
        clock: measures durations. Deadlines are by `loop.time`, which may be a millisecond behind.
        connections: the protocols that are connected; those of `state`.
        state: uvicorn's: open connections, running tasks, and the headers of every answer.
        direct: requests that run without a task.
        head: the headers of every answer as they are sent.
        app_state: what the lifespan of the application has made; each request gets a copy.
        extensions: facts of the worker for `scope["extensions"]`.
    """

    def __init__(
        self,
        application: Application,
        settings: Settings,
        worker: Worker,
        access_log: AccessLog | None,
        app_state: dict[str, Any],
        *,
        websockets: bool,
    ) -> None:
        self.websockets = websockets
        self.application = application
        self.settings = settings
        self.log = worker.log
        self.metrics = Metrics(worker)
        self.loop = asyncio.get_running_loop()
        self.clock = time.monotonic
        self.app_state = app_state
        self.worker = worker
        self.state = ServerState()
        self.connections: set[Any] = self.state.connections
        self.direct: set[object] = set()
        self.config = _uvicorn_config(application, settings)
        self._access_log = access_log
        self.refresh_headers()
        worker.call_every(_CHECK_SECONDS, self.check)

    def refresh_headers(self) -> None:
        """Make the headers that every answer begins with; the date is at most a second old."""
        settings = self.settings
        server = [(b"server", settings.server_header.encode())] if settings.server_header else []
        date = [(b"date", formatdate(usegmt=True).encode())] if settings.date_header else []
        self.state.default_headers = [*date, *server]
        self.head = b"".join(b"%s: %s\r\n" % header for header in self.state.default_headers)

    @property
    def running(self) -> int:
        """How many requests the application answers now."""
        return len(self.state.tasks) + len(self.direct)

    def check(self) -> None:
        """Refresh the date, and enforce the deadlines of all connections."""
        self.refresh_headers()
        now = self.loop.time()
        # One check of all for a timer of each: a request then costs no timer at all. A copy, because some are closed.
        for protocol in tuple(self.connections):
            protocol.check(now)

    def record(self, scope: Mapping[str, Any], status: int, size: int, began: float) -> None:
        """Count an answer and log it; status 0 is that of a client that has left."""
        seconds = self.clock() - began
        self.metrics.answered(status, seconds)
        if self._access_log is not None:
            self._access_log.write(_entry(scope, status or _ABANDONED, size, seconds))

    def application_failed(self, error: BaseException) -> None:
        """Log an exception of the application."""
        self.metrics.failures.add()
        self.log.error("application_failed", exc_info=error)

    def application_wrong(self, what: str) -> None:
        """Log a fault of the application that is not an exception."""
        self.metrics.failures.add()
        self.log.error("application_wrong error=%r", what)


def _uvicorn_config(application: Application, settings: Settings) -> Config:
    config = Config(
        lambda: application,
        factory=True,
        interface="asgi3",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        proxy_headers=False,
        # As a list, so that it is not read from the environment.
        forwarded_allow_ips=[],
        root_path=settings.root_path,
        ws_max_size=settings.ws_max_size,
        ws_ping_interval=settings.ws_ping_interval or None,
        ws_ping_timeout=settings.ws_ping_timeout,
        ws_per_message_deflate=settings.ws_compression,
    )
    config.load()
    # Not reached by a request: these loggers would repeat what the host and the access log say.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    return config


def _entry(scope: Mapping[str, Any], status: int, size: int, seconds: float) -> Entry:
    client = scope.get("client")
    headers = dict(scope["headers"])
    line = ""
    if "path" in scope:
        # As the client has written it, except for what its root_path adds.
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        line = f"{scope.get('method', 'GET')} {target.decode('latin-1')} HTTP/{scope['http_version']}"
    return Entry(
        client=client[0] if client else None,
        ended_at=time.time(),
        line=line,
        status=status,
        size=0 if scope.get("method") == "HEAD" else size,
        referer=headers.get(b"referer", b"").decode("latin-1"),
        agent=headers.get(b"user-agent", b"").decode("latin-1"),
        seconds=seconds,
    )
