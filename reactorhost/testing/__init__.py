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

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from reactorhost.testing.bench import PluginBench
from reactorhost.testing.bench_bus import BenchBus, BenchMember
from reactorhost.testing.bench_client import BenchClient
from reactorhost.testing.live import DEADLINE_SECONDS, HostFailedError, LiveHost

__all__ = [
    "DEADLINE_SECONDS",
    "BenchBus",
    "BenchClient",
    "BenchMember",
    "HostFailedError",
    "LiveHost",
    "PluginBench",
    "live_host",
    "plugin_bench",
]

_HOSTS = pytest.StashKey[list[LiveHost]]()
_MOST_LOG_CHARACTERS = 30_000


@pytest.fixture
def live_host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., LiveHost]]:
    """Return a function that starts a host: `live_host("--plugin", "echo", ...)`. Hosts end with the test.

    The report of a test that fails has their logs, and in them the tracebacks of hooks.
    """
    hosts: list[LiveHost] = []
    request.node.stash[_HOSTS] = hosts

    def start(*arguments: str, environment: dict[str, str] | None = None) -> LiveHost:
        __tracebackhide__ = True
        host = LiveHost(tmp_path / f"host{len(hosts)}", *arguments, environment=environment)
        hosts.append(host)
        host.start()
        return host

    yield start
    for host in hosts:
        host.end()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the logs of hosts to the report of a test that failed."""
    report = yield
    hosts: list[LiveHost] = item.stash.get(_HOSTS, [])
    if report.failed:
        for number, host in enumerate(hosts, 1):
            # The last part: it has what happened before the failure. A test may have moved the file.
            if host.log_path.exists():
                report.sections.append((f"log of live_host {number}", host.log()[-_MOST_LOG_CHARACTERS:]))
    return report


@pytest.fixture
def plugin_bench() -> Iterator[Callable[..., PluginBench]]:
    """Return a function that starts a bench: `plugin_bench(plugin, ..., options={...})`. Benches stop with the test."""
    with ExitStack() as benches:

        def start(*plugins: object, **settings: Any) -> PluginBench:
            # What a test did wrong is in the test: its report has no frames of the bench.
            __tracebackhide__ = True
            bench = PluginBench(*plugins, **settings)
            bench.start()
            benches.callback(bench.stop)
            return bench

        yield start
