"""Measure what the toolkit costs per message: framings, async hooks, idle timeouts, beside a plain echo in one run.

All servers run at once on one processor, the load on another, and rounds alternate. With `--before` the plain echo of
another installation runs beside them: what the toolkit costs those who do not use it. With `--idle` that many idle
clients stay connected to three of the servers, of which one has idle timeouts.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from echo_cpu import BIN, Server, median_ratio, micros_per_echo, pinned, printed_port, reactorhost_server, visit

HERE = Path(__file__).parent

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
PLUGINS = {
    "plain": PLAIN,
    "lines": FRAMED.format(framing="Lines()"),
    "delimited": FRAMED.format(framing="Delimited(b'\\n')"),
    "length-prefixed": FRAMED.format(framing="LengthPrefixed('>I')"),
    "fixed": FRAMED.format(framing="Fixed(64)"),
    "async": ASYNC,
    "async-waiting": WAITING,
}
Starting = Callable[[Path], contextlib.AbstractContextManager[Server]]


def main() -> None:
    """Run all rounds, print medians and ratios, write the JSON."""
    options = arguments()
    processors = sorted(os.sched_getaffinity(0))
    server_on, load_on = processors[0], processors[-1]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reactorhost-bench-")))
        for name, source in PLUGINS.items():
            text = "from reactorhost import {}hookimpl\n{}"
            names = "Delimited, Fixed, LengthPrefixed, Lines, " if "framing" in source else ""
            (folder / f"{name.replace('-', '_')}.py").write_text(text.format(names, source))
        servers = {
            name: stack.enter_context(pinned(start(folder), server_on, load_on))
            for name, start in starts(options).items()
        }
        for server in servers.values():
            visit(server)
        for name, count in (("plain-10-idle", 10), ("plain-idle", options.idle), ("idle-timeout", options.idle)):
            if name in servers:
                stack.enter_context(idle_clients(servers[name], count))
        micros: dict[str, list[float]] = {name: [] for name in servers}
        for number in range(1, options.rounds + 1):
            for name, server in servers.items():
                micros[name].append(micros_per_echo(server, options))
            told = ", ".join(f"{name} {values[-1]:.2f}" for name, values in micros.items())
            print(f"round {number}: {told}", flush=True)
    report(options, micros)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="measured time of one server in one round")
    parser.add_argument("--warm-up", type=float, default=0.3, help="seconds before each measurement")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--idle", type=int, default=0, help="idle clients beside those")
    parser.add_argument("--before", type=Path, help="folder with the reactorhost command of another installation")
    parser.add_argument("--only", help="names of servers, separated by commas")
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.set_defaults(size=64)
    return parser.parse_args()


def starts(options: argparse.Namespace) -> dict[str, Starting]:
    """Return how to start each server that takes part."""
    found: dict[str, Starting] = {name: host(name) for name in PLUGINS}
    if importlib.util.find_spec("uvloop"):
        found["async-uvloop"] = host("async", "--event-loop", "uvloop")
    if options.before:
        found["plain-before"] = host("plain", programs=options.before)
    if options.idle:
        found["plain-10-idle"] = host("plain")
        found["plain-idle"] = host("plain")
        found["idle-timeout"] = host("plain", "--idle-timeout", "1h")
    found["asyncio-protocol"] = asyncio_server
    found["asyncio-streams"] = functools.partial(asyncio_server, "streams")
    if options.only:
        return {name: found[name] for name in options.only.split(",")}
    return found


@contextmanager
def asyncio_server(*arguments: str | Path) -> Iterator[Server]:
    """Run the asyncio server; the last argument is the folder, which it does not need."""
    with printed_port([sys.executable, str(HERE / "echo_asyncio.py"), *map(str, arguments[:-1])]) as server:
        yield server


def host(plugin: str, *settings: str, programs: Path = BIN) -> Starting:
    """Return how to start a host with one of the plugins."""

    def start(folder: Path) -> contextlib.AbstractContextManager[Server]:
        file = folder / f"{plugin.replace('-', '_')}.py"
        return reactorhost_server(folder, str(file), settings, programs)

    return start


@contextmanager
def idle_clients(server: Server, count: int) -> Iterator[None]:
    """Keep so many clients connected that send nothing; a process has descriptors for about 20,000."""
    command = [sys.executable, str(HERE / "echo_idle.py"), str(server.port), str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as clients:
        assert clients.stdin
        assert clients.stdout
        if clients.stdout.readline() != "connected\n":
            raise SystemExit(f"{count} idle clients are more than this machine lets connect")
        yield
        clients.stdin.close()


def report(options: argparse.Namespace, micros: dict[str, list[float]]) -> None:
    """Print medians, spread and ratios to the first server, and write them as JSON."""
    medians = {name: statistics.median(values) for name, values in micros.items()}
    yardstick = next(iter(micros))
    ratios = {name: median_ratio(values, micros[yardstick]) for name, values in micros.items()}
    print(f"\nserver CPU per 64-byte echo, {options.clients} clients, {options.rounds} rounds, {options.idle} idle")
    for name, median in medians.items():
        spread = f"{min(micros[name]):.2f}-{max(micros[name]):.2f}"
        print(f"{name:18} {median:6.2f} us ({spread})  {ratios[name]:5.2f} x {yardstick}")
    if options.json:
        facts = {"python": platform.python_version(), "kernel": platform.release(), "machine": platform.machine()}
        settings = {key: getattr(options, key) for key in ("rounds", "seconds", "warm_up", "clients", "idle")}
        document = {"schema": 1, **facts, "settings": settings, "microseconds": micros, "ratios": ratios}
        options.json.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
