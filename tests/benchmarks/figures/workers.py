"""Gain of a second worker, on machines with processors for it and for twice the load."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from bench import Bench, NotMeasuredError
from fleet import visit
from loading import Work
from peer_catalog import host
from processors import running_on
from results import Figure
from servers import Server

_BYTES = 64
_WORKERS = (1, 2)
_NEEDED = 4


def workers(bench: Bench) -> list[Figure]:
    """Measure a host of one worker and one of two, each loaded from two other processors."""
    if "reactorhost" not in bench.names:
        return []
    usable = bench.places.usable
    if len(usable) < _NEEDED:
        raise NotMeasuredError(f"two workers and the load for both need {_NEEDED} processors, here are {len(usable)}")
    with ExitStack() as stack:
        servers: dict[int, Server] = {}
        for count in _WORKERS:
            with running_on(*usable[:2]):
                servers[count] = stack.enter_context(host("plain_echo.py", "--workers", str(count))(bench.folder))
            visit(servers[count])
        found = bench.alternate(
            "workers", _WORKERS, bench.settings.rounds, lambda count: _together(bench, servers[count], usable[2:4])
        )
    return [Figure("workers", "1/s", {"workers": count}, "higher", {"reactorhost": found[count]}) for count in _WORKERS]


def _together(bench: Bench, server: Server, processors: tuple[int, ...]) -> float:
    loader = bench.loader

    def load(processor: int) -> Work:
        with running_on(processor):
            return loader.exchange(server, bench.settings.clients, _BYTES)

    with ThreadPoolExecutor(len(processors)) as threads:
        return sum(work.per_second for work in threads.map(load, processors))
