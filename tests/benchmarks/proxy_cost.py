"""Measure the cost of relaying: reactorhost-proxy, HAProxy and asyncio in front of one echo server in C, in one run.

The relays run at once on one processor, the load and the echo server on another; rounds alternate between them. The
results are the relay's CPU time per connection, message or megabyte.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from bench import Bench, Settings, column, figure_of
from fleet import Fleet
from loading import Work
from peer_catalog import Peer, peers
from processors import places, running_on
from results import Figure, write_figures
from servers import Server, free_port, given_port, installed_host, program
from tables import figure_table

_BULK = 256 * 1024
# There and back.
_BULK_MEGABYTES = 2 * _BULK / 1e6

HAPROXY = """
global
    nbthread 1
    maxconn 2000
defaults
    mode tcp
    option splice-auto
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend main
    bind 127.0.0.1:{port}
    default_backend echo
backend echo
    server echo 127.0.0.1:{server}
"""


def main() -> None:
    """Run all rounds, print medians, spread and ratios, write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="measured time of one relay in one round")
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    where = places()
    with tempfile.TemporaryDirectory(prefix="reactorhost-bench-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        with running_on(where.load):
            echo = stack.enter_context(peers()["c"].start(folder))
        missing = None if shutil.which("haproxy") else "haproxy is not installed"
        relays = {
            "haproxy": Peer(partial(haproxy, echo.port), missing),
            "asyncio": Peer(lambda _: program("asyncio_relay.py", str(echo.port))),
            "reactorhost": Peer(partial(proxy, echo.port)),
        }
        fleet = Fleet(relays, where, folder)
        names = [each for each, peer in relays.items() if peer.missing is None]
        bench = Bench(Settings(rounds=options.rounds, seconds=options.seconds), where, fleet, names, folder, print)
        stack.callback(fleet.close)
        figures = measure(bench)
    for figure in figures:
        print(f"\n{figure_table(figure, yardsticks=names[:1])}")
    if options.json:
        write_figures(figures, options.json)


@contextlib.contextmanager
def haproxy(server: int, folder: Path) -> Iterator[Server]:
    """Run HAProxy with one thread."""
    port, config = free_port(), folder / "haproxy.cfg"
    config.write_text(HAPROXY.format(port=port, server=server))
    with given_port(["haproxy", "-db", "-f", config], port, dict(os.environ)) as running:
        yield running


def proxy(server: int, folder: Path) -> contextlib.AbstractContextManager[Server]:
    """Run the installed host with one worker and the plugin."""
    return installed_host(folder, ["proxy"], ["--set", f"proxy.servers=tcp://127.0.0.1:{server}"])


def measure(bench: Bench) -> list[Figure]:
    """Load the relays in turn with each job."""

    def run(name: str, load: Callable[[Server], Work]) -> dict[str, list[Work | None]]:
        return bench.alternate(name, bench.names, bench.settings.rounds, lambda relay: load(bench.fleet.server(relay)))

    connections = run("connections", lambda server: bench.loader.connections(server, 16, 64))
    messages = run("messages", lambda server: bench.loader.exchange(server, 16, 64))
    bulk = run("bulk", lambda server: bench.loader.exchange(server, 4, _BULK))

    def micros(work: Work) -> float:
        return work.cpu_micros

    return [
        figure_of("proxy_connection", "us of CPU a connection", {}, "lower", connections, micros),
        figure_of("proxy_message", "us of CPU a 64-byte message there and back", {}, "lower", messages, micros),
        figure_of("proxy_bulk", "us of CPU a MB", {}, "lower", bulk, lambda work: work.cpu_micros / _BULK_MEGABYTES),
        Figure("proxy_bulk_rate", "MB/s", {}, "higher", column(bulk, lambda work: work.per_second * _BULK_MEGABYTES)),
    ]


if __name__ == "__main__":
    main()
