"""The proxy as processes: the same conversations as through HAProxy, TLS, a drain and a reload."""

from __future__ import annotations

import ast
import contextlib
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pki import Pki
from plugin_files import plugin_file
from programs import needs
from reactorhost.testing import DEADLINE_SECONDS, LiveHost
from relays import CONVERSATIONS, OF_HAPROXY, Relay, accept, dial, listener, read_all

Hosts = Callable[..., LiveHost]

CONFIG = """
[service.main]
listen = "tcp://127.0.0.1:0"
plugins = "proxy"
[service.second]
listen = "tcp://127.0.0.1:0"
plugins = "proxy"
[service.nowhere]
listen = "tcp://127.0.0.1:0"
plugins = "proxy"
[plugin.proxy]
servers = ["tcp://127.0.0.1:{server}"]
[plugin.proxy.pools.second]
servers = ["tcp://127.0.0.1:{closed}", "tcp://127.0.0.1:{server}"]
[plugin.proxy.pools.nowhere]
servers = ["tcp://127.0.0.1:{closed}"]
retries = 0
"""

# The listening sockets are inherited: their ports are reserved already.
HAPROXY = """
defaults
    mode tcp
    timeout connect 10s
    timeout client 30s
    timeout server 30s
    option redispatch 1
    retries 1
frontend main
    bind fd@{main}
    default_backend main
frontend second
    bind fd@{second}
    default_backend second
frontend nowhere
    bind fd@{nowhere}
    default_backend nowhere
backend main
    server a 127.0.0.1:{server}
backend second
    server a 127.0.0.1:{closed}
    server b 127.0.0.1:{server}
backend nowhere
    retries 0
    server a 127.0.0.1:{closed}
"""


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """The listener of a server that the test plays."""
    with listener() as sock:
        yield sock


@pytest.fixture
def closed() -> Iterator[int]:
    """A port that refuses connections, and that no other process gets."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def port_of(sock: socket.socket) -> int:
    port: int = sock.getsockname()[1]
    return port


def stats(document: dict[str, Any]) -> dict[str, int]:
    found: dict[str, int] = document["plugins"][0]["stats"]
    return found


def test_conversations_are_those_of_haproxy(
    live_host: Hosts, server: socket.socket, closed: int, tmp_path: Path
) -> None:
    config = tmp_path / "host.toml"
    config.write_text(CONFIG.format(server=port_of(server), closed=closed))
    host = live_host("--config", str(config), "--workers", "1")
    relay = Relay(host.address("main"), host.address("second"), host.address("nowhere"), server)
    assert {each: each(relay) for each in CONVERSATIONS} == CONVERSATIONS
    host.until(lambda document: stats(document).get("default.active") == 0 and stats(document)["retries"] == 1)


@needs("haproxy")
def test_haproxy_has_these_conversations(server: socket.socket, closed: int, tmp_path: Path) -> None:
    config = tmp_path / "haproxy.cfg"
    with contextlib.ExitStack() as stack:
        sockets = {name: stack.enter_context(listener()) for name in ("main", "second", "nowhere")}
        descriptors = {name: sock.fileno() for name, sock in sockets.items()}
        config.write_text(HAPROXY.format(server=port_of(server), closed=closed, **descriptors))
        process = subprocess.Popen(["haproxy", "-db", "-f", str(config)], pass_fds=tuple(descriptors.values()))
        stack.callback(process.wait, DEADLINE_SECONDS)
        stack.callback(process.kill)
        main, second, nowhere = (sock.getsockname() for sock in sockets.values())
        relay = Relay(main, second, nowhere, server)
        assert {each: each(relay) for each in CONVERSATIONS} == OF_HAPROXY


# Sends what it knows of a client, after the client's first byte.
FACTS = """
from reactorhost import hookimpl

