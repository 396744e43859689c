"""The status document, as the real builder makes it of a planner without processes."""

from __future__ import annotations

import json
import random
import time
from types import SimpleNamespace
from typing import Any

from measured_host import STARTED_AT, MeasuredHost
from reactorhost.ipc.compact_status import compacted
from reactorhost.master.status_document import StatusBuilder

WORKERS = 64
SERVICES = [f"service-{number:02}" for number in range(20)]


def busy_host() -> Any:
    """Return a host whose workers have all served clients for long, with the numbers of a busy day."""
    host = MeasuredHost(WORKERS, ("accesslog", "echo"), services=SERVICES)
    pids, numbers = host.start(), random.Random(1)
    for second in range(3):
        for pid in pids:
            counters = host.pool.pages[pid].counters
            for name, most in {"accepted": 10**5, "messages": 10**7, "bytes_in": 10**10, "bytes_out": 10**10}.items():
                setattr(counters, name, getattr(counters, name) + numbers.randrange(most))
            busy = counters.busy_seconds + numbers.random()
            host.count(pid, connections=150, tick=host.now + second, busy_seconds=busy, cpu_seconds=busy)
            for plugin in (None, 0, 1):
                host.received(pid, *(numbers.random() / 1e4 for _ in range(20)), plugin=plugin)
        host.monitor.sample(host.now + second)
    listeners: Any = host.context.listeners
    listeners.effective_backlog.return_value = 4096
    listeners.groups = [SimpleNamespace(service=name) for name in SERVICES]
    queue = {"depth": 0, "limit": 4096 * WORKERS, "dropped": 0}
    fullest = {"fullest_slot": 0, "fullest_depth": 0, "fullest_limit": 4096}
    listeners.status.return_value = [
        {"service": name, "address": f"tcp://0.0.0.0:90{name[-2:]}", "sockets": WORKERS, **queue, **fullest}
        for name in SERVICES
    ]
    return host


def test_the_document_that_a_view_gets_of_a_host_of_64_workers_and_20_services_is_small() -> None:
    host = busy_host()
    for number in range(200):
        host.log.remember("warning", "worker_blocked", slot=number % WORKERS, pid=4000 + number, seconds=1.5)
    builder = StatusBuilder(host.context, STARTED_AT, host.now - 1e5)
    newest = builder.document()["events"][-1]["id"]
    document = compacted(builder.document(events_since=newest))
    text = json.dumps(document, separators=(",", ":"))
    assert len(document["workers"]) == WORKERS
    assert len(document["services"]) == len(document["listeners"]) == len(SERVICES)
    assert all(worker["rates"]["messages"] for worker in document["workers"])
    assert len(text) < 50_000, {name: len(json.dumps(value)) for name, value in document.items()}


def test_a_worker_that_is_silent_is_not_ready() -> None:
    host = busy_host()
    now = time.monotonic()
    for pid in host.planner.workers:
        host.count(pid, heartbeat=now)
    silent, *_ = host.planner.workers
    host.count(silent, heartbeat=now - 20.0)
    document = StatusBuilder(host.context, STARTED_AT, now).document()
    (row,) = (each for each in document["workers"] if each["pid"] == silent)
    assert (row["cpu_percent"], row["busy_percent"]) == (None, None), "its page is of the time before"
    assert [each["pid"] for each in document["workers"] if each["silent_seconds"] is not None] == [silent]
    assert (document["workers_ready"], document["workers_wanted"]) == (WORKERS - 1, WORKERS)
