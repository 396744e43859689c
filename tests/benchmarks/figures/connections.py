"""Short connections (connect, one message each way, close): rate, and processor time for each."""

from __future__ import annotations

from bench import Bench, figure_of
from loading import Work
from results import Figure

_AT_ONCE = 32
_BYTES = 64


def connections(bench: Bench) -> list[Figure]:
    """Measure a constant number of concurrent clients, each followed by the next."""

    def measure(name: str) -> Work:
        return bench.loader.connections(bench.fleet.server(name), _AT_ONCE, _BYTES)

    found = bench.alternate("connections", bench.settled_names, bench.settings.rounds, measure)
    return [
        figure_of("connections", "1/s", {}, "higher", found, lambda work: work.per_second),
        figure_of("cpu_per_connection", "us", {}, "lower", found, lambda work: work.cpu_micros),
    ]
