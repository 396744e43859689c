"""What a host has goes on under the next program: clients, the bus, the leader, counters, probes, notifications."""

from __future__ import annotations

import json
import signal
import socket
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clients import answers
from installations import Installation
from kernel import open_files
from line_clients import LineClient
from pki import Pki
from reactorhost.ipc.control_client import CONTROL_SOCKET
from reactorhost.testing import DEADLINE_SECONDS, LiveHost
from service_managers import ServiceManager
from waiting import all_end

Hosts = Callable[..., LiveHost]

CHAT = """
import os
from reactorhost.framing import Lines

@hookimpl
def framing(service):
    return Lines()

@hookimpl
def worker_start(worker):
    global this, said
    this, said = worker, worker.shared_counter("said")

@hookimpl
def leader_start(worker):
    pass

@hookimpl
def connect(connection):
    connection.join("all")

@hookimpl
def receive(connection, data):
    said.add()
    this.send_to("all", data)
"""


def said(host: LiveHost) -> Any:
    return host.status()["plugins"][0]["stats"]["said"]


def test_clients_and_what_workers_share_go_on(
    live_host: Hosts, write_plugin: Callable[..., str], tmp_path: Path
) -> None:
    pki = Pki(tmp_path)
    pki.issue("host", "localhost")
    flags = ("--plugin", write_plugin(CHAT), "--workers", "2", "--admin", "tcp://127.0.0.1:0")
    host = live_host(*flags, *pki.arguments("host"))
    other = Installation(tmp_path / "other", "0.1.7")
    (admin,) = host.status()["admin"]
    probe = f"http{admin.removeprefix('tcp')}/readyz"
    with LineClient(pki.connect(host)) as old, socket.socket(socket.AF_UNIX) as control:
        assert old.request("first") == "first"
        host.until(lambda status: status["bus"] and said(host) == 1)
        control.settimeout(DEADLINE_SECONDS)
        control.connect(str(host.run_dir / CONTROL_SOCKET))
        control.sendall(b'{"verb": "pi')
        upgraded = other.upgrade(host)
        assert upgraded.returncode == 0, upgraded.stderr
        # The end of a request whose begin the program before has received.
        control.sendall(b'ng"}\n')
        assert json.loads(control.makefile().readline())["status"] == 0
        with LineClient(pki.connect(host)) as new:
            # Over the links between workers that two programs have started.
            new.send("second")
            assert (old.line(), new.line()) == ("second", "second")
            old.send("third")
            assert (old.line(), new.line()) == ("third", "third")
            document = host.until(lambda status: said(host) == 3)
    assert sum(worker["leader"] for worker in document["workers"]) == 1
    assert document["admin"] == [admin]
    with urllib.request.urlopen(probe, timeout=DEADLINE_SECONDS) as response:
        assert response.status == 200


def test_a_service_manager_is_notified_of_a_reload_by_the_next_program(live_host: Hosts, tmp_path: Path) -> None:
    with ServiceManager(tmp_path / "notify") as manager:
        host = live_host("--plugin", "echo", "--workers", "1", environment=manager.environment)
        manager.until_key("READY")
        host.signal(signal.SIGUSR2)
        manager.until_key("RELOADING")
        manager.until_key("READY")
        assert host.status()["generation"] == 2
        assert host.stop() == 0
        manager.until_key("STOPPING")


def test_workers_leave_if_the_next_program_is_killed(
    live_host: Hosts, killed_masters: list[LiveHost], tmp_path: Path
) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    killed_masters.append(host)
    assert host.command("upgrade").returncode == 0
    pids = [worker["pid"] for worker in host.workers()]
    host.signal(signal.SIGKILL)
    assert all_end(pids, DEADLINE_SECONDS)
    assert host.wait() == -signal.SIGKILL


def test_upgrades_leave_no_descriptor_and_no_memory_behind(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    held: list[tuple[int, list[str]]] = []
    for _ in range(3):
        assert host.command("upgrade").returncode == 0
        host.until(lambda status: len(status["workers"]) == 2)
        links = open_files(host.pid).values()
        files = [each for each in links if not each.startswith("socket:")]
        held.append((len(links) - len(files), sorted(files)))
    assert held[0][1] == held[1][1] == held[2][1]
    # A client of the control socket may just have gone.
    assert held[2][0] <= held[0][0] + 1
    assert "file_restored" not in host.log()
    (worker, _) = host.workers()
    assert not [
        each
        for each in open_files(worker["pid"]).values()
        if each.startswith("/memfd:upgrade") or each.endswith("/lock")
    ]
    with host.connect() as client:
        assert answers(client)
