"""One worker of a host leads: over reloads, crashes, signals, scaling and the stop, and its jobs run once each."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from clients import answers
from reactorhost.testing import LiveHost
from waiting import until

Hosts = Callable[..., LiveHost]
Write = Callable[..., str]

KINDS = {
    "plain": ("", ""),
    "asyncio": ("async ", "await asyncio.sleep(0.05)"),
    "uvloop": ("async ", "await asyncio.sleep(0.05)"),
}

NOTES = """
import asyncio, json, math, os, time

def note(what, **facts):
    line = json.dumps({"what": what, "pid": os.getpid(), "at": time.monotonic(), **facts}) + "\\n"
    descriptor = os.open(__file__ + ".notes", os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    os.write(descriptor, line.encode())
    os.close(descriptor)

@hookimpl
def receive(connection, data):
    connection.send(data)
"""

# `leader_stop` takes a moment, so that a leader that is appointed too early overlaps with it.
LEADS = """
@hookimpl
{0}def leader_start(worker):
    note("begin", leader=worker.leader, count=worker.count)

@hookimpl
{0}def leader_stop(worker):
    {1}
    note("end", leader=worker.leader, count=worker.count)
"""


class Notes:
    """What the workers have noted."""

    def __init__(self, plugin: str) -> None:
        self._path = Path(plugin + ".notes")

    def all(self, *what: str) -> list[dict[str, Any]]:
        """Return the notes of these kinds, in the order of writing."""
        if not self._path.exists():
            return []
        # The last one may be in the middle of its writing.
        lines = self._path.read_text().split("\n")[:-1]
        return [note for note in map(json.loads, lines) if note["what"] in what]

    def wait_for_more(self, what: str) -> None:
        """Wait for one more note of a kind."""
        count = len(self.all(what))
        until(lambda: len(self.all(what)) > count, what)

    def leader(self) -> int | None:
        """Return the worker that has begun to lead last."""
        begun = self.all("begin")
        return begun[-1]["pid"] if begun else None


def leader_of(host: LiveHost) -> int | None:
    """Return the leader that the status names."""
    leaders = [worker["pid"] for worker in host.status()["workers"] if worker["leader"]]
    assert len(leaders) <= 1
    return leaders[0] if leaders else None


def next_leader(host: LiveHost, notes: Notes, before: int | None) -> int:
    """Wait until another worker leads, and says so itself; returns it."""

    def leads() -> bool:
        return notes.leader() not in {None, before} and leader_of(host) == notes.leader()

    until(leads, "the next leader")
    return notes.leader() or 0


def check_that_no_two_overlapped(notes: Notes, killed: dict[int, float]) -> None:
    """Check that each worker began to lead after the one before has ended; `killed`: when some were killed."""
    leading: int | None = None
    ended_at = 0.0
    for note in notes.all("begin", "end"):
        assert note["leader"], "in both hooks"
        if note["what"] == "begin":
            if leading is not None:
                ended_at = killed[leading]
            assert note["at"] >= ended_at
            leading = note["pid"]
        else:
            assert note["pid"] == leading
            leading, ended_at = None, note["at"]
    assert leading is None, "the stop has ended the last one"


@pytest.mark.parametrize("kind", KINDS)
def test_at_most_one_worker_leads_whatever_happens_to_the_leader(
    live_host: Hosts, write_plugin: Write, expected_errors: list[str], kind: str
) -> None:
    expected_errors.append("worker_crashed")
    if kind == "uvloop":
        pytest.importorskip("uvloop")
    prefix, pause = KINDS[kind]
    plugin = write_plugin(NOTES + LEADS.format(prefix, pause or "time.sleep(0.05)"))
    loop = ("--event-loop", kind) if kind != "plain" else ()
    host = live_host("--plugin", plugin, "--workers", "3", *loop)
    notes = Notes(plugin)
    killed: dict[int, float] = {}
    first = next_leader(host, notes, None)
    host.ask("reload")
    leader = next_leader(host, notes, first)
    # By signals and a crash. After a crash the next leader is in another slot: slot 0 has no worker that is ready.
    numbers, slots = [signal.SIGTERM, signal.SIGQUIT, signal.SIGKILL], {leader: 0}
    while numbers or slots[leader] == 0:
        host.until(lambda found: found["workers_ready"] == 3)
        number = numbers.pop(0) if numbers else signal.SIGKILL
        if number is not signal.SIGTERM:
            # QUIT cancels an async `leader_stop`.
            killed[leader] = time.monotonic()
        os.kill(leader, number)
        leader = next_leader(host, notes, leader)
        slots = {worker["pid"]: worker["slot"] for worker in host.status()["workers"]}
    host.ask("scale", workers=1)
    last = next_leader(host, notes, leader)
    host.until(lambda found: [worker["pid"] for worker in found["workers"]] == [last])
    assert host.stop() == 0
    check_that_no_two_overlapped(notes, killed)
    assert notes.all("end")[-1]["count"] == 1
    assert notes.all("begin")[0]["count"] == 3
    assert f"leader_changed master={host.pid} slot=0 pid={first}" in host.log()


JOB = """
import os
SECONDS = 0.05

@hookimpl
def worker_start(worker):
    worker.call_every(SECONDS, job, worker, once="host")
    worker.call_cron("* * * * *", note, "cron", once="host")

def job(worker):
    # The moment by which the host decides; the clock may be in the next tick by now.
    note("tick", number=math.floor(worker._timers.host_jobs.until.monotonic / SECONDS))
"""


def test_no_tick_of_the_host_runs_twice_over_reloads_and_kills(
    live_host: Hosts, write_plugin: Write, expected_errors: list[str]
) -> None:
    expected_errors.append("worker_crashed")
    plugin = write_plugin(NOTES + LEADS.format("", "pass") + JOB)
    host = live_host("--plugin", plugin, "--workers", "2")
    notes = Notes(plugin)
    leader = next_leader(host, notes, None)
    for _ in range(5):
        host.ask("reload")
        leader = next_leader(host, notes, leader)
        # In the middle of ticks.
        notes.wait_for_more("tick")
        os.kill(leader, signal.SIGKILL)
        leader = next_leader(host, notes, leader)
        host.until(lambda found: found["workers_ready"] == 2)
    assert host.stop() == 0
    ticks = [note["number"] for note in notes.all("tick")]
    assert len({note["pid"] for note in notes.all("tick")}) >= 5
    assert ticks == sorted(set(ticks))
    minutes = [note["at"] for note in notes.all("cron")]
    assert all(later - earlier > 30 for earlier, later in pairwise(minutes))


@pytest.mark.parametrize("hook", ["async def leader_stop", "def leader_stop"])
def test_the_clients_of_a_leader_that_drains_are_served_and_no_other_one_leads_before_its_leader_stop_has_returned(
    live_host: Hosts, write_plugin: Write, hook: str
) -> None:
    if hook.startswith("async"):
        waits = "while not os.path.exists(__file__ + '.go'):\n        await asyncio.sleep(0.01)"
    else:
        # A plain hook does not wait; its end is delayed by an async job.
        waits = "pass"
    source = f"""
@hookimpl
def leader_start(worker):
    note("begin")

@hookimpl
{hook}(worker):
    {waits}
    note("end")

async def job():
    note("job begins")
    while not os.path.exists(__file__ + ".go"):
        await asyncio.sleep(0.01)
    note("job ends")

@hookimpl
async def worker_start(worker):
    worker.call_every(0.05, job, once="host")
"""
    plugin = write_plugin(NOTES + source)
    host = live_host("--plugin", plugin, "--workers", "1")
    notes = Notes(plugin)
    leader = next_leader(host, notes, None)
    until(lambda: notes.all("job begins"), "the job")
    with host.connect() as client:
        assert answers(client)
        host.ask("reload")
        host.wait_for_log("worker_draining")
        assert answers(client)
        host.until(lambda found: any(each["state"] == "draining" for each in found["workers"]))
        assert leader_of(host) == leader == notes.leader()
        Path(plugin + ".go").touch()
        next_leader(host, notes, leader)
        assert answers(client), "the old worker serves on"
    order = [note["what"] for note in notes.all("job ends", "end", "begin")]
    assert order[1:4] == ["job ends", "end", "begin"]


def test_a_leader_stop_that_never_returns_ends_with_the_time_to_drain(live_host: Hosts, write_plugin: Write) -> None:
    source = """
@hookimpl
def leader_start(worker):
    note("begin")

@hookimpl
async def leader_stop(worker):
    try:
        await asyncio.Event().wait()
    finally:
        note("cancelled")
"""
    plugin = write_plugin(NOTES + source)
    host = live_host("--plugin", plugin, "--workers", "1", "--drain-timeout", "0.3")
    notes = Notes(plugin)
    leader = next_leader(host, notes, None)
    host.ask("reload")
    next_leader(host, notes, leader)
    assert [note["what"] for note in notes.all("begin", "cancelled")][:3] == ["begin", "cancelled", "begin"]


def test_a_leader_that_hangs_leads_on(live_host: Hosts, write_plugin: Write) -> None:
    plugin = write_plugin(NOTES + LEADS.format("", "pass"))
    host = live_host("--plugin", plugin, "--workers", "2")
    notes = Notes(plugin)
    leader = next_leader(host, notes, None)
    os.kill(leader, signal.SIGSTOP)
    try:
        host.wait_for_log("worker_blocked")
        assert leader_of(host) == leader
    finally:
        os.kill(leader, signal.SIGCONT)
    host.wait_for_log("worker_unblocked")
    assert leader_of(host) == leader
    assert len(notes.all("begin")) == 1
    assert host.stop() == 0
    check_that_no_two_overlapped(notes, {})


def test_the_leader_steps_down_when_the_master_is_killed(
    live_host: Hosts, write_plugin: Write, killed_masters: list[LiveHost]
) -> None:
    plugin = write_plugin(NOTES + LEADS.format("", "pass"))
    host = live_host("--plugin", plugin, "--workers", "2")
    killed_masters.append(host)
    notes = Notes(plugin)
    leader = next_leader(host, notes, None)
    with host.connect() as client:
        assert answers(client)
        host.signal(signal.SIGKILL)
        until(lambda: notes.all("end"), "the end of the leadership")
    assert [note["pid"] for note in notes.all("begin", "end")] == [leader, leader]


def test_each_worker_knows_how_many_are_wanted(live_host: Hosts, write_plugin: Write) -> None:
    source = "@hookimpl\ndef worker_start(worker):\n    global WORKER\n    WORKER = worker\n"
    source += "@hookimpl\ndef receive(connection, data):\n    connection.send(b'%d' % WORKER.count)\n"
    host = live_host("--plugin", write_plugin(source), "--workers", "1")

    def counts(wanted: bytes) -> bool:
        client.sendall(b"?")
        return client.recv(1) == wanted

    with host.connect() as client:
        assert counts(b"1")
        host.signal(signal.SIGTTIN)
        until(lambda: counts(b"2"), "the count after TTIN")
        host.ask("scale", workers=3)
        until(lambda: counts(b"3"), "the count after scale")


def test_a_leader_that_has_nothing_to_do_is_not_logged(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo")
    host.until(lambda status: any(worker["leader"] for worker in status["workers"]), "a leader")
    assert host.stop() == 0
    assert "leader_changed" not in host.log()
