"""A host under a service manager that receives notifications, watches it and passes sockets."""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clients import answers
from kernel import open_files
from reactorhost.testing import DEADLINE_SECONDS, HostFailedError, LiveHost
from service_managers import ActivatedHost, ServiceManager

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
    assert "systemctl" in host.banner[-1], "Ctrl-C and reactorhost stop are not how a unit is stopped"
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
    refused = host.command("restart")
    assert (refused.returncode, "systemctl restart" in refused.stderr) == (1, True)
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


# Sockets that are passed.

Activate = Callable[..., ActivatedHost]


@pytest.fixture
def activate(tmp_path: Path) -> Iterator[Activate]:
    """Return a function that starts a host which is passed these sockets by name."""
    hosts: list[ActivatedHost] = []

    def start(
        passed: dict[str, Any] | list[tuple[int, str]], *arguments: str, environment: dict[str, str] | None = None
    ) -> ActivatedHost:
        descriptors = [(sock.fileno(), name) for name, sock in passed.items()] if isinstance(passed, dict) else passed
        directory = tmp_path / f"activated{len(hosts)}"
        hosts.append(ActivatedHost(directory, descriptors, *arguments, environment=environment))
        hosts[-1].start()
        return hosts[-1]

    yield start
    for host in hosts:
        host.end()


def test_clients_of_a_passed_socket_wait_there_while_no_host_runs(activate: Activate) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        address = f"tcp://127.0.0.1:{port}"
        with socket.create_connection(("127.0.0.1", port)) as early:
            # Before it listens for the first time; by address, and by name after a restart.
            first = activate({"web": listener}, "--plugin", "echo", "--workers", "2", "--listen", address)
            assert answers(early)
        assert first.status()["services"][0]["addresses"] == [address]
        assert first.stop() == 0
        with socket.create_connection(("127.0.0.1", port)) as between:
            activate({"web": listener}, "--plugin", "echo", "--workers", "2", "--listen", "fd://web")
            assert answers(between)


def test_every_worker_accepts_from_a_passed_socket_also_after_a_reload(activate: Activate) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host = activate({"web": listener}, "--plugin", "echo", "--workers", "2", "--listen", "fd://web")
        assert host.command("reload").returncode == 0
        host.until(lambda status: len(status["workers"]) == 2, "the end of the old workers")
        for worker in host.workers():
            # Then only the other one can accept.
            os.kill(worker["pid"], signal.SIGSTOP)
            try:
                with socket.create_connection(listener.getsockname(), DEADLINE_SECONDS) as client:
                    assert answers(client)
            finally:
                os.kill(worker["pid"], signal.SIGCONT)


def test_passed_unix_and_udp_sockets_are_served_and_stay(activate: Activate, tmp_path: Path) -> None:
    path = tmp_path / "passed.sock"
    with socket.socket(socket.AF_UNIX) as unix, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        unix.bind(str(path))
        unix.listen()
        udp.bind(("127.0.0.1", 0))
        listen = ("--listen", f"unix://{path}", "--listen", "fd://datagrams")
        host = activate({"a": unix, "datagrams": udp}, "--plugin", "echo", "--workers", "2", *listen)
        with socket.socket(socket.AF_UNIX) as client, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            client.connect(str(path))
            assert answers(client)
            sender.settimeout(20)
            sender.sendto(b"one", udp.getsockname())
            assert sender.recvfrom(100) == (b"one", udp.getsockname())
        assert host.command("reload").returncode == 0
        assert host.stop() == 0
        assert path.exists(), "it belongs to the service manager"
    assert "socket_not_used" not in host.log()


def test_what_is_passed_and_not_used_is_logged_and_closed(activate: Activate) -> None:
    reader, writer = os.pipe()
    with socket.create_server(("127.0.0.1", 0)) as listener, os.fdopen(writer, "wb"), os.fdopen(reader, "rb") as pipe:
        passed: dict[str, Any] = {"spare": listener, "pipe": pipe}
        host = activate(passed, "--plugin", "echo", "--listen", "tcp://127.0.0.1:0")
        host.wait_for_log('socket=pipe address="not a listening socket"')
        address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        assert f"socket_not_used master={host.pid} descriptor=3 socket=spare address={address}" in host.log()
        assert f"socket:[{os.fstat(listener.fileno()).st_ino}]" not in open_files(host.pid).values()


