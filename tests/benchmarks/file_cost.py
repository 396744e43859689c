"""Measure the cost of sending files by `connection.send_file`, beside reading and sending them, in one run.

The results are the server's CPU time per megabyte, for files of several sizes that are in the page cache.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from bench import Bench, Settings, column
from fleet import Fleet
from loading import Work, measured
from peer_catalog import Peer
from processors import places
from results import Figure, write_figures
from servers import Server, installed_host
from tables import figure_table

HERE = Path(__file__).parent
SIZES = {"4KiB": 4 << 10, "64KiB": 64 << 10, "1MiB": 1 << 20, "16MiB": 16 << 20}
CLIENTS = 4

WAYS = {
    "read and send": """
@hookimpl
def receive(connection, data):
    with open(PATH, "rb") as file:
        connection.send(file.read())
""",
    "read and send pieces": """
@hookimpl
def receive(connection, data):
    send_next(connection, open(PATH, "rb"))

def send_next(connection, file):
    piece = file.read(65536)
    if piece:
        connection.send(piece)
        connection.when_drained(send_next, connection, file)
    else:
        file.close()
""",
    "asyncio's fallback": """
import asyncio

class Sends(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.task = asyncio.get_running_loop().create_task(self.send())

    async def send(self):
        loop = asyncio.get_running_loop()
        with open(PATH, "rb") as file:
            await asyncio.BaseEventLoop._sendfile_fallback(loop, self.transport, file, 0, None)

@hookimpl
def protocol(service):
    return Sends
""",
    "send_file": """
@hookimpl
def receive(connection, data):
    with open(PATH, "rb") as file:
        connection.send_file(file)
""",
}


def main() -> None:
    """Run all rounds, print medians, spread and ratios, write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="measured time of one way in one round")
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    figures = []
    for size in SIZES:
        with tempfile.TemporaryDirectory(prefix="reactorhost-bench-") as name:
            figures.append(measure(Path(name), size, options.rounds, options.seconds))
    for figure in figures:
        print(f"\n{figure_table(figure, yardsticks=('read and send',))}")
    if options.json:
        write_figures(figures, options.json)


def measure(folder: Path, size: str, rounds: int, seconds: float) -> Figure:
    """Load the servers in turn with a file of one size; return the CPU time per megabyte."""
    path, where = folder / "content", places()
    path.write_bytes(bytes(SIZES[size]))
    fleet = Fleet({way: Peer(partial(serving, way, path)) for way in WAYS}, where, folder, visited=False)
    bench = Bench(Settings(rounds=rounds), where, fleet, list(fleet.peers), folder, print)
    try:

        def once(name: str) -> Work:
            server: Server = fleet.server(name)
            command = [sys.executable, str(HERE / "loads" / "file_load.py"), str(server.port), str(SIZES[size])]
            return measured([*command, str(CLIENTS), str(seconds)], server)

        works = bench.alternate(f"file_{size}", bench.names, rounds, once)
    finally:
        fleet.close()
    costs = column(works, lambda work: work.server_seconds / work.count * 1e9)
    return Figure(f"file_{size}", "ms of CPU a MB", {}, "lower", costs)


def serving(way: str, path: Path, folder: Path) -> AbstractContextManager[Server]:
    """Run the installed host with a plugin that answers with the file in one way."""
    plugin = folder / f"{way.replace(' ', '_').replace(chr(39), '')}.py"
    plugin.write_text(f"from reactorhost import hookimpl\nPATH = {str(path)!r}\n{WAYS[way]}")
    return installed_host(folder, plugins=[plugin])


if __name__ == "__main__":
    main()
