"""Limits for clients that are not trusted, over all workers of a host."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from clients import answers, read_exactly
from kernel import tcp_sockets
from reactorhost.testing import DEADLINE_SECONDS, LiveHost
from waiting import until

Hosts = Callable[..., LiveHost]

# Without a framing there are no messages.
UNUSED = ("--message-timeout", "5s")


@pytest.fixture
def clients() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def connect(host: LiveHost, clients: ExitStack, source: str = "127.0.0.1") -> socket.socket:
    sock = socket.create_connection(host.address(), timeout=DEADLINE_SECONDS, source_address=(source, 0))
    return clients.enter_context(sock)


def served(sock: socket.socket) -> bool:
    """Return whether a client is served; if not, it was refused."""
    try:
        return answers(sock)
    except (ConnectionError, AssertionError):
        return False


def is_over(sock: socket.socket) -> bool:
    """Send one more byte; returns whether the host has ended the connection."""
    sock.setblocking(False)
    try:
        sock.sendall(b"x")
        return sock.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_the_connections_of_an_address_are_those_of_all_workers(live_host: Hosts, clients: ExitStack) -> None:
    host = live_host("--plugin", "echo", "--workers", "2", "--max-connections-per-address", "4", *UNUSED)
    assert host.log().count(" message_timeout_unused ") == 1, "not once for each worker"
    admitted = [sock for sock in (connect(host, clients) for _ in range(16)) if served(sock)]
    assert len(admitted) == 4
    # In both workers, unless the kernel gave all 16 to one.
    totals = host.until(lambda status: status["limited"]["over_address_limit"] == 12)["totals"]
    assert (totals["connections"], totals["accepted"], totals["refused"]) == (4, 16, 12)
    assert served(connect(host, clients, "127.0.0.2"))
    # Old workers still have them while they drain.
    assert host.command("reload").returncode == 0
    assert not served(connect(host, clients))
    admitted.pop().close()
    until(lambda: served(connect(host, clients)), "the place of a client that has left is free")
    assert not served(connect(host, clients))


def test_a_worker_that_was_killed_has_no_connections(
    live_host: Hosts, clients: ExitStack, expected_errors: list[str]
) -> None:
    expected_errors.append("worker_crashed")
    host = live_host("--plugin", "echo", "--workers", "1", "--max-connections-per-address", "1")
    assert served(connect(host, clients))
    assert not served(connect(host, clients))
    os.kill(host.workers()[0]["pid"], signal.SIGKILL)
    until(lambda: served(connect(host, clients)), "the connection of the killed worker is forgotten")


def test_a_network_is_denied_from_a_reload_on(live_host: Hosts, clients: ExitStack, tmp_path: Path) -> None:
    file = tmp_path / "host.toml"
    text = "[service.a]\nlisten = ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0']\nplugins = 'echo'\n"
    file.write_text(text)
    host = live_host("--config", str(file), "--workers", "2")
    before = connect(host, clients, "127.6.0.1")
    assert served(before)
    file.write_text(f"{text}deny = '127.6.0.0/16'\n")
    host.signal(signal.SIGHUP)
    host.wait_for_log("reload_finished")
    assert not served(connect(host, clients, "127.6.0.2"))
    assert served(connect(host, clients, "127.7.0.1"))
    assert answers(before), "connections that are open stay open"
    udp = next(each for each in host.status()["services"][0]["addresses"] if each.startswith("udp"))
    with socket.socket(type=socket.SOCK_DGRAM) as denied:
        denied.bind(("127.6.0.1", 0))
        denied.sendto(b"hello", ("127.0.0.1", int(udp.rpartition(":")[2])))
        host.until(lambda status: status["limited"]["denied"] == 2)
        denied.setblocking(False)
        with pytest.raises(BlockingIOError):
            denied.recv(1)


def test_above_the_rate_clients_wait_and_none_is_refused(live_host: Hosts, clients: ExitStack) -> None:
    rate, count = 40, 100
    host = live_host("--plugin", "echo", "--workers", "2", "--accept-rate", str(rate))
    address = host.address()
    began = time.monotonic()
    # Without anything between them: on a slow machine they would come at less than the rate.
    waiting = [clients.enter_context(socket.create_connection(address, DEADLINE_SECONDS)) for _ in range(count)]
    for sock in waiting:
        sock.sendall(b"x")

    def accepted(status: dict[str, Any]) -> bool:
        # The moment is taken after the document, so this can be too lenient but not too strict.
        most = rate + rate * (time.monotonic() - began)
        assert status["totals"]["accepted"] <= most + 1
        assert not any(worker["full"] or worker["adopted_slots"] for worker in status["workers"])
        return bool(status["totals"]["accepted"] == count)

    status = host.until(accepted)
    assert all(sock.recv(1) == b"x" for sock in waiting)
    assert time.monotonic() - began >= (count - rate) / rate
    assert status["totals"]["refused"] == 0
    # A worker that waits does not turn: a listener that stays watched would be reported all the time.
    assert 0 < status["limited"]["rate_pauses"] < 10 * count
    assert "accept_rate_reached" in host.log()


def test_a_client_that_sends_slowly_is_disconnected_and_others_are_served(live_host: Hosts, clients: ExitStack) -> None:
    host = live_host("--plugin", "echo", "--workers", "1", "--framing", "lines", "--message-timeout", "500ms")
    slow, idle = connect(host, clients), connect(host, clients)
    idle.sendall(b"whole\n")
    assert read_exactly(idle, 5) == b"whole"
    began = time.monotonic()
    slow.settimeout(0.1)
    received: bytes | None = None
    while received is None:
        try:
            slow.sendall(b"x")
            received = slow.recv(1)
        except TimeoutError:
            assert time.monotonic() - began < DEADLINE_SECONDS
        except ConnectionError:
            # A byte has reached a socket that was closed.
            received = b""
    assert received == b""
    assert time.monotonic() - began >= 0.4
    idle.sendall(b"again\n")
    assert read_exactly(idle, 5) == b"again"
    host.until(lambda status: status["limited"]["late_messages"] == 1)
    assert "message_timed_out" in host.log()


def test_one_address_with_many_slow_connections_leaves_room_for_others(live_host: Hosts, clients: ExitStack) -> None:
    limits = ("--max-connections", "20", "--max-connections-per-address", "10", "--message-timeout", "1s")
    host = live_host("--plugin", "echo", "--workers", "1", "--framing", "lines", *limits)
    attack = [connect(host, clients, "127.0.0.2") for _ in range(40)]
    # Without its limit the attacker would have all 20.
    host.until(lambda status: status["totals"]["accepted"] == 40)
    assert host.status()["totals"]["connections"] == 10
    while attack:
        other = connect(host, clients)
        other.sendall(b"hello\n")
        assert read_exactly(other, 5) == b"hello"
        other.close()
        attack = [sock for sock in attack if not is_over(sock)]
    host.until(lambda status: status["limited"]["late_messages"] == 10)


def test_a_message_that_was_sent_in_time_survives_a_stall_of_the_worker(live_host: Hosts, clients: ExitStack) -> None:
    host = live_host("--plugin", "echo", "--workers", "1", "--framing", "lines", "--message-timeout", "2s")
    _, port = host.address()
    # More than a turn reads, so that some are read after the timers.
    several = [connect(host, clients) for _ in range(150)]
    (worker,) = host.workers()
    for sock in several:
        sock.sendall(b"be")
    # The kernel knows at once what the worker has read; the status, a quarter of a second later.
    until(lambda: not any(each.waiting for each in tcp_sockets(listening=False) if each.port == port), "a read of all")
    os.kill(worker["pid"], signal.SIGSTOP)
    try:
        for sock in several:
            sock.sendall(b"gin\n")
        time.sleep(2.2)  # the time that passes is what is tested
    finally:
        os.kill(worker["pid"], signal.SIGCONT)
    for sock in several:
        assert read_exactly(sock, 5) == b"begin"
    assert host.status()["limited"]["late_messages"] == 0


def test_the_connections_of_an_address_count_across_an_upgrade(live_host: Hosts, clients: ExitStack) -> None:
    host = live_host("--plugin", "echo", "--workers", "1", "--max-connections-per-address", "1")
    before = connect(host, clients)
    assert served(before)
    assert host.command("upgrade").returncode == 0
    assert not served(connect(host, clients))
    assert served(before)
    before.close()
    until(lambda: served(connect(host, clients)), "the place of the client that has left is free")
