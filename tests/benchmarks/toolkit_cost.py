"""Measure the cost per message of framings, async hooks and asyncio protocols, beside a plain echo in one run.

With `--before` the plain echo of another installation runs beside them, which shows the cost of unused features. The
suite measures the cost of idle clients and idle timeouts.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import tempfile
from pathlib import Path

from bench import Bench, Settings, figure_of
from fleet import Fleet
from loading import Work
from peer_catalog import Peer, Starting, peers
from processors import places
from results import write_figures
from servers import BIN, Server, installed_host
from tables import figure_table

PLAIN = """
@hookimpl
def receive(connection, data):
    connection.send(data)
"""
FRAMED = """
@hookimpl
def framing(service):
    return {framing}

@hookimpl
def receive(connection, data):
    connection.send_message(data)
"""
ASYNC = """
@hookimpl
async def receive(connection, data):
    connection.send(data)
"""
WAITING = """
import asyncio

@hookimpl
async def receive(connection, data):
    await asyncio.sleep(0)
    connection.send(data)
"""
# A plain hook in a worker with an asyncio loop, as a protocol is called.
IN_LOOP = f"""
@hookimpl
async def worker_start(worker):
    pass
{PLAIN}"""
PROTOCOL = """
import asyncio

class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)

@hookimpl
def protocol(service):
    return Echo
"""
STREAMS = """
@hookimpl
async def stream_handler(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
"""
PLUGINS = {
    "plain": PLAIN,
    "plain-in-loop": IN_LOOP,
    "protocol": PROTOCOL,
    "streams": STREAMS,
    "lines": FRAMED.format(framing="Lines()"),
    "delimited": FRAMED.format(framing="Delimited(b'\\n')"),
    "length-prefixed": FRAMED.format(framing="LengthPrefixed('>I')"),
    "fixed": FRAMED.format(framing="Fixed(64)"),
    "async": ASYNC,
    "async-waiting": WAITING,
}


def main() -> None:
    """Run all rounds, print the table, write the JSON."""
    options = arguments()
    settings = Settings(rounds=options.rounds, seconds=options.seconds, clients=options.clients)
    with tempfile.TemporaryDirectory(prefix="reactorhost-bench-") as folder:
        found = servers(options)
        fleet = Fleet(found, places(), Path(folder))
        bench = Bench(settings, fleet.places, fleet, list(found), Path(folder), print)

        def measure(name: str) -> Work:
            return bench.loader.exchange(fleet.server(name), settings.clients, 64)

        try:
            works = bench.alternate("echo", bench.names, settings.rounds, measure)
        finally:
            fleet.close()
    figure = figure_of("cpu_per_message", "us", {"bytes": 64}, "lower", works, lambda work: work.cpu_micros)
    print(figure_table(figure, yardsticks=bench.names[:1]))
    if options.json:
        write_figures([figure], options.json)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="measured time of one server in one round")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--before", type=Path, help="folder with the reactorhost command of another installation")
    parser.add_argument("--only", help="names of servers, separated by commas")
    parser.add_argument("--json", type=Path, help="file for the results")
    return parser.parse_args()


def servers(options: argparse.Namespace) -> dict[str, Peer]:
    """Return the start functions of the servers."""
    found = {name: Peer(host(name)) for name in PLUGINS}
    if importlib.util.find_spec("uvloop"):
        for name in ("plain-in-loop", "protocol", "streams", "async"):
            found[f"{name}-uvloop"] = Peer(host(name, "--event-loop", "uvloop"))
    if options.before:
        found["plain-before"] = Peer(host("plain", programs=options.before))
    others = peers()
    names = ("asyncio-protocol", "asyncio-streams", "uvloop-protocol", "uvloop-streams")
    found |= {name: others[name] for name in names if others[name].missing is None}
    if options.only:
        return {name: found[name] for name in options.only.split(",")}
    return found


def host(plugin: str, *settings: str, programs: Path = BIN) -> Starting:
    """Return a function that writes a plugin file and starts a host with it."""

    def start(folder: Path) -> contextlib.AbstractContextManager[Server]:
        file = folder / f"{plugin.replace('-', '_')}.py"
        file.write_text(f"from reactorhost import Delimited, Fixed, LengthPrefixed, Lines, hookimpl\n{PLUGINS[plugin]}")
        return installed_host(folder, [file], settings, programs)

    return start


if __name__ == "__main__":
    main()
