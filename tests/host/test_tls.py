"""TLS: what clients get, which failures are logged, and that other clients are not affected."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clients import answers, ended, read_exactly
from daemons import Daemon, run
from kernel import descriptors
from pki import Pki
from plugin_files import ECHO, WITNESS, plugin_file, told, told_until
from reactorhost.testing import DEADLINE_SECONDS, HostFailedError, LiveHost
from waiting import until

Hosts = Callable[..., LiveHost]

FACTS = """
@hookimpl
def connect(connection):
    tls = connection.tls
    subject = tls.certificate and dict(pair for (pair,) in tls.certificate["subject"])
    tell("facts", version=tls.version, cipher=tls.cipher, alpn=tls.alpn, name=tls.server_name, subject=subject)
"""
DRAIN = """
@hookimpl
def drain(connection):
    tell("drain", id=connection.id)
"""

LISTEN = ("--listen", "tls://127.0.0.1:0", "--workers", "1")


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    pki = Pki(tmp_path_factory.mktemp("pki"))
    pki.issue("server", "localhost")
    return pki


def openssl(host: LiveHost, *arguments: str, says: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run `openssl s_client` against a host; it ends after its input."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    command = ["openssl", "s_client", "-connect", ":".join(map(str, host.address())), *arguments]
    return subprocess.run(command, input=says, capture_output=True, timeout=DEADLINE_SECONDS, check=False)


def refused_reason(host: LiveHost, count: int = 1) -> str:
    """Return the reason in the last line of a failed handshake."""
    log = host.wait_for_log("handshake_failed", count)
    reasons = re.findall(r' info handshake_failed .*service=default peer=127\.0\.0\.1:\d+ reason="(.*)"', log)
    return str(reasons[-1])


def test_a_host_without_tls_does_not_import_ssl() -> None:
    code = (
        "import sys, reactorhost.worker.boot, reactorhost.master.startup, reactorhost.cli.commands.start; "
        "assert 'ssl' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("version", ["-tls1_3", "-tls1_2"])
def test_openssl_gets_its_answer_and_close_notify(live_host: Hosts, tmp_path: Path, pki: Pki, version: str) -> None:
    says_bye = (
        "@hookimpl\ndef receive(connection, data):\n    connection.send(b'you said ' + data)\n    connection.close()"
    )
    host = live_host("--plugin", plugin_file(tmp_path, "bye", WITNESS, says_bye), *LISTEN, *pki.arguments("server"))
    client = openssl(
        host, version, "-CAfile", str(pki.authority), "-verify_return_error", "-quiet", "-ign_eof", says=b"hello\n"
    )
    assert (client.returncode, client.stdout) == (0, b"you said hello\n"), client.stderr
    assert [told(host)["event"] for _ in range(2)] == ["connect", "close"]


def test_a_tcp_address_of_a_service_with_a_certificate_uses_tls(live_host: Hosts, pki: Pki) -> None:
    host = live_host("--plugin", "echo", "--listen", "tcp://127.0.0.1:0", "--workers", "1", *pki.arguments("server"))
    assert host.status()["services"][0]["addresses"][0].startswith("tls://")
    with pki.connect(host) as client:
        assert answers(client)


def test_server_name_alpn_and_client_certificate_are_selected_and_reported(
    live_host: Hosts, tmp_path: Path, pki: Pki
) -> None:
    pki.issue("wild", "*.example.org", "example.org")
    pki.issue("client", "client@example.org")
    host = live_host(
        *("--plugin", plugin_file(tmp_path, "facts", FACTS), *LISTEN, *pki.arguments("server", "wild")),
        *("--alpn", "h2", "--alpn", "echo/1"),
        *("--client-ca", str(pki.authority), "--client-certificates", "optional"),
    )
    for name, context, alpn in [
        ("localhost", pki.context(), None),
        ("A.example.org", pki.context(alpn=("echo/1", "h2")), "h2"),
        ("example.org", pki.context("client", ("unknown",)), None),
    ]:
        with pki.connect(host, name, context) as client:
            facts = told(host)
            assert (facts["alpn"], facts["name"]) == (alpn, name)
            assert (facts["version"], facts["cipher"]) == (client.version(), (client.cipher() or [""])[0])
    assert "trustme" in str(facts["subject"])
    # A name that no certificate has gets the first one: it is for the client to say no.
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        pki.connect(host, "a.b.example.org")


def test_every_failure_is_logged_with_a_reason_and_leaves_nothing_open(
    live_host: Hosts, tmp_path: Path, pki: Pki
) -> None:
    host = live_host(
        *("--plugin", plugin_file(tmp_path, "witness", WITNESS, ECHO), *LISTEN, *pki.arguments("server")),
        *("--client-ca", str(pki.authority), "--handshake-timeout", "1"),
    )
    worker = host.workers()[0]["pid"]
    before = descriptors(worker)
    with host.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert ended(client)
    assert refused_reason(host) == "it sent plain HTTP, not TLS"
    with host.connect() as client:
        assert ended(client)
    assert refused_reason(host, 2) == "the handshake did not complete in time"
    other = Pki(tmp_path)
    other.issue("stranger", "stranger@example.org")
    stranger = other.context("stranger")
    stranger.load_verify_locations(pki.authority)
    for count, context, reason in [
        (3, pki.context(), "it presented no certificate, which is required"),
        (4, stranger, "its certificate is not accepted: self-signed certificate in certificate chain"),
    ]:
        # The client of TLS 1.3 believes that all is well until it hears the alert.
        with pki.connect(host, context=context) as client, pytest.raises(ssl.SSLError, match="alert"):
            client.recv(1)
        assert refused_reason(host, count) == reason
    with pytest.raises(ssl.SSLCertVerificationError):
        pki.connect(host, context=ssl.create_default_context())
    assert refused_reason(host, 5) == "it does not trust the authority of our certificate"
    # Health checks are neither refused nor worth a line.
    host.connect().close()
    ended_all = host.until(lambda status: status["totals"]["connections"] == 0 and status["totals"]["accepted"] == 6)
    assert ended_all["totals"]["refused"] == 5
    assert host.log().count("handshake_failed") == 5
    assert descriptors(worker) == before
    assert host.stop() == 0
    with pytest.raises(EOFError):
        host.read_line()


def test_an_old_version_is_logged(live_host: Hosts, pki: Pki) -> None:
    host = live_host("--plugin", "echo", *LISTEN, *pki.arguments("server"))
    client = openssl(host, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
    assert b"alert protocol version" in client.stderr
    assert refused_reason(host) == "it supports no enabled TLS version (1.2 or later)"


def test_many_failures_are_a_few_lines_and_a_count(live_host: Hosts, pki: Pki) -> None:
    host = live_host("--plugin", "echo", *LISTEN, *pki.arguments("server"))
    for _ in range(200):
        with host.connect() as client:
            client.sendall(b"x\n")
            assert ended(client)
    log = host.wait_for_log("log_suppressed")
    lines = log.count("handshake_failed")
    assert lines <= 100
    host.until(lambda _: counted(host) + host.log().count("handshake_failed") == 200)


def counted(host: LiveHost) -> int:
    return sum(map(int, re.findall(r"log_suppressed .*count=(\d+)", host.log())))


def test_large_transfers_with_a_slow_reader_end_with_close_notify(live_host: Hosts, tmp_path: Path, pki: Pki) -> None:
    """close_notify follows the last byte although the kernel's buffer is full when the connection closes."""
    gives = """
@hookimpl
def receive(connection, data):
    connection.state.left = getattr(connection.state, "left", 6_000_000) - len(data)
    if connection.state.left == 0:
        connection.send(bytes(6_000_000))
        connection.close()
"""
    host = live_host("--plugin", plugin_file(tmp_path, "gives", gives), *LISTEN, *pki.arguments("server"))
    with socket.socket() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.settimeout(DEADLINE_SECONDS)
        plain.connect(host.address())
        # Otherwise an end that TLS does not tell would look the same.
        with pki.wrap(plain, suppress_ragged_eofs=False) as client:
            client.sendall(bytes(6_000_000))
            count = 0
            while data := client.recv(1 << 20):
                count += len(data)
    assert count == 6_000_000


