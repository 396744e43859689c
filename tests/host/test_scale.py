"""`reactorhost scale N` waits until N workers are ready, and loses no connection."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from clients import answers
from daemons import COMMAND, run, without_progress
from gates import Gate
from load import Load
from reactorhost.testing import LiveHost
from waiting import all_end

Hosts = Callable[..., LiveHost]


def test_growing_returns_when_all_workers_are_ready(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    (first,) = host.workers()
    scaled = host.command("scale", "4")
    assert scaled.returncode == 0
    assert scaled.stdout.splitlines()[-1] == "scaled: 4 workers ready"
    workers = host.workers()
    assert [worker["slot"] for worker in workers] == [0, 1, 2, 3]
    assert workers[0]["pid"] == first["pid"]
    assert host.status()["workers_wanted"] == 4


def test_shrinking_drains_the_highest_slots_and_keeps_their_connections(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "4")
    with ExitStack() as stack:
        clients = [stack.enter_context(host.connect()) for _ in range(32)]
        assert all(answers(client) for client in clients)
        host.until(lambda status: status["totals"]["connections"] == 32)
        leaving = [each for each in host.workers() if each["slot"] > 0]
        draining = sum(1 for each in leaving if each["connections"])
        assert draining > 0
        scaled = host.command("scale", "1")
        assert scaled.returncode == 0
        assert scaled.stdout.splitlines()[-1].startswith("scaled: 1 worker ready, ")
        assert len(host.workers()) == 1
        assert all(answers(client) for client in clients)
        # New connections are served although most slots have no worker.
        for _ in range(32):
            with host.connect() as client:
                assert answers(client)
    assert all_end(worker["pid"] for worker in leaving)


def test_growing_again_reuses_the_slots_that_leave(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "3")
    for count in ("1", "3", "2", "4"):
        assert host.command("scale", count).returncode == 0
        assert [worker["slot"] for worker in host.workers()] == list(range(int(count)))
        with host.connect() as client:
            assert answers(client)


def test_scaling_to_the_same_number_changes_nothing(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    before = [worker["pid"] for worker in host.workers()]
    assert host.command("scale", "2").stdout == "scaled: 2 workers ready\n"
    assert [worker["pid"] for worker in host.workers()] == before


@pytest.mark.parametrize("count", ["0", "-1", "257", "many", "1.5"])
def test_a_number_out_of_range_is_refused(live_host: Hosts, count: str) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    refused = run("scale", "--run-dir", str(host.run_dir), "--", count)
    assert refused.returncode == 2
    assert "invalid value for 'WORKERS'" in refused.stderr
    # The same limits hold for a client that uses the control socket directly.
    for wrong in (0, 257, "2", True, None, 1.5):
        assert host.ask("scale", workers=wrong)["status"] == 2
    assert host.status()["workers_wanted"] == 1


def test_a_worker_that_does_not_boot_is_reported_with_its_traceback(
    live_host: Hosts, write_plugin: Callable[..., str], tmp_path: Path, expected_errors: list[str]
) -> None:
    expected_errors.append("worker_not_booted")
    cause = tmp_path / "cause"
    cause.touch()
    source = (
        "import os\n@hookimpl\ndef worker_start(worker):\n"
        f"    assert worker.slot == 0 or not os.path.exists({str(cause)!r}), 'no room'\n"
    )
    host = live_host("--plugin", write_plugin(source), "--plugin", "echo", "--workers", "1")
    scaled = host.command("scale", "2")
    assert scaled.returncode == 3
    assert "slot 1 is not ready" in scaled.stderr
    assert "no room" in scaled.stderr
    assert "Traceback" in scaled.stderr
    assert host.status()["workers_ready"] == 1
    for _ in range(8):
        with host.connect() as client:
            assert answers(client)
    # The host keeps trying until the plugin boots.
    cause.unlink()
    host.until(lambda status: status["workers_ready"] == 2)


def test_a_request_to_scale_fails_when_a_newer_one_supersedes_it(
    live_host: Hosts, write_plugin: Callable[..., str], tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    waits = f"@hookimpl\ndef worker_start(worker):\n    if worker.slot == 1: {gate.code}\n"
    host = live_host("--plugin", write_plugin(waits), "--plugin", "echo", "--workers", "1")
    gate.shut()
    command = [*COMMAND, "scale", "2", "--run-dir", str(host.run_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as first:
        assert first.stderr is not None
        # The seconds follow if the machine is slow.
        shown = "scaling: 1 of 2 workers ready; worker 1: in worker_start of made"
        assert any(line.startswith(shown) for line in first.stderr)
        second = subprocess.Popen([*COMMAND, "scale", "3", "--run-dir", str(host.run_dir)], stdout=subprocess.DEVNULL)
        _, stderr = first.communicate()
        assert (first.returncode, without_progress(stderr)) == (
            1,
            "reactorhost: superseded by another request to scale\n",
        )
        gate.open()
        assert second.wait() == 0
    assert host.status()["workers_ready"] == 3


BLOCKS = "import time\n@hookimpl\ndef receive(connection, data):\n    time.sleep(0.2)\n    connection.send(data)\n"


def test_a_host_with_a_range_grows_with_its_load_until_a_number_is_requested(
    live_host: Hosts, write_plugin: Callable[[str], str]
) -> None:
    host = live_host("--plugin", write_plugin(BLOCKS), "--workers", "1-2")
    assert len(host.workers()) == 1
    with Load(host.address(), in_flight=4) as load:
        grown = host.until(lambda status: status["workers_ready"] == 2, "a second worker")
        assert load.stop().failures == {}
    assert (grown["scaling"]["min"], grown["scaling"]["max"], grown["scaling"]["automatic"]) == (1, 2, True)
    assert "scaled_by_load" in host.log()
    assert "workers by load: 1-2" in host.command("status").stdout
    assert host.command("scale", "1").stdout.splitlines()[-1].startswith("scaled: 1 worker ready")
    assert host.status()["scaling"]["automatic"] is False
    assert host.command("scale", "auto").returncode == 0
    assert host.status()["scaling"]["automatic"] is True
