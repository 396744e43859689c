"""The Redis backend over TLS and over a unix socket, on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from reactorhost.bus import BackendState
from real_workers import OPTIONS, RealNetwork
from redis_server import RedisServer


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an authority, a certificate of the server and one of a client."""
    folder = tmp_path_factory.mktemp("pki")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    for name, identity in (("server", "redis.test"), ("client", "worker.test")):
        issued = authority.issue_cert(identity)
        issued.private_key_and_cert_chain_pem.write_to_path(str(folder / f"{name}.pem"))
    return folder


@pytest.fixture
def tls_server(pki: Path) -> Iterator[RedisServer]:
    files = ("--tls-cert-file", f"{pki}/server.pem", "--tls-key-file", f"{pki}/server.pem")
    with RedisServer("--tls-ca-cert-file", f"{pki}/ca.pem", *files, "--tls-auth-clients", "yes", tls=True) as server:
        yield server


def state(network: RealNetwork, url: str) -> tuple[BackendState, str]:
    _, link = network.join(url)
    network.until(lambda: link.state is not BackendState.CONNECTING)
    return link.states[-1]


def test_tls_verifies_the_server_and_presents_a_certificate(tls_server: RedisServer, pki: Path) -> None:
    with RealNetwork(tls_server) as network:
        base = f"rediss://127.0.0.1:{tls_server.port}?{OPTIONS}&server_name=redis.test"
        url = f"{base}&ca={pki}/ca.pem&certificate={pki}/client.pem"
        assert state(network, url) == (BackendState.UP, "")
        (one, link), (other, _) = network.join(url), network.join(url)
        one.subscribe("t:a")
        network.until(lambda: link.state is BackendState.UP and other.publish("t:a", b"1", None) and link.messages)
        unknown, reason = state(network, f"{base}&certificate={pki}/client.pem")
        assert unknown is BackendState.DOWN
        assert "certificate" in reason
        wrong, reason = state(network, url.replace("redis.test", "other.test"))
        assert wrong is BackendState.DOWN
        assert "other.test" in reason or "mismatch" in reason.lower()
        # TLS 1.3 tells the client after the handshake.
        assert state(network, f"{base}&ca={pki}/ca.pem")[0] is BackendState.DOWN


def test_a_unix_socket_connects_too() -> None:
    with RedisServer() as server, RealNetwork(server) as network:
        path = server.folder / "redis.sock"
        server.kill()
        server.arguments = ("--unixsocket", str(path))
        server.start()
        assert state(network, f"redis+unix://{path}?{OPTIONS}") == (BackendState.UP, "")
