"""The Redis backend does what every backend does, on a server in memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from backend_contract import BackendContract
from reactorhost.testing import PluginBench
from redis_networks import FakeNetwork, Plugin


class TestRedis(BackendContract):
    @pytest.fixture
    def network(self, plugin_bench: Callable[..., PluginBench]) -> FakeNetwork:
        return FakeNetwork(plugin_bench(Plugin))