def test_a_client_that_sends_close_notify_still_gets_its_answer(live_host: Hosts, tmp_path: Path, pki: Pki) -> None:
    host = live_host("--plugin", plugin_file(tmp_path, "echo", ECHO, WITNESS), *LISTEN, *pki.arguments("server"))
    with host.connect() as plain:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = pki.context().wrap_bio(incoming, outgoing, server_hostname="localhost")
        handshake(client, plain, incoming, outgoing)
        client.write(b"last words")
        with contextlib.suppress(ssl.SSLWantReadError):
            client.unwrap()
        # One segment, and no FIN: only TLS says that this is the end.
        plain.sendall(outgoing.read())
        heard = b""
        while data := plain.recv(65536):
            incoming.write(data)
            with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
                while piece := client.read():
                    heard += piece
    assert heard == b"last words"
    assert told_until(host, "close")[-1]["reason"] == "peer"


def handshake(client: ssl.SSLObject, plain: socket.socket, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
    while True:
        try:
            client.do_handshake()
        except ssl.SSLWantReadError:
            plain.sendall(outgoing.read())
            incoming.write(plain.recv(65536))
        else:
            plain.sendall(outgoing.read())
            return


# Certificates.


def test_a_start_with_a_bad_certificate_fails_and_leaves_nothing(
    live_host: Hosts, daemon: Callable[..., Daemon], pki: Pki
) -> None:
    path, _ = pki.issue("old", "localhost", begins=-10, ends=-1)
    for start in (live_host, daemon):
        with pytest.raises(HostFailedError) as caught:
            start("--plugin", "echo", *LISTEN, *pki.arguments("old"))
        assert caught.value.status == 1
        assert f"reactorhost: the certificate {path} has expired\n  where: --certificate\n" in caught.value.text
    checked = run("check", "--plugin", "echo", *LISTEN, *pki.arguments("old"))
    assert (checked.returncode, checked.stdout) == (1, "")
    assert f"reactorhost: the certificate {path} has expired\n" in checked.stderr


def test_a_certificate_that_expires_soon_is_a_warning(live_host: Hosts, pki: Pki) -> None:
    path, _ = pki.issue("soon", "localhost", ends=3)
    checked = run("check", "--plugin", "echo", *LISTEN, *pki.arguments("soon"))
    assert checked.returncode == 0
    row = rf"^ok  certificate +{path} +for localhost, until [-0-9]+, with its key$"
    assert re.search(row, checked.stdout, re.MULTILINE)
    assert checked.stderr == f"reactorhost: warning: the certificate {path} expires in 2 days\n"
    host = live_host("--plugin", "echo", *LISTEN, "--workers", "2", *pki.arguments("soon"))
    log = host.log()
    assert log.count("certificate_expires") == 1
    assert re.search(rf" warning certificate_expires .*service=default file={path} days_left=2\n", log)


def serial(pki: Pki, host: LiveHost) -> object:
    with pki.connect(host) as client:
        return (client.getpeercert() or {})["serialNumber"]


def test_a_reload_renews_certificates_and_keeps_the_old_ones_on_failure(
    live_host: Hosts, tmp_path: Path, expected_errors: list[str]
) -> None:
    expected_errors += ["worker_not_booted", "reload_failed"]
    pki = Pki(tmp_path)
    _, key = pki.issue("server", "localhost")
    host = live_host("--plugin", "echo", *LISTEN, *pki.arguments("server"))
    first = serial(pki, host)
    with pki.connect(host) as client:
        old = key.read_bytes()
        path, _ = pki.issue("server", "localhost")
        new = key.read_bytes()
        key.write_bytes(old)
        failed = host.command("reload")
        assert failed.returncode == 1
        assert f"the key {key} does not belong to the certificate {path}" in failed.stderr
        assert serial(pki, host) == first
        key.write_bytes(new)
        assert host.command("reload").returncode == 0
        assert serial(pki, host) != first
        assert answers(client)


def unprivileged_user_can_run_python() -> bool:
    try:
        return subprocess.run([sys.executable, "-c", "import reactorhost"], check=False, user="nobody").returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.skipif(
    not unprivileged_user_can_run_python(), reason="another user cannot read the interpreter's files here"
)
def test_keys_are_read_before_workers_change_the_user(live_host: Hosts, pki: Pki) -> None:
    _, key = pki.issue("secret", "localhost")
    key.chmod(0o600)
    key.parent.chmod(0o700)
    host = live_host("--plugin", "echo", *LISTEN, *pki.arguments("secret"), "--user", "nobody")
    with pki.connect(host) as client:
        assert answers(client)


# Leaving, and room.


def test_a_draining_worker_finishes_a_pending_handshake(live_host: Hosts, tmp_path: Path, pki: Pki) -> None:
    plugin = plugin_file(tmp_path, "witness", WITNESS, DRAIN, ECHO)
    host = live_host("--plugin", plugin, *LISTEN, *pki.arguments("server"))
    old = host.workers()[0]["pid"]
    with host.connect() as plain:
        host.until(lambda status: status["totals"]["connections"] == 1)
        assert host.command("reload").returncode == 0
        host.wait_for_log("worker_draining")
        with pki.wrap(plain) as client:
            assert [told(host)["event"] for _ in range(2)] == ["connect", "drain"]
            assert answers(client)
    host.until(lambda status: all(worker["pid"] != old for worker in status["workers"]))
    assert "worker_crashed" not in host.log()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_a_stop_ends_stalled_handshakes(live_host: Hosts, pki: Pki, number: signal.Signals) -> None:
    host = live_host("--plugin", "echo", *LISTEN, *pki.arguments("server"), "--stop-timeout", "0.3")
    with host.connect() as client:
        host.until(lambda status: status["totals"]["connections"] == 1)
        host.signal(number)
        assert ended(client)
        assert host.wait() == 0
    assert "worker_killed" not in host.log()


def test_a_handshake_counts_as_a_connection(live_host: Hosts, pki: Pki) -> None:
    host = live_host(
        "--plugin", "echo", *LISTEN, *pki.arguments("server"), "--max-connections", "1", "--handshake-timeout", "1"
    )
    with host.connect() as stalls:
        host.wait_for_log("accepting_paused")
        # It waits in the queue until the deadline of the other one makes room.
        with pki.connect(host) as client:
            assert answers(client)
            assert ended(stalls)


@contextlib.contextmanager
def tls_load(pki: Pki, host: LiveHost, threads: int = 3) -> Iterator[Callable[[], int]]:
    """Connect, echo and close repeatedly; yields a function that counts the answers, and raises the first failure."""
    stopping = threading.Event()
    context = pki.context()
    counts = [0] * threads
    errors: list[Exception] = []

    def visit(number: int) -> None:
        try:
            while not stopping.is_set():
                with pki.connect(host, context=context) as client:
                    assert answers(client, b"%8d" % counts[number])
                    assert read_exactly(client.unwrap(), 1) == b""
                counts[number] += 1
        except Exception as error:
            errors.append(error)
            raise

    visitors = [threading.Thread(target=visit, args=(number,)) for number in range(threads)]
    for visitor in visitors:
        visitor.start()
    try:
        yield lambda: sum(counts) if not errors else 1 << 30
    finally:
        stopping.set()
        for visitor in visitors:
            visitor.join()
    assert errors == []


def test_reloads_under_load_lose_no_tls_client(live_host: Hosts, pki: Pki) -> None:
    host = live_host("--plugin", "echo", *LISTEN, "--workers", "2", *pki.arguments("server"))
    with tls_load(pki, host) as answered:
        for _ in range(4):
            wanted = answered() + 40
            until(lambda wanted=wanted: answered() >= wanted, "answers")  # type: ignore[misc]
            assert host.command("reload").returncode == 0
        wanted = answered() + 40
        until(lambda: answered() >= wanted, "answers")
    assert host.status()["generation"] == 5
    assert "handshake_failed" not in host.log()
