"""No operation on a running host loses a connection: none is refused, reset or left without an answer."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Callable
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest

from kernel import queues
from load import Count, Load
from plugin_files import plugin_file
from reactorhost.testing import DEADLINE_SECONDS, LiveHost
from waiting import until

Hosts = Callable[..., LiveHost]
Verdict = Callable[[LiveHost, Count], None]


@pytest.fixture
def nothing_lost(measurement: Callable[[str], None]) -> Verdict:
    """Check that a load had no failure, and record its size."""

    def hold(host: LiveHost, count: Count) -> None:
        measurement(f"{count.answered} connections answered in {count.seconds:.1f} s, failures {count.failures}")
        assert count.answered > 0
        assert count.failures == {}, f"{count}\n{host.log()}"

    return hold


def reload(host: LiveHost, *, by_signal: bool) -> None:
    before = host.status()["generation"]
    if by_signal:
        host.signal(signal.SIGUSR1)
    else:
        answer = host.command("reload")
        assert answer.returncode == 0, answer.stderr
    host.until(lambda status: status["generation"] > before and not status["reloading"], "the end of a reload")


def scale(host: LiveHost, workers: int) -> None:
    assert host.ask("scale", workers=workers)["status"] == 0


def terminate(host: LiveHost, slot: int) -> None:
    pid = next(worker["pid"] for worker in host.workers() if worker["slot"] == slot)
    os.kill(pid, signal.SIGTERM)
    host.until(
        lambda status: any(
            worker["slot"] == slot and worker["state"] == "ready" and worker["pid"] != pid
            for worker in status["workers"]
        ),
        "a worker that replaces one that was terminated",
    )


def test_reloads_lose_no_connection(live_host: Hosts, soak: bool, nothing_lost: Verdict) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    reloads = 100 if soak else 10
    with Load(host.address()) as load:
        for number in range(reloads):
            load.more(100)
            reload(host, by_signal=number % 2 == 0)
        nothing_lost(host, load.stop())
    assert host.status()["generation"] == 1 + reloads


def test_workers_that_reach_a_limit_are_replaced_without_loss(
    live_host: Hosts, soak: bool, nothing_lost: Verdict
) -> None:
    host = live_host("--plugin", "echo", "--workers", "2", "--max-connections-per-worker", "50")
    first = {worker["pid"] for worker in host.workers()}
    with Load(host.address()) as load:
        for number in range(1, 101 if soak else 4):
            host.until(partial(was_replaced, number), f"replacement {number}")
        nothing_lost(host, load.stop())
    assert first != {worker["pid"] for worker in host.workers()}
    assert "worker_recycled" in host.log()
    assert all(slot["restarts"] == 0 for slot in host.status()["slots"])


def was_replaced(times: int, status: dict[str, Any]) -> bool:
    recycled: int = status["recycled"]["max_connections_per_worker"]
    return recycled >= times


PROTOCOL = """
import asyncio

class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)

@hookimpl
def protocol(service):
    return Echo
"""

STREAMS = """
@hookimpl
async def stream_handler(reader, writer):
    while data := await reader.read(4096):
        writer.write(data)
        await writer.drain()
