"""Measure the server's CPU time for one echo: reactorhost against a C epoll loop and an asyncio protocol.

All servers run at once on one processor, the load on another; rounds alternate between them, so that whatever
else the machine does falls on all alike. What is compared is CPU time of the whole process tree, not speed: it is the
cost that stays when the clients are slow. Absolute figures are this machine's; the ratios carry over.

asyncio is measured twice. It asks `recv` for 256 KiB, which glibc maps and unmaps for every message until the first
buffer of that size is freed whole, and that happens when the first client leaves; from then on the heap serves them
and a message costs a third. `asyncio` is a server that a client has left, as any real one soon is;
`asyncio-fresh` is one that nobody has left yet. The others are the same before and after.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs: its port, and the process at the top of its tree."""

    port: int
    pid: int


def main() -> None:
    """Run all rounds, print medians and ratios, write the JSON."""
    options = arguments()
    processors = sorted(os.sched_getaffinity(0))
    server_on, load_on = processors[0], processors[-1]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reactorhost-bench-")))
        servers = {name: start for name, start in STARTS.items() if available(name)}
        lasting = {
            name: stack.enter_context(pinned(start(folder), server_on, load_on))
            for name, start in servers.items()
            if name != FRESH
        }
        for server in lasting.values():
            visit(server)
        micros: dict[str, list[float]] = {name: [] for name in servers}
        for number in range(1, options.rounds + 1):
            for name, server in lasting.items():
                micros[name].append(micros_per_echo(server, options))
            with pinned(STARTS[FRESH](folder), server_on, load_on) as server:
                micros[FRESH].append(micros_per_echo(server, options))
            print(
                f"round {number}: " + ", ".join(f"{name} {values[-1]:.2f}" for name, values in micros.items()),
                flush=True,
            )
    report(options, micros, apart=server_on != load_on)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="measured time of one server in one round")
    parser.add_argument("--warm-up", type=float, default=0.5, help="seconds before each measurement")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--size", type=int, default=64, help="bytes of a message")
    parser.add_argument("--json", type=Path, help="file for the results")
    return parser.parse_args()


@contextmanager
def pinned(starting: contextlib.AbstractContextManager[Server], server_on: int, load_on: int) -> Iterator[Server]:
    """Start a server on one processor, and leave this process, which starts the load, on another."""
    os.sched_setaffinity(0, {server_on})
    with starting as server:
        os.sched_setaffinity(0, {load_on})
        yield server


def visit(server: Server) -> None:
    """Be a client that leaves."""
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.shutdown(socket.SHUT_WR)
        while client.recv(1):
            pass


def available(name: str) -> bool:
    """Tell whether a server can run here."""
    if name != "c" or compiler():
        return True
    print("no C compiler here: the C loop is left out")
    return False


def compiler() -> str | None:
    """Return the C compiler, if there is one."""
    return next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)


@contextmanager
def c_server(folder: Path) -> Iterator[Server]:
    """Compile and run the C loop."""
    program = folder / "echo_epoll"
    subprocess.run([compiler() or "cc", "-O2", "-o", program, HERE / "echo_epoll.c"], check=True)
    with printed_port([str(program)]) as server:
        yield server


@contextmanager
def asyncio_server(_folder: Path) -> Iterator[Server]:
    """Run the asyncio protocol."""
    with printed_port([sys.executable, str(HERE / "echo_asyncio.py")]) as server:
        yield server


