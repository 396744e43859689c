"""Benches with the server, and an old and a new worker of one host."""

from __future__ import annotations

import select
from collections.abc import Callable
from pathlib import Path

from conversations import packed
from reactorhost.testing import DEADLINE_SECONDS, BenchClient, PluginBench
from reactorhost_redisserver import RedisServer
from reactorhost_redisserver.ownership import State
from reactorhost_redisserver.storage import Storage

Start = Callable[..., PluginBench]


def starting(plugin_bench: Start, file: Path) -> Start:
    """Return a function that starts a bench with the server and its options; all have the same snapshot."""

    def start(plugin: object = RedisServer, **options: object) -> PluginBench:
        options = {"file": str(file), "save_every": 0.0, **options}
        return plugin_bench(plugin, options={"RedisServer": options}, max_send_buffer=1 << 20)

    return start


def ask(client: BenchClient, *words: str | bytes) -> bytes:
    """Send a command, and return what has arrived then."""
    before = len(client.received)
    client.send(packed([word.encode() if isinstance(word, str) else word for word in words]))
    return client.received[before:]


def wait_for_snapshot(plugin: RedisServer) -> None:
    """Wait until the process that writes a snapshot, if there is one, has ended."""
    storage = plugin.server.saver
    assert isinstance(storage, Storage)
    if storage._child:
        assert select.select([storage._child._descriptor], [], [], DEADLINE_SECONDS)[0]


class Pair:
    """An old and a new worker, which know of each other by the bus; each has its own plugin."""

    def __init__(self, start: Start) -> None:
        self.plugins = [RedisServer(), RedisServer()]
        self.old, self.new = (start(plugin) for plugin in self.plugins)

    @property
    def states(self) -> list[State]:
        return [plugin.ownership.state for plugin in self.plugins if plugin.ownership]

    def until(self, *states: State) -> None:
        """Let time pass, and carry requests for the state from one to the other."""
        for _ in range(200):
            if self.states == list(states):
                return
            for plugin in self.plugins:
                wait_for_snapshot(plugin)
            for one, other in ((self.old, self.new), (self.new, self.old)):
                for topic, data in one.bus.published:
                    other.bus.publish(topic, data)
                one.bus.published.clear()
                one.advance(0.05)
        raise AssertionError(self.states)
