"""Fixtures of the tests of the Redis backend."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reactorhost import hookimpl
from reactorhost.testing import PluginBench
from redis_networks import FakeNetwork


class Plugin:
    """A plugin for a bench to have one."""

    @hookimpl
    def receive(self, data: bytes) -> None: ...


@pytest.fixture
def network(plugin_bench: Callable[..., PluginBench]) -> FakeNetwork:
    """Return workers on a server in memory."""
    return FakeNetwork(plugin_bench(Plugin))
