"""Memory of an idle connection: growth of a server's process tree, divided by the number of clients."""

from __future__ import annotations

import time
from functools import partial

from bench import Bench
from fleet import visit
from idle_clients import idle_clients
from process_tree import pss_kib
from results import Figure
from servers import Server

_VISITORS = 100
_SETTLING_SECONDS = 0.3
_MOST_ROUNDS = 3


def memory(bench: Bench) -> list[Figure]:
    """Measure newly started servers, after some clients have visited them and caused one-time allocations."""
    rounds = min(bench.settings.rounds, _MOST_ROUNDS)
    made = []
    for count in bench.idle:
        measure = partial(_kib_a_client, bench, count)
        found = bench.alternate(f"{count} idle clients", bench.settled_names, rounds, measure)
        made.append(Figure("pss_per_idle", "KiB", {"idle": count}, "lower", found))
    return made


def _kib_a_client(bench: Bench, count: int, name: str) -> float:
    with bench.fleet.fresh(name) as server:
        for _ in range(_VISITORS):
            visit(server)
        before = _settled(server)
        with idle_clients(server, count):
            return (_settled(server) - before) / count


def _settled(server: Server) -> float:
    time.sleep(_SETTLING_SECONDS)
    return pss_kib(server.pid)
