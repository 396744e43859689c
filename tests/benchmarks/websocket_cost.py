"""Measure the cost of a WebSocket message: an echo, and a broadcast to many clients.

The servers run at once on one processor, the load on another; rounds alternate between them. The results are the
server's CPU time per message that a client has received, and the rate, which the load limits too.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import sys
import tempfile
from pathlib import Path

from bench import Bench, Settings, column
from fleet import Fleet
from loading import Work, measured
from peer_catalog import PLUGINS, Peer, Starting
from processors import places
from results import Figure, write_figures
from servers import PEERS, Server, free_port, given_port, installed_host, program
from tables import figure_table

HERE = Path(__file__).parent
JOBS = ("echo", "broadcast")
HANDLERS: dict[str, str | Path] = {"echo": "echo", "broadcast": f"{PLUGINS / 'websocket_room.py'}:Room"}


def main() -> None:
    """Run all rounds, print medians, spread and ratios, write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument(
        "--seconds", type=float, default=2.0, help="measured time of one job of one server in one round"
    )
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reactorhost-bench-") as name:
        folder, where = Path(name), places()
        figures = []
        for job in JOBS:
            fleet = Fleet(servers(job), where, folder, visited=False)
            bench = Bench(Settings(rounds=options.rounds), where, fleet, list(fleet.peers), folder, print)
            try:
                figures += measure(bench, job, options.clients, options.seconds)
            finally:
                fleet.close()
    for figure in figures:
        print(f"\n{figure_table(figure, yardsticks=('uvicorn',))}")
    if not where.apart:
        print("one processor only: servers and load shared it")
    if options.json:
        write_figures(figures, options.json)


def servers(job: str) -> dict[str, Peer]:
    """Return the servers of a job."""
    found = {
        "reactorhost": Peer(host(job)),
        "websockets": Peer(lambda _folder: program("websockets_server.py", job)),
    }
    if importlib.util.find_spec("uvicorn"):
        found["uvicorn"] = Peer(uvicorn(job, "asyncio"))
        if importlib.util.find_spec("uvloop"):
            found["uvicorn-uvloop"] = Peer(uvicorn(job, "uvloop"))
    return found


def host(job: str) -> Starting:
    """Return a function that starts the installed host with one worker."""
    return lambda folder: installed_host(folder, ["websocket", HANDLERS[job]])


def uvicorn(job: str, loop: str) -> Starting:
    """Return a function that starts uvicorn with its fastest protocol class."""

    def start(_folder: Path) -> contextlib.AbstractContextManager[Server]:
        port = free_port()
        words = ["--loop", loop, "--ws", "websockets-sansio", "--ws-per-message-deflate", "false", "--lifespan", "off"]
        command = [sys.executable, "-m", "uvicorn", f"asgi_room:{job}", "--app-dir", str(PEERS), *words]
        return given_port([*command, "--no-access-log", "--port", str(port)], port, dict(os.environ))

    return start


def measure(bench: Bench, job: str, clients: int, seconds: float) -> list[Figure]:
    """Load the servers in turn with one job; return CPU time per message, and the rate."""

    def once(name: str) -> Work:
        server = bench.fleet.server(name)
        command = [sys.executable, str(HERE / "loads" / "websocket_load.py"), str(server.port), job, str(clients)]
        return measured([*command, str(seconds)], server)

    works = bench.alternate(job, bench.names, bench.settings.rounds, once)
    case: dict[str, object] = {"clients": clients, "bytes": 64}
    costs = column(works, lambda work: work.cpu_micros)
    rates = column(works, lambda work: work.count / seconds)
    return [
        Figure(f"websocket_{job}", "us of CPU a message", case, "lower", costs),
        Figure(f"websocket_{job}_rate", "messages/s", case, "higher", rates),
    ]


if __name__ == "__main__":
    main()