@hookimpl
def receive(connection, data):
    tls, proxy = connection.tls, connection.proxy
    facts = connection.peer.port, tls and tls.server_name, proxy and (proxy.authority, proxy.tls and proxy.tls.version)
    connection.send(repr(facts).encode())
    connection.close()
"""

TLS_CONFIG = """
[service.passed]
listen = "tcp://127.0.0.1:0"
plugins = "proxy"
[service.decrypted]
listen = "tls://127.0.0.1:0"
plugins = "proxy"
certificate = "{folder}/front.pem"
key = "{folder}/front.key"
[plugin.proxy]
send_proxy = "v2"
tls_ca = "{folder}/ca.pem"
[plugin.proxy.pools.named]
servers = ["tcp://127.0.0.1:{port}"]
[plugin.proxy.pools.encrypted]
servers = ["tls://127.0.0.1:{port}"]
tls_server_name = "back.example"
health = "active"
health_interval = 0.05
fall = 1
[plugin.proxy.routes]
passed = {{ "*.example" = "named" }}
decrypted = "encrypted"
"""


def test_tls_is_passed_on_or_encrypted_again(live_host: Hosts, tmp_path: Path) -> None:
    pki = Pki(tmp_path)
    pki.issue("front", "front.example")
    pki.issue("back", "back.example")
    plugin = plugin_file(tmp_path, "facts", FACTS)
    listen = "--listen", "tls://127.0.0.1:0", *pki.arguments("back")
    behind = live_host("--plugin", plugin, *listen, "--workers", "1", "--proxy-from", "127.0.0.1")
    config = tmp_path / "host.toml"
    config.write_text(TLS_CONFIG.format(folder=tmp_path, port=behind.address()[1]))
    host = live_host("--config", str(config), "--workers", "1")

    def facts(service: str, name: str) -> tuple[bool, object]:
        connected = dial(host.address(service))
        port = port_of(connected)
        with pki.wrap(connected, name) as client:
            client.sendall(b"x")
            seen_port, *seen = ast.literal_eval(read_all(client)[0].decode())
            return seen_port == port, seen

    assert facts("passed", "back.example") == (True, ["back.example", ("back.example", None)])
    assert facts("decrypted", "front.example") == (True, ["back.example", ("front.example", "TLSv1.3")])
    # Three checks at the least, each with a header and a handshake before it.
    behind.until(lambda document: document["workers"][0]["accepted"] >= 2 + 3, "checks")
    assert "server_down" not in host.log()


DRAIN_CONFIG = """
[service.main]
listen = "tcp://127.0.0.1:0"
plugins = "proxy"
[plugin.proxy]
servers = ["tcp://127.0.0.1:{first}{word}", "tcp://127.0.0.1:{second}"]
"""


def generations(document: dict[str, Any]) -> bool:
    """Whether a reload is over, but for the clients of the old worker."""
    return {each["state"]: each["generation"] for each in document["workers"]} == {"draining": 1, "ready": 2}


def test_a_drained_server_keeps_its_clients_and_gets_no_new_ones(
    live_host: Hosts, server: socket.socket, tmp_path: Path
) -> None:
    config = tmp_path / "host.toml"
    with listener() as other:

        def write(word: str) -> None:
            config.write_text(DRAIN_CONFIG.format(first=port_of(server), second=port_of(other), word=word))

        write("")
        host = live_host("--config", str(config), "--workers", "1")
        with dial(host.address()) as client, accept(server) as served:
            client.sendall(b"before")
            assert served.recv(6, socket.MSG_WAITALL) == b"before"
            write(" drain")
            host.signal(signal.SIGHUP)
            host.until(generations, "a reload")
            client.sendall(b"after")
            assert served.recv(5, socket.MSG_WAITALL) == b"after"
            for _ in range(3):
                with dial(host.address()) as new, accept(other) as accepted:
                    new.sendall(b"x")
                    assert accepted.recv(1) == b"x"
            served.sendall(b"answer")
            assert client.recv(6, socket.MSG_WAITALL) == b"answer"
