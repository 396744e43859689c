"""WebSocket for one client: uvicorn's protocol on websockets, with the deadlines and the end of the host."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Literal

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from reactorhost_asgi.refusals import HEAD_TOO_LARGE
from reactorhost_asgi.serving import Serving

_MOST_BYTES = 65_536
_MOST_MESSAGES = 32
_INTERNAL_ERROR = 1011


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """One client."""

    def __init__(self, serving: Serving, *, scheme: Literal["ws", "wss"], extension: dict[object, object]) -> None:
        super().__init__(serving.config, serving.state, serving.app_state, serving.loop)
        self.serving = serving
        self._scheme = scheme
        self._extension = extension
        self._since = serving.loop.time()
        self._queued_bytes = 0
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: Any) -> None:
        """Take over a client."""
        super().connection_made(transport)
        self.scheme = self._scheme

    def data_received(self, data: bytes) -> None:
        """Handle what the client has sent."""
        self.conn.receive_data(data)
        self.handle_events()
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            # Its request was parsed before, but the library's parser has limits of its own for each header.
            self.handshake_complete = self.close_sent = True
            self.transport.write(HEAD_TOO_LARGE.payload(self.default_headers))
            self.transport.close()
        elif self.conn.parser_exc is not None:
            self.handle_parser_exception()

    def handle_connect(self, event: Any) -> None:
        """Let the application decide on a request."""
        self.serving.metrics.websockets.add()
        super().handle_connect(event)
        if not self.handshake_complete:
            self.scope["extensions"]["reactorhost"] = self._extension

    def handle_parser_exception(self) -> None:
        """Close the connection of a client that has broken the protocol, with the code that says why."""
        if not self.transport.is_closing():
            super().handle_parser_exception()

    async def run_asgi(self) -> None:
        """Call the application, and close the connection when it has returned."""
        serving = self.serving
        self._task = asyncio.current_task()
        assert self._task is not None
        try:
            result = await self.app(self.scope, self.receive, self.send)
        except ClientDisconnected:
            pass
        except asyncio.CancelledError as error:
            if not self._task.cancelling():
                # The application has raised it by itself.
                serving.application_failed(error)
            self._fail()
        except BaseException as error:  # noqa: BLE001  the application may raise anything
            serving.application_failed(error)
            self._fail()
        else:
            if not self.handshake_complete:
                serving.application_wrong("it has returned without an answer to a WebSocket")
                self._fail()
            elif result is not None:
                serving.application_wrong(f"it has returned {result!r}, not None")
        if self.close_timer is None:
            self.transport.close()

    def _fail(self) -> None:
        if not self.handshake_complete:
            self._reject(500, "Internal Server Error")
        elif not (self.close_sent or self.transport.is_closing()):
            self.conn.fail(_INTERNAL_ERROR, "the application has failed")
            self._flush()
            self.close_sent = True

    def _reject(self, status: int, text: str) -> None:
        """Answer a request in place of the application."""
        if self.handshake_complete or self.initial_response:
            return
        self.handshake_complete = self.close_sent = True
        self.conn.send_response(self.conn.reject(status, f"{text}\n"))
        self._flush()
        self.transport.close()

    def _flush(self) -> None:
        self.transport.write(b"".join(self.conn.data_to_send()))

    # Reading stops at a number of messages, not at each as in uvicorn: that would be two system calls for each.

    def send_receive_event_to_app(self) -> None:
        """Queue a whole message for the application."""
        self._queued_bytes += sum(map(len, self.frames))
        paused = self.read_paused
        self.read_paused = True
        super().send_receive_event_to_app()
        self.read_paused = paused
        if not paused and (self._queued_bytes > _MOST_BYTES or self.queue.qsize() >= _MOST_MESSAGES):
            self.read_paused = True
            self.transport.pause_reading()

    # A plain function that returns uvicorn's coroutine, as in `RequestCycle`.
    def send(self, message: Any) -> Coroutine[Any, Any, None]:
        """Write what the application sends."""
        if self.transport.is_closing() and not self.close_sent:
            return self._disconnected()
        return super().send(message)

    async def _disconnected(self) -> None:
        # Nothing holds the application back any more: others run meanwhile, also if it ignores the exception.
        await asyncio.sleep(0)
        raise ClientDisconnected

    async def receive(self) -> Any:
        """Return the next message, or the end of the client."""
        message = await super().receive()
        if self.queue.empty():
            self._queued_bytes = 0
        return message

    # Deadlines, and the end of the worker.

    def check(self, now: float) -> None:
        """Enforce the deadline of the application's answer to the request."""
        limit = self.serving.settings.request_timeout
        if limit and not self.handshake_complete and now - self._since >= limit:
            self._reject(504, "The application did not answer in time.")
            if self._task is not None:
                self._task.cancel()

    def drain(self) -> None:
        """Close the connection with code 1012: the client may connect again at once."""
        if self.handshake_complete:
            self.shutdown()
        else:
            self._reject(503, "The server is being restarted.")
