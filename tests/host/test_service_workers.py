"""Services with fewer workers than the host: one worker has all state, and no client is lost or served by another."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from datagrams import CountingClients, udp_addresses, udp_client
from load import Load
from pki import Pki
from reactorhost.testing import DEADLINE_SECONDS, LiveHost

Hosts = Callable[..., LiveHost]
Plugins = Callable[..., str]
Connect = Callable[[LiveHost], socket.socket]

COUNTER = """
import os

count = 0

@hookimpl
def receive(connection, data):
    global count
    count += 1
    connection.send(f"{count} {os.getpid()}".encode())
"""
ECHO = "@hookimpl\ndef receive(connection, data): connection.send(data)\n"


def most(workers: int | None) -> str:
    """Return the hook that declares a number of workers."""
    return f"@hookimpl\ndef service_workers(service): return {workers}\n"


class Clients:
    """Clients of the counter, each with a connection of its own."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def ask(self, host: LiveHost) -> tuple[int, int]:
        """Send one message; returns the count that it is answered with, and the worker's process id."""
        with self._connect(host) as client:
            client.send(b"INCR n")
            count, pid = client.recv(100).split()
            return int(count), int(pid)

    def in_sequence(self, host: LiveHost, clients: int) -> list[int]:
        """Return the counts that clients are answered with, one after the other."""
        return [self.ask(host)[0] for _ in range(clients)]

    @contextmanager
    def at_once(self, host: LiveHost, clients: int) -> Iterator[Callable[[], tuple[list[int], set[int]]]]:
        """Send messages at once; yields a function that waits for the answers: sorted counts, and process ids."""
        with ThreadPoolExecutor(clients) as threads:
            answers = [threads.submit(self.ask, host) for _ in range(clients)]

            def collect() -> tuple[list[int], set[int]]:
                counts, pids = zip(*(each.result() for each in answers), strict=True)
                return sorted(counts), set(pids)

            yield collect


def reload(host: LiveHost) -> None:
    answer = host.command("reload")
    assert answer.returncode == 0, answer.stderr


def pid_of_slot_0(host: LiveHost) -> int:
    pid: int = host.workers()[0]["pid"]
    return pid


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    pki = Pki(tmp_path_factory.mktemp("pki"))
    pki.issue("server", "localhost")
    return pki


@pytest.fixture(params=["tcp", "tls", "udp", "unix"])
def service(request: pytest.FixtureRequest, tmp_path: Path, pki: Pki) -> tuple[tuple[str, ...], Clients]:
    """Return the arguments that make a service listen on a scheme, and clients of it."""
    path = f"{tmp_path}/s.sock"
    local = "127.0.0.1:0"
    services: dict[str, tuple[tuple[str, ...], Connect]] = {
        "tcp": (("--listen", f"tcp://{local}"), LiveHost.connect),
        "tls": (("--listen", f"tls://{local}", *pki.arguments("server")), pki.connect),
        "udp": (("--listen", f"udp://{local}"), lambda host: udp_client(udp_addresses(host)[0])),
        "unix": (("--listen", f"unix://{path}"), lambda host: unix_client(path)),
    }
    listen, connect = services[request.param]
    return listen, Clients(connect)


def unix_client(path: str) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(DEADLINE_SECONDS)
    client.connect(path)
    return client


def test_one_worker_counts_for_all_clients_also_after_a_reload(
    live_host: Hosts, write_plugin: Plugins, service: tuple[tuple[str, ...], Clients]
) -> None:
    listen, clients = service
    host = live_host("--plugin", write_plugin(COUNTER + most(1)), "--workers", "3", *listen)
    assert clients.in_sequence(host, 8) == [1, 2, 3, 4, 5, 6, 7, 8]
    with clients.at_once(host, 8) as answers:
        assert answers() == (list(range(9, 17)), {pid_of_slot_0(host)})
    reload(host)
    # Another process, and its memory is empty.
    assert clients.in_sequence(host, 8) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_clients_wait_for_the_next_worker_of_their_slot_and_no_other_one_serves_them(
    live_host: Hosts,
    write_plugin: Plugins,
    service: tuple[tuple[str, ...], Clients],
    expected_errors: list[str],
) -> None:
    expected_errors.append("worker_crashed")
    listen, clients = service
    host = live_host("--plugin", write_plugin(COUNTER + most(1)), "--workers", "2", *listen)
    pid = pid_of_slot_0(host)
    assert clients.in_sequence(host, 2) == [1, 2]
    os.kill(pid, signal.SIGSTOP)
    with clients.at_once(host, 5) as answers:
        host.wait_for_log(" worker_blocked ")
        assert host.status()["slots"][0]["adopted_by"] is None
        os.kill(pid, signal.SIGKILL)
        counts, pids = answers()
    assert counts == [1, 2, 3, 4, 5], "the state of the worker that was killed is gone"
    assert pids == {pid_of_slot_0(host)} != {pid}


def test_reloads_of_a_service_with_one_worker_lose_no_connection(
    live_host: Hosts, write_plugin: Plugins, tmp_path: Path, soak: bool, measurement: Callable[[str], None]
) -> None:
    path = f"{tmp_path}/s.sock"
    listen = ("--listen", "tcp://127.0.0.1:0", "--listen", f"unix://{path}")
    host = live_host("--plugin", write_plugin(ECHO + most(1)), "--workers", "3", *listen)
    with Load(host.address(), path) as load:
        for _ in range(50 if soak else 4):
            load.more(100)
            reload(host)
        count = load.stop()
    measurement(f"{count.answered} connections answered in {count.seconds:.1f} s, failures {count.failures}")
    assert count.failures == {}, count
    assert [worker["accepted"] for worker in host.workers()][1:] == [0, 0]


