"""Clients that leave before their answers are sent: what they had sent is received, whole, up to their end."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from clients import connect_unix, read_exactly
from kernel import is_stopped, unacknowledged_bytes
from pki import Pki
from plugin_files import WITNESS, plugin_file, told, told_until
from reactorhost.testing import DEADLINE_SECONDS, LiveHost
from waiting import until

Hosts = Callable[..., LiveHost]

CLIENTS = 10
LINES = 1000
LINE = b"%039d\n"
# Less than a window of the loopback device: the kernel of a client that is gone sends nothing more.
CLIENT_BYTES = LINES * len(LINE % 0)
assert CLIENT_BYTES < 60_000

DOCS = Path(__file__).parents[2] / "docs"

COUNTING = """
@hookimpl
def connect(connection):
    connection.state.messages = connection.state.bytes = 0
    connection.state.results = []

def count(connection, data):
    connection.state.messages += 1
    connection.state.bytes += len(data)

@hookimpl
def close(connection, reason):
    results = connection.state.results
    tell(
        "close",
        reason=reason.value,
        messages=connection.state.messages,
        bytes=connection.state.bytes,
        in_order=sorted(results, reverse=True) == results,
    )
"""
LINES_FRAMING = """
from reactorhost import Lines

@hookimpl
def framing(service):
    return Lines()
"""
PLAIN = """
@hookimpl
def receive(connection, data):
    count(connection, data)
    connection.state.results.append(connection.send(b"%d bytes\\n" % len(data)))
"""
ASYNC = """
import asyncio

@hookimpl
async def receive(connection, data):
    # A client that resets must not cancel this.
    await asyncio.sleep(0)
    count(connection, data)
    connection.state.results.append(connection.send(b"%d bytes\\n" % len(data)))
"""
KINDS = {
    "plain": (PLAIN, ()),
    "async": (ASYNC, ("--event-loop", "asyncio")),
    "uvloop": (ASYNC, ("--event-loop", "uvloop")),
}


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    pki = Pki(tmp_path_factory.mktemp("pki"))
    pki.issue("server", "localhost")
    return pki


class Service:
    """A host of one worker that is reached over TCP, TLS or a unix socket, or over several of them."""

    def __init__(self, live_host: Hosts, folder: Path, pki: Pki, *schemes: str) -> None:
        self._start = live_host
        self._pki = pki
        self._path = folder / "clients.sock"
        self._schemes = schemes
        self.scheme = schemes[0]

    def serve(self, plugin: str, *settings: str) -> LiveHost:
        words = list(settings)
        for scheme in self._schemes:
            words += ["--listen", f"unix://{self._path}" if scheme == "unix" else f"{scheme}://127.0.0.1:0"]
        if "tls" in self._schemes:
            words += self._pki.arguments("server")
        self.host = self._start("--plugin", plugin, "--workers", "1", *words)
        addresses = self.host.status()["services"][0]["addresses"]
        self._ports = {each.partition(":")[0]: each.rpartition(":")[2] for each in addresses}
        return self.host

    def connect(self, scheme: str | None = None) -> socket.socket:
        scheme = scheme or self.scheme
        if scheme == "unix":
            return connect_unix(self._path)
        client = socket.create_connection(("127.0.0.1", int(self._ports[scheme])), timeout=DEADLINE_SECONDS)
        # Or the last record of a large message waits in the client for an acknowledgement.
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._pki.wrap(client) if scheme == "tls" else client


@pytest.fixture
def service(live_host: Hosts, tmp_path: Path, pki: Pki, scheme: str) -> Service:
    return Service(live_host, tmp_path, pki, scheme)


def all_is_acknowledged(client: socket.socket) -> None:
    """Wait until the host's kernel has all bytes: on a busy machine a reset can overtake them."""
    if client.family != socket.AF_UNIX:
        until(lambda: not unacknowledged_bytes(client), "the acknowledgement")


def reset(client: socket.socket) -> None:
    """Close a TCP connection by a reset."""
    all_is_acknowledged(client)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()


# Everything that was sent is received


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("framed", [True, False], ids=["lines", "bytes"])
def test_clients_that_close_without_reading_have_sent_everything(
    live_host: Hosts, tmp_path: Path, pki: Pki, kind: str, framed: bool
) -> None:
    source, settings = KINDS[kind]
    if kind == "uvloop":
        pytest.importorskip("uvloop")
    framing = LINES_FRAMING if framed else ""
    schemes = ("tcp", "tls", "unix")
    service = Service(live_host, tmp_path, pki, *schemes)
    host = service.serve(plugin_file(tmp_path, "counting", framing, COUNTING, source), *settings)
    for scheme in schemes:
        for _ in range(CLIENTS):
            with service.connect(scheme) as client:
                client.sendall(b"".join(LINE % number for number in range(LINES)))
                # Closing with unread answers is a reset.
                all_is_acknowledged(client)
        facts = [told(host) for _ in range(CLIENTS)]
        assert [fact["reason"] for fact in facts] == ["peer"] * CLIENTS, scheme
        if framed:
            assert sum(fact["messages"] for fact in facts) == CLIENTS * LINES, scheme
        else:
            assert sum(fact["bytes"] for fact in facts) == CLIENTS * CLIENT_BYTES, scheme
        assert all(fact["in_order"] for fact in facts), f"{scheme}: send returns False from the failure on"


