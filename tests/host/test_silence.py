"""A worker whose loop does not turn: the status says so while it lasts, and where it hangs."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from clients import read_exactly
from reactorhost.dashboard.model.alerts import alerts
from reactorhost.ipc.status import StatusDocument
from reactorhost.testing import LiveHost

Hosts = Callable[..., LiveHost]
Write = Callable[..., str]

HOLDS = """
import os, select

@hookimpl
def receive(connection, data):
    # Until the file exists; on one line, so that the line number is known.
    while not os.path.exists(data): select.select((), (), (), 0.01)  # here
    connection.send(data)
"""
SPINS = HOLDS.replace("select.select((), (), (), 0.01)", "pass")
# After an await: the coroutine is resumed by the loop and not by the host.
HOLDS_AFTER_AN_AWAIT = (
    HOLDS.replace("import os", "import asyncio, os")
    .replace("def receive", "async def receive")
    .replace("    # Until", "    await asyncio.sleep(0)\n    # Until")
)


def line_of(plugin: str) -> int:
    return next(number for number, text in enumerate(Path(plugin).read_text().splitlines(), 1) if "# here" in text)


def silent(document: dict[str, Any]) -> dict[str, Any] | None:
    return next((worker for worker in document["workers"] if worker["silent_seconds"] is not None), None)


def spinning(document: dict[str, Any]) -> bool:
    worker = silent(document)
    return worker is not None and (worker["cpu_percent"] or 0.0) >= 20.0


def stalled(document: dict[str, Any]) -> dict[str, Any] | None:
    worker = silent(document)
    return worker if worker is not None and worker["stall"] is not None else None


@pytest.mark.parametrize(
    ("code", "loop"), [(HOLDS, None), (HOLDS_AFTER_AN_AWAIT, "asyncio"), (HOLDS_AFTER_AN_AWAIT, "uvloop")]
)
def test_a_blocked_worker_is_silent_and_its_place_is_shown_until_it_turns(
    live_host: Hosts, write_plugin: Write, tmp_path: Path, code: str, loop: str | None
) -> None:
    options = () if loop is None else ("--event-loop", pytest.importorskip(loop).__name__)
    plugin = write_plugin(code)
    host = live_host("--plugin", plugin, "--workers", "2", *options)
    release = tmp_path / "release"
    with host.connect() as client:
        client.sendall(str(release).encode())
        document = host.until(stalled, "a silent worker")
        worker = stalled(document)
        assert worker is not None
        stall, peer = worker["stall"], "{}:{}".format(*client.getsockname())
        assert (stall["plugin"], stall["hook"], stall["where"]) == ("made", "receive", f"{plugin}:{line_of(plugin)}")
        assert stall["peer"] == peer
        assert 1.0 <= worker["silent_seconds"] <= worker["lag_max_seconds"] + 0.1
        assert worker["state"] == "ready"
        shown = host.command("status").stdout
        # On a busy machine the other worker may be silent for a moment too.
        assert re.search(r"[01]/2 ready, [12] silent", shown)
        assert f"made.receive at {plugin}:{line_of(plugin)} for {peer}" in " ".join(shown.split())
        assert " silent " in host.command("top", "--once").stdout
        # Not `worker_blocked`: of a worker without a processor it is logged before the place is known, and then not
        # again for a minute.
        host.wait_for_log(f"plugin=made hook=receive where={plugin}:{line_of(plugin)} peer={peer} seconds=")
        release.touch()
        assert read_exactly(client, len(str(release)))
    # The heartbeat is from the first turn, and the watchdog looks a little later.
    host.until(lambda found: not any(each["stall"] for each in found["workers"]), "a loop that turns")
    host.until(lambda found: silent(found) is None, "a heartbeat")
    # The worker reports what it has logged when its loop turns again.
    host.until(lambda found: {"slow_hook", "slow_hook_ended"} <= {each["event"] for each in found["events"]})


def test_a_silent_worker_whose_code_loops_has_its_processor_time(
    live_host: Hosts, write_plugin: Write, tmp_path: Path
) -> None:
    host = live_host("--plugin", write_plugin(SPINS), "--workers", "1")
    release = tmp_path / "release"
    with host.connect() as client:
        client.sendall(str(release).encode())
        # On a busy machine it has a part of a processor only.
        document = host.until(spinning, "processor time")
        assert document["workers"][0]["busy_percent"] is None
        release.touch()
        assert read_exactly(client, len(str(release)))


def test_a_stopped_worker_is_silent_and_the_state_of_its_process_is_shown(
    live_host: Hosts, write_plugin: Write
) -> None:
    host = live_host("--plugin", write_plugin(HOLDS), "--workers", "2")
    host.until(lambda found: alerts(cast("StatusDocument", found)) == [], "no alerts")
    pid = host.workers()[0]["pid"]
    os.kill(pid, signal.SIGSTOP)
    document = host.until(silent, "a silent worker")
    worker = silent(document)
    assert worker is not None
    # A busy machine may have other alerts.
    (alert,) = (each for each in alerts(cast("StatusDocument", document)) if "silent" in each.text)
    assert re.fullmatch(r"worker 0 has been silent for \d+ s: the process is stopped by a signal", alert.text)
    assert (worker["pid"], worker["stall"], worker["process_state"]) == (pid, None, "stopped")
    assert "the process is stopped by a signal" in host.command("status").stdout
    os.kill(pid, signal.SIGCONT)
    host.until(lambda found: silent(found) is None, "a loop that turns")


def test_the_log_of_a_killed_worker_names_the_code_that_held_it(
    live_host: Hosts, write_plugin: Write, tmp_path: Path, expected_errors: list[str]
) -> None:
    expected_errors.append("worker_crashed")
    plugin = write_plugin(HOLDS)
    host = live_host("--plugin", plugin, "--workers", "1")
    with host.connect() as client:
        peer = "{}:{}".format(*client.getsockname())
        client.sendall(str(tmp_path / "never").encode())
        worker = stalled(host.until(stalled, "a silent worker"))
        assert worker is not None
        os.kill(worker["pid"], signal.SIGKILL)
        host.until(lambda found: found["workers"] and found["workers"][0]["pid"] != worker["pid"], "a new worker")
    log = host.wait_for_log(" worker_crashed ")
    (line,) = [line for line in log.splitlines() if " worker_crashed " in line]
    assert f"plugin=made hook=receive where={plugin}:{line_of(plugin)} peer={peer}" in line
    assert " reason=" not in line


def test_a_slot_in_back_off_shows_the_error_of_its_boot(
    live_host: Hosts, write_plugin: Write, tmp_path: Path, expected_errors: list[str]
) -> None:
    expected_errors += ["worker_crashed", "worker_not_booted"]
    marker = tmp_path / "broken"
    plugin = write_plugin(f"{HOLDS}\nif os.path.exists({str(marker)!r}): raise ValueError('no room')")
    host = live_host("--plugin", plugin, "--workers", "1")
    marker.touch()
    os.kill(host.workers()[0]["pid"], signal.SIGKILL)
    document = host.until(lambda found: found["slots"][0]["state"] == "backoff", "a slot in back-off")
    assert "no room" in document["slots"][0]["reason"]
    # The next try may be under way when the command asks.
    marker.unlink()
    host.until(lambda found: found["workers_ready"] == 1 and found["slots"][0]["reason"] is None)