def test_scaling_keeps_the_number_of_a_service(live_host: Hosts, write_plugin: Plugins) -> None:
    host = live_host("--plugin", write_plugin(ECHO), "--workers", "4", "--service-workers", "2", "--retire-delay", "0")
    with Load(host.address()) as load:
        for workers, serving in ((1, 1), (4, 2), (2, 2), (1, 1), (4, 2)):
            assert host.ask("scale", workers=workers)["status"] == 0
            status = host.until(lambda status: all(slot["state"] == "ready" for slot in status["slots"]))
            assert status["services"][0]["workers"] == serving
            assert status["max_connections"] == status["services"][0]["max_connections"] == serving * 65536
            assert [each["sockets"] for each in status["listeners"]] == [serving]
            load.more(100)
        host.until(lambda status: [each["accepted"] > 0 for each in status["workers"]] == [True, True, False, False])
        assert load.stop().failures == {}


def test_the_limit_of_a_plugin_holds_and_is_reported(live_host: Hosts, write_plugin: Plugins) -> None:
    arguments = ("--plugin", write_plugin(COUNTER + most(2), "chat"), "--service-workers", "3", "--workers", "4")
    sentence = "service 'default' is served by 2 of 4 workers: plugin chat allows no more"
    host = live_host(*arguments)
    assert f"  limited    {sentence}" in host.banner
    assert "service=default workers=2 plugin=chat" in host.wait_for_log(" service_workers_limited ")
    (service,) = host.status()["services"]
    assert (service["workers"], service["limited_by"], service["max_connections"]) == (2, "chat", 131072)
    assert "  2 of 4 workers" in host.command("status").stdout
    checked = host.command("check", *arguments)
    assert (checked.returncode, checked.stderr) == (0, f"reactorhost: warning: {sentence}\n")


def test_each_service_of_a_host_has_its_number(
    live_host: Hosts, write_plugin: Plugins, tmp_path: Path, expected_errors: list[str]
) -> None:
    expected_errors.append("worker_crashed")
    config = tmp_path / "host.toml"
    plugins = write_plugin(COUNTER), write_plugin(COUNTER, "other")
    config.write_text(
        f'[service.one]\nlisten = "tcp://127.0.0.1:0"\nplugins = "{plugins[0]}"\nworkers = 1\n'
        f'[service.all]\nlisten = "tcp://127.0.0.1:0"\nplugins = "{plugins[1]}"\n'
    )
    host = live_host("--config", str(config), "--workers", "3")
    one, every = Clients(lambda host: host.connect("one")), Clients(lambda host: host.connect("all"))
    pids = {worker["pid"] for worker in host.workers()}
    host.until(lambda _: {every.ask(host)[1] for _ in range(30)} == pids, "an answer of every worker")
    assert one.in_sequence(host, 8) == [1, 2, 3, 4, 5, 6, 7, 8]
    pid = pid_of_slot_0(host)
    os.kill(pid, signal.SIGSTOP)
    with one.at_once(host, 3) as answers:
        # Those of the other service are adopted, without the limited one.
        assert host.until(lambda status: status["slots"][0]["adopted_by"] is not None)
        assert pid not in {every.ask(host)[1] for _ in range(30)}
        os.kill(pid, signal.SIGKILL)
        assert answers() == ([1, 2, 3], {pid_of_slot_0(host)})
    config.write_text(config.read_text().replace("workers = 1", "workers = 2"))
    host.signal(signal.SIGHUP)
    host.until(lambda status: status["generation"] == 2 and not status["reloading"])
    pids = {worker["pid"] for worker in host.workers()[:2]}
    host.until(lambda _: {one.ask(host)[1] for _ in range(20)} == pids, "answers of two workers")


def test_a_reload_with_another_number_loses_no_connection(
    live_host: Hosts, write_plugin: Plugins, tmp_path: Path
) -> None:
    path = f"{tmp_path}/s.sock"
    listen = ("--listen", "tcp://127.0.0.1:0", "--listen", f"unix://{path}", "--listen", "udp://127.0.0.1:0")
    plugin = write_plugin(ECHO)
    host = live_host("--plugin", plugin, "--workers", "4", "--retire-delay", "0.2", *listen)

    def rests(status: dict[str, Any]) -> bool:
        states = [slot["state"] for slot in status["slots"]]
        return states == ["ready"] * 4 and all(worker["state"] == "ready" for worker in status["workers"])

    def all_served(serving: int, status: dict[str, Any]) -> bool:
        # Counters are up to a quarter of a second old.
        counts = [worker["messages"] for worker in status["workers"]]
        return sum(counts) > 400 and all(counts[:serving])

    with Load(host.address(), path) as load, CountingClients(udp_addresses(host)[0]) as datagrams:
        for declared in (1, 3, 2, None):
            load.more(100)
            datagrams.more(100)
            write_plugin(ECHO + most(declared))
            reload(host)
            status = host.until(rests, "the end of the slots that left")
            serving = declared or 4
            assert status["services"][0]["workers"] == serving
            for scheme in ("tcp", "udp"):
                rows = [each for each in status["listeners"] if each["address"].startswith(scheme)]
                assert [each["sockets"] for each in rows] == [serving]
            load.more(300)
            datagrams.more(300)
            served = {each["slot"] for each in host.until(partial(all_served, serving))["workers"] if each["messages"]}
            assert served == {*range(serving)}
        assert load.stop().failures == {}
        assert datagrams.lost() == []
