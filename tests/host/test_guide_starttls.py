"""The guide's page on STARTTLS: its examples on real hosts, with openssl and smtplib as clients."""

from __future__ import annotations

import re
import shutil
import smtplib
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from clients import connect_unix, ended, read_exactly
from event_loops import LOOPS, UVLOOP
from pki import Pki
from reactorhost.testing import DEADLINE_SECONDS, LiveHost

DOCS = Path(__file__).parents[2] / "docs"
MAIL = DOCS / "examples" / "starttls_mail.py"
PROBE = DOCS / "examples" / "starttls_probe.py"
GREETING = b"220 mail.example\r\n"
READY = b"220 go ahead\r\n"

Hosts = Callable[..., LiveHost]

# The same host with an asyncio loop, and every hook in a queue.
ASYNC = """
from reactorhost import hookimpl


@hookimpl
async def connect(connection):
    pass
"""


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    pki = Pki(tmp_path_factory.mktemp("pki"))
    pki.issue("server", "localhost", "127.0.0.1")
    pki.issue("client", "client@example.org")
    return pki


@pytest.fixture
def mail(live_host: Hosts, pki: Pki) -> Hosts:
    """Start a host of one worker with the example."""

    def start(*arguments: str, listen: str = "tcp://127.0.0.1:0") -> LiveHost:
        certificate = pki.arguments("server")
        return live_host(
            *("--plugin", str(MAIL), "--listen", listen, "--starttls", "--workers", "1", *certificate, *arguments)
        )

    return start


@pytest.mark.parametrize("path", [MAIL, PROBE], ids=lambda path: path.stem)
def test_the_page_contains_every_example_file(path: Path) -> None:
    page = (DOCS / "guide" / "starttls.md").read_text(encoding="utf-8")
    assert path.read_text(encoding="utf-8") in re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_begins_tls_and_closes_with_close_notify(mail: Hosts, pki: Pki) -> None:
    host = mail()
    target = ":".join(map(str, host.address()))
    command = ["openssl", "s_client", "-connect", target, "-starttls", "smtp", "-quiet", "-verify_return_error"]
    client = subprocess.run(
        [*command, "-CAfile", str(pki.authority)],
        input=b"NOOP\r\nQUIT\r\n",
        capture_output=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert client.returncode == 0, client.stderr
    assert client.stdout.endswith(b"250 TLSv1.3\r\n221 bye\r\n")
    assert host.status()["services"][0]["addresses"][0].startswith("tcp://")


@pytest.mark.parametrize("loop", ["none", UVLOOP])
def test_smtplib_begins_tls_with_a_client_certificate(mail: Hosts, pki: Pki, tmp_path: Path, loop: str) -> None:
    arguments = ["--client-ca", str(pki.authority)]
    if loop != "none":
        (tmp_path / "queued.py").write_text(ASYNC)
        arguments += ["--plugin", str(tmp_path / "queued.py"), "--event-loop", loop]
    host, port = mail(*arguments).address()
    with smtplib.SMTP(host, port, timeout=DEADLINE_SECONDS) as client:
        assert client.noop() == (250, b"no TLS")
        assert client.starttls(context=pki.context("client")) == (220, b"go ahead")
        assert client.noop() == (250, b"TLSv1.3")
        assert client.ehlo() == (250, b"mail.example")


STREAMS = """
import ssl
from reactorhost import hookimpl

CONTEXT = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
CONTEXT.load_cert_chain({certificate!r}, {key!r})


@hookimpl
async def stream_handler(reader, writer):
    writer.write(b"220 mail.example\\r\\n")
    while line := await reader.readline():
        if line.upper().startswith(b"STARTTLS"):
            writer.write(b"220 go ahead\\r\\n")
            await writer.start_tls(CONTEXT)
        elif line.startswith(b"ehlo"):
            writer.write(b"250-mail.example\\r\\n250 STARTTLS\\r\\n")
        else:
            tls = writer.get_extra_info("connection").tls
            writer.write(b"250 " + (tls.version.encode() if tls else b"no TLS") + b"\\r\\n")
"""


@pytest.mark.parametrize("loop", LOOPS)
def test_a_stream_handler_begins_tls_with_smtplib(live_host: Hosts, pki: Pki, tmp_path: Path, loop: str) -> None:
    certificate, key = pki.issue("streams", "localhost", "127.0.0.1")
    (tmp_path / "streams.py").write_text(STREAMS.format(certificate=str(certificate), key=str(key)))
    host, port = live_host("--plugin", str(tmp_path / "streams.py"), "--workers", "1", "--event-loop", loop).address()
    with closing(smtplib.SMTP(host, port, timeout=DEADLINE_SECONDS)) as client:
        assert client.noop() == (250, b"no TLS")
        assert client.starttls(context=pki.context()) == (220, b"go ahead")
        assert client.noop() == (250, b"TLSv1.3")


def test_what_is_injected_behind_the_request_is_neither_answered_nor_interpreted(mail: Hosts) -> None:
    host = mail()
    with host.connect() as client:
        client.sendall(b"STARTTLS\r\nNOOP\r\n")
        assert read_exactly(client, len(GREETING + READY)) == GREETING + READY
        assert ended(client)
    log = host.wait_for_log("starttls_injection")
    assert re.search(
        r" warning starttls_injection .*service=default peer=127\.0\.0\.1:\d+ connection=1$", log, re.MULTILINE
    )


def test_a_client_that_goes_on_in_plain_text_is_disconnected(mail: Hosts) -> None:
    host = mail()
    with host.connect() as client:
        client.sendall(b"STARTTLS\r\n")
        assert read_exactly(client, len(GREETING + READY)) == GREETING + READY
        client.sendall(b"NOOP\r\n")
        assert ended(client)
    log = host.wait_for_log("handshake_failed")
    assert 'connection=1 reason="it sent plain text, not TLS"' in log


def test_a_client_of_a_unix_socket_begins_tls(mail: Hosts, pki: Pki, tmp_path: Path) -> None:
    mail(listen=f"unix://{tmp_path}/s")
    with connect_unix(tmp_path / "s") as client:
        client.sendall(b"STARTTLS\r\n")
        assert read_exactly(client, len(GREETING + READY)) == GREETING + READY
        with pki.wrap(client) as secure:
            secure.sendall(b"NOOP\r\n")
            assert read_exactly(secure, len(b"250 TLSv1.3\r\n")) == b"250 TLSv1.3\r\n"


def test_the_probe_begins_tls_as_a_client_and_verifies_the_server(mail: Hosts, live_host: Hosts, pki: Pki) -> None:
    server = f"tcp://127.0.0.1:{mail().address()[1]}"
    arguments = ("--plugin", str(PROBE), "--set", f"starttls_probe.server={server}", "--workers", "1")
    trusting = live_host(*arguments, environment={"SSL_CERT_FILE": str(pki.authority)})
    assert "TLSv1.3 with localhost, 127.0.0.1" in trusting.wait_for_log("TLSv1.3 with")
    log = live_host(*arguments).wait_for_log("no TLS with")
    assert f"no TLS with {server.removeprefix('tcp://')}: its certificate is not accepted: " in log
    assert re.search(rf" info handshake_failed .*service={server} ", log)
