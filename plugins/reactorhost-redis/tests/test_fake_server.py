"""The Redis backend does what every backend does, on a server in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backend_contract import BackendContract
from reactorhost.testing import PluginBench
from redis_networks import FakeNetwork, Plugin


class TestRedis(BackendContract):
    @pytest.fixture
    def network(self) -> Iterator[FakeNetwork]:
        with PluginBench(Plugin) as bench:
            yield FakeNetwork(bench)
