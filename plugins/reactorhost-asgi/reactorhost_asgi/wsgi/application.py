"""Call a WSGI application in a thread, and send what it returns, as an ASGI application does.

    coroutine (event loop)                       thread
    body collected  ------------------------->   application called, its parts iterated
    sends, waits until the client has taken      waits when much is queued
    `leave` when the client has left             the next part raises, and the iterable is closed

All of a request happens in one thread, also the iteration: applications keep database connections and other things by
thread. What is complete is sent before the iterable is closed, because frameworks run work behind the answer there.
"""

from __future__ import annotations

import asyncio
import io
import logging
import os
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextvars import copy_context
from types import TracebackType
from typing import IO, Any, BinaryIO

from reactorhost import Worker
from reactorhost_asgi import file_answer
from reactorhost_asgi.wsgi.body import collected
from reactorhost_asgi.wsgi.calls import Calls
from reactorhost_asgi.wsgi.environ import environ_of
from reactorhost_asgi.wsgi.file_wrapper import FileWrapper, OwnFile

_HIGH_WATER = 65_536

Message = dict[str, Any]
ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class WsgiApplication:
    """An ASGI application that calls a WSGI application in the threads of the worker."""

    def __init__(self, application: Callable[..., Iterable[bytes]], worker: Worker) -> None:
        self._application = application
        self._worker = worker
        self._log = worker.log
        self._calls = Calls(worker)

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Coroutine[Any, Any, Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Answer a request."""
        body = await collected(receive, self._worker)
        if body is None:
            return
        response = Response(self._application, environ_of(scope, *body), body[0], self._calls, self._log)
        self._calls.add(response)
        await response.relay(receive, send)

    def start(self, scope: Mapping[str, Any], data: bytes, on_message: Callable[[], object]) -> Response:
        """Call the application for a request that has arrived, without a coroutine; `on_message` is for its answer.

        Raises:
            RefusedError: too many calls wait already.
        """
        body = io.BytesIO(data)
        response = Response(self._application, environ_of(scope, body, len(data)), body, self._calls, self._log)
        response.on_message = on_message
        self._calls.add(response)
        return response


class ClientLeftError(ConnectionError):
    """The client has disconnected before the end of its answer."""


class Response:
    """One call of the application; `run` and what it calls run in the thread, the others in the event loop."""

    def __init__(
        self,
        application: Callable[..., Iterable[bytes]],
        environ: dict[str, Any],
        body: IO[bytes],
        calls: Calls,
        log: logging.Logger,
    ) -> None:
        self._application = application
        self._environ = environ
        self._body = body
        self._calls = calls
        self._log = log
        # Of this call: others are made in the same thread.
        self._variables = copy_context()
        self._messages: deque[Message | BaseException] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self.on_message: Callable[[], object] | None = None
        self._queued_bytes = 0
        self._room = threading.Condition()
        self._left = False
        # Of the answer; `_status` is set when it has one, and the headers are sent with its first part.
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._missing: int | None = None
        self._begun = False
        self._complete = False

    # In the event loop.

    async def relay(
        self, receive: Callable[[], Coroutine[Any, Any, Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """Send the answer, as an ASGI application does."""
        left: asyncio.Task[Message] | None = None
        try:
            more = True
            while more:
                message = await self.next_message()
                await send(message)
                more = message.get("more_body", True)
                if more and left is None and "body" in message:
                    # The body of the request has arrived: what comes now is the end of the client.
                    left = asyncio.get_running_loop().create_task(receive())
                    left.add_done_callback(lambda _: self.leave())
        except ClientLeftError:
            pass
        finally:
            self.leave()
            if left is not None:
                left.cancel()

    def first(self) -> BaseException | tuple[Message, Message]:
        """Return the headers and the first part of the body, or what the application has raised before them."""
        message = self._messages[0]
        if isinstance(message, BaseException):
            return message
        part = self._messages[1]
        assert not isinstance(part, BaseException), "headers are queued with a part of the body"
        return message, part

    async def next_message(self) -> Message:
        """Return the next message for the client.

        Raises:
            ClientLeftError: there is none, and the thread makes no more.
            BaseException: raised by the application.
        """
        while not self._messages:
            if self._left:
                raise ClientLeftError("the client has disconnected")
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        message = self._messages.popleft()
        if isinstance(message, BaseException):
            raise message
        if size := len(message.get("body", b"")):
            with self._room:
                self._queued_bytes -= size
                self._room.notify()
        return message

    def leave(self) -> None:
        """Let the thread and the coroutine stop, because nothing is sent any more."""
        with self._room:
            self._left = True
            self._room.notify()
        self.wake()

    def wake(self) -> None:
        """Let the coroutine, or what stands in for it, take the messages that are queued."""
        if self.on_message is not None:
            self.on_message()
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # In the thread.

    def run(self) -> None:
        """Call the application, and queue its answer."""
        try:
            if not self._left:
                self._variables.run(self._call)
        except ClientLeftError:
            pass
        except BaseException as error:  # noqa: BLE001  the application may raise anything
            if self._complete or self._left:
                # Too late for an answer.
                self._log.error("application_failed", exc_info=error)
            else:
                self._queue(error)
        finally:
            self._body.close()

    def _call(self) -> None:
        parts = self._application(self._environ, self.start_response)
        try:
            self._send_parts(parts)
        finally:
            if hasattr(parts, "close"):
                parts.close()

    def _send_parts(self, parts: Iterable[bytes]) -> None:
        only = isinstance(parts, list | tuple) and len(parts) == 1
        if type(parts) is FileWrapper and (found := parts.regular_file()):
            self._send_file(*found)
            parts = ()
        for part in parts:
            if only:
                self._set_length(len(part))
            if part:
                self.write(part)
        if not self._complete:
            self._begin()
            self._queue({"type": "http.response.body", "body": b"", "more_body": False})

    def _send_file(self, file: BinaryIO, offset: int, count: int) -> None:
        """Send a file, up to the Content-Length. A large one needs no thread while a client reads it."""
        if self._missing is not None:
            count = min(count, self._missing)
        self._set_length(count)
        if not count:
            return
        if count <= file_answer.READ_BYTES:
            self.write(file.read(count))
            return
        self._begin()
        # The application closes its own when this has returned.
        own = OwnFile(os.dup(file.fileno()))
        self._queue({"type": file_answer.FILE, "file": own, "offset": offset, "count": count, "more_body": True})

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], None]:
        """Set status and headers, as the application calls it.

        Raises:
            AssertionError: they are set already, and it is not for an error.
        """
        if exc_info is not None:
            try:
                if self._begun:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                # It refers to frames that refer to it.
                exc_info = None
        elif self._status:
            raise AssertionError("start_response was called already")
        self._status = int(status[:3])
        self._headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        lengths = [int(value) for name, value in self._headers if name.lower() == b"content-length"]
        self._missing = lengths[0] if lengths else None
        return self.write

    def write(self, part: bytes) -> None:
        """Send a part of the body.

        Raises:
            ClientLeftError: the client has disconnected.
        """
        if not isinstance(part, bytes):
            raise TypeError(f"the application sends {type(part).__name__}, not bytes")
        self._begin()
        if self._complete:
            raise RuntimeError("the application sends more than its Content-Length")
        more = True
        if self._missing is not None:
            self._missing -= len(part)
            more = self._missing != 0
        self._queue({"type": "http.response.body", "body": part, "more_body": more})

    def _begin(self) -> None:
        """Queue the headers before the first part; they are sent together."""
        if self._begun:
            return
        if not self._status:
            raise RuntimeError("the application has not called start_response")
        self._begun = True
        self._messages.append({"type": "http.response.start", "status": self._status, "headers": self._headers})

    def _set_length(self, size: int) -> None:
        """Add the length to an answer of one part, which needs no chunks then."""
        # `start_response` may be called as late as with the first part, and `write` before it.
        if self._begun or self._missing is not None or self._status in (0, 204, 304):
            return
        self._missing = size
        self._headers.append((b"content-length", b"%d" % size))

    def _queue(self, message: Message | BaseException) -> None:
        if not isinstance(message, BaseException):
            size = len(message.get("body", b""))
            with self._room:
                while self._queued_bytes > _HIGH_WATER and not self._left:
                    self._room.wait()
                if self._left:
                    raise ClientLeftError("the client has disconnected")
                self._queued_bytes += size
            self._complete = not message["more_body"]
        self._messages.append(message)
        self._calls.notify(self)
