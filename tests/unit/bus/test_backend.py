"""Another transport than Redis fits the interface: one like NATS does what every backend does."""

from __future__ import annotations

import pytest

from backend_contract import BackendContract
from fake_nats import NatsNetwork


class TestNats(BackendContract):
    @pytest.fixture
    def network(self) -> NatsNetwork:
        return NatsNetwork()
