"""Messages of 1 MiB: throughput in each direction, and server processor time per MiB."""

from __future__ import annotations

from bench import Bench, figure_of
from loading import Work
from results import Figure

_MIB = 1024 * 1024
_CLIENTS = 8


def bulk(bench: Bench) -> list[Figure]:
    """Measure a few clients with one message in flight each."""

    def measure(name: str) -> Work:
        return bench.loader.exchange(bench.fleet.server(name), _CLIENTS, _MIB)

    found = bench.alternate("1 MiB", bench.settled_names, bench.settings.rounds, measure)
    case: dict[str, object] = {"bytes": _MIB}
    return [
        figure_of("bytes", "MiB/s", case, "higher", found, lambda work: work.per_second),
        figure_of("cpu_per_mib", "us", case, "lower", found, lambda work: work.cpu_micros),
    ]
