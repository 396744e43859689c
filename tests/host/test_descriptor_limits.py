"""A master that comes near its limit of open files keeps serving, and can be managed."""

from __future__ import annotations

import os
import resource
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack

from clients import answers
from reactorhost.testing import LiveHost

Hosts = Callable[..., LiveHost]


def test_neither_slots_nor_control_clients_use_up_the_descriptors(live_host: Hosts, expected_errors: list[str]) -> None:
    expected_errors += ["slot_not_opened", "worker_crashed"]
    addresses = ("--listen", "tcp://127.0.0.1:0") * 4
    host = live_host("--plugin", "echo", "--workers", "2", *addresses)
    resource.prlimit(host.pid, resource.RLIMIT_NOFILE, (64, 64))
    scaled = host.command("scale", "12")
    assert (scaled.returncode, "Too many open files" in scaled.stderr) == (1, True)
    assert "ulimit -n" in scaled.stderr
    before = host.until(lambda status: status["workers_ready"] == status["workers_wanted"])
    assert 2 < before["workers_wanted"] < 12
    with ExitStack() as leaked:
        for _ in range(60):
            client = leaked.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(str(host.run_dir / "control.sock"))
            # Each is accepted, which disconnects another one once no descriptor is left.
            host.ask("ping")
        crashed = before["workers"][0]["pid"]
        os.kill(crashed, signal.SIGKILL)
        after = host.until(
            lambda status: (
                status["workers_ready"] == before["workers_wanted"]
                and crashed not in [worker["pid"] for worker in status["workers"]]
            )
        )
        assert after["workers_wanted"] == before["workers_wanted"]
        with host.connect() as served:
            assert answers(served)
