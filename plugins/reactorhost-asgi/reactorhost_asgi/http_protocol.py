"""HTTP/1.1 for one client: uvicorn's protocol on llhttp, with limits, deadlines and an orderly end.

The parser calls `on_...` while `data_received` feeds it. A request has three ends that come in any order: the end of
its body, the end of its answer, the end of the client.

    cycle       the newest request whose headers are complete
    running     the one that the application answers now; the oldest
    pipeline    those between them, and the newest, which wait; reading pauses meanwhile

What is wrong with a request is answered by a `Refusal`, in the order of the requests, and nothing is parsed behind it:
the next byte may belong to anything.

Limits count what the parser keeps. It keeps a name or value until it is complete, without a callback, so `_unseen`
counts the bytes since the last one.
"""

from __future__ import annotations

import asyncio
import urllib.parse
from collections import deque
from typing import Any, Literal

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from reactorhost import Connection
from reactorhost_asgi import deadlines
from reactorhost_asgi.answer_writer import AnswerWriter
from reactorhost_asgi.refusals import (
    BODY_TOO_LARGE,
    HEAD_TOO_LARGE,
    HOST_WRONG,
    MALFORMED,
    TOO_MANY,
    UPGRADE_BODY,
    UPGRADE_BUSY,
    VERSION_WRONG,
    Refusal,
    RefusedError,
)
from reactorhost_asgi.request_cycle import RequestCycle
from reactorhost_asgi.serving import Serving
from reactorhost_asgi.websocket_protocol import WebSocketProtocol

_HIGH_WATER = 65_536
_PROGRESS_BYTES = 16_384
_WATCHED = frozenset((b"host", b"expect", b"content-length", b"transfer-encoding"))


