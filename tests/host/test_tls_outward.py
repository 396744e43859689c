"""The client's side of TLS, for connections that are opened from here: against a real host, in a real reactor."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clients import ended
from pki import Pki
from reactorhost.reactor import READ, Reactor
from reactorhost.testing import DEADLINE_SECONDS, LiveHost
from reactorhost.worker.tls import client_context, handshake
from reactorhost.worker.tls_socket import TlsSocket

Hosts = Callable[..., LiveHost]


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    pki = Pki(tmp_path)
    pki.issue("server", "localhost")
    pki.issue("client", "me@example.org")
    return pki


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    reactor = Reactor()
    yield reactor
    reactor.close()


def shaken(
    reactor: Reactor, address: tuple[str, int], authority: Path, *, name: str = "localhost", seconds: float = 30.0
) -> TlsSocket | str:
    """Make a handshake; returns the socket after it, or why there is none."""
    sock = socket.create_connection(address)
    sock.setblocking(False)
    results: list[TlsSocket | str] = []

    def finish(result: TlsSocket | str) -> None:
        results.append(result)
        reactor.stop()

    handshake(
        reactor,
        sock,
        client_context(
            authorities=authority, certificate=authority.parent / "client.pem", key=authority.parent / "client.key"
        ),
        name,
        lambda result: finish(result[0]),
        lambda error: finish(str(error)),
        pytest.fail,
        reactor.now + seconds,
    )
    reactor.call_later(DEADLINE_SECONDS, reactor.stop)
    if not results:
        reactor.run()
    assert sock.fileno() == -1 or not isinstance(results[0], str)
    return results[0]


def test_a_client_of_our_own_agrees_with_a_server_and_moves_bytes(live_host: Hosts, pki: Pki, reactor: Reactor) -> None:
    host = live_host(
        *("--plugin", "echo", "--workers", "1", "--listen", "tls://127.0.0.1:0", *pki.arguments("server")),
        *("--client-ca", str(pki.authority)),
    )
    tls = shaken(reactor, host.address(), pki.authority)
    assert isinstance(tls, TlsSocket)
    heard = b""

    def ready(events: int) -> None:
        nonlocal heard
        with contextlib.suppress(BlockingIOError):
            data = tls.recv(1000)
            heard += data or b"<end>"
            if not data:
                reactor.stop()

    reactor.register(tls.fileno(), READ, ready)
    tls.send(b"hello")
    tls.shutdown(socket.SHUT_WR)
    reactor.run()
    reactor.unregister(tls.fileno())
    tls.close()
    assert heard == b"hello<end>"
    words = shaken(reactor, host.address(), pki.authority, name="other.example.org")
    assert words == (
        "its certificate is not accepted: Hostname mismatch, certificate is not valid for 'other.example.org'."
    )
    assert 'reason="' in host.wait_for_log("handshake_failed")


def test_a_server_that_speaks_no_tls_or_says_nothing_is_told(live_host: Hosts, pki: Pki, reactor: Reactor) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    # An echo of our own hello looks like TLS.
    assert isinstance(shaken(reactor, host.address(), pki.authority), str)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = silent.getsockname()
        assert shaken(reactor, address, pki.authority, seconds=0.1) == "its handshake did not end in time"
        peer, _ = silent.accept()
        with peer:
            peer.settimeout(DEADLINE_SECONDS)
            peer.recv(65536)
            assert ended(peer)
