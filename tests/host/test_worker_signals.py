"""Signals to a single worker: TERM and QUIT replace it, the others are ignored."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from reactorhost.testing import LiveHost


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_a_worker_that_a_signal_ends_is_replaced_and_not_counted_as_a_crash(
    live_host: Callable[..., LiveHost], number: signal.Signals
) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    (signalled, _) = host.workers()
    os.kill(signalled["pid"], number)
    document = host.until(
        lambda found: found["workers_ready"] == 2 and signalled["pid"] not in [each["pid"] for each in found["workers"]]
    )
    assert document["slots"][signalled["slot"]]["restarts"] == 0
    assert "worker_crashed" not in host.log()


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTTIN, signal.SIGTTOU, signal.SIGPIPE],
)
def test_a_worker_ignores_signals_for_the_master(live_host: Callable[..., LiveHost], number: signal.Signals) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    (worker,) = host.workers()
    os.kill(worker["pid"], number)
    with host.connect() as client:
        client.sendall(b"still here")
        assert client.recv(100) == b"still here"
    assert [each["pid"] for each in host.workers()] == [worker["pid"]]
