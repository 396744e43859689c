"""Signals to one worker mean what they say, and its slot is filled again."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from reactorhost.testing import LiveHost


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_a_worker_that_is_told_to_leave_is_replaced_and_nobody_calls_it_a_crash(
    live_host: Callable[..., LiveHost], number: signal.Signals
) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    (told, _) = host.workers()
    os.kill(told["pid"], number)
    document = host.until(
        lambda found: found["workers_ready"] == 2 and told["pid"] not in [each["pid"] for each in found["workers"]]
    )
    assert document["slots"][told["slot"]]["restarts"] == 0
    assert "worker_crashed" not in host.log()


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTTIN, signal.SIGTTOU, signal.SIGPIPE],
)
def test_a_worker_ignores_what_only_the_master_acts_on(
    live_host: Callable[..., LiveHost], number: signal.Signals
) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    (worker,) = host.workers()
    os.kill(worker["pid"], number)
    with host.connect() as client:
        client.sendall(b"still here")
        assert client.recv(100) == b"still here"
    assert [each["pid"] for each in host.workers()] == [worker["pid"]]
