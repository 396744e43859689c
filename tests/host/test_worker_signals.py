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


PLAIN = "@hookimpl\ndef receive(connection, data):\n    {}\n    connection.send(data)\n"
ASYNC = "@hookimpl\nasync def receive(connection, data):\n    {}\n    connection.send(data)\n"
WAKE_UP_LOST = "import signal; signal.set_wakeup_fd(-1)"
LOOP_OF_ITS_OWN = """
    import asyncio, signal
    async def main():
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, print)
    asyncio.run(main())"""
HANDLER_ADDED = "import asyncio, signal; asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, {})"
HANDLER_REMOVED = "asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)"
NOTE_SIGNAL = "lambda *args: print('plugin', flush=True)"
NOTE = "lambda: print('plugin', flush=True)"


BOTH = ("asyncio", "uvloop")


@pytest.mark.parametrize(
    ("hook", "line", "loop"),
    [
        (PLAIN.format(WAKE_UP_LOST), None, "asyncio"),
        (PLAIN.format(LOOP_OF_ITS_OWN), None, "asyncio"),
        (PLAIN.format(f"import signal; signal.signal(signal.SIGTERM, {NOTE_SIGNAL})"), "plugin", "asyncio"),
        *((ASYNC.format(WAKE_UP_LOST), None, loop) for loop in BOTH),
        *((ASYNC.format(HANDLER_ADDED.format(NOTE)), "plugin", loop) for loop in BOTH),
        *((ASYNC.format(f"{HANDLER_ADDED.format('print')}; {HANDLER_REMOVED}"), None, loop) for loop in BOTH),
    ],
)
def test_a_worker_drains_at_term_whatever_a_plugin_does_with_signals(
    live_host: Callable[..., LiveHost], write_plugin: Callable[..., str], hook: str, line: str | None, loop: str
) -> None:
    pytest.importorskip(loop)
    host = live_host("--plugin", write_plugin(hook), "--workers", "1", "--event-loop", loop)
    (worker,) = host.workers()
    with host.connect() as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        os.kill(worker["pid"], signal.SIGTERM)
        if line is not None:
            assert host.read_line() == line
        host.wait_for_log("worker_draining")
    host.wait_for_log("worker_exited")
    assert 'how="exit status 0"' in host.log()


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
