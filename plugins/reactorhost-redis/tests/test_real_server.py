"""The Redis backend on a real server: the contract, and what a server can do to its clients."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backend_contract import BackendContract
from real_workers import RealNetwork
from redis_server import RedisServer


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def network(server: RedisServer) -> Iterator[RealNetwork]:
    # A test may have left it killed.
    if server.running:
        server.command("FLUSHALL")
    else:
        server.start()
    with RealNetwork(server) as network:
        yield network


class TestRedis(BackendContract):
    """The fixture `network` has the server."""
