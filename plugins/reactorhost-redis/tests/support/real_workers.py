"""Workers with the Redis backend in this process, on one real reactor: real sockets, and no processes to wait for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Self

import reactorhost_redis
from backend_contract import Network
from reactorhost import Worker
from reactorhost.api.connection import Connection
from reactorhost.bus import Backend
from reactorhost.config.settings import POLLERS
from reactorhost.reactor import Reactor, new_poller
from reactorhost.worker.builder import WorkerBuilder
from reactorhost.worker.context import Limits
from recorded_link import RecordedLink
from redis_server import DEADLINE_SECONDS, RedisServer

TURN_SECONDS = 0.02
OPTIONS = "retry=0.3"
"""A short time for tests, in the query of a URL; a busy machine needs the usual `timeout`."""


class RealNetwork(Network):
    """Backends of several workers, and their server."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.failures: list[Exception] = []
        self._skipped_seconds = 0.0
        self.reactor = Reactor(new_poller(POLLERS[0]), self._clock)
        self._parts = WorkerBuilder(reactor=self.reactor, hook_failed=self._hook_failed).build([], Limits())
        self._backends: list[Backend] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        for backend in self._backends:
            backend.stop()
        self._parts.outbound.abort()
        self._parts.facades.cancel_calls()
        # A socket whose TLS handshake failed is closed some seconds later.
        self._skipped_seconds = 60.0
        self.reactor.turn(0)
        self.reactor.turn(0)
        self.reactor.close()
        assert self.failures == []

    def _clock(self) -> float:
        return time.monotonic() + self._skipped_seconds

    def join(self, url: str | None = None) -> tuple[Backend, RecordedLink]:
        backend, link = reactorhost_redis.backend(self.worker, url or f"{self.server.url}?{OPTIONS}"), RecordedLink()
        self._backends.append(backend)
        backend.start(link)
        return backend, link

    def until(self, holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not holds():
            assert time.monotonic() < deadline, "it does not hold"
            self.turn()

    def turn(self) -> None:
        """Make one turn of the loop, which waits a little if there is nothing to do."""
        self.reactor.turn(min(TURN_SECONDS, self.reactor.wait_seconds(self.reactor.clock())))

    @property
    def worker(self) -> Worker:
        """The `Worker` of the backend."""
        return self._parts.facades.of("reactorhost-redis")

    def cut(self) -> None:
        self.server.kill()

    def restore(self) -> None:
        self.server.start()

    def _hook_failed(self, plugin: str, hook: str, connection: Connection | None, error: Exception) -> None:
        self.failures.append(error)
