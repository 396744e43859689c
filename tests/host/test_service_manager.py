"""A host under a service manager that receives notifications, watches it and passes sockets."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clients import answers
from reactorhost.testing import HostFailedError, LiveHost
from service_managers import ServiceManager

Hosts = Callable[..., LiveHost]

SHOWS_VARIABLES = """
import json, os

@hookimpl
def receive(connection, data):
    names = [name for name in os.environ if name.startswith(("NOTIFY", "WATCHDOG", "LISTEN"))]
    connection.send(json.dumps(names).encode())
"""


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ServiceManager]:
    with ServiceManager(tmp_path / "notify") as manager:
        yield manager


def test_start_reload_and_stop_are_notified(live_host: Hosts, manager: ServiceManager) -> None:
    environment = {**manager.environment, "WATCHDOG_USEC": "400000"}
    host = live_host("--plugin", "echo", "--workers", "2", environment=environment)
    first = manager.until_key("MAINPID")
    assert first["MAINPID"] == str(host.pid)
    manager.until_key("READY")
    manager.until_key("STATUS", "Serving: 2 workers ready, 0 connections")
    manager.until_key("WATCHDOG", "1")
    with host.connect() as client:
        assert answers(client)
        manager.until_key("STATUS", "Serving: 2 workers ready, 1 connection")
    host.signal(signal.SIGHUP)
    assert int(manager.until_key("RELOADING")["MONOTONIC_USEC"]) > 0
    manager.until_key("READY")
    assert host.status()["generation"] == 2
    assert host.stop() == 0
    manager.until_key("STOPPING")
    assert manager.keys() == ["READY", "RELOADING", "READY", "STOPPING"]


def test_a_start_that_fails_says_why_in_its_status(live_host: Hosts, manager: ServiceManager, tmp_path: Path) -> None:
    with pytest.raises(HostFailedError):
        live_host("--plugin", "echo", "--listen", f"unix://{tmp_path}/none/sock", environment=manager.environment)
    status = manager.until_key("STATUS")["STATUS"]
    assert status == f"the folder {tmp_path}/none of unix://{tmp_path}/none/sock does not exist"


def test_workers_do_not_have_the_variables(
    live_host: Hosts, manager: ServiceManager, write_plugin: Callable[..., str]
) -> None:
    environment = {**manager.environment, "WATCHDOG_USEC": "60000000", "LISTEN_FDS": "1", "LISTEN_PID": "1"}
    host = live_host("--plugin", write_plugin(SHOWS_VARIABLES), environment=environment)
    with host.connect() as client:
        client.sendall(b"show")
        assert client.recv(1000) == b"[]"
    manager.until_key("READY")


def test_a_host_outlives_its_service_manager(live_host: Hosts, manager: ServiceManager) -> None:
    host = live_host("--plugin", "echo", environment=manager.environment)
    manager.until_key("READY")
    manager.path.unlink()
    manager.close()
    with host.connect() as client:
        host.wait_for_log("service_manager_lost")
        assert answers(client)
    assert host.log().count("service_manager_lost") == 1
