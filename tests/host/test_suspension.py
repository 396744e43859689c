"""A host whose processes were all stopped for longer than a worker may be silent."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from clients import answers
from kernel import is_stopped
from plugin_files import ECHO, plugin_file, told
from reactorhost.testing import LiveHost
from waiting import until

STALL_SECONDS = 0.6
TICK_SECONDS = 0.2

TICKS = f"""
@hookimpl
def worker_start(worker):
    if worker.slot == 0:
        worker.call_every({TICK_SECONDS}, lambda: tell("tick"))
"""


def test_after_a_suspension_no_worker_is_taken_for_a_stuck_one(
    live_host: Callable[..., LiveHost], tmp_path: Path
) -> None:
    plugin = plugin_file(tmp_path, "ticking", TICKS, ECHO)
    host = live_host("--plugin", plugin, "--workers", "2", "--stall-timeout", f"{STALL_SECONDS}s")
    workers = [worker["pid"] for worker in host.workers()]
    with host.connect() as client:
        assert answers(client)
        for pid in (host.pid, *workers):
            os.kill(pid, signal.SIGSTOP)
        until(lambda: all(map(is_stopped, (host.pid, *workers))), "the stop of every process")
        begun = time.monotonic()
        # Nothing happens in a suspended host that could be waited for.
        until(lambda: time.monotonic() - begun > 2 * STALL_SECONDS, "the end of the suspension")
        # The master first: to it, its workers have been silent for all that time.
        host.signal(signal.SIGCONT)
        host.status()
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
        assert answers(client)
        for _ in range(int(2 * STALL_SECONDS / TICK_SECONDS)):
            told(host)
    assert [worker["pid"] for worker in host.workers()] == workers