@pytest.mark.parametrize("scheme", ["tcp"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_message_right_before_a_reset_is_received(service: Service, tmp_path: Path, kind: str) -> None:
    source, settings = KINDS[kind]
    if kind == "uvloop":
        pytest.importorskip("uvloop")
    host = service.serve(plugin_file(tmp_path, "counting", COUNTING, source), *settings)
    for _ in range(CLIENTS):
        client = service.connect()
        client.sendall(b"one message")
        reset(client)
    facts = [told(host) for _ in range(CLIENTS)]
    assert [(fact["reason"], fact["bytes"]) for fact in facts] == [("peer", 11)] * CLIENTS


# An early answer through the example proxy


@pytest.fixture
def upstream() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.settimeout(DEADLINE_SECONDS)
        yield sock


def test_the_example_proxy_passes_an_early_answer_of_a_server_that_closes(
    live_host: Hosts, upstream: socket.socket
) -> None:
    port = upstream.getsockname()[1]
    proxy = ("--plugin", str(DOCS / "examples" / "proxy.py"), "--set", f"proxy.server=tcp://127.0.0.1:{port}")
    host = live_host(*proxy, "--workers", "1")
    pid = host.workers()[0]["pid"]
    answered = []
    for _ in range(30):
        with host.connect() as client:
            client.sendall(b"begin")
            server, _ = upstream.accept()
            server.settimeout(DEADLINE_SECONDS)
            assert read_exactly(server, 5) == b"begin"
            # Both come in one turn of the worker, the client's first.
            os.kill(pid, signal.SIGSTOP)
            until(lambda: is_stopped(pid), "the worker's stop")
            client.sendall(b"more of it" * 100)
            server.sendall(b"no, thank you")
            reset(server)
            os.kill(pid, signal.SIGCONT)
            answered.append(read_exactly(client, 13))
    assert answered == [b"no, thank you"] * 30


# Paused clients

PAUSING = """
paused = []

@hookimpl
def receive(connection, data):
    if data.startswith(b"pause"):
        paused.append(connection)
        connection.pause()
        connection.send(b"paused")
    elif data == b"look":
        connection.send(b"%06d" % paused[0].bytes_in)
    elif data == b"resume":
        paused[0].resume()
    else:
        connection.send(data.upper())
"""


@pytest.mark.parametrize("scheme", ["tcp", "tls", "unix"])
@pytest.mark.parametrize("unread", [b"", b"never read"], ids=["nothing unread", "something unread"])
def test_a_paused_client_that_breaks_its_connection_ends(service: Service, tmp_path: Path, unread: bytes) -> None:
    host = service.serve(plugin_file(tmp_path, "pausing", WITNESS, PAUSING))
    client = service.connect()
    client.sendall(b"pause")
    if service.scheme == "unix":
        # A unix socket that is closed over an unread answer reports a reset.
        client.sendall(unread)
        client.close()
    else:
        assert read_exactly(client, 6) == b"paused"
        client.sendall(unread)
        reset(client)
    assert told_until(host, "close")[-1]["reason"] == "peer"


@pytest.mark.parametrize("scheme", ["unix"])
@pytest.mark.parametrize("framing", ["", LINES_FRAMING], ids=["bytes", "lines"])
def test_a_paused_client_that_closes_its_unix_socket_ends(service: Service, tmp_path: Path, framing: str) -> None:
    host = service.serve(plugin_file(tmp_path, "pausing", WITNESS, framing, PAUSING))
    with service.connect() as client:
        client.sendall(b"pause\n")
        assert read_exactly(client, 6) == b"paused"
    assert told_until(host, "close")[-1]["reason"] == "peer"


@pytest.mark.parametrize("scheme", ["unix"])
def test_what_a_paused_client_sent_before_it_closed_its_unix_socket_is_read_after_resume(
    service: Service, tmp_path: Path
) -> None:
    host = service.serve(plugin_file(tmp_path, "pausing", WITNESS, PAUSING))
    with service.connect() as client:
        client.sendall(b"pause")
        assert read_exactly(client, 6) == b"paused"
        client.sendall(b"one more")
    with service.connect() as other:
        assert answers_upper(other)
        other.sendall(b"resume")
        closed = told_until(host, "close")[-1]
        assert (closed["read"], closed["reason"]) == (13, "peer")


def answers_upper(client: socket.socket) -> bool:
    """Wait for one answer of another client: by then the worker has seen what came before."""
    client.sendall(b"hello")
    return read_exactly(client, 5) == b"HELLO"


@pytest.mark.parametrize("scheme", ["tcp"])
def test_paused_clients_that_reset_leave_their_places_to_others(service: Service, tmp_path: Path) -> None:
    service.serve(plugin_file(tmp_path, "pausing", PAUSING), "--max-connections", "2")
    with ExitStack() as stack:
        paused = [stack.enter_context(service.connect()) for _ in range(2)]
        for client in paused:
            client.sendall(b"pause")
            assert read_exactly(client, 6) == b"paused"
        for client in paused:
            reset(client)
        assert answers_upper(stack.enter_context(service.connect()))


@pytest.mark.parametrize("scheme", ["tcp", "tls", "unix"])
def test_a_paused_client_that_half_closes_is_read_and_answered_after_resume(service: Service, tmp_path: Path) -> None:
    service.serve(plugin_file(tmp_path, "pausing", PAUSING))
    with service.connect() as client, service.connect() as other:
        client.sendall(b"pause")
        assert read_exactly(client, 6) == b"paused"
        client.sendall(b"question")
        # Below TLS too: a client that has more to read sends its FIN only.
        socket.socket.shutdown(client, socket.SHUT_WR)
        assert answers_upper(other)
        other.sendall(b"resume")
        assert read_exactly(client, 8) == b"QUESTION"


# A hook that waits while its queue is full

STUCK = """
import asyncio

@hookimpl
async def connect(connection):
    connection.send(b"hello")

@hookimpl
async def receive(connection, data):
    await asyncio.Event().wait()
"""


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_reset_ends_a_client_whose_hook_waits_with_a_full_queue(service: Service, tmp_path: Path, loop: str) -> None:
    plugin = plugin_file(tmp_path, "stuck", WITNESS, LINES_FRAMING, STUCK)
    host = service.serve(plugin, "--event-loop", loop, "--close-timeout", "200ms")
    client = service.connect()
    assert read_exactly(client, 5) == b"hello"
    # More than the host reads for one client: the rest stays in the kernel.
    client.sendall(b"line\n" * 20_000)
    until(lambda: host.workers()[0]["bytes_in"] > 16_384, "a full queue")
    reset(client)
    assert told_until(host, "close")[-1]["reason"] == "peer"


# A pause holds the queue of async hooks

WAITING = """
import asyncio

@hookimpl
async def receive(connection, data):
    if data == b"first":
        waiting.append((connection, asyncio.Event()))
        connection.send(b"begun")
        await waiting[0][1].wait()
        connection.pause()
    elif data == b"look":
        connection.send(b"%06d" % waiting[0][0].bytes_in)
    elif data == b"pause":
        waiting[0][1].set()
        connection.send(b"done")
    elif data == b"resume":
        waiting[0][0].resume()
    else:
        tell("received", data=data.decode())
        connection.send(data.upper())

waiting = []
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("scheme", ["tcp"])
def test_a_pause_holds_what_waits_for_an_async_hook(service: Service, tmp_path: Path, loop: str) -> None:
    pytest.importorskip(loop)
    host = service.serve(plugin_file(tmp_path, "waiting", WAITING), "--event-loop", loop)
    with service.connect() as client, service.connect() as other:
        client.sendall(b"first")
        assert read_exactly(client, 5) == b"begun"
        client.sendall(b"second")
        until(lambda: looked(other) == 11, "the second message in the queue of the hook")
        for word in (b"pause", b"other"):
            other.sendall(word)
            assert read_exactly(other, len(word) if word == b"other" else 4) in (b"done", b"OTHER")
        assert told(host)["data"] == "other", "the one that waits is held"
        other.sendall(b"resume")
        assert told(host)["data"] == "second"
        assert read_exactly(client, 6) == b"SECOND"


def looked(client: socket.socket) -> int:
    client.sendall(b"look")
    return int(read_exactly(client, 6))


# A client for which the host works is not idle


@pytest.mark.parametrize("scheme", ["tcp"])
def test_a_client_that_is_paused_for_a_thread_gets_its_answer_after_the_idle_timeout(
    service: Service, tmp_path: Path
) -> None:
    plugin = plugin_file(
        tmp_path,
        "thorough",
        WITNESS,
        """
        import select

        @hookimpl
        def worker_start(worker):
            globals()["worker"] = worker

        def work(data):
            select.select((), (), (), 1.0)
            return data.upper()

        @hookimpl
        def receive(connection, data):
            def answer(result):
                connection.send(result)
                connection.resume()

            connection.pause()
            worker.run_in_thread(work, data, on_result=answer)
        """,
    )
    host = service.serve(plugin, "--idle-timeout", "300ms")
    with service.connect() as client:
        client.sendall(b"question")
        assert read_exactly(client, 8) == b"QUESTION"
        # After that it is idle again.
        assert client.recv(1) == b""
    assert told_until(host, "close")[-1]["reason"] == "idle"
