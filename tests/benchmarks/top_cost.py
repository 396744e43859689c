"""Cost of `reactorhost top`: of a frame, and of a viewer to itself, the master and the workers, beside a busy host.

`top_cost.py` draws on a terminal of 120x40. The frames are of documents of 8 and of 64 workers, each different from the
previous one. Then hosts of several sizes serve a steady load in 20 services. Rounds without a viewer, with one of the
workers' page and one of the clients' page alternate, and the medians are of processor time as the kernel counts it, in
milliseconds a second: 10 are 1 % of a processor. With `--before BIN`, the folder of another version's commands, a host
of that version runs the same rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import pty
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from struct import pack
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "host" / "support"))

from rich.color import ColorSystem

from documents import NOON, document, history
from reactorhost.dashboard.live.frame import render
from reactorhost.dashboard.model.snapshot import following
from reactorhost.dashboard.model.view import View
from reactorhost.dashboard.terminal.paint import Painter
from reactorhost.dashboard.text.line import Size

SIZE = Size(120, 40)
WARM_UP_SECONDS = 2.0
SERVICES = 20
CLIENTS = 16
PARTS = ("master", "workers", "viewer")


def changing(workers: int, step: int) -> Any:
    """Return a document in which every value differs from the previous step."""
    made = document(workers, time=NOON + step, history=history() if step == 0 else None)
    for worker in made["workers"]:
        worker["connections"] += step % 13
        worker["rates"]["messages"] += step * 7 % 900
        worker["rates"]["bytes_in"] += step * 7919 % 90_000
        worker["cpu_percent"] = 50.0 + (step + worker["slot"]) % 40
    made["rates"]["messages"] += step * 31 % 9000
    return made


def frame_microseconds(workers: int, frames: int = 300) -> dict[str, float]:
    """Return the durations of the steps from a document's text to bytes for the terminal."""
    texts = [json.dumps(changing(workers, step)) for step in range(frames)]
    painter = Painter(ColorSystem.STANDARD)
    snapshot, spent = None, {"parse": 0.0, "render": 0.0, "paint": 0.0}
    for text in texts:
        marks = [time.process_time()]
        made = json.loads(text)
        marks.append(time.process_time())
        snapshot = following(snapshot, made)
        frame = render(snapshot, View(), SIZE)
        marks.append(time.process_time())
        painter.paint(frame)
        marks.append(time.process_time())
        for name, began, ended in zip(spent, marks, marks[1:], strict=False):
            spent[name] += ended - began
    return {name: round(seconds / frames * 1e6) for name, seconds in spent.items()}


PAGES = {"no viewer": None, "workers": b"1", "clients": b"3"}
"""The viewers, by the keys that they press first. Page 3 of a version without the services is that of the plugins."""


def processor_seconds(host: Host) -> list[float]:
    """Return the processor time so far of the master, and of its workers."""
    master, *workers = [clock_seconds(pid) for pid in (host.pid, *host.workers)]
    return [master, sum(workers)]


def clock_seconds(pid: int) -> float:
    """Return the processor time of one process, in nanoseconds' resolution."""
    # The number of the clock as clock_getcpuclockid(3) computes it.
    return time.clock_gettime((~pid << 3) | 2)


@dataclass(frozen=True)
class Host:
    """A running host, the commands of its version, and its first service."""

    command: str
    run_dir: str
    pid: int
    workers: tuple[int, ...]
    port: int


