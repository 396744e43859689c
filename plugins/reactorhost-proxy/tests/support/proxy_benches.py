"""The proxy on a bench, in front of servers that the test plays."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from client_hellos import hello_of
from reactorhost.testing import PluginBench
from reactorhost_proxy.pool import Pool
from reactorhost_proxy.settings import OPTIONS, parse

Bench = Callable[..., PluginBench]
A, B = "tcp://a:1", "tcp://b:1"
NAMED = hello_of("api.example.com")
POOLS = {"api": {"servers": ["tcp://api:1"]}, "web": {"servers": ["tcp://web:1"]}}
NAMES = {"api.example.com": "api", "*.example.com": "web"}


def pool_of(*servers: str, **options: object) -> Pool:
    """Return a pool with these servers."""
    values = {option.name: option.default for option in OPTIONS} | {"servers": list(servers), **options}
    return Pool(parse(values, ()).pools["default"])


def addresses(bench: PluginBench) -> list[str]:
    """Return the servers that were connected to, in order."""
    return [f"tcp://{each.connection.peer}" for each in bench.outbound]


def serving(plugin_bench: Bench, *servers: str, **options: object) -> PluginBench:
    """Return a proxy with these servers in its default pool."""
    return plugin_bench("proxy", options={"proxy": {"servers": list(servers), "health": "off", **options}})


def routed(plugin_bench: Bench, names: Mapping[str, str] = NAMES, **options: object) -> PluginBench:
    """Return a proxy with a route by server names."""
    values = {"pools": POOLS, "routes": {"default": dict(names)}, "health": "off", **options}
    return plugin_bench("proxy", options={"proxy": values})


def advance_until(bench: PluginBench, holds: Callable[[], bool]) -> None:
    """Advance to a check, whose times are random within limits."""
    for _ in range(1000):
        if holds():
            return
        bench.advance(0.1)
    pytest.fail("nothing was checked")
