"""One request of a WSGI application that goes from the parser to a thread, and back as one piece.

It stands in for a `RequestCycle`, without task and messages, which cost more than a small application. What is not one
piece continues with a `RequestCycle`: an answer in parts, one with headers that concern the connection, one for a
client that does not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reactorhost_asgi.refusals import FAILED, TOO_SLOW, Refusal, RefusedError
from reactorhost_asgi.request_cycle import RequestCycle
from reactorhost_asgi.wsgi.whole_answer import head_of

if TYPE_CHECKING:
    from reactorhost_asgi.wsgi.application import Response
    from reactorhost_asgi.wsgi.protocol import WsgiProtocol

# Copied to one piece up to this size; a larger one is worth a call of its own.
_COPY_BYTES = 65_536


class DirectCycle:
    """One request; the attributes are those of `RequestCycle`."""

    __slots__ = (
        "_protocol",
        "_recorded",
        "_response",
        "_size",
        "_started",
        "_status",
        "began",
        "body",
        "disconnected",
        "keep_alive",
        "more_body",
        "peer_closed",
        "response_complete",
        "response_started",
        "scope",
        "since",
    )

    def __init__(self, protocol: WsgiProtocol, *, keep_alive: bool) -> None:
        self._protocol = protocol
        serving = protocol.serving
        self.scope = protocol.scope
        self.keep_alive = keep_alive
        self.began = serving.clock()
        self.since = serving.loop.time()
        self.body = bytearray()
        self.more_body = True
        self.disconnected = False
        self.peer_closed = False
        self.response_started = False
        self.response_complete = False
        self._started = False
        self._response: Response | None = None
        self._status = 0
        self._size = 0
        self._recorded = False

    # The request.

    def start(self) -> None:
        """Call the application as soon as the body is complete; the requests before this one are answered."""
        self._started = True
        self._protocol.serving.direct.add(self)
        self.notify()

    def notify(self) -> None:
        """Look at what has changed: the body is complete, or the client has left."""
        if self.more_body or not self._started or self._response is not None or self._recorded:
            return
        protocol = self._protocol
        if protocol.change is not None:
            protocol.change(self.scope)
        try:
            self._response = protocol.application.start(self.scope, bytes(self.body), self._send)
        except RefusedError as error:
            self.answer(error.refusal)

    # The answer.

    def _send(self) -> None:
        """Send what the thread has made; called for its first message."""
        response = self._response
        if response is None:
            # Answered by the server meanwhile.
            return
        found = response.first()
        if isinstance(found, BaseException):
            self._failed(found)
        elif not self.disconnected:
            start, part = found
            if part["more_body"] or not self._send_whole(start["status"], start["headers"], part["body"]):
                self._upgrade(response)
                return
        self.cancel()

    def _failed(self, error: BaseException) -> None:
        serving = self._protocol.serving
        if self.disconnected:
            serving.log.info("application_disconnected error=%r", str(error) or type(error).__name__)
        else:
            serving.application_failed(error)
            self.answer(FAILED)

    def _send_whole(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> bool:
        """Send a complete answer; returns False if it is none that can be sent at once."""
        protocol = self._protocol
        if protocol.flow.write_paused:
            return False
        keep_alive = self.keep_alive and not protocol.draining
        is_head = self.scope["method"] == "HEAD"
        head = head_of(status, headers, protocol.serving.head, body, is_head=is_head, keep_alive=keep_alive)
        if head is None:
            return False
        self.response_started = self.response_complete = True
        self._status = status
        self._size = len(body)
        transport = protocol.transport
        if is_head:
            transport.write(head)
        elif len(body) <= _COPY_BYTES:
            transport.write(head + body)
        else:
            transport.write(head)
            transport.write(body)
        if not keep_alive:
            transport.close()
        protocol.on_response_complete()
        return True

    def _upgrade(self, response: Response) -> None:
        """Let a `RequestCycle` send the answer."""
        protocol = self._protocol
        self._response = response.on_message = None
        cycle = RequestCycle(protocol, expects_continue=False, keep_alive=self.keep_alive)
        cycle.take_over(self.scope, self.began, self.since, peer_closed=self.peer_closed)
        if protocol.cycle is self:
            protocol.cycle = cycle
        protocol.serving.direct.discard(self)
        protocol._start_asgi_task(cycle, lambda _, receive, send: response.relay(receive, send))  # noqa: SLF001  as uvicorn has named it

    # The server in place of the application.

    def answer(self, refusal: Refusal) -> None:
        """Answer in place of the application, and close the connection."""
        protocol = self._protocol
        if not self.response_started:
            self.response_started = True
            self._status = refusal.status
            with_body = self.scope["method"] != "HEAD"
            protocol.transport.write(refusal.payload(protocol.serving.state.default_headers, with_body=with_body))
        self.disconnect()
        protocol.transport.close()
        self.record()

    def expire(self) -> None:
        """End a request that the application does not answer in time."""
        self.answer(TOO_SLOW)
        self.cancel()

    def disconnect(self) -> None:
        """Note that the client is not there any more; a thread that runs is informed with its answer."""
        self.disconnected = True
        if self._started and self._response is None:
            self.record()

    def cancel(self) -> None:
        """Do not call the application, or drop what it still sends."""
        response, self._response = self._response, None
        if response is not None:
            # First: it refers to this object, and `leave` would call it.
            response.on_message = None
            response.leave()
            self.record()

    def end_event_stream(self) -> None:
        """Do nothing: an answer in parts has another cycle."""

    def record(self) -> None:
        """Count the request and log it, once."""
        if not self._recorded:
            self._recorded = True
            serving = self._protocol.serving
            serving.direct.discard(self)
            serving.record(self.scope, self._status, self._size, self.began)
