"""Cost of `reactorhost top`: a frame, and its share of one processor at one update per second.

`top_cost.py` draws on a terminal of 120x40. The documents come from a fake master with 8 and with 64 workers, each
different from the previous one, and then from a real host of 8 workers under load. The share is CPU time as counted by
the kernel over wall time, after the first two seconds.
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
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from multiprocessing import Event, get_context
from pathlib import Path
from struct import pack
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "host" / "support"))

from rich.color import ColorSystem

from documents import NOON, document, history
from load import Load
from process_tree import cpu_seconds
from reactorhost.dashboard.live.frame import render
from reactorhost.dashboard.model.snapshot import following
from reactorhost.dashboard.model.view import View
from reactorhost.dashboard.terminal.paint import Painter
from reactorhost.dashboard.text.line import Size
from reactorhost.testing import LiveHost

SIZE = Size(120, 40)
WARM_UP_SECONDS = 2.0


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


def stand_in(run_dir: str, workers: int, ready: Any) -> None:
    """Hold the lock of a run directory and answer every request with the next document."""
    lock = os.open(f"{run_dir}/lock", os.O_RDWR | os.O_CREAT)
    fcntl.lockf(lock, fcntl.LOCK_EX)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{run_dir}/control.sock")
    listener.listen()
    ready.set()
    step = 0
    while True:
        client, _ = listener.accept()
        with client, client.makefile("rb") as questions:
            for _ in questions:
                client.sendall(json.dumps({"status": 0, "document": changing(workers, step)}).encode() + b"\n")
                step += 1


@contextlib.contextmanager
def pretended_host(workers: int) -> Iterator[str]:
    """Run a fake master while the context lasts."""
    with tempfile.TemporaryDirectory() as run_dir:
        ready = Event()
        process = get_context("fork").Process(target=stand_in, args=(run_dir, workers, ready))
        process.start()
        try:
            ready.wait(10)
            yield run_dir
        finally:
            process.kill()
            process.join()


def share_percent(run_dir: str, seconds: float) -> dict[str, float]:
    """Return the processor share of `top` on a terminal that reads all output, and the output."""
    terminal, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, pack("HHHH", SIZE.rows, SIZE.columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    command = [sys.executable, "-m", "reactorhost", "top", "--run-dir", run_dir]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, env=environment) as process:
        _drain(terminal, WARM_UP_SECONDS)
        began, before = time.monotonic(), cpu_seconds(process.pid)
        written = _drain(terminal, seconds)
        spent, passed = cpu_seconds(process.pid) - before, time.monotonic() - began
        os.write(terminal, b"q")
        _drain(terminal, 0.5)
    os.close(terminal)
    os.close(theirs)
    return {"percent": round(100 * spent / passed, 2), "bytes_per_second": round(written / passed)}


def _drain(terminal: int, seconds: float) -> int:
    deadline, count = time.monotonic() + seconds, 0
    while (left := deadline - time.monotonic()) > 0:
        if select.select([terminal], (), (), left)[0]:
            count += len(os.read(terminal, 65536))
    return count


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="for each share")
    parser.add_argument("--json", type=Path, help="write the results there too")
    arguments = parser.parse_args()
    results: dict[str, Any] = {}
    for workers in (8, 64):
        cost = results[f"frame_{workers}_microseconds"] = frame_microseconds(workers)
        print(f"a frame of {workers} workers: {cost} µs")
        with pretended_host(workers) as run_dir:
            share = results[f"share_{workers}"] = share_percent(run_dir, arguments.seconds)
        print(
            f"top at 1 Hz, {workers} workers: {share['percent']} % of a processor, {share['bytes_per_second']} bytes/s"
        )
    with (
        tempfile.TemporaryDirectory() as directory,
        LiveHost(Path(directory), "--plugin", "echo", "--workers", "8") as host,
        Load(host.address()),
    ):
        share = results["share_real_8"] = share_percent(str(host.run_dir), arguments.seconds)
    print(f"top at 1 Hz, a real host of 8 under load: {share['percent']} %, {share['bytes_per_second']} bytes/s")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
