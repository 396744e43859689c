"""Measure the plugins `asgi` and `websocket` beside uvicorn, granian, gunicorn and hypercorn.

All servers run at once on one processor, with one worker each, and the load on another; rounds alternate between them.
Processor time is that of all processes of a server. Access logs are off.

    requests     requests on 32 persistent connections: bare ASGI, Starlette, bare WSGI in threads, Flask
    latency      bare ASGI and bare WSGI at half of a server's own largest rate
    websocket    messages of 64 bytes: echoed on 32 connections, and sent to 32 members
    idle         memory (PSS) of an idle persistent connection
"""

from __future__ import annotations

import argparse
import gc
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from bench import Bench, Settings, column, figure_of
from compiler import compiler
from fleet import Fleet
from loading import Work, bus_program, call_program, measured
from option_types import several
from peer_catalog import Peer
from process_tree import pss_kib
from processors import places
from results import Figure, Rounds, write_figures
from room_clients import allow_many_files
from servers import Server, ServerError
from tables import figure_table
from web_callers import Callers, http_callers, websocket_callers
from web_servers import TARGETS, web_servers

Found = TypeVar("Found")

SIZE = 64
YARDSTICK = {"wsgi": "gunicorn-gthread", "flask": "gunicorn-gthread"}


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
            for figure in FIGURES[name](measurement):
                yardstick = YARDSTICK.get(str(figure.case.get("app")), "uvicorn")
                print(f"\n{figure_table(figure, yardsticks=(yardstick,))}", flush=True)
                figures.append(figure)
    where = places()
    print(f"\n{len(where.usable)} processors" + ("" if where.apart else ": servers and load share it"))
    if options.json:
        write_figures(figures, options.json)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="measured time of one server in one round")
    parser.add_argument("--warm-up", type=float, default=0.5, help="seconds before each measurement")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--idle", type=int, default=1000, help="idle persistent connections")
    parser.add_argument("--apps", help=f"of {', '.join(TARGETS)}; separated by commas")
    parser.add_argument("--servers", help=f"of {', '.join(web_servers())}; separated by commas")
    parser.add_argument("--figures", type=several(FIGURES), default=list(FIGURES), help=f"of {', '.join(FIGURES)}")
    parser.add_argument("--json", type=Path, help="file for the results")
    return parser.parse_args()


