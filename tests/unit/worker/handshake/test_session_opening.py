"""The opening handshake of a session over TLS, on the bench; without TLS see `test_session_input`."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, cast

import pytest

from reactorhost import Connection, TlsFacts, hookimpl
from reactorhost.address import Endpoint
from reactorhost.reactor import READ
from reactorhost.testing import PluginBench
from reactorhost.testing.bench_client import BenchClient
from reactorhost.testing.fakes import FakeSocket
from reactorhost.worker.handshake.pending import ClientInfo
from reactorhost.worker.stream.transport import StreamTransport

EXAMPLE = str(Path(__file__).parents[4] / "docs" / "examples" / "framing_session.py")
FACTS = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384")


class FakeTls:
    """A TLS socket that encrypts nothing; its handshake is a line."""

    def __init__(self, sock: FakeSocket) -> None:
        self.socket = sock
        self.released = 0

    def wrap(self, *of_tls: object) -> FakeTls:
        """Return the socket itself, in place of `ServerTls`."""
        return self

    def handshake(self, on_failed: Callable[[Exception], object]) -> Generator[int, None, TlsFacts]:
        """Read the line."""
        while not self.socket.incoming:
            yield READ
        assert self.socket.recv(100) == b"TLS\n"
        return FACTS

    def release(self) -> None:
        """Count the calls."""
        self.released += 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self.socket, name)


class Seen:
    """Keeps what the plugin sees of the connection."""

    def __init__(self) -> None:
        self.facts: list[object] = []

    @hookimpl
    def connect(self, connection: Connection) -> None:
        self.facts.append((connection.tls, str(connection.peer)))


def accepted(bench: PluginBench, *pieces: bytes) -> tuple[FakeSocket, FakeTls]:
    """Accept a client that sends these pieces, and whose peer address a PROXY header has named."""
    sock = FakeSocket()
    bench._time.poller.open(sock)
    sock.incoming.extend(pieces)
    tls = FakeTls(sock)

    def begun(transport: StreamTransport) -> None:
        bench._clients[transport.connection.id] = BenchClient(bench.settle, sock, transport, ends_too=True)

    info = ClientInfo(Endpoint("192.0.2.7", 4711), on_begun=begun)
    bench._within(lambda: bench._service.pending_handshakes.accept(cast("Any", sock), info, cast("Any", tls)))
    return sock, tls


@pytest.mark.parametrize(
    ("pieces", "received", "released"),
    [
        ([b"TLS\n", b"HELLO ann\none\n"], b"HELLO\nONE\n", 0),
        ([b"TLS\n", b"GET /\n", b""], b"SORRY say HELLO and your name\n", 1),
        ([b"TLS\n", b"HELL", b""], b"", 1),
    ],
    ids=["complete", "violation", "end"],
)
def test_it_follows_the_tls_handshake_on_the_same_socket(
    plugin_bench: Callable[..., PluginBench], pieces: list[bytes], received: bytes, released: int
) -> None:
    seen = Seen()
    bench = plugin_bench(seen, EXAMPLE, framing="hello")
    sock, tls = accepted(bench, *pieces)
    assert bytes(sock.taken) == received
    # What waits for the peer is dropped with a refused one, and stays with a connection.
    assert tls.released == released
    assert seen.facts == ([] if released else [(FACTS, "192.0.2.7:4711")])
    assert len(bench._service.pending_handshakes) == 0


def test_a_worker_that_leaves_releases_what_waits(plugin_bench: Callable[..., PluginBench]) -> None:
    bench = plugin_bench(EXAMPLE, framing="hello")
    sock, tls = accepted(bench, b"TLS\n", b"HELL")
    bench._parts.end_handshakes()
    assert (bytes(sock.taken), tls.released) == (b"SORRY shutdown\n", 1)
