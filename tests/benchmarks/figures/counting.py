"""Cost of the statistics: a host with them beside one without."""

from __future__ import annotations

from contextlib import ExitStack

from bench import Bench, figure_of
from fleet import visit
from loading import Work
from peer_catalog import Peer, host
from results import Figure
from servers import Server

_BYTES = 64
_PLUGINS = {"on": "plain_echo.py", "off": "uncounted_echo.py"}


def statistics(bench: Bench) -> list[Figure]:
    """Measure two hosts, one of them without statistics."""
    if "reactorhost" not in bench.names:
        return []
    with ExitStack() as stack:
        servers: dict[str, Server] = {}
        for key, plugin in _PLUGINS.items():
            servers[key] = stack.enter_context(bench.fleet.another(Peer(host(plugin))))
            visit(servers[key])

        def measure(key: str) -> Work:
            return bench.loader.exchange(servers[key], bench.settings.clients, _BYTES)

        # More rounds than elsewhere: the difference is small.
        found = bench.alternate("statistics", list(servers), 2 * bench.settings.rounds, measure)
    return [
        figure_of(
            "statistics", "us", {"statistics": key}, "lower", {"reactorhost": works}, lambda work: work.cpu_micros
        )
        for key, works in found.items()
    ]