@pytest.mark.parametrize(
    ("listen", "error"),
    [
        ("fd://other", "no socket fd://other was passed to the host\n  hint: passed are: web, pipe"),
        ("fd://pipe", "fd://pipe is not a listening socket\n  hint: use ListenStream= or ListenDatagram="),
    ],
)
def test_a_start_names_what_was_not_passed(activate: Activate, listen: str, error: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as pipe:
        with pytest.raises(HostFailedError) as caught:
            activate({"web": listener, "pipe": pipe}, "--plugin", "echo", "--listen", listen)
        assert f"service 'default': {error}" in caught.value.text


# Sockets that are stored.


def wait_until_ended(pids: list[int]) -> None:
    """Wait until processes have ended that are not children of this one."""
    for pid in pids:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        assert select.select([descriptor], (), (), DEADLINE_SECONDS)[0]
        os.close(descriptor)


@pytest.fixture
def storing(manager: ServiceManager) -> dict[str, str]:
    """Return the variables for a host whose sockets the service manager keeps."""
    return {**manager.environment, "FDSTORE": "64"}


def stored(manager: ServiceManager) -> list[tuple[int, str]]:
    """Return the descriptors that the service manager keeps, with their names."""
    return [(descriptor, name) for name, descriptors in manager.stored.items() for descriptor in descriptors]


@pytest.mark.parametrize("workers", ["3", "2", "1"], ids=["more", "as many", "fewer"])
def test_clients_wait_in_the_queues_of_a_killed_master(
    live_host: Hosts,
    activate: Activate,
    manager: ServiceManager,
    storing: dict[str, str],
    killed_masters: list[LiveHost],
    tmp_path: Path,
    workers: str,
) -> None:
    listen = ("--listen", "tcp://127.0.0.1:0", "--listen", f"unix://{tmp_path}/echo.sock", "--retire-delay", "0")
    first = live_host("--plugin", "echo", "--workers", "2", *listen, environment=storing)
    killed_masters.append(first)
    manager.until_key("READY")
    address = first.address()
    assert len(stored(manager)) == 2 + 1 + 1
    pids = [worker["pid"] for worker in first.workers()]
    first.signal(signal.SIGKILL)
    first.wait()
    wait_until_ended(pids)
    clients = [socket.create_connection(address) for _ in range(20)]
    with socket.socket(socket.AF_UNIX) as local:
        local.connect(f"{tmp_path}/echo.sock")
        second = activate(stored(manager), "--plugin", "echo", "--workers", workers, *listen, environment=storing)
        assert second.address() == address
        assert all(answers(client) for client in [*clients, local])
        for client in clients:
            client.close()
    assert "stored_sockets_dropped" not in second.log()
    manager.until_key("READY")
    second.until(lambda status: len(status["slots"]) == int(workers), "no slot that leaves")
    assert second.stop() == 0
    manager.until_key("STOPPING")
    assert len(stored(manager)) == int(workers) + 1 + 1


def test_a_restart_without_an_address_drops_its_sockets(
    live_host: Hosts, activate: Activate, manager: ServiceManager, storing: dict[str, str]
) -> None:
    first = live_host("--plugin", "echo", "--workers", "2", environment=storing)
    manager.until_key("READY")
    kept, port = stored(manager), first.address()[1]
    assert first.stop() == 0
    manager.until_key("STOPPING")
    assert stored(manager) == kept
    # It would not be free without them.
    second = activate(kept, "--plugin", "echo", "--listen", f"tcp://127.0.0.2:{port}", environment=storing)
    second.wait_for_log("stored_sockets_dropped")
    manager.until_key("READY")
    assert not {name for _, name in kept if name != "rh-description"} & {name for _, name in stored(manager)}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_slots_that_are_added_and_removed_are_stored_and_dropped(
    live_host: Hosts, manager: ServiceManager, storing: dict[str, str]
) -> None:
    host = live_host("--plugin", "echo", "--workers", "1", "--retire-delay", "0", environment=storing)
    manager.until_key("READY")
    before = set(stored(manager))
    assert host.command("scale", "2").returncode == 0
    manager.until_key("STATUS", "Serving: 2 workers ready, 0 connections")
    assert len(stored(manager)) == len(before) + 1
    assert host.command("scale", "1").returncode == 0
    manager.until_key("FDSTOREREMOVE")
    assert set(stored(manager)) == before


def test_a_store_that_is_full_is_logged(live_host: Hosts, manager: ServiceManager, storing: dict[str, str]) -> None:
    host = live_host("--plugin", "echo", "--workers", "3", environment={**storing, "FDSTORE": "3"})
    manager.until_key("STATUS", "Serving: 3 workers ready, 0 connections")
    assert len(stored(manager)) == 3
    host.wait_for_log("socket_store_full")
    assert host.log().count("socket_store_full") == 1


def test_the_next_program_of_the_master_notifies_and_stores(
    live_host: Hosts, manager: ServiceManager, storing: dict[str, str]
) -> None:
    host = live_host("--plugin", "echo", "--workers", "2", environment={**storing, "WATCHDOG_USEC": "400000"})
    manager.until_key("READY")
    names = set(manager.stored)
    assert host.command("upgrade").returncode == 0
    manager.until_key("MAINPID", str(host.pid))
    manager.until_key("RELOADING")
    manager.until_key("READY")
    manager.until_key("WATCHDOG")
    assert set(manager.stored) == names
    assert host.stop() == 0
    manager.until_key("STOPPING")
    assert manager.keys() == ["READY", "RELOADING", "READY", "STOPPING"]
