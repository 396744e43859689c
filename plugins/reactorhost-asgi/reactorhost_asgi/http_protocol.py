"""HTTP/1.1 for one client: uvicorn's protocol on llhttp, with limits, deadlines and an orderly end.

The parser calls `on_...` while `data_received` feeds it. A request has three ends that come in any order: the end of
its body, the end of its answer, the end of the client.

    cycle       the newest request whose headers are complete
    running     the one that the application answers now; the oldest
    pipeline    those between them, and the newest, which wait; reading pauses meanwhile

What is wrong with a request is answered by a `Refusal`, in the order of the requests, and nothing is parsed behind it:
the next byte may belong to anything.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Literal

import httptools

from reactorhost import Connection
from reactorhost_asgi import deadlines, upgrade
from reactorhost_asgi.answer_writer import AnswerWriter
from reactorhost_asgi.refusals import (
    HEAD_TOO_LARGE,
    MALFORMED,
    TOO_MANY,
    UPGRADE_BODY,
    UPGRADE_BUSY,
    Refusal,
    RefusedError,
)
from reactorhost_asgi.request_cycle import RequestCycle
from reactorhost_asgi.request_reader import Cycle, RequestReader
from reactorhost_asgi.serving import Serving
from reactorhost_asgi.websocket_protocol import WebSocketProtocol

_NO_REQUESTS: tuple[()] = ()


class HttpProtocol(RequestReader):
    """One client.

    Attributes:
        running: the request that is answered now, or None.
        draining: whether the worker is about to leave.
        answered: how many requests were answered.
        idle_since: when the last answer was complete.
        writer: what answers are written to.
    """

    pipeline: Any

    __slots__ = (
        "_connection",
        "_refused",
        "answered",
        "draining",
        "idle_since",
        "running",
        "writer",
    )

    def __init__(self, serving: Serving) -> None:
        super().__init__(serving)
        self.draining = False
        self.running: Cycle | None = None
        # Most clients never have one.
        self.pipeline = _NO_REQUESTS
        self._connection: Connection | None = None
        self.writer: AnswerWriter = None  # type: ignore[assignment]  # set by connection_made
        self._refused = False
        self.answered = 0
        self.idle_since = serving.loop.time()

    # The transport.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Begin with a client."""
        super().connection_made(transport)
        self.writer = AnswerWriter(transport)
        self._connection = connection = transport.get_extra_info("connection")
        if connection is not None and connection.proxy is not None and connection.proxy.tls is not None:
            self.scheme = "https"

    def data_received(self, data: bytes) -> None:
        """Parse what the client has sent."""
        while data and not self._refused:
            self.unseen += len(data)
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as ended:
                data = data[ended.args[0] :]
                if self._should_upgrade():
                    self._upgrade(data)
                    return
                data = self.without_upgrade() + data
                continue
            except httptools.HttpParserError as error:
                raised = error.__context__
                self.refuse(raised.refusal if isinstance(raised, RefusedError) else MALFORMED)
                return
            if self.unseen > self.serving.settings.max_header:
                self.refuse(HEAD_TOO_LARGE)
            return

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn's returns nothing
        """Answer what was requested completely; returns whether the connection stays open for that."""
        newest = self.cycle
        if newest is not None and newest.more_body and not newest.response_complete:
            # The rest of its body never comes.
            if self.pipeline:
                self.pipeline.popleft()
            else:
                newest.disconnect()
                self.running = None
        if self.running is None:
            return False
        waiting = [cycle for cycle, _ in self.pipeline]
        (waiting[0] if waiting else self.running).keep_alive = False
        for cycle in (self.running, *waiting):
            cycle.peer_closed = True
        self.running.notify()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        self.connections.discard(self)
        self.flow.resume_writing()
        for cycle in (self.running, *(cycle for cycle, _ in self.pipeline)):
            if cycle is not None:
                cycle.disconnect()
                if self.draining:
                    # The worker is about to leave, and waits only for work behind complete answers.
                    cycle.cancel()
        self.pipeline = _NO_REQUESTS
        # They refer to this object.
        self.parser = None  # type: ignore[assignment]  # as in uvicorn
        self.cycle = None  # type: ignore[assignment]  # as in uvicorn

    def extension(self) -> dict[object, object]:
        """Return the connection and the worker."""
        return {"connection": self._connection, "worker": self.serving.worker}

    # Requests.

    def begin_request(self, *, keep_alive: bool) -> None:
        """Let the application answer the newest request, or queue it behind those that are not answered."""
        keep_alive = keep_alive and not self.draining
        self.cycle = cycle = self.new_cycle(keep_alive=keep_alive)
        most = self.serving.settings.max_requests
        app: Any = TOO_MANY if most and self.serving.running >= most else self.app
        if self.running is None:
            self._start_asgi_task(cycle, app)
        else:
            self._queue(cycle, app)

    def new_cycle(self, *, keep_alive: bool) -> Cycle:
        """Return what answers the newest request."""
        return RequestCycle(self, expects_continue=self.expect_100_continue, keep_alive=keep_alive)

    def _queue(self, cycle: Cycle, app: Any) -> None:
        self.flow.pause_reading()
        if not self.pipeline:
            self.pipeline = deque()
        self.pipeline.appendleft((cycle, app))

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self.running = cycle
        if isinstance(app, Refusal):
            cycle.answer(app)
            return
        task = self.loop.create_task(cycle.run_asgi(app))
        cycle.task = task
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def on_response_complete(self) -> None:
        """Continue with the next request."""
        assert self.running is not None
        # That of a request with HEAD has no body to be sent with.
        self.writer.flush()
        self.running.record()
        self.idle_since = self.loop.time()
        self.running = None
        self.answered += 1
        self.serving.state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif not (self.cycle.more_body or self.in_head):
            # A client may stay idle for long.
            self.cycle = self.scope = self.headers = None  # type: ignore[assignment]  # as uvicorn begins
        if not self.pipeline:
            self.flow.resume_reading()

    def refuse(self, refusal: Refusal) -> None:
        """Answer the request that is being received with a refusal, in its turn; parse nothing more."""
        self._refused = True
        newest = self.cycle
        if newest is not None and newest.more_body and not newest.response_complete and not self.in_head:
            # Its headers were fine: it is being answered, or waits.
            if newest is self.running:
                newest.answer(refusal)
            else:
                self.pipeline[0] = (newest, refusal)
            return
        # A request without a method: nothing of one that is malformed is used.
        self.scope = {"type": "http", "http_version": "1.1", "headers": [], "client": self.client}  # type: ignore[typeddict-item]
        cycle = RequestCycle(self, expects_continue=False, keep_alive=False)
        if self.running is None:
            self._start_asgi_task(cycle, refusal)
        else:
            self._queue(cycle, refusal)

    def _upgrade(self, rest: bytes) -> None:
        if self.running is not None:
            self.refuse(UPGRADE_BUSY)
        elif rest:
            self.refuse(UPGRADE_BODY)
        else:
            self.handle_websocket_upgrade()

    def handle_websocket_upgrade(self) -> None:
        """Pass the client on to a protocol for WebSocket, with the request as its first input."""
        self.connections.discard(self)
        request = upgrade.head(self.scope["method"], self.url, "1.1", self.headers)
        scheme: Literal["ws", "wss"] = "wss" if self.scheme == "https" else "ws"
        protocol = WebSocketProtocol(self.serving, scheme=scheme, extension=self.extension())
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        protocol.data_received(request)

    # Deadlines, and the end of the worker.

    def check(self, now: float) -> None:
        """Enforce the deadlines."""
        if not self.transport.is_closing():
            # An application that begins an answer with headers only does so for a reason.
            self.writer.flush()
            deadlines.check(self, now)

    def read_now(self) -> None:
        """Receive what the kernel holds, before a deadline ends the client."""
        # The transport of the host has this method beside those of asyncio.
        self.transport.read_now()  # type: ignore[attr-defined]

    def drain(self) -> None:
        """Answer what was requested, then close."""
        self.draining = True
        if self.running is None:
            deadlines.begin_drain(self, self.loop.time())
        elif self.running.response_started:
            self.running.end_event_stream()
