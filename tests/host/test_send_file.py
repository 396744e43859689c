"""Files that a real host sends: over each kind of socket, to clients that read late, leave, or get a part only."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from clients import connect_unix, read_exactly, read_to_eof
from pki import Pki
from plugin_files import plugin_file, told_until
from reactorhost.testing import LiveHost

Hosts = Callable[..., LiveHost]

MIB = 1024 * 1024
# More than the kernel's buffers of both ends hold.
SIZE = 16 * MIB

SENDS = """
import os

copied = 0
sendfile = os.sendfile

def counting(*args):
    global copied
    sent = sendfile(*args)
    copied += sent
    return sent

os.sendfile = counting

def files():
    links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
    return sum(os.path.exists(link) and os.readlink(link) == PATH for link in links)

@hookimpl
def close(connection, reason):
    tell("close", reason=reason.value, sent=connection.bytes_out, copied=copied, files=files())

def send(connection):
    with open(PATH, "rb") as file:
        connection.send(b"head")
        return connection.send_file(file, 1, on_result=lambda count: tell("sent", count=count))
"""
PLAIN = """
@hookimpl
def receive(connection, data):
    send(connection)
    connection.send(b"tail")
    connection.send_eof()
"""
ASYNC = """
@hookimpl
async def receive(connection, data):
    count = await send(connection)
    connection.send(b"tail" if count == os.path.getsize(PATH) - 1 else b"short")
    connection.send_eof()
"""
PROTOCOL = """
import asyncio

class Sends(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.task = asyncio.get_running_loop().create_task(self.run())

    async def run(self):
        self.transport.write(b"head")
        with open(PATH, "rb") as file:
            count = await asyncio.get_running_loop().sendfile(self.transport, file, 1)
        tell("sent", count=count)
        self.transport.write(b"tail")
        self.transport.write_eof()

@hookimpl
def protocol(service):
    return Sends
"""
KINDS = {
    "tcp": (PLAIN, "tcp://127.0.0.1:0"),
    "unix": (PLAIN, "unix://{folder}/socket"),
    "tls": (ASYNC, "tls://127.0.0.1:0"),
    "uvloop": (PROTOCOL, "tcp://127.0.0.1:0"),
}


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    pki = Pki(tmp_path_factory.mktemp("pki"))
    pki.issue("server", "localhost")
    return pki


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "content"
    path.write_bytes(os.urandom(MIB) * (SIZE // MIB) + b"end")
    return path


def host_of(kind: str, live_host: Hosts, path: Path, pki: Pki) -> LiveHost:
    receive, listen = KINDS[kind]
    plugin = plugin_file(path.parent, "sends", f"PATH = {str(path)!r}\n", SENDS, receive)
    certificates = pki.arguments("server") if "tls" in listen else ()
    loop: tuple[str, ...] = ()
    if kind == "uvloop":
        pytest.importorskip("uvloop")
        loop = ("--event-loop", "uvloop")
    address = listen.format(folder=path.parent)
    return live_host("--plugin", plugin, "--listen", address, "--workers", "1", *certificates, *loop)


def connected(host: LiveHost, kind: str, path: Path, pki: Pki) -> socket.socket:
    if kind == "unix":
        return connect_unix(path.parent / "socket")
    return pki.connect(host) if "tls" in KINDS[kind][1] else host.connect()


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_arrives_whole_between_what_was_sent_around_it(
    live_host: Hosts, path: Path, pki: Pki, kind: str
) -> None:
    host = host_of(kind, live_host, path, pki)
    with connected(host, kind, path, pki) as client:
        client.sendall(b"x")
        received = read_to_eof(client)
    content = path.read_bytes()
    # Not by pytest, whose comparison of this much takes long.
    assert (received == b"head" + content[1:] + b"tail") is True
    assert told_until(host, "sent")[-1]["count"] == len(content) - 1
    closed = told_until(host, "close")[-1]
    assert (closed["sent"], closed["files"]) == (len(received), 0)
    assert closed["copied"] == (0 if "tls" in KINDS[kind][1] else len(content) - 1)


def test_a_client_that_leaves_in_the_middle_releases_the_file(live_host: Hosts, path: Path, pki: Pki) -> None:
    host = host_of("tls", live_host, path, pki)
    with connected(host, "tls", path, pki) as client:
        client.sendall(b"x")
        client.recv(MIB)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    closed = told_until(host, "close")[-1]
    assert (closed["reason"], closed["files"], closed["sent"] < SIZE) == ("peer", 0, True)


def test_a_file_that_becomes_shorter_resets_the_connection(
    live_host: Hosts, path: Path, pki: Pki, expected_errors: list[str]
) -> None:
    expected_errors.append("hook_failed")
    host = host_of("tcp", live_host, path, pki)
    with connected(host, "tcp", path, pki) as client:
        client.sendall(b"x")
        # Of the file: it was opened and measured.
        read_exactly(client, 100)
        os.truncate(path, SIZE - MIB)
        with pytest.raises(ConnectionResetError):
            read_to_eof(client)
    log = host.wait_for_log("hook_failed")
    assert "plugin=sends hook=send_file peer=127.0.0.1:" in log
    assert "a file that is being sent has become shorter, and 1048579 bytes are missing" in log
    assert told_until(host, "close")[-1]["reason"] == "error"
