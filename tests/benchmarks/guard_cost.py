"""Measure what the plugin guard costs a message and a connection, and the memory of an address.

All servers are an echo on one worker, and alternate in one run: alone, beside a plugin that does nothing, and beside a
guard without limits, with a limit of messages, and with every limit. No limit is ever reached.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from bench import Bench, Settings, figure_of
from fleet import Fleet
from loading import Work
from peer_catalog import Peer, Starting
from processors import places
from reactorhost_guard.meters import limit
from reactorhost_guard.usage import Limits, UsageTable
from results import Figure, write_figures
from servers import Server, installed_host
from tables import figure_table

NOTHING = """
from reactorhost import hookimpl

@hookimpl
def connect(connection):
    pass

@hookimpl
def receive(connection, data):
    pass

@hookimpl
def close(connection):
    pass
"""
HIGH = "1000000000/s"
LIMITS = ("connects", "messages", "bytes", "network_connects", "network_messages", "network_bytes")
GUARDS: dict[str, tuple[str, ...]] = {
    "guard-unlimited": (),
    "guard-messages": ("messages",),
    "guard-all": LIMITS,
}


def main() -> None:
    """Run all rounds, print the tables, write the JSON."""
    options = arguments()
    settings = Settings(rounds=options.rounds, seconds=options.seconds, clients=options.clients)
    with tempfile.TemporaryDirectory(prefix="reactorhost-bench-") as folder:
        found = {name: peer for name, peer in servers().items() if name in options.peers.split(",")}
        fleet = Fleet(found, places(), Path(folder))
        bench = Bench(settings, fleet.places, fleet, list(found), Path(folder), print)

        def exchange(name: str) -> Work:
            return bench.loader.exchange(fleet.server(name), settings.clients, 64)

        def connections(name: str) -> Work:
            return bench.loader.connections(fleet.server(name), settings.clients, 64)

        try:
            figures = [
                measured(bench, "cpu_per_message", exchange),
                measured(bench, "cpu_per_connection", connections),
            ]
        finally:
            fleet.close()
    for figure in figures:
        print(figure_table(figure, yardsticks=bench.names[:2]))
    print(json.dumps({"bytes_of_an_address": memory(options.addresses)}, indent=2))
    if options.json:
        write_figures(figures, options.json)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=0.5, help="measured time of one server in one round")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--peers", default=",".join(servers()), help="servers to measure")
    parser.add_argument("--addresses", type=int, default=20_000, help="addresses in the table whose memory is measured")
    parser.add_argument("--json", type=Path, help="file for the results")
    return parser.parse_args()


def measured(bench: Bench, name: str, measure: Callable[[str], Work]) -> Figure:
    """Return one figure of all servers."""
    works = bench.alternate(name, bench.names, bench.settings.rounds, measure)
    return figure_of(name, "us", {"bytes": 64}, "lower", works, lambda work: work.cpu_micros)


def servers() -> dict[str, Peer]:
    """Return the start functions of the servers."""
    found = {"echo": Peer(host()), "beside-nothing": Peer(host("nothing.py"))}
    for name, limits in GUARDS.items():
        words = [word for each in limits for word in ("--set", f"guard.{each}={HIGH}")]
        found[name] = Peer(host("guard", *words))
    return found


def host(beside: str | None = None, *settings: str) -> Starting:
    """Return a function that starts an echo, with another plugin before it."""

    def start(folder: Path) -> contextlib.AbstractContextManager[Server]:
        plugins: list[str | Path] = ["echo"]
        if beside is not None:
            file = folder / beside
            if beside.endswith(".py"):
                file.write_text(NOTHING)
            plugins.insert(0, file if beside.endswith(".py") else beside)
        return installed_host(folder, plugins, settings)

    return start


def memory(addresses: int) -> dict[str, dict[str, int]]:
    """Return the bytes of an address that is remembered, and of one with a connection, by limits."""
    high = limit(1e9, 1e9)
    cases = {
        "connects": Limits(connects=high),
        "all": Limits(connects=high, messages=high, bytes=high, strikes=high),
    }
    return {
        name: {
            "remembered": address_bytes(limits, addresses, hold=False),
            "connected": address_bytes(limits, addresses, hold=True),
        }
        for name, limits in cases.items()
    }


def address_bytes(limits: Limits, addresses: int, *, hold: bool) -> int:
    """Return what an address adds to the memory of a table; a connection's own entry is 8 bytes more."""
    tracemalloc.start()
    table = UsageTable(limits, addresses)
    for key in range(1 << 24, (1 << 24) + addresses):
        usage = table.find(key)
        table.take_connect(usage, 1000.0 + key)
        if hold:
            table.hold(usage)
            usage.connections = set()
            table.exceeded(usage, 100, 1000.0 + key)
    table.take_touched()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return taken // addresses


if __name__ == "__main__":
    main()
