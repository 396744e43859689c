"""Messages of a MiB: bytes a second each way, and the server's processor time for a MiB."""

from __future__ import annotations

from bench import Bench, figure_of
from loading import Work
from results import Figure

_MIB = 1024 * 1024
_CLIENTS = 8


def bulk(bench: Bench) -> list[Figure]:
    """Measure few clients that send as much as is taken, one message in flight on each."""

    def measure(name: str) -> Work:
        return bench.loader.exchange(bench.fleet.server(name), _CLIENTS, _MIB)

    found = bench.alternate("1 MiB", bench.settled_names, bench.settings.rounds, measure)
    case: dict[str, object] = {"bytes": _MIB}
    return [
        figure_of("bytes", "MiB/s", case, "higher", found, lambda work: work.per_second),
        figure_of("cpu_per_mib", "us", case, "lower", found, lambda work: work.cpu_micros),
    ]
