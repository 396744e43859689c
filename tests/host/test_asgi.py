"""The plugin `asgi` in a real host: starts that fail, reloads under load, TLS, proxies, unix sockets, other clients."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from pki import Pki
from reactorhost.testing import DEADLINE_SECONDS, HostFailedError, LiveHost

Hosts = Callable[..., LiveHost]

HELLO = """
import json

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        {startup}
        while True:
            kind = (await receive())["type"]
            await send({{"type": f"{{kind}}.complete"}})
            if kind == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        await receive()
        await send({{"type": "websocket.accept"}})
        while (message := await receive())["type"] == "websocket.receive":
            await send({{**message, "type": "websocket.send"}})
        return
    if scope["path"] == "/events":
        headers = [(b"content-type", b"text/event-stream")]
        await send({{"type": "http.response.start", "status": 200, "headers": headers}})
        await send({{"type": "http.response.body", "body": b"data: 1\\n\\n", "more_body": True}})
        while (await receive())["type"] != "http.disconnect":
            pass
        return
    facts = {{"scheme": scope["scheme"], "client": scope["client"], "server": scope["server"], "text": {text!r}}}
    body = json.dumps(facts).encode()
    headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
    await send({{"type": "http.response.start", "status": 200, "headers": headers}})
    await send({{"type": "http.response.body", "body": body}})
