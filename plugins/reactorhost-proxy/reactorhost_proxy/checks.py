"""Check the servers of a pool: connect, and if the operator wants, send a text and look for another one in the answer.

With `active` every server is checked all the time, with `passive` one that clients' connections have found to be down.
Each worker checks for itself: a server is down for the workers that cannot reach it.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable

from reactorhost import ConnectAttempt, ConnectFailedError, Connection, Timer, Worker
from reactorhost_proxy import proxy_header
from reactorhost_proxy.pipe import Leftover
from reactorhost_proxy.pool import NO_TLS, Pool, Upstream
from reactorhost_proxy.pool_settings import PoolSettings

_MOST_ANSWER = 16 * 1024
_LOG_SECONDS = 60.0
_HEADERS = {"off": b"", "v1": proxy_header.CHECK_1, "v2": proxy_header.CHECK_2}


_LOCAL_ERRORS = {
    os.strerror(number).lower()
    for number in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL)
}


def is_local(reason: str) -> bool:
    """Return whether a connection failed for want of descriptors, ports or memory of this machine."""
    return reason in _LOCAL_ERRORS


class Checks:
    """Checks the servers of one pool, and logs which go down and come up; `on_change` is called then."""

    def __init__(self, worker: Worker, pool: Pool, on_change: Callable[[], object]) -> None:
        self._worker = worker
        self._pool = pool
        self._settings = pool.settings
        self._on_change = on_change
        self._logged_at: dict[Upstream, float] = {}

    def start(self) -> None:
        """Begin to check all servers, if that is wanted."""
        if self._settings.health == "active":
            for upstream in self._pool.upstreams:
                # Not all at the same moment, nor those of all workers.
                self._check_later(upstream, random.random() * self._settings.health_interval)  # noqa: S311

    def connect_failed(self, upstream: Upstream, reason: str) -> None:
        """Count a failure of a client's connection, and log it, but each server once a minute."""
        now = self._worker.now()
        if now >= self._logged_at.get(upstream, -_LOG_SECONDS) + _LOG_SECONDS:
            self._logged_at[upstream] = now
            name, address = self._settings.name, upstream.address
            self._worker.log.warning('connect_failed pool=%s server=%s reason="%s"', name, address, reason)
        if self._settings.health != "off" and not is_local(reason):
            self._failed(upstream, reason)

    def _check_later(self, upstream: Upstream, seconds: float) -> None:
        self._worker.call_later(seconds, self._check, upstream)

    def _check(self, upstream: Upstream) -> None:
        def done(reason: str | None) -> None:
            if reason is None:
                self._succeeded(upstream)
            elif not is_local(reason):
                self._failed(upstream, reason)
            if self._settings.health == "active" or not upstream.health.is_up:
                spread = 0.9 + 0.2 * random.random()  # noqa: S311
                self._check_later(upstream, self._settings.health_interval * spread)

        _Check(self._worker, self._settings, upstream, done).begin()

    def _succeeded(self, upstream: Upstream) -> None:
        if upstream.health.check_succeeded(self._worker.now()):
            self._worker.log.info("server_up pool=%s server=%s", self._settings.name, upstream.address)
            self._on_change()

    def _failed(self, upstream: Upstream, reason: str) -> None:
        if upstream.health.failed():
            name, address = self._settings.name, upstream.address
            self._worker.log.warning('server_down pool=%s server=%s reason="%s"', name, address, reason)
            if self._settings.health == "passive":
                self._check_later(upstream, self._settings.health_interval)
            self._on_change()


class _Check:
    """One check of one server; `done` is called once, with None or the reason of the failure."""

    def __init__(
        self, worker: Worker, settings: PoolSettings, upstream: Upstream, done: Callable[[str | None], object]
    ) -> None:
        self._worker = worker
        self._settings = settings
        self._upstream = upstream
        self._done = done
        self._is_connected = False
        self._is_done = False
        self._answer = b""
        self._leftover: Leftover | None = None
        self._connection: Connection | None = None
        self._attempt: ConnectAttempt | None = None
        self._deadline: Timer | None = None

    def begin(self) -> None:
        seconds = self._settings.health_timeout
        try:
            # One second more than our own deadline, so that only one of them is reported.
            self._attempt = self._upstream.connect(self._worker, self, seconds + 1.0)
        except ConnectFailedError:
            # The worker leaves.
            return
        self._deadline = self._worker.call_later(seconds, self._late)

    def connect(self, connection: Connection) -> None:
        self._connection = connection
        self._upstream.greet(connection, _HEADERS[self._settings.send_proxy], self._ask)

    def _ask(self) -> None:
        assert self._connection is not None
        self._is_connected = True
        if self._settings.health_send:
            self._connection.send(self._settings.health_send.encode())
        if not self._settings.health_expect:
            self._end(None)

    def receive(self, data: bytes) -> None:
        if self._leftover is not None:
            self._leftover.write(data)
            return
        self._answer += data
        if self._settings.health_expect.encode() in self._answer:
            self._end(None)
        elif len(self._answer) > _MOST_ANSWER:
            self._end(self._unexpected())

    def close(self) -> None:
        self._end(self._unexpected() if self._is_connected else NO_TLS)

    def failed(self, error: ConnectFailedError) -> None:
        self._end(error.reason)

    def _late(self) -> None:
        self._end(f"no answer within {self._settings.health_timeout:g} s")

    def _unexpected(self) -> str:
        return f"the answer does not contain {self._settings.health_expect!r}"

    def _end(self, reason: str | None) -> None:
        if self._is_done:
            return
        self._is_done = True
        if self._deadline is not None:
            self._deadline.cancel()
        if self._attempt is not None:
            self._attempt.cancel()
        if self._connection is not None:
            if self._is_connected:
                self._leftover = Leftover(self._connection)
            else:
                # Within a handshake there is nothing to send an end to.
                self._connection.abort()
        self._done(reason)
