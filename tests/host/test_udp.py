"""UDP: one socket for each slot, no datagram lost by any operation, and settings that UDP does not have."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from clients import answers
from daemons import run
from datagrams import CountingClients, udp_addresses, udp_client
from reactorhost.address import Endpoint
from reactorhost.testing import DEADLINE_SECONDS, HostFailedError, LiveHost

Hosts = Callable[..., LiveHost]
Plugins = Callable[..., str]

UDP = ("--listen", "udp://127.0.0.1:0")


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def asked(client: socket.socket, data: bytes) -> bytes:
    client.send(data)
    return client.recv(65535)


def scale(host: LiveHost, workers: int) -> None:
    assert host.ask("scale", workers=workers)["status"] == 0


# What comes and goes.


def test_datagrams_are_answered_one_by_one_and_counted(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", *UDP, "--workers", "1")
    (address,) = udp_addresses(host)
    sent = [b"hello", b"", b"x" * 65507]
    with udp_client(address) as client:
        assert [asked(client, data) for data in sent] == sent
    size = sum(map(len, sent))
    totals = host.until(lambda status: status["totals"]["messages"] == 3)["totals"]
    assert (totals["bytes_in"], totals["bytes_out"]) == (size, size)
    assert (totals["connections"], totals["accepted"]) == (0, 0)
    (listener,) = host.status()["listeners"]
    assert (listener["depth"], listener["limit"], listener["dropped"]) == (None, None, 0)


def test_every_worker_has_a_socket_for_the_same_port(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", *UDP, "--workers", "3")
    (address,) = udp_addresses(host)

    def everybody_served() -> bool:
        # Each client is a flow, and the kernel puts a flow on one of the sockets.
        with ExitStack() as stack:
            clients = [stack.enter_context(udp_client(address)) for _ in range(12)]
            assert all(answers(client) for client in clients)
        return all(worker["messages"] for worker in host.workers())

    host.until(lambda _: everybody_served(), "a datagram for every worker")
    assert [listener["sockets"] for listener in host.status()["listeners"]] == [3]


def test_an_answer_comes_from_the_address_that_the_datagram_was_sent_to(
    live_host: Hosts, write_plugin: Plugins
) -> None:
    plugin = write_plugin(
        "@hookimpl\ndef receive(connection, data):\n"
        "    connection.send(f'{connection.local} {connection.peer}'.encode())\n"
    )
    host = live_host("--plugin", plugin, "--listen", "udp://*:0", "--workers", "1")
    (port,) = {port for _, port in udp_addresses(host)}
    for address in ("127.0.0.1", "127.0.0.2", *(["::1"] if has_ipv6() else [])):
        # A connected socket takes nothing from any other address.
        with udp_client((address, port)) as client:
            local, peer = asked(client, b"?").decode().split()
            assert local == str(Endpoint(address, port))
            assert peer == str(Endpoint(*client.getsockname()[:2]))


def test_a_datagram_above_the_limit_is_dropped_whole_and_logged(live_host: Hosts, tmp_path: Path) -> None:
    config = tmp_path / "host.toml"
    config.write_text('[service.a]\nlisten = "udp://127.0.0.1:0"\nplugins = "echo"\nmax_datagram = "1KiB"\n')
    host = live_host("--config", str(config), "--workers", "1")
    (address,) = udp_addresses(host)
    with udp_client(address) as client:
        for size in (1025, 65507, 1025):
            client.send(b"x" * size)
        assert asked(client, b"y" * 1024) == b"y" * 1024
        log = host.wait_for_log(" datagram_too_long ")
        assert log.count(" datagram_too_long ") == 1
        host_text, port = client.getsockname()
        assert f"service=a peer={host_text}:{port} bytes=1025 max_datagram=1024 dropped=1" in log
    assert host.until(lambda status: status["totals"]["messages"])["totals"]["bytes_in"] == 1024


def test_a_too_large_answer_raises_in_the_plugin_and_affects_no_other_datagram(
    live_host: Hosts, write_plugin: Plugins, expected_errors: list[str]
) -> None:
    expected_errors.append("hook_failed")
    plugin = write_plugin(
        "@hookimpl\ndef receive(connection, data):\n"
        "    if data == b'close': connection.close(); connection.abort(); connection.pause(); connection.send_eof()\n"
        "    connection.send(b'x' * 65508 if data == b'long' else data)\n"
    )
    host = live_host("--plugin", plugin, *UDP, "--workers", "1")
    (address,) = udp_addresses(host)
    with udp_client(address) as client:
        client.send(b"long")
        log = host.wait_for_log(" hook_failed ")
        assert "ValueError: a datagram has room for 65507 bytes over IPv4, 65527 over IPv6, not for 65508" in log
        assert asked(client, b"close") == b"close"
        assert asked(client, b"still there?") == b"still there?"
    assert host.until(lambda status: status["totals"]["hook_errors"])["totals"]["hook_errors"] == 1


def test_a_flood_of_datagrams_does_not_starve_a_tcp_client(live_host: Hosts, write_plugin: Plugins) -> None:
    # Each datagram makes the next one, for ever: the socket is never empty.
    plugin = write_plugin(
        "import socket\n"
        "flood = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "@hookimpl\ndef receive(connection, data):\n"
        "    if data == b'flood':\n"
        "        for _ in range(2): flood.sendto(data, tuple(connection.local))\n"
        "    else: connection.send(data)\n"
    )
    host = live_host(
        "--plugin", plugin, *UDP, "--listen", "tcp://127.0.0.1:0", "--workers", "1", "--stop-timeout", "1s"
    )
    (address,) = udp_addresses(host)
    tcp = next(each for each in host.status()["services"][0]["addresses"] if each.startswith("tcp://"))
    with udp_client(address) as client:
        client.send(b"flood")
    host.until(lambda status: status["totals"]["messages"] > 1000)
    with socket.create_connection(("127.0.0.1", int(tcp.rpartition(":")[2])), timeout=DEADLINE_SECONDS) as client:
        assert all(answers(client) for _ in range(100))
    # A socket that never gets empty is given up at the deadline.
    assert host.stop() == 0


# What an operator does.


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_reloads_scalings_and_terminations_lose_no_datagram(live_host: Hosts, write_plugin: Plugins, kind: str) -> None:
    slow = write_plugin(
        "import asyncio\n@hookimpl\nasync def receive(connection, data):\n"
        "    await asyncio.sleep(0.002)\n    assert connection.send(data)\n"
    )
    plugin = "echo" if kind == "plain" else slow
    # Long enough for a sender that lost its processor between the choice of a socket and the delivery.
    host = live_host("--plugin", plugin, *UDP, "--workers", "2", "--retire-delay", "0.5")
    (address,) = udp_addresses(host)
    with CountingClients(address) as clients:
        for workers in (3, 1, 2):
            assert host.ask("reload")["status"] == 0
            clients.more(100)
            host.ask("scale", workers=workers)
            clients.more(100)
            os.kill(host.workers()[0]["pid"], signal.SIGTERM)
            clients.more(100)
            host.until(lambda status: status["workers_ready"] == status["workers_wanted"])
        host.until(lambda status: len(status["slots"]) == 2, "the end of slots that left")
        clients.more(100)
        assert clients.lost() == []
    assert clients.answered == clients.sent
    assert all(listener["dropped"] == 0 for listener in host.status()["listeners"])


def test_a_neighbour_answers_for_a_crashed_worker(
    live_host: Hosts, write_plugin: Plugins, expected_errors: list[str]
) -> None:
    expected_errors += ["worker_crashed", "worker_not_booted"]
    # From the second generation of processes on, slot 1 cannot boot: its socket has to be served by slot 0.
    plugin = write_plugin(
        "import os, pathlib\nmark = pathlib.Path(__file__).with_suffix('.mark')\n"
        "@hookimpl\ndef worker_start(worker):\n    assert worker.slot == 0 or not mark.exists()\n"
        "@hookimpl\ndef receive(connection, data):\n    connection.send(data)\n"
    )
    host = live_host("--plugin", plugin, *UDP, "--workers", "2")
    (address,) = udp_addresses(host)
    Path(plugin).with_suffix(".mark").touch()
    os.kill(host.workers()[1]["pid"], signal.SIGKILL)
    with CountingClients(address) as clients:
        host.until(lambda status: status["slots"][1]["adopted_by"] == status["workers"][0]["pid"])
        clients.more(300)
        assert clients.lost() == []


def test_queued_datagrams_are_answered_at_a_stop(live_host: Hosts, write_plugin: Plugins) -> None:
    # The first datagram holds the worker until the test has sent the others and asked for the stop.
    plugin = write_plugin(
        "import os\n@hookimpl\ndef receive(connection, data):\n"
        "    if data.startswith(b'/'): open(data).read()\n"
        "    connection.send(data)\n"
    )
    gate = Path(plugin).with_suffix(".gate")
    os.mkfifo(gate)
    host = live_host("--plugin", plugin, *UDP, "--workers", "1")
    (address,) = udp_addresses(host)
    with udp_client(address) as client:
        client.send(str(gate).encode())
        with gate.open("w"):
            for number in range(200):
                client.send(b"%d" % number)
            host.signal(signal.SIGTERM)
            host.wait_for_log(" host_stopping ")
        received = [client.recv(65535) for _ in range(201)]
        assert received == [str(gate).encode(), *(b"%d" % number for number in range(200))]
    assert host.wait() == 0


def test_an_answer_from_a_timer_is_sent_after_a_reload(live_host: Hosts, write_plugin: Plugins) -> None:
    plugin = write_plugin(
        "import json, os\n@hookimpl\ndef receive(connection, data):\n"
        "    connection.call_later(0.7, answer, connection)\n    connection.send(b'wait')\n"
        "def answer(connection):\n"
        "    print(json.dumps([connection.send(b'%d' % os.getpid()), connection.bytes_out]), flush=True)\n"
    )
    host = live_host("--plugin", plugin, *UDP, "--workers", "1")
    old = host.workers()[0]["pid"]
    (address,) = udp_addresses(host)
    with udp_client(address) as client:
        assert asked(client, b"?") == b"wait"
        assert host.command("reload").returncode == 0
        assert host.workers()[0]["pid"] != old
        assert client.recv(100) == b"%d" % old
    assert json.loads(host.read_line()) == [True, 4 + len(str(old))]
    host.until(lambda status: len(status["workers"]) == 1, "the end of the old worker")


def test_a_slot_is_not_retired_while_its_worker_still_owes_an_answer(live_host: Hosts, write_plugin: Plugins) -> None:
    # While that worker has its copy, the kernel goes on giving datagrams to the slot's socket.
    plugin = write_plugin(
        "import asyncio, os, pathlib\nslots = []\n"
        "def wait(): open(pathlib.Path(__file__).with_suffix('.gate')).read()\n"
        "@hookimpl\ndef worker_start(worker):\n    slots.append(worker.slot)\n"
        "@hookimpl\nasync def receive(connection, data):\n"
        "    if data == b'hold' and slots == [1]:\n"
        "        slots.append('held')\n        print('held', flush=True)\n        await asyncio.to_thread(wait)\n"
        "    connection.send(data)\n"
    )
    gate = Path(plugin).with_suffix(".gate")
    os.mkfifo(gate)
    host = live_host("--plugin", plugin, *UDP, "--workers", "2", "--retire-delay", "0.1")
    (address,) = udp_addresses(host)
    with ExitStack() as stack:
        clients = [stack.enter_context(udp_client(address)) for _ in range(32)]
        for client in clients:
            client.send(b"hold")
        assert host.read_line() == "held"
        scale(host, 1)
        with CountingClients(address) as others:
            host.until(lambda status: status["slots"][1]["adopted_by"])
            began = time.monotonic()
            # Longer than the delay: by now the slot would be gone.
            while time.monotonic() < began + 0.5:
                others.more(200)
            assert others.lost() == []
        assert len(host.status()["slots"]) == 2
        with gate.open("w"):
            pass
        assert [client.recv(10) for client in clients] == [b"hold"] * 32
    host.until(lambda status: len(status["slots"]) == 1, "the end of the slot")


# The owner of the port.


def test_a_port_of_another_host_is_refused(live_host: Hosts, tmp_path: Path) -> None:
    streams = live_host("--plugin", "echo", "--workers", "1")
    # TCP has ports of its own.
    address = "udp://{}:{}".format(*streams.address())
    datagrams = live_host("--plugin", "echo", "--listen", address, "--workers", "1")
    assert "udp://{}:{}".format(*udp_addresses(datagrams)[0]) == address
    with pytest.raises(HostFailedError) as refused:
        live_host("--plugin", "echo", "--listen", address)
    assert refused.value.status == 1
    assert f"{address} is in use by another process" in refused.value.text
    with streams.connect() as client:
        assert answers(client)


def test_settings_that_udp_does_not_have_are_refused(tmp_path: Path) -> None:
    config = tmp_path / "host.toml"
    config.write_text('[service.a]\nlisten = "tcp://127.0.0.1:0"\nplugins = "echo"\nmax_datagram = 100\n')
    ended = run("check", "--config", str(config))
    assert ended.returncode == 1
    assert "service 'a' has max_datagram but no UDP address" in ended.stderr
    assert "host.toml:4" in ended.stderr
