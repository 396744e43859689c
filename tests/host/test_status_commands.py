"""`status`, `connections` and `reopen` of a running host."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, is_typeddict

from clients import answers
from daemons import run
from reactorhost import __version__
from reactorhost.ipc.status import (
    SCHEMA,
    ChainPluginStatus,
    ServiceStatus,
    SlotStatus,
    StatusDocument,
    Totals,
    WorkerStatus,
)
from reactorhost.testing import LiveHost
from schemas import check_printed
from users import workers_can_be_nobody
from waiting import all_end, until

Hosts = Callable[..., LiveHost]


def has_every_field(document: dict[str, Any], shape: Any) -> bool:
    assert is_typeddict(shape)
    assert set(document) == set(shape.__required_keys__)
    return True


# status


def test_status_json_is_the_complete_status_document(live_host: Hosts) -> None:
    host = live_host("--plugin", "accesslog", "--plugin", "echo", "--workers", "2", "--name", "seen")
    with host.connect() as client:
        assert answers(client)
        host.until(lambda status: status["totals"]["messages"] == 1)
        shown = host.command("status", "--json")
    assert (shown.returncode, shown.stderr) == (0, "")
    document = json.loads(shown.stdout)
    assert has_every_field(document, StatusDocument)
    assert has_every_field(document["totals"], Totals)
    assert all(has_every_field(each, WorkerStatus) for each in document["workers"])
    assert all(has_every_field(each, SlotStatus) for each in document["slots"])
    assert all(has_every_field(each, ServiceStatus) for each in document["services"])
    assert all(has_every_field(each, ChainPluginStatus) for each in document["services"][0]["plugins"])
    assert (len(document["workers"]), len(document["slots"]), len(document["services"])) == (2, 2, 1)
    assert document["schema"] == SCHEMA == 2
    expected = {
        "version": __version__,
        "name": "seen",
        "pid": host.pid,
        "state": "running",
        "generation": 1,
        "daemon": False,
        "run_dir": str(host.run_dir),
        "pid_file": str(host.run_dir / "master.pid"),
        "log_file": None,
        "config_file": None,
        "workers_wanted": 2,
        "workers_ready": 2,
        "reloading": False,
        "problems": [],
    }
    assert {key: document[key] for key in expected} == expected
    assert [each["name"] for each in document["services"][0]["plugins"]] == ["accesslog", "echo"]
    totals = {
        "connections": 1,
        "accepted": 1,
        "refused": 0,
        "messages": 1,
        "bytes_in": 12,
        "bytes_out": 12,
        "hook_errors": 0,
    }
    assert document["totals"] == totals


def test_totals_include_replaced_workers(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    for _ in range(10):
        with host.connect() as client:
            assert answers(client, b"four")
    host.until(lambda status: status["totals"]["bytes_out"] == 40)
    assert host.command("reload").returncode == 0
    document = host.until(lambda status: len(status["workers"]) == 2)
    assert (document["totals"]["accepted"], document["totals"]["bytes_in"], document["totals"]["connections"]) == (
        10,
        40,
        0,
    )


def test_status_shows_a_tree_of_master_and_workers(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    shown = host.command("status")
    assert shown.returncode == 0
    head, service, traffic, _, headings, total, master, *workers = shown.stdout.splitlines()
    assert head.startswith(f"default  reactorhost {__version__}  pid {host.pid}  running")
    assert "2/2 ready" in head
    assert service == f"tcp://127.0.0.1:{host.address()[1]}  echo {__version__}"
    assert traffic.startswith("0 of ")
    assert headings.split()[:4] == ["PID", "SLOT▼", "GEN", "STATE"]
    assert total.split()[0] == "total"
    assert master.split()[:4] == [str(host.pid), "-", "1", "master"]
    for line, worker in zip(workers, host.workers(), strict=True):
        state = "leader" if worker["slot"] == 0 else "ready"
        assert line.split()[1:5] == [str(worker["pid"]), str(worker["slot"]), "1", state]
    more = host.command("status", "-v").stdout
    assert "\nHOOK CHAIN" not in shown.stdout
    assert "\nHOOK CHAIN" in more


def test_status_shows_a_draining_worker(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    with host.connect() as client:
        assert answers(client)
        host.until(lambda status: status["totals"]["connections"] == 1)
        assert host.command("reload").returncode == 0
        shown = host.command("status").stdout
        assert "draining" in shown
        assert "ready" in shown
        draining = next(worker for worker in host.status()["workers"] if worker["state"] == "draining")
        assert (draining["generation"], draining["connections"]) == (1, 1)
        assert 3000 < draining["deadline_seconds"] <= 3603


def test_a_slot_in_back_off_has_a_retry_time_and_an_adopter(
    live_host: Hosts, write_plugin: Callable[..., str], expected_errors: list[str], tmp_path: Path
) -> None:
    expected_errors += ["worker_crashed", "worker_not_booted"]
    cause = tmp_path / "cause"
    source = (
        "import os\n@hookimpl\ndef worker_start(worker):\n"
        f"    assert worker.slot == 0 or not os.path.exists({str(cause)!r}), 'no room'\n"
    )
    host = live_host("--plugin", write_plugin(source), "--plugin", "echo", "--workers", "2")
    cause.touch()
    first, second = host.workers()
    os.kill(second["pid"], signal.SIGKILL)
    document = host.until(
        lambda status: status["slots"][1]["state"] == "backoff" and status["slots"][1]["restarts"] > 3
    )
    slot = document["slots"][1]
    assert slot["adopted_by"] == first["pid"]
    assert slot["retry_seconds"] > 0
    assert slot["last_exit"].startswith("exit status")
    assert document["workers"][0]["adopted_slots"] == [1]
    assert document["workers_ready"] == 1
    assert [host.command("status", *flag).returncode for flag in ([], ["--json"])] == [3, 3]
    cause.unlink()
    host.until(lambda status: status["workers_ready"] == 2 and not status["workers"][0]["adopted_slots"])


def test_status_without_a_host_exits_with_status_5(tmp_path: Path) -> None:
    for flag in ((), ("--json",)):
        shown = run("status", *flag, "--run-dir", str(tmp_path / "run"))
        assert (shown.returncode, bool(shown.stdout)) == (5, bool(flag))
        assert shown.stderr.startswith(f"reactorhost: the host in {tmp_path / 'run'} is not running\n")


# connections


def test_connections_shows_a_row_for_each_client(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    with ExitStack() as stack:
        clients = [stack.enter_context(host.connect()) for _ in range(6)]
        assert all(answers(client, b"x" * size) for size, client in enumerate(clients, 1))
        shown = host.command("connections", "--json")
        table = host.command("connections")
        peers = ["{}:{}".format(*client.getsockname()) for client in clients]
    assert (shown.returncode, shown.stderr) == (0, "")
    document = json.loads(shown.stdout)
    assert (document["schema"], document["unanswered"]) == (1, [])
    rows = {row["peer"]: row for row in document["connections"]}
    assert sorted(rows) == sorted(peers)
    slots = {worker["slot"]: worker["pid"] for worker in host.workers()}
    for size, peer in enumerate(peers, 1):
        row = rows[peer]
        assert (row["bytes_in"], row["bytes_out"], row["queued_bytes"]) == (size, size, 0)
        assert row["pid"] == slots[row["slot"]]
        assert row["age_seconds"] >= 0
        assert row["idle_seconds"] >= 0
        assert row["state"] == "open"
        assert row["service"] == "default"
    assert table.returncode == 0
    heading, *lines = table.stdout.splitlines()
    assert " ".join(heading.split()) == "SLOT PID ID SERVICE PEER AGE IDLE IN OUT QUEUED STATE"
    assert sorted(line.split()[4] for line in lines) == sorted(peers)


def test_connections_of_draining_workers_are_shown(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    with host.connect() as old:
        assert answers(old)
        (before,) = host.workers()
        assert host.command("reload").returncode == 0
        with host.connect() as new:
            assert answers(new)
            rows = json.loads(host.command("connections", "--json").stdout)["connections"]
    assert len(rows) == 2
    assert before["pid"] in {row["pid"] for row in rows}


def test_connections_in_several_messages_are_all_shown(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    with ExitStack() as stack:
        clients = [stack.enter_context(host.connect()) for _ in range(400)]
        assert answers(clients[-1])
        document = json.loads(host.command("connections", "--json").stdout)
    assert len({row["peer"] for row in document["connections"]}) == 400


def test_connections_are_selected_over_all_workers_and_one_is_disconnected(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")

    def document(*words: str) -> dict[str, Any]:
        printed = host.command(*words, "--json").stdout
        check_printed(printed, *words, "--json")
        found: dict[str, Any] = json.loads(printed)
        return found

    with ExitStack() as stack:
        clients = [stack.enter_context(host.connect()) for _ in range(16)]
        assert all(answers(client, b"x" * size) for size, client in enumerate(clients, 1))
        largest = host.command("connections", "--sort", "in", "--limit", "3")
        rows = document("connections", "--sort", "in", "--limit", "3")
        assert [row["bytes_in"] for row in rows["connections"]] == [16, 15, 14]
        assert (rows["matched"], rows["total"]) == (16, 16)
        assert (len(largest.stdout.splitlines()), largest.stderr) == (4, "3 of 16 connections\n")
        port = clients[4].getsockname()[1]
        one = document("connections", "--peer", f":{port}", "--sort", "rate_in")
        assert [(row["bytes_in"], row["in_per_second"]) for row in one["connections"]] == [(5, 0.0)]
        groups = document("connections", "--group", "peer")["groups"]
        assert [(group["peer"], group["connections"]) for group in groups] == [("127.0.0.1", 16)]
        worker, number = (str(one["connections"][0][key]) for key in ("pid", "id"))
        shown = host.command("disconnect", worker, number)
        assert (shown.stdout, shown.returncode) == (f"disconnected 127.0.0.1:{port} of service default\n", 0)
        assert clients[4].recv(1) == b""
        host.wait_for_log("client_disconnected")
        clients[4].close()
        host.until(lambda status: status["totals"]["connections"] == 15)
        assert "error" in document("disconnect", worker, number)
        again = host.command("disconnect", worker, number)
        assert (again.returncode, "has no connection" in again.stderr) == (1, True)
        assert all(answers(client) for client in clients if client is not clients[4])


def test_a_worker_that_does_not_answer_is_named_and_the_exit_status_is_1(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    with ExitStack() as stack:
        clients = [stack.enter_context(host.connect()) for _ in range(16)]
        assert all(answers(client) for client in clients)
        first, second = host.workers()
        os.kill(second["pid"], signal.SIGSTOP)
        stack.callback(os.kill, second["pid"], signal.SIGCONT)
        shown = host.command("connections", "--json")
    assert shown.returncode == 1
    document = json.loads(shown.stdout)
    assert document["unanswered"] == [{"slot": 1, "pid": second["pid"]}]
    assert {row["pid"] for row in document["connections"]} == {first["pid"]}
    assert shown.stderr == f"reactorhost: warning: worker 1 (pid {second['pid']}) did not answer in time\n"


# reopen


def test_after_reopen_master_and_workers_log_to_a_new_file(live_host: Hosts, tmp_path: Path) -> None:
    log, old = tmp_path / "host.log", tmp_path / "host.log.1"
    # The workers' user cannot open the file.
    user = ("--user", "nobody") if workers_can_be_nobody() else ()
    host = live_host("--plugin", "echo", "--workers", "2", "--log-file", str(log), *user)
    log.rename(old)
    reopened = host.command("reopen")
    assert (reopened.returncode, reopened.stdout) == (0, "log files reopened\n")
    before = old.read_text()
    leaving = [worker["pid"] for worker in host.workers()]
    for pid in leaving:
        os.kill(pid, signal.SIGTERM)
    assert all_end(leaving)
    until(lambda: log.read_text().count("worker_exited") == 2, "the master's lines in the new file")
    for pid in leaving:
        assert f"worker_draining worker={pid}" in log.read_text()
    assert old.read_text() == before


def test_a_log_that_cannot_be_reopened_is_kept(live_host: Hosts, tmp_path: Path, expected_errors: list[str]) -> None:
    expected_errors.append("log_not_reopened")
    folder = tmp_path / "logs"
    folder.mkdir()
    host = live_host("--plugin", "echo", "--workers", "1", "--log-file", str(folder / "log"))
    folder.rename(tmp_path / "moved")
    reopened = host.command("reopen")
    log = tmp_path / "moved" / "log"
    assert log.read_text().count("log_not_reopened") == 1
    # A new worker inherits the open log file.
    assert host.command("reload").returncode == 0
    (worker,) = host.workers()
    os.kill(worker["pid"], signal.SIGTERM)
    until(lambda: f"worker_draining worker={worker['pid']}" in log.read_text(), "a line of the new worker")
    assert reopened.returncode == 1
    assert "No such file or directory" in reopened.stderr


def test_a_worker_that_keeps_the_old_log_file_is_named_and_the_exit_status_is_1(
    live_host: Hosts, tmp_path: Path, expected_errors: list[str]
) -> None:
    expected_errors.append("log_not_reopened")
    log = tmp_path / "host.log"
    host = live_host("--plugin", "echo", "--workers", "2", "--log-file", str(log))
    log.rename(tmp_path / "host.log.1")
    stopped = host.workers()[1]["pid"]
    os.kill(stopped, signal.SIGSTOP)
    try:
        reopened = host.command("reopen")
    finally:
        os.kill(stopped, signal.SIGCONT)
    assert reopened.returncode == 1
    assert f"the old log file is still in use by worker 1 (pid {stopped}): no answer" in reopened.stderr
    assert f"slot=1 pid={stopped}" in log.read_text()
    assert host.command("reopen").returncode == 0