"""


@pytest.mark.parametrize("source", [PROTOCOL, STREAMS], ids=["protocol", "streams"])
def test_reloads_lose_no_connection_of_asyncio_code(
    live_host: Hosts, tmp_path: Path, soak: bool, nothing_lost: Verdict, source: str
) -> None:
    host = live_host("--plugin", plugin_file(tmp_path, "served", source), "--workers", "2")
    with Load(host.address()) as load:
        for number in range(50 if soak else 3):
            load.more(100)
            reload(host, by_signal=number % 2 == 0)
        nothing_lost(host, load.stop())


def test_reload_of_a_single_worker_loses_no_connection(live_host: Hosts, soak: bool, nothing_lost: Verdict) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    with Load(host.address()) as load:
        for number in range(50 if soak else 4):
            load.more(100)
            reload(host, by_signal=number % 2 == 0)
        nothing_lost(host, load.stop())


def test_scaling_up_and_down_loses_no_connection(live_host: Hosts, soak: bool, nothing_lost: Verdict) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    with Load(host.address()) as load:
        for workers in islice(cycle([4, 1, 3, 2, 5, 1]), 60 if soak else 6):
            scale(host, workers)
            load.more(200)
        nothing_lost(host, load.stop())
    assert [slot["slot"] for slot in host.status()["slots"] if slot["state"] != "leaving"] == [0]


def test_growing_and_shrinking_by_signal_loses_no_connection(live_host: Hosts, nothing_lost: Verdict) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    with Load(host.address()) as load:
        for number, workers in ((signal.SIGTTIN, 2), (signal.SIGTTIN, 3), (signal.SIGTTOU, 2), (signal.SIGTTOU, 1)):
            host.signal(number)
            host.wait_for_log(f"scaling master={host.pid} workers={workers} ")
            host.until(lambda status: status["workers_ready"] == status["workers_wanted"])
            load.more(200)
        nothing_lost(host, load.stop())


def test_terminating_single_workers_loses_no_connection(live_host: Hosts, soak: bool, nothing_lost: Verdict) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    with Load(host.address()) as load:
        for slot in islice(cycle([0, 1]), 60 if soak else 6):
            load.more(100)
            terminate(host, slot)
        nothing_lost(host, load.stop())


def test_terminating_the_only_worker_loses_no_connection(live_host: Hosts, nothing_lost: Verdict) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    with Load(host.address()) as load:
        for _ in range(3):
            load.more(100)
            terminate(host, 0)
        nothing_lost(host, load.stop())


def test_term_to_worker_and_master_loses_no_client_that_waits(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    address = host.address()
    (worker,) = host.workers()
    os.kill(worker["pid"], signal.SIGSTOP)
    # More than the worker accepts in one turn.
    clients = [socket.create_connection(address, timeout=DEADLINE_SECONDS) for _ in range(100)]
    try:
        for client in clients:
            client.sendall(b"x")
        # As systemd and `tini -g` do. The worker is first: it cannot know that the master will get the signal too.
        host.signal(signal.SIGSTOP)
        os.kill(worker["pid"], signal.SIGTERM)
        os.kill(worker["pid"], signal.SIGCONT)
        host.signal(signal.SIGTERM)
        assert [client.recv(1) for client in clients] == [b"x"] * 100
        host.signal(signal.SIGCONT)
    finally:
        for client in clients:
            client.close()
    assert host.wait() == 0


def test_all_operations_at_once_lose_no_connection(
    live_host: Hosts, soak: bool, nothing_lost: Verdict, expected_errors: list[str]
) -> None:
    # A worker that is superseded while it boots has little time to leave. It has no client, and none waits for it.
    expected_errors.append("worker_killed")
    host = live_host("--plugin", "echo", "--workers", "2", "--retire-delay", "0.3")
    with Load(host.address()) as load:
        for workers in islice(cycle([3, 1, 4, 2]), 60 if soak else 4):
            for worker in host.workers():
                os.kill(worker["pid"], signal.SIGTERM)
            host.signal(signal.SIGUSR1)
            scale(host, workers)
            host.signal(signal.SIGUSR1)
            load.more(200)
            host.until(lambda status: not status["reloading"] and status["workers_ready"] == status["workers_wanted"])
        nothing_lost(host, load.stop())


def test_several_services_lose_no_connection(live_host: Hosts, tmp_path: Path, nothing_lost: Verdict) -> None:
    path = tmp_path / "socket"
    addresses = ["tcp://127.0.0.1:0", f"unix://{path}"]
    if has_ipv6():
        addresses.append("tcp://[::1]:0")
    config = tmp_path / "host.toml"
    config.write_text(
        f'[service.first]\nlisten = {addresses}\nplugins = ["echo"]\n'
        '[service.second]\nlisten = "tcp://127.0.0.1:0"\nplugins = ["echo"]\n'
    )
    host = live_host("--config", str(config), "--workers", "2")
    bound = [address for service in host.status()["services"] for address in service["addresses"]]
    with Load(*(target(address) for address in bound)) as load:
        reload(host, by_signal=True)
        scale(host, 3)
        load.more(200)
        terminate(host, 1)
        scale(host, 1)
        load.more(200)
        reload(host, by_signal=False)
        nothing_lost(host, load.stop())


def test_a_slot_that_left_is_closed_without_losing_a_connection(
    live_host: Hosts, soak: bool, nothing_lost: Verdict
) -> None:
    host = live_host("--plugin", "echo", "--workers", "1", "--retire-delay", "0.3")
    port = host.address()[1]
    with Load(host.address()) as load:
        for number in range(1, 20 if soak else 4):
            scale(host, 3)
            load.more(100)
            assert len(queues(port)) == 3
            scale(host, 1)
            log = host.wait_for_log("slot_retired", 2 * number)
            assert "steering_refused" not in log
            until(lambda: len(queues(port)) == 1, "the end of the listeners of slots that left")
            load.more(100)
        nothing_lost(host, load.stop())


@pytest.mark.parametrize("retired", [False, True], ids=["before it is closed", "after it was closed"])
def test_a_slot_that_left_can_be_reused(live_host: Hosts, retired: bool, nothing_lost: Verdict) -> None:
    host = live_host("--plugin", "echo", "--workers", "2", "--retire-delay", "0.2" if retired else "60")
    with Load(host.address()) as load:
        scale(host, 1)
        if retired:
            host.wait_for_log("slot_retired")
        load.more(100)
        scale(host, 2)
        fresh = next(worker["pid"] for worker in host.workers() if worker["slot"] == 1)
        load.more(400)
        nothing_lost(host, load.stop())
    host.until(
        lambda status: any(worker["pid"] == fresh and worker["accepted"] > 50 for worker in status["workers"]),
        "its share of the connections for the slot that came back",
    )


STUCK = """
from pathlib import Path

