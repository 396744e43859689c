"""Outbound connections of a real host: to servers that answer, refuse, hang, or do not exist."""

from __future__ import annotations

import json
import re
import resource
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from reactorhost.testing import DEADLINE_SECONDS, LiveHost

# A client writes JSON lists, one a line: an address, and the options of `connect`.
PROBER = """
import json
import os
import ssl
from reactorhost import Lines

class Far:
    def __init__(self, client):
        self.client = client
    def tell(self, *words):
        self.client.send_message(" ".join(map(str, words)).encode())
    def connect(self, connection):
        self.client.state.far = connection
        self.tell("connected", connection.peer, connection.tls and connection.tls.version)
    def receive(self, data):
        self.tell("received", len(data))
    def close(self, reason):
        self.tell("closed", reason)
    def drain(self, connection):
        connection.send(b"bye")
    def failed(self, error):
        self.tell(error)

class Again:
    tries = 0
    def failed(self, error):
        self.tries += 1
        prober.worker.connect(error.address, self)

class Prober:
    again = Again()
    @hookimpl
    def worker_start(self, worker):
        self.worker = worker
    @hookimpl
    def framing(self):
        return Lines()
    @hookimpl
    def receive(self, connection, data):
        match json.loads(data):
            case ["connect", address, options]:
                if "cafile" in options:
                    options["tls"] = ssl.create_default_context(cafile=options.pop("cafile"))
                connection.state.connecting = self.worker.connect(address, Far(connection), **options)
            case ["send", text]:
                connection.send_message(b"sent %r" % connection.state.far.send(text.encode()))
            case ["cancel"]:
                connection.state.connecting.cancel()
                connection.send_message(b"cancelled")
            case ["descriptors"]:
                connection.send_message(b"%d" % len(os.listdir("/proc/self/fd")))
            case ["again", address]:
                self.worker.connect(address, self.again)
            case ["tries"]:
                connection.send_message(b"%d" % self.again.tries)

prober = Prober()
hooks = ("worker_start", "framing", "receive")
globals().update({name: getattr(prober, name) for name in hooks})
"""