class HttpProtocol(HttpToolsProtocol):
    """One client.

    Attributes:
        running: the request that is answered now, or None.
        draining: whether the worker is about to leave.
        answered: how many requests were answered.
        in_head: whether a request has begun whose headers are not complete.
        head_since: when that was first seen, or None.
        body_since: when the newest request has last made progress.
        idle_since: when the last answer was complete.
        writer: what answers are written to.
    """

    cycle: RequestCycle
    pipeline: deque[tuple[RequestCycle, Any]]  # type: ignore[assignment]  # of our class

    def __init__(self, serving: Serving) -> None:
        super().__init__(serving.config, serving.state, serving.app_state, serving.loop)
        self.serving = serving
        self.draining = False
        self.running: RequestCycle | None = None
        self.writer: AnswerWriter = None  # type: ignore[assignment]  # set by connection_made
        self._extensions: dict[str, dict[object, object]] = {}
        self._refused = False
        self.answered = 0
        # Of the request whose headers are not complete yet.
        self.in_head = False
        self.head_since: float | None = None
        self._room = 0
        self._unseen = 0
        self._hosts = 0
        self._has_body = False
        # Of the newest request.
        self._body_bytes = 0
        self.body_since = 0.0
        self._body_mark = 0
        self.idle_since = serving.loop.time()

    # The transport.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Begin with a client."""
        super().connection_made(transport)
        self.writer = AnswerWriter(transport)
        connection: Connection | None = transport.get_extra_info("connection")
        self._extensions = {"reactorhost": {"connection": connection, "worker": self.serving.worker}}
        if connection is not None and connection.proxy is not None and connection.proxy.tls is not None:
            self.scheme = "https"

    def data_received(self, data: bytes) -> None:
        """Parse what the client has sent."""
        while data and not self._refused:
            self._unseen += len(data)
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                if self._should_upgrade():
                    self._upgrade(data)
                    return
                # Of a protocol that is not known here: the client continues with HTTP/1.1.
                continue
            except httptools.HttpParserError as error:
                raised = error.__context__
                self.refuse(raised.refusal if isinstance(raised, RefusedError) else MALFORMED)
                return
            if self._unseen > self.serving.settings.max_header:
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
        self.running.message_event.set()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        self.connections.discard(self)
        self.flow.resume_writing()
        for cycle in (self.running, *(cycle for cycle, _ in self.pipeline)):
            if cycle is not None:
                cycle.disconnect()
                if self.draining and cycle.task is not None and not cycle.response_complete:
                    # The worker is about to leave, and waits only for work behind complete answers.
                    cycle.task.cancel()
        self.pipeline.clear()
        # They refer to this object.
        self.parser = None  # type: ignore[assignment]  # as in uvicorn
        self.cycle = None  # type: ignore[assignment]  # as in uvicorn

    # The parser.

    def on_message_begin(self) -> None:
        """Begin with a request."""
        super().on_message_begin()
        self.scope["extensions"] = self._extensions
        self.in_head = True
        self._room = self.serving.settings.max_header
        self._unseen = 0
        self._hosts = 0
        self._has_body = False

    def on_url(self, url: bytes) -> None:
        """Add a part of the URL."""
        self.url += url
        self._room -= len(url)
        if self._room < 0:
            raise RefusedError(HEAD_TOO_LARGE)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header; those behind a body are dropped, because an application does not expect them there."""
        self._unseen = 0
        self._room -= len(name) + len(value) + 4
        if self._room < 0:
            raise RefusedError(HEAD_TOO_LARGE)
        if not self.in_head:
            return
        name = name.lower()
        self.headers.append((name, value))
        if name in _WATCHED:
            if name == b"host":
                self._hosts += 1
            elif name == b"expect":
                self.expect_100_continue = value.lower() == b"100-continue"
            elif name == b"transfer-encoding":
                self._has_body = True
            else:
                self._has_body = value != b"0"
                if 0 < self.serving.settings.max_body < int(value):
                    raise RefusedError(BODY_TOO_LARGE)

    def on_headers_complete(self) -> None:
        """Let the application answer, or queue the request behind those that are not answered."""
        self.in_head = False
        self.head_since = None
        http_version = self.parser.get_http_version()
        scope = self.scope
        scope["method"] = self.parser.get_method().decode("ascii")
        if http_version != "1.1":
            scope["http_version"] = http_version
            if http_version != "1.0":
                raise RefusedError(VERSION_WRONG)
        elif self._hosts != 1:
            raise RefusedError(HOST_WRONG)
        if self.parser.should_upgrade() and self._should_upgrade():
            if self._has_body:
                raise RefusedError(UPGRADE_BODY)
            return
        parsed_url = httptools.parse_url(self.url)
        path = parsed_url.path.decode("ascii")
        scope["raw_path"] = self.config.root_path.encode("ascii") + parsed_url.path
        scope["path"] = self.root_path + (urllib.parse.unquote(path) if "%" in path else path)
        scope["query_string"] = parsed_url.query or b""
        keep_alive = http_version != "1.0" and self.parser.should_keep_alive() and not self.draining
        self.cycle = cycle = RequestCycle(self, expects_continue=self.expect_100_continue, keep_alive=keep_alive)
        self._body_bytes = 0
        self._body_mark = _PROGRESS_BYTES
        self.body_since = cycle.since
        most = self.serving.settings.max_requests
        app: Any = TOO_MANY if most and len(self.tasks) >= most else self.app
        if self.running is None:
            self._start_asgi_task(cycle, app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, app))

    def on_body(self, body: bytes) -> None:
        """Add a part of the body; one that nothing reads any more is dropped."""
        self._unseen = 0
        cycle = self.cycle
        self._body_bytes += len(body)
        if 0 < self.serving.settings.max_body < self._body_bytes:
            raise RefusedError(BODY_TOO_LARGE)
        if self._body_bytes >= self._body_mark:
            self._body_mark = self._body_bytes + _PROGRESS_BYTES
            self.body_since = self.loop.time()
        if cycle.response_complete or cycle.disconnected:
            return
        cycle.body += body
        if len(cycle.body) > _HIGH_WATER:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        """End a request."""
        if self.parser.should_upgrade() and self._should_upgrade():
            return
        self.cycle.more_body = False
        self.cycle.message_event.set()

    # Requests.

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
            self.pipeline.appendleft((cycle, refusal))

    def _upgrade(self, rest: bytes) -> None:
        if self.running is not None:
            self.refuse(UPGRADE_BUSY)
        elif rest:
            self.refuse(UPGRADE_BODY)
        else:
            self.handle_websocket_upgrade()

    def _should_upgrade_to_ws(self) -> bool:
        return self.serving.websockets

    def handle_websocket_upgrade(self) -> None:
        """Pass the client on to a protocol for WebSocket, with the request as its first input."""
        self.connections.discard(self)
        headers = b"".join(b"%s: %s\r\n" % header for header in self.headers)
        request = b"%s %s HTTP/1.1\r\n%s\r\n" % (self.scope["method"].encode(), self.url, headers)
        scheme: Literal["ws", "wss"] = "wss" if self.scheme == "https" else "ws"
        protocol = WebSocketProtocol(self.serving, scheme=scheme, extension=self._extensions["reactorhost"])
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

    def drain(self) -> None:
        """Answer what was requested, then close."""
        self.draining = True
        if self.running is None:
            self.check(self.loop.time())
        elif self.running.response_started:
            self.running.end_event_stream()
