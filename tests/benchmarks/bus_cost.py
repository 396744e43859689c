"""Measure the bus: messages to groups and from worker to worker, beside asyncio and python-socketio with Redis.

All servers run at once on one processor, with Redis where they need it, and the load on another; rounds alternate
between them. Processor time is that of all processes of a server, that of its Redis included.

    deliveries   messages to the 1,000 members of a group, on four workers
    local        the same on one worker, beside a loop that calls `send` for each member
    messages     bursts of messages from one worker to another
    latency      from a client of one worker to a client of another, at half of the largest rate of such a pair
    unused       a plain echo, of clients that are in a group or not; with `--before` also of another installation

`two-hosts-redis` has half of its workers in each of two hosts, which are joined by Redis as on two machines.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import Bench, Settings, column, figure_of
from compiler import compiler
from fleet import Fleet
from loading import Work, bus_program, measured
from option_types import several
from peer_catalog import PLUGINS, Peer, workerman_missing
from processors import places
from results import Figure, Rounds, write_figures
from room_clients import LINES, SOCKETIO, Room, Rooms, Speech, allow_many_files
from servers import BIN, PEERS, Server, ServerError, free_port, given_port, installed_host, program
from tables import figure_table

# As `plugins/room.py` and `asyncio_redis_room.py` have it.
BURST = 100
SIZE = 64
PUBLISHERS = 4
ECHO = """
from reactorhost import hookimpl

@hookimpl
def receive(connection, data):
    connection.send(data)
"""
JOINED = f"""{ECHO}
@hookimpl
def connect(connection):
    connection.join("room")
"""


@dataclass(frozen=True, slots=True)
class Kind:
    """A server to compare: how it is started with a number of workers, and how its clients speak."""

    start: Callable[[int, Path], contextlib.AbstractContextManager[Server]]
    speech: Speech
    missing: str | None = None
    bursts: bool = True
    hosts: Sequence[str] = ("127.0.0.1",)


def main() -> None:
    """Run the figures, print the tables, write the JSON."""
    options = arguments()
    if not compiler():
        raise SystemExit("the load is written in C, and there is no C compiler")
    allow_many_files()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="reactorhost-bench-") as folder:
        measurement = Measurement(options, Path(folder))
        for name in options.figures:
            found = FIGURES[name](measurement)
            for figure in found:
                print(f"\n{figure_table(figure, yardsticks=yardsticks(figure))}", flush=True)
            figures += found
    where = places()
    print(f"\n{len(where.usable)} processors" + ("" if where.apart else ": servers and load share it"))
    if options.json:
        write_figures(figures, options.json)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="measured time of one server in one round")
    parser.add_argument("--warm-up", type=float, default=0.3, help="seconds before each measurement")
    parser.add_argument("--members", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--window", type=int, default=16, help="messages under way at a time")
    parser.add_argument("--before", type=Path, help="folder with the reactorhost command of another installation")
    parser.add_argument("--figures", type=several(FIGURES), default=list(FIGURES), help=f"of {', '.join(FIGURES)}")
    parser.add_argument("--workerman", type=Path, metavar="AUTOLOAD_PHP", help="path of Workerman's autoload.php")
    parser.add_argument("--peers", help="names of servers with a bus, separated by commas")
    parser.add_argument("--json", type=Path, help="file for the results")
    return parser.parse_args()


def yardsticks(figure: Figure) -> Sequence[str]:
    """Return the server that the others are compared with."""
    return {"bus_local": ("direct",), "bus_unused": ("plain",)}.get(figure.name, ("reactorhost",))


def kinds(autoload: Path | None = None) -> dict[str, Kind]:
    """Return the servers that have a bus; `autoload` is Workerman's autoload.php, which also loads Channel."""
    return {
        "reactorhost": Kind(room_host, LINES),
        "two-hosts-redis": Kind(two_hosts, LINES, missing("reactorhost_redis"), hosts=("127.0.0.1", "127.0.0.2")),
        "asyncio-redis": Kind(partial(room_program, "asyncio_redis_room.py"), LINES, missing("redis", "hiredis")),
        "socketio-redis": Kind(
            partial(room_program, "socketio_room.py"), SOCKETIO, missing("socketio", "aiohttp", "redis"), bursts=False
        ),
        "workerman-channel": Kind(partial(workerman, autoload), LINES, workerman_missing(autoload)),
    }