class Measurement:
    """One run."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options = options
        self.folder = folder
        self.calls = call_program(folder)
        self.broadcasts = bus_program(folder)
        only = options.servers.split(",") if options.servers else None
        self.servers = {name: found for name, found in web_servers().items() if only is None or name in only}
        self.apps = options.apps.split(",") if options.apps else list(TARGETS)

    # The figures.

    def requests(self) -> list[Figure]:
        """Request on persistent connections, the next when the last is answered."""
        figures = []
        for app in (app for app in self.apps if app != "websocket"):
            works = self.alternated(f"requests to {app}", app, self.closed_requests)
            case: dict[str, object] = {"app": app}
            figures += [
                figure_of("web_cpu_per_request", "us", case, "lower", works, lambda work: work.cpu_micros),
                figure_of("web_requests", "1/s", case, "higher", works, lambda work: work.per_second),
            ]
        return figures

    def latency(self) -> list[Figure]:
        """Request at half of the largest rate."""
        figures: list[Figure] = []
        for app in (app for app in self.apps if app in ("asgi", "wsgi")):
            largest: dict[str, float] = {}

            def measure(name: str, server: Server, largest: dict[str, float] = largest) -> Work:
                if name not in largest:
                    largest[name] = self.closed_requests(name, server).per_second
                with http_callers(server, self.options.clients) as callers:
                    return self.called("open", server, callers, largest[name] / 2)

            works = self.alternated(f"latency of {app}", app, measure)
            offered: Rounds = {name: [rate / 2] for name, rate in largest.items()}
            for position, quantile in enumerate((0.5, 0.99)):
                values = column(works, lambda work, at=position: work.quantiles[at])  # type: ignore[misc]  # a default binds it
                case: dict[str, object] = {"app": app, "quantile": quantile, "load": 0.5}
                figures.append(Figure("web_latency", "us", case, "lower", values, offered=offered))
        return figures

    def websocket(self) -> list[Figure]:
        """Echo messages, and send them to all."""
        if "websocket" not in self.apps:
            return []
        echoed = self.alternated("WebSocket echo", "websocket", self.echoed)
        sent = self.alternated("WebSocket broadcast", "websocket", self.broadcast)
        case: dict[str, object] = {"bytes": SIZE, "members": self.options.clients}
        return [
            figure_of("web_echo", "us", {"bytes": SIZE}, "lower", echoed, lambda work: work.cpu_micros),
            figure_of("web_echoes", "1/s", {"bytes": SIZE}, "higher", echoed, lambda work: work.per_second),
            figure_of("web_delivery", "us", case, "lower", sent, lambda work: work.cpu_micros),
            figure_of("web_deliveries", "1/s", case, "higher", sent, lambda work: work.per_second),
        ]

    def idle(self) -> list[Figure]:
        """Measure the memory of connections that have made one request each."""
        options = self.options

        def measure(_name: str, server: Server) -> float:
            with http_callers(server, options.clients):
                before: float = pss_kib(server.pid)
            with http_callers(server, options.idle):
                after: float = pss_kib(server.pid)
            return float((after - before) / options.idle)

        found = self.alone("asgi", 1, measure)
        return [
            Figure("web_idle", "KiB", {"idle": options.idle}, "lower", {name: [kib] for name, kib in found.items()})
        ]

    # What the figures share.

    def closed_requests(self, _name: str, server: Server) -> Work:
        """Keep one request under way on each connection."""
        # Connected anew each time: servers close connections that are idle while others are measured.
        with http_callers(server, self.options.clients) as callers:
            return self.called("closed", server, callers, 0)

    def echoed(self, _name: str, server: Server) -> Work:
        """Keep one message under way on each WebSocket."""
        with websocket_callers(server, self.options.clients, "/", SIZE) as callers:
            return self.called("closed", server, callers, 0)

    def broadcast(self, _name: str, server: Server) -> Work:
        """Send messages of one member to all, with four under way."""
        options = self.options
        with websocket_callers(server, options.clients, "/room", SIZE) as callers:
            times = options.warm_up, options.seconds
            words = ["closed", *times, 1, callers.answer_bytes, callers.call.hex(), 4]
            descriptors = [callers.descriptors[0], *callers.descriptors]
            return measured([self.broadcasts, *words, *descriptors], server, descriptors)

    def called(self, mode: str, server: Server, callers: Callers, rate: float) -> Work:
        """Run the load with these connections."""
        words = [mode, self.options.warm_up, self.options.seconds, callers.answer_bytes, callers.call.hex(), rate]
        return measured([self.calls, *words, *callers.descriptors], server, callers.descriptors)

    def alternated(self, what: str, app: str, measure: Callable[[str, Server], Work]) -> dict[str, list[Work | None]]:
        """Measure the servers that can run an application in turn."""
        fleet = self.fleet(app, 1)
        bench = Bench(Settings(rounds=self.options.rounds), fleet.places, fleet, [], self.folder, print)
        bench.names = [name for name in fleet.peers if _starts(bench, name)]
        # Collections of this process would be pauses of the load.
        gc.disable()
        try:
            return bench.alternate(
                what, bench.names, self.options.rounds, lambda name: measure(name, fleet.server(name))
            )
        finally:
            gc.enable()
            fleet.close()

    def alone(self, app: str, workers: int, measure: Callable[[str, Server], Found]) -> dict[str, Found]:
        """Measure each server that can run an application; only one runs at a time."""
        fleet = self.fleet(app, workers)
        bench = Bench(Settings(), fleet.places, fleet, [], self.folder, print)
        found = {}
        for name in fleet.peers:
            try:
                if _starts(bench, name):
                    found[name] = measure(name, fleet.server(name))
            except (ServerError, OSError) as error:
                bench.skip(name, str(error))
            finally:
                fleet.drop(name)
        return found

    def fleet(self, app: str, workers: int) -> Fleet:
        """Return the servers that can run an application, none of which is started yet."""
        peers: dict[str, Peer] = {
            name: found.peer(app, workers) for name, found in self.servers.items() if app in found.apps
        }
        return Fleet(peers, places(), self.folder, visited=False)


def _starts(bench: Bench, name: str) -> bool:
    """Start a server, or note why it cannot run."""
    why = bench.fleet.peers[name].missing
    if why is None:
        try:
            bench.fleet.server(name)
        except (ServerError, OSError) as error:
            why = str(error)
    if why is not None:
        bench.skip(name, why)
    return why is None


FIGURES: dict[str, Callable[[Measurement], list[Figure]]] = {
    name: getattr(Measurement, name) for name in ("requests", "latency", "websocket", "idle")
}


if __name__ == "__main__":
    main()
