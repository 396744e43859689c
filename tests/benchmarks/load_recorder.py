"""Record what the workers of a host measure under several loads, for the tests of scaling (tests/unit/master/plan).

A host with a fixed number of workers serves messages that block or burn for a given time, so the recorded use times
workers is the load itself. The loads run side by side. The files hold one sample a second.
"""

from __future__ import annotations

import argparse
import json
import math
import selectors
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from reactorhost.testing import LiveHost

WORKERS = 8
PLUGIN = """
import time
from reactorhost import hookimpl

@hookimpl(specname="receive")
def work(connection, data):
    # A client sends without waiting, so several messages may have come together.
    for message in data.splitlines():
        kind, seconds = message.split()
        if kind == b"block":
            time.sleep(float(seconds))
        else:
            until = time.thread_time() + float(seconds)
            while time.thread_time() < until:
                pass
    connection.send(b".")
"""


def constant(level: float) -> Callable[[float], float]:
    """Return a load that stays the same."""
    return lambda second: level


# Name: seconds, what a message does and for how long, and the messages in a second by the second.
LOADS: dict[str, tuple[int, str, float, Callable[[float], float]]] = {
    "idle": (180, "block", 0.001, constant(2)),
    "burst": (300, "block", 0.02, lambda second: 160 if 30 <= second < 90 else 2),
    "daily": (480, "block", 0.02, lambda second: 10 + 95 * (1 - math.cos(2 * math.pi * second / 480))),
    "waves": (420, "block", 0.02, lambda second: 150 if second % 60 < 30 else 5),
    "slow_hook": (180, "block", 0.3, constant(6)),
    "processors": (120, "burn", 0.01, lambda second: 40 if second >= 20 else 5),
}


def main() -> None:
    """Record all loads and write a file for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the files are written")
    parser.add_argument("--only", choices=LOADS, nargs="+", default=list(LOADS))
    options = parser.parse_args()
    threads = [threading.Thread(target=record, args=(name, options.folder)) for name in options.only]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def record(name: str, folder: Path) -> None:
    """Record one load and write its file."""
    seconds, kind, each, rate = LOADS[name]
    with tempfile.TemporaryDirectory(prefix="reactorhost-load-") as place:
        plugin = Path(place, "work.py")
        plugin.write_text(PLUGIN)
        # In the range of one number the load is measured, and the number stays.
        arguments = ("--plugin", str(plugin), "--workers", f"{WORKERS}-{WORKERS}", "--slow-hook", "0")
        with LiveHost(Path(place), *arguments) as host:
            host.until(lambda status: status["scaling"]["use"] is not None)
            samples = drive(host, seconds, f"{kind} {each}\n".encode(), rate)
    text = json.dumps({"workers": WORKERS, "load": name, "samples": samples})
    (folder / f"{name}.json").write_text(text.replace("[[", "[\n[").replace("], ", "],\n").replace("]]", "]\n]") + "\n")
    print(f"{name}: {len(samples)} samples")


def drive(
    host: LiveHost, seconds: int, message: bytes, rate: Callable[[float], float]
) -> list[tuple[float, float, int]]:
    """Send messages at a rate without waiting for answers; return use, lag and queue of each second."""
    clients = [host.connect() for _ in range(16 * WORKERS)]
    selector = selectors.DefaultSelector()
    for client in clients:
        client.setblocking(False)
        selector.register(client, selectors.EVENT_READ)
    samples: list[tuple[float, float, int]] = []
    begun, sent, sampled = time.monotonic(), 0.0, 0
    while (now := time.monotonic() - begun) < seconds:
        while sent < now:
            # Spread unevenly over the clients, as real ones are.
            clients[hash((round(sent, 6), 7)) % len(clients)].send(message)
            sent += 1 / rate(sent)
        for key, _ in selector.select(max(0.0, min(sent, sampled + 1.0) - now)):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.recv(4096)
        if now >= sampled + 1:
            sampled += 1
            scaling = host.status()["scaling"]
            samples.append((scaling["use"], round(scaling["lag_seconds"], 3), scaling["queued"]))
    for client in clients:
        client.close()
    return samples


if __name__ == "__main__":
    main()