def missing(*packages: str) -> str | None:
    """Return why a server that needs Redis and these packages cannot run."""
    if not shutil.which("redis-server"):
        return "redis-server is not installed"
    absent = [name for name in packages if not importlib.util.find_spec(name)]
    return f"{absent[0]} is not installed" if absent else None


def room_host(workers: int, folder: Path) -> contextlib.AbstractContextManager[Server]:
    """Run a host with the room."""
    return installed_host(folder, [PLUGINS / "room.py"], ["--workers", str(workers)])


def two_hosts(workers: int, folder: Path) -> contextlib.AbstractContextManager[Server]:
    """Run two hosts with half of the workers each, joined by Redis."""
    return program("redis_hosts.py", str(workers), str(folder), PLUGINS / "room.py")


def room_program(name: str, workers: int, folder: Path) -> contextlib.AbstractContextManager[Server]:
    """Run one of the rooms on Redis."""
    return program(name, str(workers), str(folder))


def workerman(autoload: Path | None, workers: int, folder: Path) -> contextlib.AbstractContextManager[Server]:
    """Run the room on Workerman."""
    port, channel = free_port(), free_port()
    values = {"AUTOLOAD": autoload, "PORT": port, "CHANNEL": channel, "WORKERS": workers, "PLACE": folder}
    environment = {**os.environ, **{name: str(value) for name, value in values.items()}}
    return given_port(["php", PEERS / "workerman_room.php", "start"], port, environment)


