"""Workers with the Redis backend, on a server in memory."""

from __future__ import annotations

from collections.abc import Callable

import reactorhost_redis
from backend_contract import Network
from fake_redis import FakeRedis
from reactorhost import hookimpl
from reactorhost.bus import Backend
from reactorhost.testing import PluginBench
from recorded_link import RecordedLink


class Plugin:
    """A plugin for a bench to have one."""

    @hookimpl
    def receive(self, data: bytes) -> None: ...


class FakeNetwork(Network):
    """Backends that share the worker of a bench."""

    def __init__(self, bench: PluginBench, url: str = "redis://redis") -> None:
        self.bench = bench
        self.server = FakeRedis(bench)
        self.url = url

    def join(self, url: str | None = None) -> tuple[Backend, RecordedLink]:
        backend, link = reactorhost_redis.backend(self.bench.worker, url or self.url), RecordedLink()
        backend.start(link)
        return backend, link

    def until(self, holds: Callable[[], object]) -> None:
        self.server.settle()
        for _ in range(500):
            if holds():
                return
            self.server.advance(0.1)
        raise AssertionError("it does not hold")

    def cut(self) -> None:
        self.server.cut()
        self.bench.refuse("tcp://redis:6379")

    def restore(self) -> None:
        self.bench.accept("tcp://redis:6379")
