"""One request and its answer: uvicorn's, with the duties of a server around them.

uvicorn's class writes the answer that the application sends. Here are what it has of the client, the answers that the
server gives by itself, and the one line of metrics and access log for each request:

- A client that has closed its sending side, as `nc -N` does and a browser that leaves a page, gets its answer, but the
  application receives `http.disconnect` when it asks: a stream ends, and a plain answer is sent.
- An HTTP/1.0 client does not know chunks. Without Content-Length its answer ends with the connection.
- Headers are held until the first part of the body: one call of the system sends both, and an application that fails
  between them gets an answer of the server.
- An answer that begins before the request has arrived completely ends the connection, because what is left of the
  request cannot be told from the next one by a client that waits for `100 Continue`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from reactorhost_asgi.refusals import FAILED, TOO_SLOW, Refusal, RefusedError

if TYPE_CHECKING:
    from reactorhost_asgi.http_protocol import HttpProtocol

_EVENT_STREAM = b"text/event-stream"


class RequestCycle(RequestResponseCycle):
    """One request.

    Attributes:
        began: when its headers were complete, for its duration.
        since: the same, for its deadlines.
        peer_closed: whether the client has closed its sending side.
        task: runs the application, once it was started.
    """

    # With the attributes of uvicorn's class these are more than an instance can share the keys of (30).
    __slots__ = (
        "_ends_with_connection",
        "_headers",
        "_protocol",
        "_received_all",
        "_recorded",
        "_size",
        "_status",
        "began",
        "peer_closed",
        "since",
        "task",
    )

    def __init__(self, protocol: HttpProtocol, *, expects_continue: bool, keep_alive: bool) -> None:
        serving = protocol.serving
        super().__init__(
            scope=protocol.scope,
            transport=cast("asyncio.Transport", protocol.writer),
            flow=protocol.flow,
            logger=serving.log,
            access_logger=serving.log,
            access_log=False,
            default_headers=serving.state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=expects_continue,
            keep_alive=keep_alive,
            on_response=protocol.on_response_complete,
        )
        self.began = serving.clock()
        self.since = serving.loop.time()
        self.peer_closed = False
        self.task: asyncio.Task[None] | None = None
        self._protocol = protocol
        self._status = 0
        self._size = 0
        self._received_all = False
        self._ends_with_connection = False
        self._headers: Iterable[tuple[bytes, bytes]] = ()
        self._recorded = False

    # The application.

    async def run_asgi(self, app: Any) -> None:
        """Call the application, and answer in its place if it fails."""
        serving = self._protocol.serving
        try:
            result = await app(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            # By the deadline, which has answered already, or at the end of the worker.
            if not self.response_complete:
                self.transport.close()
        except RefusedError as error:
            self.answer(error.refusal)
        except BaseException as error:  # noqa: BLE001  the application may raise anything
            if self.disconnected:
                serving.log.info("application_disconnected error=%r", str(error) or type(error).__name__)
            else:
                serving.application_failed(error)
                self._fail()
        else:
            if result is not None:
                serving.application_wrong(f"it has returned {result!r}, not None")
                self._fail()
            elif not self.response_complete and not self.disconnected:
                missing = "the end of its answer" if self.response_started else "an answer"
                serving.application_wrong(f"it has returned without {missing}")
                self._fail()
        finally:
            self.on_response = _nothing
            self.task = None
            self.record()

    async def receive(self) -> Any:
        """Return what the application receives next: a part of the body, or the end of the client."""
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
        while not (self.disconnected or self.response_complete):
            if self.body or not (self.more_body or self._received_all):
                body = bytes(self.body)
                self.body.clear()
                self._received_all = not self.more_body
                self._resume_reading()
                return {"type": "http.request", "body": body, "more_body": self.more_body}
            if self.peer_closed:
                break
            self._resume_reading()
            self.message_event.clear()
            await self.message_event.wait()
        return {"type": "http.disconnect"}

    def _resume_reading(self) -> None:
        # With requests that wait, more input would only be more of these.
        if not self._protocol.pipeline:
            self.flow.resume_reading()

    # A plain function that returns uvicorn's coroutine: one of its own would cost a frame for each message.
    def send(self, message: Any) -> Coroutine[Any, Any, None]:
        """Write what the application sends."""
        kind = message["type"]
        if kind == "http.response.body":
            body = message.get("body", b"")
            if not self.disconnected:
                self._size += len(body)
            if self._ends_with_connection and not message.get("more_body", False):
                self.expected_content_length = len(body)
        elif kind == "http.response.start" and not (self.response_started or self.disconnected):
            if self.flow.write_paused:
                return self._send_when_drained(message)
            self._start(message)
        return super().send(message)

    async def _send_when_drained(self, message: Any) -> None:
        await self.flow.drain()
        await self.send(message)

    def _start(self, message: Any) -> None:
        status = message["status"]
        if not 200 <= status < 600:
            raise RuntimeError(f"{status} is not the status of an answer")
        self._status = status
        self._headers = headers = message.get("headers", ())
        protocol = self._protocol
        if self.more_body or protocol.draining:
            self.keep_alive = False
        if self.scope["http_version"] != "1.1" and self.scope["method"] != "HEAD" and status not in (204, 304):
            self._ends_with_connection = not any(name.lower() == b"content-length" for name, _ in headers)
            if self._ends_with_connection:
                # uvicorn then writes the body as it is, and counts what is left of its length.
                self.chunked_encoding = False
                self.expected_content_length = sys.maxsize
        # uvicorn's coroutine does not wait between this and its one write.
        protocol.writer.hold()

    # The server in place of the application.

    def answer(self, refusal: Refusal) -> None:
        """Answer in place of the application, if it has not begun to, and close the connection."""
        # An answer whose headers are held has not begun for the client.
        if self._protocol.writer.drop() or not self.response_started:
            self._status = refusal.status
            with_body = self.scope.get("method") != "HEAD"
            self.transport.write(refusal.payload(self.default_headers, with_body=with_body))
        self.response_started = True
        self.disconnect()
        self.transport.close()
        self.record()

    def expire(self) -> None:
        """End a request whose application has not begun to answer in time."""
        if not self.response_started:
            self.answer(TOO_SLOW)
            if self.task is not None:
                self.task.cancel()

    def disconnect(self) -> None:
        """Let the application know that the client is not there any more."""
        self.disconnected = True
        self.message_event.set()

    def end_event_stream(self) -> None:
        """End an answer that never ends by itself, and whose client connects again when it does."""
        if not any(
            name.lower() == b"content-type" and value.startswith(_EVENT_STREAM) for name, value in self._headers
        ):
            return
        if self.chunked_encoding:
            self.transport.write(b"0\r\n\r\n")
        self.disconnect()
        self.transport.close()

    def _fail(self) -> None:
        # One that is complete is not affected, and the next one may have begun. The end of the connection shows that
        # one which has begun is incomplete.
        if not self.response_complete:
            self.answer(FAILED)

    def record(self) -> None:
        """Count the request and log it, once."""
        if not self._recorded:
            self._recorded = True
            self._protocol.serving.record(self.scope, self._status, self._size, self.began)


def _nothing() -> None:
    pass
