"""HTTP/1.1 for one client of a WSGI application."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reactorhost_asgi.http_protocol import HttpProtocol
from reactorhost_asgi.refusals import Refusal
from reactorhost_asgi.request_reader import Cycle
from reactorhost_asgi.serving import Serving
from reactorhost_asgi.wsgi.application import WsgiApplication
from reactorhost_asgi.wsgi.direct_cycle import DirectCycle

_SMALL_BYTES = 65_536


class WsgiProtocol(HttpProtocol):
    """One client; most of its requests go from the parser to a thread without a task.

    Attributes:
        application: called for these.
        change: called with the scope of each of these before it is used, or None.
    """

    __slots__ = ("application", "change")

    def __init__(self, application: WsgiApplication, change: Callable[[Any], None] | None, serving: Serving) -> None:
        super().__init__(serving)
        self.application = application
        self.change = change

    def new_cycle(self, *, keep_alive: bool) -> Cycle:
        """Return what answers the newest request."""
        if self.scope["http_version"] == "1.1" and (not self._has_body or self._has_small_body()):
            return DirectCycle(self, keep_alive=keep_alive)
        return super().new_cycle(keep_alive=keep_alive)

    def _has_small_body(self) -> bool:
        """Return whether a body is coming that fits in memory, and that the client sends at once."""
        sizes = [int(value) for name, value in self.headers if name == b"content-length"]
        return bool(sizes) and sizes[0] <= _SMALL_BYTES and not self.expect_100_continue

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if type(cycle) is DirectCycle and not isinstance(app, Refusal):
            self.running = cycle
            cycle.start()
        else:
            super()._start_asgi_task(cycle, app)
