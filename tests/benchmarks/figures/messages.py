"""Small and medium messages: server processor time for each, and rate."""

from __future__ import annotations

from bench import Bench, figure_of
from loading import Work
from peer_catalog import FRESH
from results import Figure


def messages(bench: Bench) -> list[Figure]:
    """Measure each size, with one message in flight on a client and with a window of them."""
    settings, made = bench.settings, []
    windows = {"closed": 1, "pipelined": settings.window}
    for size in settings.sizes:
        for mode, window in windows.items():
            names = [name for name in bench.names if name != FRESH or (size, mode) == (64, "closed")]
            made += _pair(bench, names, size, mode, window)
    return made


def _pair(bench: Bench, names: list[str], size: int, mode: str, window: int) -> list[Figure]:
    settings, loader = bench.settings, bench.loader

    def measure(name: str) -> Work:
        if name == FRESH:
            with bench.fleet.fresh(name) as server:
                return loader.exchange(server, settings.clients, size, window)
        return loader.exchange(bench.fleet.server(name), settings.clients, size, window)

    found = bench.alternate(f"{size} B, {mode}", names, settings.rounds, measure)
    case: dict[str, object] = {"bytes": size, "mode": mode}
    return [
        figure_of("cpu_per_message", "us", case, "lower", found, lambda work: work.cpu_micros),
        figure_of("messages", "1/s", case, "higher", found, lambda work: work.per_second),
    ]
