"""Protocols and streams of asyncio in a real host: the guide's examples, TLS, PROXY headers, ends, reloads."""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from clients import connect_unix, ended, read_exactly, read_to_eof
from event_loops import LOOPS
from pki import Pki
from plugin_files import WITNESS, plugin_file, told, told_until
from reactorhost.testing import HostFailedError, LiveHost

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "guide" / "asyncio-protocols.md"
EXAMPLES = sorted((DOCS / "examples").glob("protocol_*.py"))

Hosts = Callable[..., LiveHost]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_file_is_in_the_page(path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert path.read_text(encoding="utf-8") in blocks


@pytest.mark.parametrize("loop", LOOPS)
def test_the_examples_serve_half_closed_clients_and_say_goodbye(live_host: Hosts, tmp_path: Path, loop: str) -> None:
    config = tmp_path / "host.toml"
    for name in ("reverse", "streams"):
        file = DOCS / "examples" / f"protocol_{name}.py"
        with config.open("a") as lines:
            lines.write(f'[service.{name}]\nlisten = "tcp://127.0.0.1:0"\nplugins = ["{file}"]\n')
    host = live_host("--config", str(config), "--workers", "1", "--event-loop", loop)
    with host.connect("streams") as client:
        client.sendall(b"20\nx\n22\n")
        client.shutdown(socket.SHUT_WR)
        assert read_to_eof(client) == b"20\nnot a number\n42\ntotal 42\n"
    with host.connect("reverse") as client, host.connect("reverse") as other:
        client.sendall(b"hello\nworld\nrest")
        client.shutdown(socket.SHUT_WR)
        assert read_to_eof(client) == b"olleh\ndlrow\n"
        other.sendall(b"on\n")
        assert read_exactly(other, 3) == b"no\n"
        assert host.command("reload").returncode == 0
        assert read_to_eof(other) == b"bye\n"


FACTS = """
import asyncio

NAMES = ("peername", "sockname", "sslcontext", "ssl_object", "cipher", "peercert", "compression", "nothing")

class Facts(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        facts = {name: repr(transport.get_extra_info(name)) for name in NAMES}
        sock = transport.get_extra_info("socket")
        kinds = str(type(transport.get_extra_info("ssl_object")).__mro__)
        tell("made", kind=kinds, peer=repr(sock.getpeername()), local=repr(sock.getsockname()), **facts)

    def data_received(self, data):
        self.transport.write(data)

    def eof_received(self):
        tell("eof")
        self.transport.write(b"after the end")

    def connection_lost(self, error):
        tell("lost", error=repr(error), sockname=repr(self.transport.get_extra_info("sockname")))

@hookimpl
def protocol(service):
    return Facts
"""


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    pki = Pki(tmp_path_factory.mktemp("pki"))
    pki.issue("server", "localhost")
    pki.issue("client", "someone")
    return pki


def test_a_protocol_over_tls_has_the_facts_of_the_session_and_a_half_close(
    live_host: Hosts, tmp_path: Path, pki: Pki
) -> None:
    plugin = plugin_file(tmp_path, "facts", FACTS)
    host = live_host(
        "--plugin", plugin, "--listen", "tls://127.0.0.1:0", "--workers", "1", *pki.arguments("server"),
        "--client-ca", str(pki.authority), "--client-certificates", "optional",
    )  # fmt: skip
    with pki.connect(host, context=pki.context("client")) as client:
        client.sendall(b"hello")
        assert read_exactly(client, 5) == b"hello"
        # Past `SSLSocket.shutdown`, which would forget the session.
        socket.socket.shutdown(client, socket.SHUT_WR)
        assert read_to_eof(client) == b"after the end"
    made = told(host)
    assert made["sslcontext"].startswith("<ssl.SSLContext")
    assert "SSLObject" in made["kind"]
    assert "TLSv1.3" in made["cipher"]
    assert "someone" in made["peercert"]
    assert (made["compression"], made["nothing"]) == ("None", "None")
    assert told(host)["event"] == "eof"
    assert told(host)["error"] == "None"


def test_addresses_are_those_behind_a_proxy_header(live_host: Hosts, tmp_path: Path) -> None:
    host = live_host("--plugin", plugin_file(tmp_path, "facts", FACTS), "--workers", "1", "--proxy-from", "127.0.0.1")
    with host.connect() as client:
        client.sendall(b"PROXY TCP6 2001:db8::1 2001:db8::2 4711 443\r\nhello")
        assert read_exactly(client, 5) == b"hello"
    made = told(host)
    assert made["peername"] == made["peer"] == "('2001:db8::1', 4711, 0, 0)"
    assert made["sockname"] == made["local"] == "('2001:db8::2', 443, 0, 0)"


def test_addresses_of_a_unix_socket_are_its_path_and_nothing(live_host: Hosts, tmp_path: Path) -> None:
    path = tmp_path / "s"
    host = live_host("--plugin", plugin_file(tmp_path, "facts", FACTS), "--workers", "1", "--listen", f"unix://{path}")
    with connect_unix(path) as client:
        client.sendall(b"hello")
        assert read_exactly(client, 5) == b"hello"
    made = told(host)
    assert (made["peername"], made["sockname"]) == ("''", repr(str(path)))
    assert told_until(host, "lost")[-1]["sockname"] == repr(str(path))


@pytest.mark.parametrize("loop", LOOPS)
def test_a_client_that_breaks_the_connection_is_reported_as_a_reset(
    live_host: Hosts, tmp_path: Path, loop: str
) -> None:
    plugin = plugin_file(tmp_path, "facts", FACTS)
    host = live_host("--plugin", plugin, "--workers", "1", "--event-loop", loop)
    with host.connect() as client:
        client.sendall(b"hello")
        assert read_exactly(client, 5) == b"hello"
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert [each["event"] for each in (told(host), told(host))] == ["made", "lost"]
    host.until(lambda status: status["totals"]["connections"] == 0)


ABORTS = """
import asyncio

class Aborts(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(b"x" * 100_000)
        tell("queued", bytes=self.transport.get_write_buffer_size())
        self.transport.abort()

    def connection_lost(self, error):
        tell("lost", error=repr(error))

@hookimpl
def protocol(service):
    return Aborts
"""


def test_what_the_kernel_has_accepted_arrives_after_an_abort(live_host: Hosts, tmp_path: Path) -> None:
    host = live_host("--plugin", plugin_file(tmp_path, "aborts", ABORTS), "--workers", "1")
    with host.connect() as client:
        # More than the protocol reads: a socket that is closed over unread input sends a reset.
        client.sendall(b"y" * 1_000_000)
        queued = told(host)["bytes"]
        assert told(host)["error"] == "None"
        assert len(read_to_eof(client)) == 100_000 - queued


STARTTLS = """
import asyncio, ssl
from asyncio import sslproto

CERTIFICATE, KEY = {certificate!r}, {key!r}

class Upgrades(asyncio.Protocol):
    # As aiosmtpd does it.
    def connection_made(self, transport):
        self.transport = transport
        tell("made", tls=transport.get_extra_info("sslcontext") is not None)

    def data_received(self, data):
        if data != b"STARTTLS":
            self.transport.write(data)
            return
        self.transport.write(b"go")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE, KEY)
        plain, loop = self.transport, asyncio.get_running_loop()
        self.tls = sslproto.SSLProtocol(loop, self, context, None, server_side=True)
        plain.set_protocol(self.tls)
        self.tls.connection_made(plain)

    def eof_received(self):
        tell("eof")

    def connection_lost(self, error):
        tell("lost", error=repr(error))

@hookimpl
def protocol(service):
    return Upgrades
"""


@pytest.mark.parametrize("loop", LOOPS)
def test_the_tls_of_asyncio_works_over_the_transport(live_host: Hosts, tmp_path: Path, pki: Pki, loop: str) -> None:
    certificate, key = pki.issue("upgraded", "localhost")
    source = STARTTLS.format(certificate=str(certificate), key=str(key))
    host = live_host("--plugin", plugin_file(tmp_path, "upgrades", source), "--workers", "1", "--event-loop", loop)
    with host.connect() as plain:
        plain.sendall(b"STARTTLS")
        assert read_exactly(plain, 2) == b"go"
        with pki.context().wrap_socket(plain, server_hostname="localhost") as client:
            # Several records, and more than one read.
            data = bytes(range(256)) * 1000
            client.sendall(data)
            assert read_exactly(client, len(data)) == data
            client.unwrap()
    seen = told_until(host, "lost")
    assert [each["event"] for each in seen] == ["made", "made", "eof", "lost"]
    assert [each.get("tls") for each in seen[:2]] == [False, True]
    assert seen[-1]["error"] == "None"


FAILS = """
@hookimpl
async def stream_handler(reader, writer):
    writer.write(await reader.readexactly(2))
    raise ValueError("after a wait")
"""


def test_an_exception_of_a_stream_handler_is_logged_under_its_plugin(
    live_host: Hosts, tmp_path: Path, expected_errors: list[str]
) -> None:
    expected_errors.append("hook_failed")
    plugins = [plugin_file(tmp_path, "witness", WITNESS), plugin_file(tmp_path, "fails", FAILS)]
    host = live_host("--plugin", plugins[0], "--plugin", plugins[1], "--workers", "1")
    with host.connect() as client:
        client.sendall(b"ok")
        assert read_exactly(client, 2) == b"ok"
        assert ended(client)
    assert told_until(host, "close")[-1]["reason"] == "error"
    assert "plugin=fails hook=stream_handler" in host.wait_for_log("hook_failed")


def test_two_protocols_in_one_service_are_refused(live_host: Hosts, tmp_path: Path) -> None:
    plugins = [plugin_file(tmp_path, name, FACTS) for name in ("one", "two")]
    with pytest.raises(HostFailedError, match="service 'default' has more than one protocol") as refused:
        live_host("--plugin", plugins[0], "--plugin", plugins[1])
    assert refused.value.status == 4


def test_a_protocol_for_datagrams_is_refused(live_host: Hosts, tmp_path: Path) -> None:
    with pytest.raises(HostFailedError, match="but the protocol of plugin facts gets no datagrams") as refused:
        live_host("--plugin", plugin_file(tmp_path, "facts", FACTS), "--listen", "udp://127.0.0.1:0")
    assert refused.value.status == 1


SLOW = """
import asyncio, threading
import library

@hookimpl
def protocol(service):
    return library.Slow
"""
LIBRARY = """
import asyncio, time

class Slow(asyncio.Protocol):
    def data_received(self, data):
        time.sleep(0.5)
"""


def test_a_slow_method_of_a_library_is_logged_under_the_plugin(live_host: Hosts, tmp_path: Path) -> None:
    library = tmp_path / "elsewhere"
    library.mkdir()
    (library / "library.py").write_text(LIBRARY)
    plugins = [plugin_file(tmp_path, "witness", WITNESS), plugin_file(tmp_path, "slow", SLOW)]
    host = live_host(
        "--plugin", plugins[0], "--plugin", plugins[1], "--workers", "1", "--slow-hook", "0.1",
        environment={"PYTHONPATH": str(library)},
    )  # fmt: skip
    with host.connect() as client:
        client.sendall(b"x")
        line = next(line for line in host.wait_for_log("slow_hook_ended").splitlines() if "slow_hook " in line)
    assert "plugin=slow hook=receive" in line
    assert "library.py" in line