"""


def write(folder: Path, text: str = "one", startup: str = "pass") -> None:
    """Write the application."""
    (folder / "site_of_test.py").write_text(HELLO.format(text=text, startup=startup))


def arguments(folder: Path) -> tuple[str, ...]:
    """Return the arguments that serve it."""
    return ("--plugin", "asgi", "--set", "asgi.app=site_of_test:app", "--set", f"asgi.app_dir={folder}")


def facts(connection: http.client.HTTPConnection) -> dict[str, object]:
    """Return what the application answers."""
    connection.request("GET", "/")
    response = connection.getresponse()
    assert response.status == 200
    return json.loads(response.read())  # type: ignore[no-any-return]  # JSON


def test_a_startup_that_fails_refuses_the_start_and_the_reload(
    live_host: Hosts, tmp_path: Path, expected_errors: list[str]
) -> None:
    expected_errors += ["worker_not_booted", "reload_failed"]
    write(tmp_path, startup="raise OSError('no database')")
    with pytest.raises(HostFailedError) as failed:
        live_host(*arguments(tmp_path), "--set", "asgi.lifespan=on")
    assert failed.value.status == 3
    assert "OSError: no database" in failed.value.text
    assert "site_of_test.py" in failed.value.text
    write(tmp_path)
    host = live_host(*arguments(tmp_path), "--set", "asgi.lifespan=on", "--workers", "1")
    write(tmp_path, "two", "raise OSError('no database')")
    reload = host.command("reload")
    assert reload.returncode == 3
    assert "OSError: no database" in reload.stdout + reload.stderr
    with contextlib.closing(http.client.HTTPConnection(*host.address(), timeout=DEADLINE_SECONDS)) as connection:
        assert facts(connection)["text"] == "one"
    write(tmp_path, "two")
    assert host.command("reload").returncode == 0
    with contextlib.closing(http.client.HTTPConnection(*host.address(), timeout=DEADLINE_SECONDS)) as connection:
        assert facts(connection)["text"] == "two"


class Clients(threading.Thread):
    """Requests over connections that stay open, until `enough` is set."""

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__()
        self.enough = threading.Event()
        self.answered = 0
        self.connections = 0
        self.failures: list[BaseException] = []
        self._address = address

    def run(self) -> None:
        """Request, and connect again where the server has announced the end."""
        try:
            while not self.enough.is_set():
                self.connections += 1
                with contextlib.closing(http.client.HTTPConnection(*self._address, timeout=DEADLINE_SECONDS)) as each:
                    ends = False
                    while not (ends or self.enough.is_set()):
                        each.request("GET", "/")
                        response = each.getresponse()
                        response.read()
                        ends = response.getheader("connection") == "close"
                        self.answered += 1
        except (OSError, http.client.HTTPException) as error:
            self.failures.append(error)


def test_no_request_is_lost_in_reloads_and_open_streams_do_not_delay_them(
    live_host: Hosts, tmp_path: Path, soak: bool
) -> None:
    write(tmp_path)
    host = live_host(*arguments(tmp_path), "--workers", "2")
    clients = [Clients(host.address()) for _ in range(2)]
    for client in clients:
        client.start()
    try:
        for _ in range(20 if soak else 2):
            address, port = host.address()
            with (
                connect(f"ws://{address}:{port}/") as websocket,
                contextlib.closing(http.client.HTTPConnection(address, port, timeout=DEADLINE_SECONDS)) as connection,
            ):
                websocket.send("hello")
                assert websocket.recv(DEADLINE_SECONDS) == "hello"
                connection.request("GET", "/events")
                events = connection.getresponse()
                assert events.readline() == b"data: 1\n"
                old = {worker["pid"] for worker in host.workers()}
                host.signal(signal.SIGUSR1)
                with pytest.raises(ConnectionClosed) as closed:
                    websocket.recv(DEADLINE_SECONDS)
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1012
                # To its end: the stream is complete for the client.
                assert events.read() == b"\n"
            # Outside of the block, because the host waits for clients that have not closed.
            host.until(lambda document, old=old: _replaced(document, old), "the end of the old workers")  # type: ignore[misc]  # the default binds the loop's variable
    finally:
        for client in clients:
            client.enough.set()
        for client in clients:
            client.join(DEADLINE_SECONDS)
    assert [client.failures for client in clients] == [[], []]
    assert all(client.answered for client in clients)
    assert sum(client.connections for client in clients) > 2


def _replaced(document: dict[str, Any], old: set[int]) -> bool:
    workers = document["workers"]
    return len(workers) == 2 and all(each["state"] == "ready" and each["pid"] not in old for each in workers)


def test_the_scheme_is_https_over_tls(live_host: Hosts, tmp_path: Path) -> None:
    write(tmp_path)
    pki = Pki(tmp_path)
    pki.issue("site", "localhost")
    listen = ("--listen", "tls://127.0.0.1:0", "--workers", "1", "--event-loop", "uvloop")
    host = live_host(*arguments(tmp_path), *pki.arguments("site"), *listen)
    port = host.address()[1]
    connection = http.client.HTTPSConnection("localhost", port, timeout=DEADLINE_SECONDS, context=pki.context())
    with contextlib.closing(connection):
        assert facts(connection)["scheme"] == "https"
    with connect(f"wss://localhost:{port}/", ssl=pki.context()) as websocket:
        websocket.send(b"\x00" * 100_000)
        assert websocket.recv(DEADLINE_SECONDS) == b"\x00" * 100_000


def test_the_client_is_the_one_that_a_proxy_names(live_host: Hosts, tmp_path: Path) -> None:
    write(tmp_path)
    host = live_host(*arguments(tmp_path), "--proxy-from", "127.0.0.1", "--workers", "1")
    with host.connect() as sock:
        sock.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\nGET / HTTP/1.0\r\n\r\n")
        body = sock.makefile("rb").read().partition(b"\r\n\r\n")[2]
    assert json.loads(body)["client"] == ["192.0.2.7", 4711]
    assert json.loads(body)["server"] == ["192.0.2.1", 443]


def test_the_scheme_is_https_if_a_proxy_has_ended_tls(live_host: Hosts, tmp_path: Path) -> None:
    write(tmp_path)
    host = live_host(*arguments(tmp_path), "--proxy-from", "127.0.0.1", "--workers", "1")
    tls = b"\x20" + struct.pack("!H", 5) + b"\x01" + bytes(4)
    addresses = bytes([192, 0, 2, 7, 192, 0, 2, 1]) + struct.pack("!HH", 4711, 443)
    with host.connect() as sock:
        sock.sendall(b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack("!H", len(addresses + tls)) + addresses + tls)
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        body = sock.makefile("rb").read().partition(b"\r\n\r\n")[2]
    assert json.loads(body)["client"] == ["192.0.2.7", 4711]
    assert json.loads(body)["scheme"] == "https"


def test_a_unix_socket_has_no_client_address(live_host: Hosts, tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "site.sock"
    log = tmp_path / "access.log"
    live_host(*arguments(tmp_path), "--listen", f"unix://{path}", "--set", f"asgi.access_log={log}", "--workers", "1")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(DEADLINE_SECONDS)
        sock.connect(str(path))
        sock.sendall(b"GET /a HTTP/1.0\r\n\r\n")
        body = sock.makefile("rb").read().partition(b"\r\n\r\n")[2]
    assert json.loads(body)["client"] is None
    assert re.fullmatch(r'- - - \[.*\] "GET /a HTTP/1\.0" 200 \d+ "-" "-"\n', log.read_text())


PROGRAMS = {
    "curl": ["curl", "-sS", "--fail", "-o", "/dev/null", "URL", "URL"],
    "wrk": ["wrk", "-t1", "-c8", "-d1", "URL"],
    "h2load": ["h2load", "--h1", "-n200", "-c4", "-t1", "URL"],
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_of_others_are_served(live_host: Hosts, tmp_path: Path, program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    write(tmp_path)
    host = live_host(*arguments(tmp_path), "--workers", "1")
    url = "http://{}:{}/".format(*host.address())
    command = [word.replace("URL", url) for word in PROGRAMS[program]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=True)
    assert "Non-2xx" not in done.stdout
    assert "Socket errors" not in done.stdout
    if program == "h2load":
        assert "200 succeeded, 0 failed" in done.stdout
    stats = host.until(lambda document: document["plugins"][0]["stats"].get("answers_2xx"))["plugins"][0]["stats"]
    assert stats["requests"] == stats["answers_2xx"]


@pytest.mark.parametrize(("kind", "option"), [("-H", "header_timeout"), ("-B", "body_timeout")])
def test_slow_clients_do_not_keep_others_out(live_host: Hosts, tmp_path: Path, kind: str, option: str) -> None:
    if shutil.which("slowhttptest") is None:
        pytest.skip("slowhttptest is not installed")
    write(tmp_path)
    host = live_host(*arguments(tmp_path), "--workers", "1", "--set", f"asgi.{option}=2.0")
    url = "http://{}:{}/".format(*host.address())
    command = ["slowhttptest", kind, "-c", "100", "-r", "100", "-i", "1", "-l", "20", "-u", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * DEADLINE_SECONDS, check=False)
    # It ends early, because the host has closed all of its connections, and could always connect.
    text = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    assert re.search(r"No open connections left", text), text
    assert re.search(r"service available:\s+YES", text), text
