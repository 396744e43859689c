"""The PROXY protocol: the addresses that a plugin gets, and which clients are refused with which reason."""

from __future__ import annotations

import ast
import contextlib
import re
import shutil
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clients import connect_unix, ended, read_exactly, read_to_eof
from pki import Pki
from plugin_files import plugin_file
from programs import needs
from reactorhost.testing import DEADLINE_SECONDS, LiveHost

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLE = DOCS / "examples" / "proxy_peer.py"

Hosts = Callable[..., LiveHost]

SENDS_ADDRESSES = """
@hookimpl
def receive(connection, data):
    connection.send(f"{connection.peer} {connection.local} {data.decode()}".encode())
    connection.send_eof()
"""
BINARY = b"\r\n\r\n\0\r\nQUIT\n"
HEADER_V2 = BINARY + b"\x21\x11\0\x0c" + bytes([192, 0, 2, 7, 192, 0, 2, 1]) + struct.pack("!HH", 4711, 443)


@pytest.fixture
def behind_proxy(live_host: Hosts, tmp_path: Path) -> Callable[..., LiveHost]:
    """Start a host of one worker behind a proxy, whose plugin sends each client its addresses."""
    plugin = plugin_file(tmp_path, "who", SENDS_ADDRESSES)
    return lambda *settings: live_host("--plugin", plugin, "--workers", "1", *settings)


def reason(host: LiveHost, count: int = 1) -> str:
    """Return the reason in the last line about a refused client."""
    log = host.wait_for_log("proxy_refused", count)
    return str(re.findall(r' warning proxy_refused .*service=default peer=\S+ reason="(.*)"', log)[-1])


def test_the_example_is_the_one_in_the_guide() -> None:
    page = (DOCS / "guide" / "proxy-protocol.md").read_text(encoding="utf-8")
    assert re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)[0] == EXAMPLE.read_text()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_sends_a_header(live_host: Hosts) -> None:
    host = live_host("--plugin", str(EXAMPLE), "--workers", "1", "--proxy-from", "127.0.0.1")
    port = host.address()[1]
    for command, status, output in [
        (["curl", "-sS", "--haproxy-protocol"], 0, rf"127\.0\.0\.1:\d+ -> 127\.0\.0\.1:{port}\n"),
        (["curl", "-sS"], 56, ""),
    ]:
        curl = subprocess.run(
            [*command, f"http://127.0.0.1:{port}/"],
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE_SECONDS,
        )
        assert curl.returncode in (status, 52 if status else 0), curl.stderr
        assert re.fullmatch(output, curl.stdout)
    assert reason(host) == "it sent no PROXY header"


def test_both_addresses_are_those_of_the_header_and_data_may_come_with_it(behind_proxy: Hosts) -> None:
    host = behind_proxy("--proxy-from", "10.0.0.0/8", "--proxy-from", "127.0.0.0/30")
    peer = f"{host.address()[0]}:{host.address()[1]}"
    for header, expected in [
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n", b"[2001:db8::7]:4711 [2001:db8::1]:443 hello"),
        (HEADER_V2, b"192.0.2.7:4711 192.0.2.1:443 hello"),
        (BINARY + b"\x20\0\0\0", None),
        (b"PROXY UNKNOWN\r\n", None),
    ]:
        with host.connect() as client:
            itself = "{}:{} {} hello".format(*client.getsockname(), peer).encode()
            client.sendall(header + b"hello")
            assert read_to_eof(client) == (expected or itself)
    with host.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in HEADER_V2:
            client.sendall(bytes([byte]))
        client.sendall(b"bytes")
        assert read_to_eof(client) == b"192.0.2.7:4711 192.0.2.1:443 bytes"
    assert "proxy_refused" not in host.log()


def test_the_header_comes_before_the_tls_handshake(behind_proxy: Hosts, tmp_path: Path) -> None:
    pki = Pki(tmp_path)
    pki.issue("server", "localhost")
    listen = ("--listen", "tls://127.0.0.1:0", *pki.arguments("server"), "--proxy-from", "127.0.0.1")
    host = behind_proxy(*listen, "--handshake-timeout", "1")
    with host.connect() as plain:
        plain.sendall(HEADER_V2)
        with pki.wrap(plain) as client:
            client.sendall(b"hello")
            assert read_to_eof(client) == b"192.0.2.7:4711 192.0.2.1:443 hello"
    with host.connect() as plain:
        plain.sendall(HEADER_V2)
        # One deadline for both: the handshake has what the header left of it.
        assert ended(plain)
    log = host.wait_for_log("handshake_failed")
    assert 'peer=192.0.2.7:4711 reason="the handshake did not complete in time"' in log


