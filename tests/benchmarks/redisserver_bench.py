"""Measure the plugin `redisserver` beside Redis with `redis-benchmark`, with and without pipelines, in one run.

Both servers run at once on one processor, the load on another; rounds alternate between them. The results are requests
a second and the processor time of the server for each. `redis-benchmark` limits what can be measured without pipelines:
there the processor time says more.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fleet import Fleet
from peer_catalog import Peer
from process_tree import cpu_seconds
from processors import places, running_on
from results import Figure, write_figures
from servers import Server, ServerError, free_port, given_port, installed_host
from tables import figure_table

TESTS = ("set", "get", "incr", "hset", "mset")
CLIENTS = 50
KEYS = 10_000
_PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of `redis-benchmark`."""

    per_second: float
    cpu_micros: float


def main() -> None:
    """Run all rounds, print medians, spread and ratios, write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=50_000, help="requests of one run without pipelines")
    parser.add_argument("--tests", default=",".join(TESTS), help="tests of redis-benchmark")
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="reactorhost-bench-") as name:
        fleet = Fleet({"redis": Peer(redis), "redisserver": Peer(redisserver)}, places(), Path(name), visited=False)
        try:
            for pipeline in (1, 16):
                for test in options.tests.split(","):
                    figures += measure(fleet, test, pipeline, options.rounds, options.requests)
        finally:
            fleet.close()
    for figure in figures:
        print(f"\n{figure_table(figure, yardsticks=('redis',))}")
    if options.json:
        write_figures(figures, options.json)


def measure(fleet: Fleet, test: str, pipeline: int, rounds: int, requests: int) -> list[Figure]:
    """Run one test with each server in turn; returns the requests a second and the processor time of each."""
    found: dict[str, list[Measured]] = {name: [] for name in fleet.peers}
    for _ in range(rounds):
        for name in fleet.peers:
            with running_on(fleet.places.load):
                # Ten times as fast with pipelines.
                found[name].append(run(fleet.server(name), test, pipeline, requests * (10 if pipeline > 1 else 1)))
    case = {"test": test, "pipeline": pipeline}
    speeds: dict[str, list[float | None]] = {name: [each.per_second for each in found[name]] for name in found}
    costs: dict[str, list[float | None]] = {name: [each.cpu_micros for each in found[name]] for name in found}
    label = f"{test}_pipeline_{pipeline}"
    return [
        Figure(f"redis_{label}", "requests/s", case, "higher", speeds),
        Figure(f"redis_cpu_{label}", "us of CPU a request", case, "lower", costs),
    ]


def run(server: Server, test: str, pipeline: int, requests: int) -> Measured:
    """Run `redis-benchmark` once."""
    program = shutil.which("redis-benchmark")
    if program is None:
        raise ServerError("there is no redis-benchmark: apt-get install redis-tools")
    command = [program, "-p", str(server.port), "-c", str(CLIENTS), "-r", str(KEYS), "-P", str(pipeline)]
    before = cpu_seconds(server.pid)
    done = subprocess.run(
        [*command, "-n", str(requests), "-t", test, "--csv"],
        check=True,
        capture_output=True,
        text=True,
        timeout=_PATIENCE_SECONDS,
    )
    used = cpu_seconds(server.pid) - before
    (row,) = csv.DictReader(done.stdout.splitlines())
    return Measured(float(row["rps"]), used / requests * 1e6)


@contextmanager
def redis(folder: Path) -> Iterator[Server]:
    """Run Redis without files, as the plugin is run."""
    program = shutil.which("redis-server")
    if program is None:
        raise ServerError("there is no redis-server: apt-get install redis-server")
    port = free_port()
    place = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    with given_port([program, *place, "--save", "", "--appendonly", "no"], port, {}) as server:
        yield server


def redisserver(folder: Path) -> AbstractContextManager[Server]:
    """Run the installed host with the plugin, without snapshots while it runs."""
    options = {"file": folder / "snapshot", "save_every": 0}
    settings = [word for name, value in options.items() for word in ("--set", f"redisserver.{name}={value}")]
    return installed_host(folder, plugins=["redisserver"], settings=settings)


if __name__ == "__main__":
    main()