slot = None

def wait_for_release():
    with open(Path(__file__).with_name("release")):
        pass

@hookimpl
def worker_start(worker):
    global slot
    slot = worker.slot
    if Path(__file__).with_name("boot-waits").exists() and slot == 1:
        wait_for_release()

@hookimpl
def receive(connection, data):
    if data == b"which?":
        connection.send(b"%d" % slot)
    elif data == b"wait":
        wait_for_release()
    else:
        connection.send(data)
"""


@pytest.mark.parametrize("stuck", ["in its boot", "in a hook"])
def test_a_slot_is_not_closed_while_a_stuck_worker_has_its_listeners(
    live_host: Hosts, tmp_path: Path, nothing_lost: Verdict, stuck: str, expected_errors: list[str]
) -> None:
    expected_errors.append("worker_killed")
    plugin = plugin_file(tmp_path, "stuck", STUCK)
    release = tmp_path / "release"
    os.mkfifo(release)
    host = live_host("--plugin", plugin, "--workers", "2", "--retire-delay", "0.2")
    second = next(worker["pid"] for worker in host.workers() if worker["slot"] == 1)
    clients = [host.connect()]
    try:
        if stuck == "in its boot":
            (tmp_path / "boot-waits").touch()
            os.kill(second, signal.SIGTERM)
            host.until(lambda status: any(worker["state"] == "starting" for worker in status["workers"]))
        else:
            while reply_to(clients[-1], b"which?") != b"1":
                clients.append(host.connect())
            clients[-1].sendall(b"wait")
        with Load(host.address(), in_flight=8) as load:
            scale(host, 1)
            load.more(200)
            host.until(lambda status: not any(slot["adopted_by"] is None and slot["slot"] for slot in status["slots"]))
            load.more(2000)
            unblock(release)
            host.wait_for_log("slot_retired")
            load.more(200)
            nothing_lost(host, load.stop())
    finally:
        for client in clients:
            client.close()


def reply_to(client: socket.socket, question: bytes) -> bytes:
    client.sendall(question)
    return client.recv(100)


def unblock(fifo: Path) -> None:
    """Release a process that blocks in opening a pipe for reading, if it still runs."""
    with contextlib.suppress(OSError):
        os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))


def test_new_connections_are_steered_past_a_slot_that_leaves(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "3")
    scale(host, 2)
    host.until(lambda status: len(status["workers"]) == 2)
    before = sum(worker["accepted"] for worker in host.workers())
    address = host.address()
    for _ in range(600):
        with socket.create_connection(address, timeout=30) as client:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
    document = host.until(lambda status: sum(worker["accepted"] for worker in status["workers"]) == before + 600)
    shares = [worker["accepted"] / 600 for worker in document["workers"]]
    # The adopter of the slot that leaves would get two thirds of the connections without steering.
    assert max(shares) < 0.6, shares


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


def target(address: str) -> tuple[str, int] | str:
    if address.startswith("unix://"):
        return address.removeprefix("unix://")
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    return host.strip("[]"), int(port)
