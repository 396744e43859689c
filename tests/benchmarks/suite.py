"""The benchmark suite: reactorhost and the servers that it is compared with, in one run on one machine.

All servers run at once on one processor, the load on another. Rounds alternate between the peers, each round starting
with a different one, so that disturbances affect all alike. Processor time is that of a server's whole process tree.
Values that were bound by the load are marked: the load was saturated and the server was not.

    suite.py                                                         everything, some 20 minutes
    suite.py --quick                                                 everything in brief: shows that it runs
    suite.py --figures messages --peers c,reactorhost --sizes 64     one question
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from bench import Bench, NotMeasuredError, Settings
from figures.bulk import bulk
from figures.connections import connections
from figures.counting import statistics
from figures.idle import beside_idle, idle_timeout
from figures.latency import latency
from figures.memory import memory
from figures.messages import messages
from figures.starting import help_time, reload, start_to_ready
from figures.workers import workers
from fleet import Fleet
from machine import machine, revision, versions
from peer_catalog import FRESH, STARTED_ELSEWHERE, peers
from processors import places
from results import PEERS, Figure, Run, write
from servers import ServerError
from tables import closing, figure_table

FIGURES: Mapping[str, Callable[[Bench], list[Figure]]] = {
    "messages": messages,
    "bulk": bulk,
    "connections": connections,
    "latency": latency,
    "memory": memory,
    "idle": beside_idle,
    "idle-timeout": idle_timeout,
    "statistics": statistics,
    "workers": workers,
    "start": start_to_ready,
    "reload": reload,
    "help": help_time,
}
QUICK = Settings(rounds=2, seconds=0.15, warm_up=0.05, idle=(1000,), starts=2)


def main() -> None:
    """Measure, print each table when it is complete, then the goals, and write the JSON."""
    options = arguments()
    # nox terminates its sessions by TERM; the servers must be closed then too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began = now()
    with tempfile.TemporaryDirectory(prefix="reactorhost-bench-") as folder:
        catalog, where = peers(options.workerman), places()
        if not where.apart:
            say("only one processor: servers and load share it")
        names = [name for name in PEERS if name in options.peers and name not in STARTED_ELSEWHERE]
        fleet = Fleet(catalog, where, Path(folder))
        bench = Bench(settings(options), where, fleet, [], Path(folder), say)
        try:
            bench.names = [name for name in names if starts(bench, name)]
            found = [figure for name in options.figures for figure in measured(bench, name)]
        finally:
            fleet.close()
    run = Run(
        began,
        now(),
        options.command,
        revision(Path(__file__).parent),
        machine(where),
        versions(),
        dataclasses.asdict(bench.settings),
        {name: caption for name, caption in PEERS.items() if any(name in figure.peers for figure in found)},
        found,
        bench.not_measured,
    )
    print("\n" + closing(run))
    if options.json:
        write(run, options.json)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few and short rounds, fewer idle clients")
    parser.add_argument("--figures", type=several(FIGURES), default=list(FIGURES), help=f"of {', '.join(FIGURES)}")
    parser.add_argument("--peers", type=several(PEERS), default=list(PEERS), help=f"of {', '.join(PEERS)}")
    parser.add_argument("--sizes", type=numbers, help="bytes of a message, separated by commas")
    parser.add_argument("--idle", type=numbers, help="numbers of idle clients, separated by commas")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="measured time of one peer in one round")
    parser.add_argument("--warm-up", type=float, help="seconds before each measurement")
    parser.add_argument("--clients", type=int, help="busy clients")
    parser.add_argument("--starts", type=int, help="rounds of starts, reloads and --help")
    parser.add_argument("--workerman", type=Path, metavar="AUTOLOAD_PHP", help="path of Workerman's autoload.php")
    parser.add_argument("--json", type=Path, help="file for the results")
    typed = " ".join(["python tests/benchmarks/suite.py", *sys.argv[1:]])
    parser.add_argument("--command", default=typed, help=argparse.SUPPRESS)
    return parser.parse_args()


def several(known: Iterable[str]) -> Callable[[str], list[str]]:
    """Return a parser for names separated by commas."""

    def read(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"unknown name {name!r}; known are {', '.join(known)}")
        return names

    return read


def numbers(text: str) -> tuple[int, ...]:
    """Read numbers separated by commas."""
    return tuple(map(int, text.split(",")))


def settings(options: argparse.Namespace) -> Settings:
    """Return the settings, overridden by the command line."""
    chosen = QUICK if options.quick else Settings()
    given = {field.name: getattr(options, field.name, None) for field in dataclasses.fields(Settings)}
    return dataclasses.replace(chosen, **{name: value for name, value in given.items() if value is not None})


def starts(bench: Bench, name: str) -> bool:
    """Start a peer, and note the reason if it cannot run."""
    why = bench.fleet.peers[name].missing
    try:
        if why is None and name != FRESH:
            bench.fleet.server(name)
    except (ServerError, OSError) as error:
        why = str(error)
    if why:
        bench.skip(name, why)
    return why is None


def measured(bench: Bench, name: str) -> list[Figure]:
    """Measure one figure in all its cases, and print them."""
    began = time.monotonic()
    try:
        figures = FIGURES[name](bench)
    except (NotMeasuredError, ServerError, OSError, subprocess.SubprocessError) as error:
        bench.skip(name, str(error))
        return []
    for figure in figures:
        say("\n" + figure_table(figure))
    say(f"\n({name}: {time.monotonic() - began:.0f} s)")
    return figures


def now() -> str:
    """Return the time in UTC."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def say(words: str) -> None:
    """Print and flush."""
    print(words, flush=True)


if __name__ == "__main__":
    main()
