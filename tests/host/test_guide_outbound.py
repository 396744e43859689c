"""The guide to outbound connections: its examples, in a real host with real servers behind it."""

from __future__ import annotations

import json
import re
import select
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clients import read_exactly
from reactorhost.testing import DEADLINE_SECONDS, HostFailedError, LiveHost
from redis_server import RedisServer

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = ["proxy", "asking"]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.settimeout(DEADLINE_SECONDS)
        yield sock


@pytest.fixture
def serving(live_host: Callable[..., LiveHost]) -> Callable[..., LiveHost]:
    """Start a host of one worker with an example that connects to a local port."""

    def serve(name: str, port: int, *settings: str) -> LiveHost:
        plugin = ("--plugin", str(DOCS / "examples" / f"{name}.py"), "--set", f"{name}.server=tcp://127.0.0.1:{port}")
        return live_host(*plugin, "--workers", "1", *settings)

    return serve


def port_of(sock: socket.socket) -> int:
    port: int = sock.getsockname()[1]
    return port


def accepted(listener: socket.socket) -> socket.socket:
    sock, _ = listener.accept()
    sock.settimeout(DEADLINE_SECONDS)
    return sock


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_file_is_in_the_page(name: str) -> None:
    page = (DOCS / "guide" / "outbound.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert (DOCS / "examples" / f"{name}.py").read_text(encoding="utf-8") in blocks


def test_proxy_relays_both_directions_and_closes_with_either_side(
    serving: Callable[..., LiveHost], listener: socket.socket
) -> None:
    host = serving("proxy", port_of(listener))
    # Sent before the server is connected.
    with host.connect() as client:
        client.sendall(b"question")
        with accepted(listener) as server:
            assert read_exactly(server, 8) == b"question"
            server.sendall(b"answer")
            assert read_exactly(client, 6) == b"answer"
        assert client.recv(1) == b""
    with host.connect() as client:
        server = accepted(listener)
        client.close()
        with server:
            assert server.recv(1) == b""
    listener.close()
    with host.connect() as client:
        assert client.recv(1) == b""
    assert "cannot connect to tcp://127.0.0.1:" in host.wait_for_log("connection refused")


@pytest.mark.parametrize("slow", ["client", "server"])
def test_proxy_applies_backpressure_to_the_faster_side(
    serving: Callable[..., LiveHost], listener: socket.socket, slow: str
) -> None:
    # The smallest buffer: without backpressure the fast side overflows it at once.
    host = serving("proxy", port_of(listener), "--max-send-buffer", "65536")
    size = 32 << 20
    with host.connect() as client, accepted(listener) as server:
        reader, writer = (client, server) if slow == "client" else (server, client)
        sending = threading.Thread(target=writer.sendall, args=(bytes(size),))
        sending.start()
        while queued(host) == 0:
            # The kernel's buffers fill up first.
            pass
        assert read_exactly(reader, size) == bytes(size)
        sending.join()


def queued(host: LiveHost) -> int:
    rows = json.loads(host.command("connections", "--json").stdout)["connections"]
    return sum(row["queued_bytes"] for row in rows)


def test_asking_reconnects_to_its_server(serving: Callable[..., LiveHost], listener: socket.socket) -> None:
    host = serving("asking", port_of(listener))
    server = accepted(listener)
    with host.connect() as client:
        with server:
            client.sendall(b"one\ntwo\n")
            assert read_exactly(server, 4) == b"one\n"
            server.sendall(b"1\n")
            assert read_exactly(server, 4) == b"two\n"
            server.sendall(b"2\n")
            assert read_exactly(client, 4) == b"1\n2\n"
            client.sendall(b"three\n")
            assert read_exactly(server, 6) == b"three\n"
        assert read_exactly(client, 40) == b"error: the server closed the connection\n"
        with accepted(listener) as server:
            client.sendall(b"four\n")
            # The kernel completes the handshake before the host sees that it is connected.
            while client in select.select([client, server], [], [], DEADLINE_SECONDS)[0]:
                assert read_exactly(client, 35) == b"error: no connection to the server\n"
                client.sendall(b"four\n")
            assert read_exactly(server, 5) == b"four\n"
            server.sendall(b"4\n")
            assert read_exactly(client, 2) == b"4\n"


def test_a_worker_whose_server_refuses_does_not_start(serving: Callable[..., LiveHost]) -> None:
    # Bound and not listening: no other process gets the port.
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = port_of(reserved)
        with pytest.raises(HostFailedError) as failed:
            serving("asking", port)
    assert failed.value.status == 3
    words = "plugin asking failed in worker_start: reactorhost.ConnectFailedError: "
    assert f"{words}cannot connect to tcp://127.0.0.1:{port}: connection refused" in failed.value.text


def test_asking_works_with_a_real_redis(serving: Callable[..., LiveHost]) -> None:
    with RedisServer() as server, serving("asking", server.port).connect() as client:
        client.sendall(b"PING\nINCR visits\nINCR visits\n")
        assert read_exactly(client, 12) == b"+PONG\n:1\n:2\n"