class Client:
    """A client that makes the host connect to an address."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._lines = sock.makefile("rb")

    def close(self) -> None:
        self._lines.close()
        self.sock.close()

    def ask(self, *words: object) -> str:
        self.sock.sendall(json.dumps(words).encode() + b"\n")
        return self.read()

    def connect(self, address: str, **options: object) -> str:
        return self.ask("connect", address, options)

    def read(self) -> str:
        return self._lines.readline().decode().rstrip("\n")


@pytest.fixture
def host(live_host: Callable[..., LiveHost], write_plugin: Callable[..., str]) -> LiveHost:
    return live_host("--plugin", write_plugin(PROBER), "--workers", "1", "--stop-timeout", "5")


@pytest.fixture
def client(host: LiveHost) -> Iterator[Client]:
    with closing(Client(host.connect())) as client:
        yield client


@pytest.fixture
def listening() -> Iterator[Callable[..., socket.socket]]:
    with ExitStack() as stack:

        def listen(**options: Any) -> socket.socket:
            sock = stack.enter_context(socket.create_server(("127.0.0.1", 0), **options))
            sock.settimeout(DEADLINE_SECONDS)
            return sock

        yield listen


@pytest.fixture
def hanging(listening: Callable[..., socket.socket]) -> Iterator[str]:
    """Return the address of a listener whose queue is full, so that connecting hangs."""
    listener = listening(backlog=0)
    with ExitStack() as stack:
        for _ in range(3):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        yield uri(listener)


def uri(sock: socket.socket, scheme: str = "tcp", host: str = "127.0.0.1") -> str:
    return f"{scheme}://{host}:{sock.getsockname()[1]}"


@pytest.fixture
def closed_port() -> Iterator[int]:
    # Bound and not listening: refused by the kernel. A free port could be taken by another program, or be chosen as the
    # source port of the very connection, which then connects to itself.
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def test_a_failure_is_one_sentence_and_leaves_no_descriptor_open(
    client: Client, hanging: str, closed_port: int, tmp_path: Path
) -> None:
    # The first lookup opens a descriptor that is kept.
    assert client.connect("tcp://nosuchname.invalid:1").startswith("cannot connect to tcp://nosuchname.invalid:1: ")
    before = client.ask("descriptors")
    refused = f"tcp://127.0.0.1:{closed_port}"
    assert client.connect(refused) == f"cannot connect to {refused}: connection refused"
    by_name = refused.replace("127.0.0.1", "localhost")
    assert client.connect(by_name) == f"cannot connect to {by_name}: connection refused"
    assert client.connect(hanging, timeout=0.2) == f"cannot connect to {hanging}: no answer within 0.2 s"
    missing = f"unix://{tmp_path}/missing"
    assert client.connect(missing) == f"cannot connect to {missing}: no such file or directory"
    long = f"tcp://{'x' * 64}.invalid:1"
    assert client.connect(long) == f"cannot connect to {long}: that is not a name"
    client.sock.sendall(json.dumps(["connect", hanging, {}]).encode() + b"\n")
    assert client.ask("cancel") == "cancelled"
    assert client.ask("descriptors") == before


def test_connecting_waits_for_a_unix_listener_with_a_full_queue(client: Client, tmp_path: Path) -> None:
    path = str(tmp_path / "far.sock")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(path)
        listener.listen(0)
        first.connect(path)
        assert client.connect(f"unix://{path}", timeout=0.2).endswith("no answer within 0.2 s")
        client.sock.sendall(json.dumps(["connect", f"unix://{path}", {}]).encode() + b"\n")
        listener.accept()[0].close()
        assert client.read() == f"connected unix:{path} None"


def test_an_outbound_connection_is_listed_but_not_counted_as_a_client(
    host: LiveHost, client: Client, listening: Callable[..., socket.socket]
) -> None:
    listener = listening()
    address = uri(listener, host="localhost")
    assert client.connect(address) == f"connected 127.0.0.1:{listener.getsockname()[1]} None"
    far, _ = listener.accept()
    with far:
        far.sendall(b"12345")
        assert client.read() == "received 5"
        rows = json.loads(host.command("connections", "--json").stdout)["connections"]
        assert [(row["service"], row["bytes_in"]) for row in rows][1:] == [(address, 5)]
        totals = host.until(lambda document: document["totals"]["bytes_in"] > 0)["totals"]
        assert (totals["connections"], totals["accepted"]) == (1, 1)
    assert client.read() == "closed peer"


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]"])
def test_datagrams_go_both_ways_until_nothing_listens(host: LiveHost, client: Client, name: str) -> None:
    family, own = (socket.AF_INET6, "::1") if name == "[::1]" else (socket.AF_INET, "127.0.0.1")
    with socket.socket(family, socket.SOCK_DGRAM) as server:
        server.settimeout(DEADLINE_SECONDS)
        server.bind((own, 0))
        address = uri(server, "udp", name)
        connected = client.connect(address)
        assert re.fullmatch(r"connected (127\.0\.0\.1|\[::1\]):\d+ None", connected)
        if name == "localhost" and "[::1]" in connected:
            pytest.skip("IPv6 is the first address of localhost, and UDP does not try the second one")
        assert client.ask("send", "question") == "sent True"
        data, peer = server.recvfrom(100)
        assert data == b"question"
        for answer in (b"12345", b"", bytes(60_000)):
            server.sendto(answer, peer)
            assert client.read() == f"received {len(answer)}"
        rows = json.loads(host.command("connections", "--json").stdout)["connections"]
        assert [(row["service"], row["bytes_in"], row["state"]) for row in rows][1:] == [(address, 60_005, "open")]
        # From now on it receives from another address only, so the kernel answers that nothing listens; the port cannot
        # be taken meanwhile.
        server.connect((own, 9))
        assert client.ask("send", "anyone?") == "sent True"
        assert client.read() == "closed peer"


def test_a_server_that_resets_at_once_is_connected_and_closed(
    client: Client, listening: Callable[..., socket.socket]
) -> None:
    listener = listening()
    client.connect(uri(listener))
    far, _ = listener.accept()
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    far.close()
    assert client.read() == "closed peer"


def test_a_handler_that_reconnects_at_once_forever_keeps_no_client_waiting(client: Client, closed_port: int) -> None:
    client.sock.sendall(json.dumps(["again", f"tcp://127.0.0.1:{closed_port}"]).encode() + b"\n")
    while int(client.ask("tries")) < 1000:
        pass


def test_stop_calls_drain_of_open_connections_and_cancels_pending_ones(
    host: LiveHost, client: Client, listening: Callable[..., socket.socket], hanging: str
) -> None:
    listener = listening()
    client.connect(uri(listener))
    far, _ = listener.accept()
    with far:
        client.sock.sendall(json.dumps(["connect", hanging, {"timeout": 60}]).encode() + b"\n")
        assert client.ask("descriptors")
        client.close()
        assert host.stop() == 0
        far.settimeout(DEADLINE_SECONDS)
        assert far.recv(10) == b"bye"
        assert far.recv(10) == b""


def test_a_lack_of_descriptors_is_a_connect_failure(client: Client, host: LiveHost, closed_port: int) -> None:
    pid = host.workers()[0]["pid"]
    # A client that is still in the listener's queue at the new limit would not be accepted.
    assert client.ask("tries") == "0"
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    # Descriptors 0 to 2 are in use, and a new one would exceed the limit.
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))
    address = f"tcp://127.0.0.1:{closed_port}"
    assert client.connect(address) == f"cannot connect to {address}: too many open files"
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
    assert client.connect(address) == f"cannot connect to {address}: connection refused"


# TLS.


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    paths = tmp_path / "far.pem", tmp_path / "far.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-out", str(paths[0]), "-keyout", str(paths[1]), "-days", "2", "-subj", "/CN=far.test"),
            *("-addext", "subjectAltName=DNS:far.test"),
        ],
        check=True,
        capture_output=True,
    )
    return paths


def test_tls_is_verified_and_failures_name_the_reason(
    client: Client, listening: Callable[..., socket.socket], certificate: tuple[Path, Path]
) -> None:
    secure, plain, silent = listening(), listening(), listening()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    def serve() -> None:
        for _ in range(3):
            far, _ = secure.accept()
            with far:
                try:
                    with context.wrap_socket(far, server_side=True) as wrapped:
                        wrapped.sendall(b"hello")
                except OSError:
                    continue
        far, _ = plain.accept()
        with far:
            far.sendall(b"220 far.test\r\n")
            far.recv(1000)

    serving = threading.Thread(target=serve)
    serving.start()
    own = {"cafile": str(certificate[0]), "server_name": "far.test"}
    address = uri(secure, "tls")
    assert client.connect(address, **own) == f"connected 127.0.0.1:{secure.getsockname()[1]} TLSv1.3"
    assert [client.read(), client.read()] == ["received 5", "closed peer"]
    before = client.ask("descriptors")
    refused = f"cannot connect to {address}: TLS: its certificate is not accepted: "
    assert client.connect(address, server_name="far.test").startswith(f"{refused}self")
    assert client.connect(address, **own | {"server_name": "other.test"}).startswith(f"{refused}Hostname mismatch")
    assert client.connect(uri(plain, "tls"), **own).endswith("TLS: it sent plain text, not TLS")
    assert client.connect(uri(silent, "tls"), timeout=0.3).endswith("no TLS handshake within 0.3 s")
    assert client.ask("descriptors") == before
    serving.join()
