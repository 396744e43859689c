"""Latency at half of the largest load of a peer, counted from the scheduled send time."""

from __future__ import annotations

from functools import partial

from bench import Bench, NotMeasuredError, column
from loading import Work
from results import Figure

_BYTES = 64
_LOAD = 0.5
_SECONDS_FOR_THE_MOST = 0.4
_QUANTILES = (0.5, 0.99, 0.999)


def latency(bench: Bench) -> list[Figure]:
    """Measure the largest load of a peer, then latencies at half of it, and the lateness of the load."""
    if not bench.places.apart:
        raise NotMeasuredError("one processor only: the load, which watches the clock, would take it from the server")
    clients = bench.settings.clients
    offered: dict[str, list[float | None]] = {}

    def measure(name: str) -> Work:
        server = bench.fleet.server(name)
        most = bench.loader.exchange(server, clients, _BYTES, seconds=_SECONDS_FOR_THE_MOST)
        offered.setdefault(name, []).append(most.per_second * _LOAD)
        return bench.loader.open_loop(server, clients, _BYTES, most.per_second * _LOAD)

    found = bench.alternate("latency", bench.settled_names, bench.settings.rounds, measure)
    made = []
    for index, quantile in enumerate(_QUANTILES):
        rounds = column(found, partial(_quantile, index))
        case = {"quantile": quantile, "load": _LOAD}
        made.append(Figure("latency", "us", case, "lower", rounds, offered=offered))
    late = column(found, lambda work: work.late)
    case = {"quantile": 0.99, "load": _LOAD}
    return [*made, Figure("load_lateness", "us", case, "lower", late, offered=offered)]


def _quantile(index: int, work: Work) -> float:
    return work.quantiles[index]
