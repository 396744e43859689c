"""The deadlines of an HTTP client: for its headers, its body, the answer of the application, its next request.

They are checked once a second for all clients, so a request costs no timer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from reactorhost_asgi.refusals import BODY_LATE, HEAD_LATE

if TYPE_CHECKING:
    from reactorhost_asgi.http_protocol import HttpProtocol

# Seconds for a request that is on its way when the worker begins to leave: of a client that has just been answered, and
# of one that has been idle for longer.
_DRAIN_IDLE_SECONDS = 1.0
_DRAIN_GRACE_SECONDS = 0.5
_DRAIN_NEW_SECONDS = 5.0


def check(client: HttpProtocol, now: float) -> None:
    """Refuse a request that is late, and close a connection without requests."""
    if _end_of(client, now) is None:
        return
    # An application may have blocked the loop, and the client have sent in time what was not read yet.
    client.read_now()
    if not client.transport.is_closing() and (end := _end_of(client, now)) is not None:
        end()


def _end_of(client: HttpProtocol, now: float) -> Callable[[], object] | None:
    """Return what ends a client that is late."""
    running = client.running
    if running is None:
        return _end_of_waiting(client, now)
    settings = client.serving.settings
    newest = client.cycle
    if client.flow.read_paused:
        # The application does not read.
        client.body_since = now
    if newest.more_body and now - client.body_since >= settings.body_timeout:
        return partial(client.refuse, BODY_LATE)
    if not running.more_body and 0 < settings.request_timeout <= now - running.since:
        return running.expire
    return None


def _end_of_waiting(client: HttpProtocol, now: float) -> Callable[[], object] | None:
    settings = client.serving.settings
    if client.in_head:
        if client.head_since is None:
            client.head_since = now
        return partial(client.refuse, HEAD_LATE) if now - client.head_since >= settings.header_timeout else None
    limit = settings.keep_alive if client.answered else settings.header_timeout
    if client.draining:
        limit = _DRAIN_IDLE_SECONDS if client.answered else _DRAIN_NEW_SECONDS
    return client.transport.close if now - client.idle_since >= limit else None


def begin_drain(client: HttpProtocol, now: float) -> None:
    """Let a client without a request send one more within a short time."""
    client.idle_since = max(client.idle_since, now + _DRAIN_GRACE_SECONDS - _DRAIN_IDLE_SECONDS)
    # A timer of the host: it is called behind the input that has arrived before it is due, one of uvloop is not.
    client.serving.worker.call_later(_DRAIN_GRACE_SECONDS, _end_grace, client)


def _end_grace(client: HttpProtocol) -> None:
    # It may have become a WebSocket.
    if client in client.serving.connections:
        client.check(client.loop.time())
