"""A master that comes near its limit of open files keeps serving, and can be managed."""

from __future__ import annotations

import os
import resource
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

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


SCARCE = """
import os, resource
from pathlib import Path

free = int((Path(__file__).parent / "free").read_text())
used = {int(name) for name in os.listdir("/proc/self/fd")}
limit = [number for number in range(1000) if number not in used][free]
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, 1000))

@hookimpl
async def receive(connection, data):
    connection.send(data)
"""


def test_a_worker_without_a_free_descriptor_fails_to_boot_in_words(
    live_host: Hosts, write_plugin: Callable[..., str], tmp_path: Path, expected_errors: list[str]
) -> None:
    expected_errors += ["worker_not_booted", "reload_failed"]
    (tmp_path / "free").write_text("100")
    host = live_host("--plugin", write_plugin(SCARCE), "--workers", "1")
    replies = []
    for free in range(6):
        (tmp_path / "free").write_text(str(free))
        replies.append(host.ask("reload"))
    failed = [reply for reply in replies if reply["status"] != 0]
    failed_at = "reload failed at slot 0 (generation 1 in slot 0)"
    assert {(reply["status"], reply["what"]) for reply in failed} == {
        (3, f"{failed_at}: a worker cannot boot: Too many open files")
    }
    assert "ulimit -n" in failed[0]["hint"]
    assert "Traceback" not in host.log()