def test_unlisted_peers_and_peers_without_a_header_are_refused_with_a_reason(behind_proxy: Hosts) -> None:
    host = behind_proxy("--proxy-from", "127.0.0.1", "--handshake-timeout", "0.3")
    with socket.socket() as unlisted:
        unlisted.bind(("127.0.0.2", 0))
        unlisted.settimeout(DEADLINE_SECONDS)
        unlisted.connect(host.address())
        assert ended(unlisted)
    assert reason(host) == "its address is not in proxy_from"
    for count, sent, why in [
        (2, b"PROXY TCP4 1.2.3.4\r\n", "its PROXY header is malformed: 'PROXY TCP4 1.2.3.4'"),
        (3, b"PROXY TCP4 1.2.3.4 ", "its PROXY header did not arrive in time"),
    ]:
        with host.connect() as client:
            client.sendall(sent)
            assert ended(client)
        assert reason(host, count) == why
    with host.connect() as client:
        client.sendall(b"PROXY")
        client.shutdown(socket.SHUT_WR)
        assert ended(client)
    assert reason(host, 4) == "it closed the connection during its PROXY header"
    # Health checks are neither refused nor worth a line.
    host.connect().close()
    with host.connect() as silent:
        assert ended(silent)
    accepted = host.until(lambda status: status["totals"]["connections"] == 0 and status["totals"]["accepted"] == 6)
    assert accepted["totals"]["refused"] == 4
    assert host.log().count("proxy_refused") == 4


def test_unix_peers_may_be_proxies(behind_proxy: Hosts, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    host = behind_proxy("--listen", "tcp://127.0.0.1:0", "--listen", f"unix://{path}", "--proxy-from", "unix")
    with connect_unix(path) as client:
        client.sendall(HEADER_V2 + b"hello")
        assert read_exactly(client, 34) == b"192.0.2.7:4711 192.0.2.1:443 hello"
    with host.connect() as unlisted:
        assert ended(unlisted)
    assert reason(host) == "its address is not in proxy_from"


SENDS_FACTS = """
@hookimpl
def receive(connection, data):
    facts = connection.proxy
    if facts is None:
        connection.send(b"none")
    else:
        tls = facts.tls
        session = tls and (tls.version, tls.cipher, tls.verified, tls.common_name)
        connection.send(repr((facts.alpn, facts.authority, facts.unique_id, session)).encode())
    connection.send_eof()
"""

# The listening sockets are inherited: their ports are reserved already.
HAPROXY = """
defaults
    mode tcp
    timeout connect 10s
    timeout client 10s
    timeout server 10s
frontend secure
    bind fd@{secure} ssl crt {folder}/haproxy.pem ca-file {folder}/ca.pem verify optional alpn chat/2
    unique-id-format conn-%rt
    default_backend host
frontend plain
    bind fd@{plain}
    unique-id-format conn-%rt
    default_backend host
backend host
    server host {address} send-proxy-v2 proxy-v2-options ssl,cert-cn,ssl-cipher,authority,crc32c,unique-id
"""


@pytest.fixture
def haproxy(tmp_path: Path) -> Iterator[Callable[[LiveHost, Pki], tuple[int, int]]]:
    """Start HAProxy before a host, and return its ports for clients with TLS and without."""
    with contextlib.ExitStack() as stack:

        def start(host: LiveHost, pki: Pki) -> tuple[int, int]:
            secure, plain = (stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2))
            certificate, key = pki.issue("server", "localhost")
            (tmp_path / "haproxy.pem").write_bytes(certificate.read_bytes() + key.read_bytes())
            config = tmp_path / "haproxy.cfg"
            address = "{}:{}".format(*host.address())
            descriptors = {"secure": secure.fileno(), "plain": plain.fileno()}
            config.write_text(HAPROXY.format(folder=tmp_path, address=address, **descriptors))
            process = subprocess.Popen(["haproxy", "-db", "-f", str(config)], pass_fds=tuple(descriptors.values()))
            stack.callback(process.wait, DEADLINE_SECONDS)
            stack.callback(process.kill)
            return secure.getsockname()[1], plain.getsockname()[1]

        yield start


@needs("haproxy")
def test_haproxy_says_what_it_knows_of_its_clients(
    live_host: Hosts, haproxy: Callable[[LiveHost, Pki], tuple[int, int]], tmp_path: Path
) -> None:
    plugin = plugin_file(tmp_path, "facts", SENDS_FACTS)
    host = live_host("--plugin", plugin, "--workers", "1", "--proxy-from", "127.0.0.1")
    pki = Pki(tmp_path)
    pki.issue("alice", "alice.example", common_name="Alice")
    secure, plain = haproxy(host, pki)
    for certificate, verified, name in [("alice", True, "Alice"), (None, False, None)]:
        connected = socket.create_connection(("127.0.0.1", secure), timeout=DEADLINE_SECONDS)
        with pki.wrap(connected, context=pki.context(certificate, ("chat/2",))) as client:
            client.sendall(b"x")
            alpn, authority, unique_id, session = ast.literal_eval(read_to_eof(client).decode())
            assert (alpn, authority) == ("chat/2", "localhost")
            assert unique_id.startswith(b"conn-")
            assert session == (client.version(), client.cipher()[0], verified, name)  # type: ignore[index]
    with socket.create_connection(("127.0.0.1", plain), timeout=DEADLINE_SECONDS) as client:
        client.sendall(b"x")
        assert ast.literal_eval(read_to_eof(client).decode())[3] is None
    with host.connect() as client:
        client.sendall(b"PROXY UNKNOWN\r\nx")
        assert read_to_eof(client) == b"none"
    assert "proxy_refused" not in host.log()