@contextmanager
def printed_port(command: list[str]) -> Iterator[Server]:
    """Run a server that prints its port."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield Server(int(process.stdout.readline()), process.pid)
        finally:
            process.kill()


@contextmanager
def reactorhost_server(
    folder: Path, plugin: str = "echo", settings: Sequence[str] = (), programs: Path = BIN
) -> Iterator[Server]:
    """Run an installed host with one worker; `programs` is the folder of its command."""
    run_dir = Path(tempfile.mkdtemp(prefix="run-", dir=folder))
    place = ["--run-dir", str(run_dir)]
    start = ["start", "-d", "--plugin", plugin, "--workers", "1", "--listen", "tcp://127.0.0.1:0", *settings]
    reactorhost(programs, *start, *place)
    try:
        listening = re.search(r"t(?:cp|ls)://127\.0\.0\.1:(\d+)", reactorhost(programs, "status", "--json", *place))
        if not listening:
            raise SystemExit("reactorhost status --json does not tell the address")
        yield Server(int(listening[1]), int((run_dir / "master.pid").read_text().split()[0]))
    finally:
        reactorhost(programs, "stop", "--now", *place)


def reactorhost(programs: Path, *arguments: str) -> str:
    """Run a command of an installed host; return what it printed."""
    return subprocess.run([programs / "reactorhost", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


STARTS: dict[str, Callable[[Path], contextlib.AbstractContextManager[Server]]] = {
    "reactorhost": reactorhost_server,
    "c": c_server,
    "asyncio": asyncio_server,
    "asyncio-fresh": asyncio_server,
}
FRESH = "asyncio-fresh"


def micros_per_echo(server: Server, options: argparse.Namespace) -> float:
    """Load one server for one round; return its CPU time per message in microseconds."""
    values = (server.port, options.clients, options.size, options.warm_up, options.seconds)
    command = [sys.executable, str(HERE / "echo_load.py"), *map(str, values)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as load:
        before = cpu_seconds_after(load, server, "begin")
        end = load.stdout.readline() if load.stdout else ""
        after = tree_cpu_seconds(server.pid)
    word, _, count = end.partition(" ")
    if word != "end":
        raise SystemExit(f"the load said {end!r}")
    return (after - before) / int(count) * 1e6


def cpu_seconds_after(load: subprocess.Popen[str], server: Server, word: str) -> float:
    """Wait for a word of the load, read the server's CPU time, let the load go on."""
    assert load.stdin
    assert load.stdout
    said = load.stdout.readline().strip()
    if said != word:
        raise SystemExit(f"the load said {said!r}, not {word!r}")
    seconds = tree_cpu_seconds(server.pid)
    load.stdin.write("\n")
    load.stdin.flush()
    return seconds


def tree_cpu_seconds(pid: int) -> float:
    """Return user and system time of a process and all that descend from it."""
    parents, ticks = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name of the program stands in parentheses and may hold blanks and parentheses itself.
            fields = path.read_text().rpartition(")")[2].split()
            process = int(path.parent.name)
            parents[process], ticks[process] = int(fields[1]), int(fields[11]) + int(fields[12])
    tree = {pid}
    while grown := {process for process, parent in parents.items() if parent in tree} - tree:
        tree |= grown
    return sum(ticks[process] for process in tree) / TICKS_PER_SECOND


def median_ratio(values: list[float], others: list[float]) -> float:
    """Return the median of the ratios of each round."""
    return statistics.median(value / other for value, other in zip(values, others, strict=True))


def report(options: argparse.Namespace, micros: dict[str, list[float]], *, apart: bool) -> None:
    """Print medians, spread and ratios, and write them as JSON."""
    medians = {name: statistics.median(values) for name, values in micros.items()}
    # Round by round, so that a minute in which the machine was busy does not fall on one side only.
    ratios = {name: {other: median_ratio(micros[name], micros[other]) for other in medians} for name in medians}
    print(f"\nserver CPU per {options.size}-byte echo, {options.clients} clients, {options.rounds} rounds")
    for name, median in medians.items():
        against = "".join(f"  {ratios[name][other]:5.2f} x {other}" for other in medians if other != name)
        spread = f"{min(micros[name]):.2f}-{max(micros[name]):.2f}"
        print(f"{name:14} {median:6.2f} us ({spread}){against}")
    if not apart:
        print("one processor only: servers and load shared it")
    if options.json:
        facts = {"python": platform.python_version(), "kernel": platform.release(), "machine": platform.machine()}
        settings = {key: getattr(options, key) for key in ("rounds", "seconds", "warm_up", "clients", "size")}
        document = {
            "schema": 1,
            **facts,
            "pinned_apart": apart,
            "settings": settings,
            "microseconds": micros,
            "medians": medians,
            "ratios": ratios,
        }
        options.json.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