class Measurement:
    """One run."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options = options
        self.folder = folder
        self.load = bus_program(folder)
        found = kinds(options.workerman)
        only = options.peers.split(",") if options.peers else found
        self.kinds = {name: kind for name, kind in found.items() if name in only}

    # The figures.

    def deliveries(self) -> list[Figure]:
        """Broadcast to many members on several workers."""
        options = self.options

        def measure(server: Server, rooms: Rooms) -> Work:
            return self.closed(server, rooms.crowd(server, "M", PUBLISHERS, options.members, SIZE))

        case: dict[str, object] = {"bytes": SIZE, "members": options.members, "workers": options.workers}
        works = self.of_kinds("deliveries", options.workers, self.kinds, measure)
        return [
            figure_of("bus_deliveries", "1/s", case, "higher", works, lambda work: work.per_second),
            figure_of("bus_cpu_per_delivery", "us", case, "lower", works, lambda work: work.cpu_micros),
        ]

    def local(self) -> list[Figure]:
        """Broadcast to the members of one worker, through the bus and without it."""
        letters = {"direct": "D", "bus": "M"}
        works = self.of_kinds(
            "local",
            1,
            dict.fromkeys(letters, kinds()["reactorhost"]),
            lambda server, rooms: self.closed(
                server, rooms.crowd(server, letters[self.current], PUBLISHERS, self.options.members, SIZE)
            ),
        )
        case: dict[str, object] = {"bytes": SIZE, "members": self.options.members}
        return [figure_of("bus_local", "us", case, "lower", works, lambda work: work.cpu_micros)]

    def messages(self) -> list[Figure]:
        """Publish bursts in one worker and count them in another."""
        with_bursts = {name: kind for name, kind in self.kinds.items() if kind.bursts}
        works = self.of_kinds(
            "messages",
            2,
            with_bursts,
            lambda server, rooms: self.closed(server, rooms.pair(server, "S", "B", SIZE)),
        )
        case: dict[str, object] = {"bytes": SIZE}
        rates = figure_of("bus_messages", "1/s", case, "higher", works, lambda work: BURST * work.per_second)
        cost = figure_of("bus_cpu_per_message", "us", case, "lower", works, lambda work: work.cpu_micros / BURST)
        return [rates, cost]

    def latency(self) -> list[Figure]:
        """Send at half of the largest rate from a client of one worker to a client of another."""
        largest: dict[str, float] = {}

        def measure(server: Server, rooms: Rooms) -> Work:
            room = rooms.pair(server, "J", "M", SIZE)
            if self.current not in largest:
                largest[self.current] = self.closed(server, room).per_second
            return self.run("open", server, room, largest[self.current] / 2)

        works = self.of_kinds("latency", 2, self.kinds, measure)
        offered: Rounds = {name: [rate / 2] for name, rate in largest.items()}
        figures = []
        for position, quantile in enumerate((0.5, 0.99)):
            values = column(works, lambda work, at=position: work.quantiles[at])  # type: ignore[misc]  # a default binds it
            case: dict[str, object] = {"bytes": SIZE, "quantile": quantile, "load": 0.5}
            figures.append(Figure("bus_latency", "us", case, "lower", values, offered=offered))
        late = column(works, lambda work: work.late)
        return [*figures, Figure("load_lateness", "us", {"quantile": 0.99}, "lower", late, offered=offered)]

    def unused(self) -> list[Figure]:
        """Echo without the bus, and for clients that have joined a group."""
        options = self.options
        found = {"plain": Peer(self.echo("plain", ECHO)), "joined": Peer(self.echo("joined", JOINED))}
        if options.before:
            found["plain-before"] = Peer(self.echo("plain", ECHO, options.before))
        settings = Settings(rounds=options.rounds, seconds=options.seconds, warm_up=options.warm_up)
        fleet = Fleet(found, places(), self.folder)
        bench = Bench(settings, fleet.places, fleet, list(found), self.folder, print)
        try:
            works = bench.alternate(
                "unused",
                bench.names,
                settings.rounds,
                lambda name: bench.loader.exchange(fleet.server(name), settings.clients, SIZE),
            )
        finally:
            fleet.close()
        return [figure_of("bus_unused", "us", {"bytes": SIZE}, "lower", works, lambda work: work.cpu_micros)]

    # What the figures share.

    current = ""
    """The name of the server that is measured now."""

    def of_kinds(
        self, what: str, workers: int, found: dict[str, Kind], measure: Callable[[Server, Rooms], Work]
    ) -> dict[str, list[Work | None]]:
        """Measure the servers that can run here in turn."""
        peers = {name: Peer(partial(kind.start, workers), kind.missing) for name, kind in found.items()}
        fleet = Fleet(peers, places(), self.folder, visited=False)
        bench = Bench(Settings(rounds=self.options.rounds), fleet.places, fleet, [], self.folder, print)
        rooms = {name: Rooms(kind.speech, kind.hosts) for name, kind in found.items()}
        bench.names = list(self.startable(bench))

        def once(name: str) -> Work:
            self.current = name
            return measure(fleet.server(name), rooms[name])

        try:
            return bench.alternate(what, bench.names, self.options.rounds, once)
        finally:
            for each in rooms.values():
                each.close()
            fleet.close()

    def startable(self, bench: Bench) -> Iterable[str]:
        """Start the servers, and note why others cannot run."""
        for name, peer in bench.fleet.peers.items():
            why = peer.missing
            try:
                if why is None:
                    bench.fleet.server(name)
            except (ServerError, OSError) as error:
                why = str(error)
            if why is None:
                yield name
            else:
                bench.skip(name, why)

    def closed(self, server: Server, room: Room) -> Work:
        """Keep a number of messages under way."""
        return self.run("closed", server, room, self.options.window)

    def run(self, mode: str, server: Server, room: Room, last: float) -> Work:
        """Run the load with the connections of a room."""
        times = self.options.warm_up, self.options.seconds
        sizes = len(room.publishers), room.delivery_bytes, room.publication.hex()
        return measured([self.load, mode, *times, *sizes, last, *room.descriptors], server, room.descriptors)

    def echo(
        self, name: str, plugin: str, programs: Path = BIN
    ) -> Callable[[Path], contextlib.AbstractContextManager[Server]]:
        """Return a function that starts a host with a plugin."""

        def start(folder: Path) -> contextlib.AbstractContextManager[Server]:
            file = folder / f"{name}.py"
            file.write_text(plugin)
            return installed_host(folder, [file], programs=programs)

        return start


FIGURES: dict[str, Callable[[Measurement], list[Figure]]] = {
    "deliveries": Measurement.deliveries,
    "local": Measurement.local,
    "messages": Measurement.messages,
    "latency": Measurement.latency,
    "unused": Measurement.unused,
}


if __name__ == "__main__":
    main()
