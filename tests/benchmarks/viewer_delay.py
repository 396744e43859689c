"""How much a viewer of the clients' page delays a client, beside many idle ones on the same worker.

`viewer_delay.py` opens idle clients to a host of one worker, and sends one message after the other on one more client.
Rounds without a viewer, with one of a page of rows, and with one that lists all clients as `reactorhost connections`
does, alternate. The viewer requests once a second, in a process of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from idle_clients import idle_clients
from process_tree import cpu_seconds
from reactorhost.ipc.connection_query import ConnectionQuery, Grouping, Sort
from reactorhost.ipc.control_client import CONTROL_SOCKET, ControlClient
from reactorhost.testing import LiveHost

VIEWERS: dict[str, ConnectionQuery | None] = {
    "no viewer": None,
    "page": ConnectionQuery(limit=60, sort=Sort.IDLE),
    "page, rates": ConnectionQuery(limit=60, sort=Sort.RATE_IN, rates=True),
    "page, network": ConnectionQuery(limit=60, sort=Sort.AGE, peer="127.0.0.0/8"),
    "groups": ConnectionQuery(limit=60, group=Grouping.PEER),
    "all rows": ConnectionQuery(),
}
GAP_SECONDS = 0.001


def watch(path: str, fields: str) -> None:
    """Request connections once a second, until killed."""
    with ControlClient(Path(path)) as client:
        while True:
            for _ in client.replies("connections", **json.loads(fields)):
                pass
            time.sleep(1.0)


@contextlib.contextmanager
def viewer(host: LiveHost, query: ConnectionQuery | None) -> Iterator[None]:
    """Run a viewer while the context lasts."""
    if query is None:
        yield
        return
    command = [sys.executable, __file__, "--watch", str(host.run_dir / CONTROL_SOCKET), json.dumps(query.as_fields())]
    with subprocess.Popen(command) as process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGKILL)


def delays(client: socket.socket, seconds: float) -> list[float]:
    """Return how long each message took to come back."""
    found: list[float] = []
    deadline = time.monotonic() + seconds
    while (began := time.monotonic()) < deadline:
        client.sendall(b"x" * 64)
        client.recv(64)
        found.append(time.monotonic() - began)
        time.sleep(GAP_SECONDS)
    return found


def measured(host: LiveHost, rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    """Return medians over the rounds: percentiles in microseconds, and the worker's and the master's processor time."""
    worker = int(host.workers()[0]["pid"])
    kept: dict[str, list[dict[str, float]]] = {name: [] for name in VIEWERS}
    with host.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(rounds):
            for name, query in VIEWERS.items():
                with viewer(host, query):
                    delays(client, 0.5)
                    before = [cpu_seconds(pid) for pid in (worker, host.pid)]
                    began = time.monotonic()
                    found = [each * 1e6 for each in delays(client, seconds)]
                    spent = [cpu_seconds(pid) for pid in (worker, host.pid)]
                passed = time.monotonic() - began
                cuts = statistics.quantiles(found, n=1000)
                busy = [100 * (after - first) / passed for after, first in zip(spent, before, strict=True)]
                parts = {"p50": cuts[499], "p99": cuts[989], "p99.9": cuts[998], "max": max(found)}
                kept[name].append({**parts, "worker_percent": busy[0], "master_percent": busy[1]})
    return {
        name: {key: round(statistics.median(each[key] for each in found), 2) for key in found[0]}
        for name, found in kept.items()
    }


def main() -> None:
    """Measure, and print a row for each viewer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=18_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each round and viewer")
    parser.add_argument("--watch", nargs=2, metavar=("SOCKET", "FIELDS"), help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, help="write the results there too")
    arguments = parser.parse_args()
    if arguments.watch:
        watch(*arguments.watch)
    with (
        tempfile.TemporaryDirectory() as directory,
        LiveHost(Path(directory), "--plugin", "echo", "--workers", "1") as host,
    ):
        # What `idle_clients` needs of a server.
        server = cast("Any", SimpleNamespace(pid=host.workers()[0]["pid"], port=host.address()[1]))
        with idle_clients(server, arguments.clients):
            results = measured(host, arguments.rounds, arguments.seconds)
    for name, row in results.items():
        print(f"{name:14}", "  ".join(f"{key} {value:g}" for key, value in row.items()))
    if arguments.json:
        arguments.json.write_text(json.dumps({"clients": arguments.clients, **results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
