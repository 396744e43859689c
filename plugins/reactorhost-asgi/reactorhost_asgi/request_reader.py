"""Read the requests of one client, within limits: what the parser calls while it is fed.

Limits count what the parser keeps. It keeps a name or value until it is complete, without a callback, so `unseen`
counts the bytes since the last one. An exception of a callback ends the parsing, and is the context of the parser's.
"""

from __future__ import annotations

import urllib.parse
from abc import abstractmethod

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from reactorhost_asgi.refusals import (
    BODY_TOO_LARGE,
    HEAD_TOO_LARGE,
    HOST_WRONG,
    UPGRADE_BODY,
    VERSION_WRONG,
    RefusedError,
)
from reactorhost_asgi.request_cycle import RequestCycle
from reactorhost_asgi.serving import Serving

_HIGH_WATER = 65_536
_PROGRESS_BYTES = 16_384
_WATCHED = frozenset((b"host", b"expect", b"content-length", b"transfer-encoding"))


class RequestReader(HttpToolsProtocol):
    """The requests of one client, as they arrive.

    Attributes:
        cycle: the newest request whose headers are complete, or None.
        in_head: whether a request has begun whose headers are not complete.
        head_since: when that was first seen, or None.
        body_since: when the newest request has last made progress.
        unseen: bytes since the last callback.
    """

    cycle: RequestCycle

    # With the attributes of uvicorn's class these are more than an instance can share the keys of (30): a connection
    # would need 2 KiB more.
    __slots__ = (
        "_body_bytes",
        "_body_mark",
        "_has_body",
        "_hosts",
        "_room",
        "body_since",
        "head_since",
        "in_head",
        "serving",
        "unseen",
    )

    def __init__(self, serving: Serving) -> None:
        super().__init__(serving.config, serving.state, serving.app_state, serving.loop)
        self.serving = serving
        # Of the request whose headers are not complete yet.
        self.in_head = False
        self.head_since: float | None = None
        self.unseen = 0
        self._room = 0
        self._hosts = 0
        self._has_body = False
        # Of the newest request.
        self.body_since = 0.0
        self._body_bytes = 0
        self._body_mark = 0

    @abstractmethod
    def extension(self) -> dict[object, object]:
        """Return what an application finds in `scope["extensions"]["reactorhost"]`."""

    @abstractmethod
    def begin_request(self, *, keep_alive: bool) -> None:
        """Let the application answer the request whose headers are complete."""

    def on_message_begin(self) -> None:
        """Begin with a request."""
        super().on_message_begin()
        self.scope["extensions"] = {"reactorhost": self.extension()}
        self.in_head = True
        self._room = self.serving.settings.max_header
        self.unseen = 0
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
        self.unseen = 0
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
        keep_alive = http_version != "1.0" and self.parser.should_keep_alive()
        self.body_since = self.loop.time()
        self._body_bytes = 0
        self._body_mark = _PROGRESS_BYTES
        self.begin_request(keep_alive=keep_alive)

    def on_body(self, body: bytes) -> None:
        """Add a part of the body; one that nothing reads any more is dropped."""
        self.unseen = 0
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
