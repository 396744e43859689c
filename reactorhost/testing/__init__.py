"""Tests of plugins: a bench without sockets or processes, and a real host on a free port.

    def test_it_echoes(plugin_bench):
        client = plugin_bench(reactorhost_echo).connect()
        client.send(b"hello")
        assert client.received == b"hello"

    def test_it_echoes_over_tcp(live_host):
        with live_host("--plugin", "echo").connect() as client:
            client.sendall(b"hello")
            assert client.recv(5) == b"hello"

The fixtures come with `pytest_plugins = ["reactorhost.testing"]` in the top `conftest.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from reactorhost.testing.bench import PluginBench
from reactorhost.testing.bench_client import BenchClient
from reactorhost.testing.live import DEADLINE_SECONDS, HostFailedError, LiveHost

__all__ = ["DEADLINE_SECONDS", "BenchClient", "HostFailedError", "LiveHost", "PluginBench", "live_host", "plugin_bench"]


@pytest.fixture
def live_host(tmp_path: Path) -> Iterator[Callable[..., LiveHost]]:
    """Return a function that starts a host: `live_host("--plugin", "echo", ...)`. Hosts end with the test."""
    hosts: list[LiveHost] = []

    def start(*arguments: str, environment: dict[str, str] | None = None) -> LiveHost:
        host = LiveHost(tmp_path / f"host{len(hosts)}", *arguments, environment=environment)
        hosts.append(host)
        host.start()
        return host

    yield start
    for host in hosts:
        host.end()


@pytest.fixture
def plugin_bench() -> Iterator[Callable[..., PluginBench]]:
    """Return a function that starts a bench: `plugin_bench(plugin, ..., options={...})`. Benches stop with the test."""
    with ExitStack() as benches:

        def start(*plugins: object, **settings: Any) -> PluginBench:
            return benches.enter_context(PluginBench(*plugins, **settings))

        yield start
