"""Cost of `/metrics`: a scrape of 1 to 256 workers, and the processor time of a master that is scraped once a second.

The first part collects and writes the metrics of workers that exist as pages only. The second runs a real host and
compares its master in pairs of periods, with scrapes and without: what remains is their cost, the HTTP included.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "host" / "support"))

from load import Load
from measured_host import MeasuredHost
from reactorhost.histogram import BUCKETS
from reactorhost.ipc.counters import Counters, Timings
from reactorhost.ipc.scoreboard import Scoreboard
from reactorhost.master.listen.slot_socket import Queue
from reactorhost.master.metrics.exposition import exposition
from reactorhost.master.workers.exit_report import Sample
from reactorhost.testing import LiveHost

WARM_UP_SECONDS = 3.0
PLUGINS = ("log", "echo")
FORMATS = {"text": "", "openmetrics": "application/openmetrics-text"}


def scrape_milliseconds(workers: int) -> dict[str, float]:
    """Return the processor time of the steps of a scrape, and its size."""
    host = MeasuredHost(workers, PLUGINS)
    board, chance = Scoreboard(workers), random.Random(1)
    pages = {pid: board.take_page() for pid in host.start()}
    for pid, page in pages.items():
        board.write(page, Counters(pid, host.now, host.now, messages=chance.randrange(10**9), connections=77))
        receive = [chance.randrange(10**4) for _ in range(BUCKETS)]
        board.write_timings(page, [Timings(10, 10**9, 0, 10**9, 0, receive)] * (1 + len(PLUGINS)))

    def samples(now: float) -> dict[int, Sample]:
        return {
            pid: Sample(now, board.read(page), board.read_timings(page, len(PLUGINS)), PLUGINS)
            for pid, page in pages.items()
        }

    host.pool.samples = samples
    queues = (Queue(slot, depth=0, limit=4096, dropped=0) for slot in range(workers))
    host.listening = [("chat", "tcp://127.0.0.1:9000", queue) for queue in queues]
    found: dict[str, float] = {}
    times = max(5, 500 // workers)
    began = time.process_time()
    for _ in range(times):
        values = host.collect()
    found["collect"] = (time.process_time() - began) / times * 1e3
    for name, accept in FORMATS.items():
        began = time.process_time()
        for _ in range(times):
            text = exposition(values, accept)[1]
        found[name] = (time.process_time() - began) / times * 1e3
    found["kilobytes"] = len(text) / 1000
    return {name: round(value, 2) for name, value in found.items()}


def master_percent(host: LiveHost, address: str, seconds: float, *, scraped: bool) -> float:
    """Return the master's share of a processor over a period."""
    connection = http.client.HTTPConnection(address.partition("://")[2], timeout=10)
    began, before = time.monotonic(), run_seconds(host.pid)
    while (left := began + seconds - time.monotonic()) > 0:
        if scraped:
            connection.request("GET", "/metrics", headers={"Accept": FORMATS["openmetrics"]})
            connection.getresponse().read()
        time.sleep(min(1.0, left))
    connection.close()
    return 100 * (run_seconds(host.pid) - before) / (time.monotonic() - began)


def run_seconds(pid: int) -> float:
    """Return the processor time of a process with one thread; finer than the clock ticks of /proc/PID/stat."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def pairs(workers: int, seconds: float, count: int) -> dict[str, float]:
    """Return the master's share without and with a scrape a second, and the median of the differences."""
    arguments = ("--plugin", "echo", "--workers", str(workers), "--admin", "tcp://127.0.0.1:0")
    with (
        tempfile.TemporaryDirectory() as directory,
        LiveHost(Path(directory), *arguments) as host,
        Load(host.address()),
    ):
        (address,) = host.status()["admin"]
        master_percent(host, address, WARM_UP_SECONDS, scraped=True)
        found = [
            [master_percent(host, address, seconds, scraped=scraped) for scraped in (False, True)] for _ in range(count)
        ]
    without, scraped = ([each[at] for each in found] for at in (0, 1))
    return {
        "percent_without": round(statistics.median(without), 2),
        "percent_with": round(statistics.median(scraped), 2),
        "difference": round(statistics.median(after - before for before, after in found), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0, help="length of each period")
    parser.add_argument("--pairs", type=int, default=5, help="pairs of periods")
    options = parser.parse_args()
    result: dict[str, Any] = {
        "scrape_milliseconds": {workers: scrape_milliseconds(workers) for workers in (1, 8, 64, 256)},
        "master_of_8_workers": pairs(8, options.seconds, options.pairs),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