@contextlib.contextmanager
def running(command: str, workers: int) -> Iterator[Host]:
    """Run a host with 20 services while the context lasts."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "reactorhost.toml")
        services = (f'[service.echo{n}]\nlisten = "tcp://127.0.0.1:0"\nplugins = "echo"\n' for n in range(SERVICES))
        config.write_text(f'[host]\nrun_dir = "{folder}/run"\nworkers = {workers}\n' + "".join(services))
        subprocess.run([command, "start", "--daemon", "--config", str(config)], check=True, stdout=subprocess.DEVNULL)
        try:
            status = json.loads(
                subprocess.run(
                    [command, "status", "--json", "--run-dir", f"{folder}/run"], check=True, stdout=subprocess.PIPE
                ).stdout
            )
            pids = tuple(each["pid"] for each in status["workers"])
            port = int(status["listeners"][0]["address"].rpartition(":")[2])
            yield Host(command, f"{folder}/run", status["pid"], pids, port)
        finally:
            subprocess.run([command, "stop", "--run-dir", f"{folder}/run"], check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def steady_load(port: int) -> Iterator[None]:
    """Let some clients send a message 100 times a second each, from a process of its own."""
    process = get_context("fork").Process(target=_send, args=(port,))
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def _send(port: int) -> None:
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(CLIENTS)]
    due = time.monotonic()
    while True:
        for each in clients:
            each.sendall(b"x" * 64)
        for each in clients:
            each.recv(64)
        due = max(due + 0.01, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))


def rounds(hosts: dict[str, Host], count: int, seconds: float) -> dict[str, dict[str, float]]:
    """Return medians in milliseconds a second, by version and viewer."""
    found: dict[str, list[dict[str, float]]] = {}
    for _ in range(count):
        for version, host in hosts.items():
            for page, keys in PAGES.items():
                found.setdefault(f"{version}, {page}", []).append(one_round(host, keys, seconds))
    return {
        name: {part: round(statistics.median(each[part] for each in taken), 2) for part in taken[0]}
        for name, taken in found.items()
    }


def one_round(host: Host, keys: bytes | None, seconds: float) -> dict[str, float]:
    """Return the processor time of each part, in milliseconds a second."""
    with contextlib.ExitStack() as stack:
        viewer = None if keys is None else stack.enter_context(viewing(host, keys))
        began, before = time.monotonic(), processor_seconds(host)
        viewed = 0.0 if viewer is None else clock_seconds(viewer[1])
        if viewer is None:
            time.sleep(seconds)
        else:
            _drain(viewer[0], seconds)
        passed = time.monotonic() - began
        master, workers = (now - then for now, then in zip(processor_seconds(host), before, strict=True))
        spent = 0.0 if viewer is None else clock_seconds(viewer[1]) - viewed
    return {name: 1e3 * each / passed for name, each in zip(PARTS, (master, workers, spent), strict=True)}


@contextlib.contextmanager
def viewing(host: Host, keys: bytes) -> Iterator[tuple[int, int]]:
    """Run `top`, which has pressed keys and warmed up, on a terminal; yields the terminal and the process."""
    terminal, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, pack("HHHH", SIZE.rows, SIZE.columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    command = [host.command, "top", "--run-dir", host.run_dir]
    try:
        with subprocess.Popen(command, stdin=theirs, stdout=theirs, env=environment) as process:
            _drain(terminal, WARM_UP_SECONDS)
            os.write(terminal, keys)
            _drain(terminal, WARM_UP_SECONDS)
            yield terminal, process.pid
            os.write(terminal, b"q")
            _drain(terminal, 0.5)
    finally:
        os.close(terminal)
        os.close(theirs)


def _drain(terminal: int, seconds: float) -> int:
    deadline, count = time.monotonic() + seconds, 0
    while (left := deadline - time.monotonic()) > 0:
        if select.select([terminal], (), (), left)[0]:
            count += len(os.read(terminal, 65536))
    return count


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[4, 8, 16, 64], help="sizes of the hosts")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each round and viewer")
    parser.add_argument("--before", type=Path, metavar="BIN", help="the commands of another version")
    parser.add_argument("--json", type=Path, help="write the results there too")
    arguments = parser.parse_args()
    results: dict[str, Any] = {}
    for workers in (8, 64):
        cost = results[f"frame_{workers}_microseconds"] = frame_microseconds(workers)
        print(f"a frame of {workers} workers: {cost} µs")
    commands = {"now": str(Path(sys.executable).with_name("reactorhost"))}
    if arguments.before:
        commands["before"] = str(arguments.before / "reactorhost")
    for workers in arguments.workers:
        with contextlib.ExitStack() as stack:
            hosts = {version: stack.enter_context(running(command, workers)) for version, command in commands.items()}
            for host in hosts.values():
                stack.enter_context(steady_load(host.port))
            measured = results[f"viewer_{workers}"] = rounds(hosts, arguments.rounds, arguments.seconds)
        print(f"\n{workers} workers, {SERVICES} services, ms a second:", *PARTS)
        for name, row in measured.items():
            print(f"  {name:20}", *(f"{each:8.2f}" for each in row.values()), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
