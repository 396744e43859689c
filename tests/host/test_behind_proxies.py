"""HAProxy and nginx in front of two hosts, with the configurations that the how-to pages show."""

from __future__ import annotations

import contextlib
import csv
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from websockets.sync.client import connect

from clients import connect_unix, http_client, read_to_eof
from load import Load
from programs import needs
from reactorhost.testing import DEADLINE_SECONDS, LiveHost
from started import children
from waiting import until

Hosts = Callable[..., LiveHost]
Address = tuple[str, int]

DEPLOY = Path(__file__).parents[2] / "docs" / "examples" / "deploy"
CLIENTS = 4
CONNECTIONS = 40

CHAT = """
import os

from reactorhost import hookimpl


@hookimpl
def receive(connection, data):
    connection.send(f"{connection.peer} {os.getppid()}".encode() if data == b"?" else data)
"""

SHOP = """
import json


async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({**message, "type": "websocket.send"})
        return
    assert scope["type"] == "http"
    body = json.dumps([scope["client"][0], scope["scheme"]]).encode()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""


def adapted(name: str, changes: dict[str, str]) -> str:
    """Return the text of an example with what only a test needs: other addresses, ports, paths, and short times."""
    text = (DEPLOY / name).read_text(encoding="utf-8")
    for shown, used in changes.items():
        assert shown in text, f"{name} has no {shown!r}"
        text = text.replace(shown, used)
    return text


@pytest.fixture
def hosts(live_host: Hosts, tmp_path: Path) -> list[LiveHost]:
    """Start two hosts with the settings of the example."""
    (tmp_path / "chat.py").write_text(CHAT)
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "main.py").write_text(SHOP)
    changes = {f"tcp://*:{port}": "tcp://127.0.0.1:0" for port in (9901, 9000, 8000)}
    config = tmp_path / "behind-proxy.toml"
    config.write_text(adapted("behind-proxy.toml", {**changes, "10.0.0.2": "127.0.0.1", "/srv/shop": str(tmp_path)}))
    return [live_host("--config", str(config), "--workers", "1") for _ in range(2)]


class Front(NamedTuple):
    """A proxy that runs: its addresses for clients, and what lets no more new ones reach the first host."""

    chat: Address
    web: Address
    take_out: Callable[[], None]


def port_of(host: LiveHost, service: str) -> str:
    return "{}:{}".format(*host.address(service))


@contextlib.contextmanager
def haproxy(folder: Path, hosts: list[LiveHost], sockets: list[socket.socket]) -> Iterator[Callable[[], None]]:
    chat, web = (sock.fileno() for sock in sockets)
    stats = folder / "haproxy.sock"
    changes = {
        "/run/haproxy/admin.sock": str(stats),
        "bind :9000": f"bind fd@{chat}",
        "bind :8080": f"bind fd@{web}",
        "inter 2s": "inter 100ms",
    }
    for host, machine in zip(hosts, ("10.0.0.5", "10.0.0.6"), strict=True):
        (admin,) = host.status()["admin"]
        for service, port in (("chat", 9000), ("web", 8000)):
            # A port of its own, because the machine is the same.
            changes[f"{machine}:{port}"] = f"{port_of(host, service)} port {admin.rpartition(':')[2]}"
    config = folder / "haproxy.cfg"
    config.write_text(adapted("haproxy.cfg", changes))

    def uses_first() -> bool:
        with connect_unix(stats) as client:
            client.sendall(b"show stat\n")
            rows = csv.DictReader(read_to_eof(client).decode().removeprefix("# ").splitlines())
        (state,) = (row["status"] for row in rows if (row["pxname"], row["svname"]) == ("chat", "one"))
        return state.startswith("UP")

    process = subprocess.Popen(["haproxy", "-db", "-f", str(config)], pass_fds=(chat, web))
    try:
        # By its checks of the host.
        yield lambda: until(lambda: not uses_first(), "a server that is taken out")
    finally:
        process.terminate()
        process.wait(DEADLINE_SECONDS)


@contextlib.contextmanager
def nginx(folder: Path, hosts: list[LiveHost], sockets: list[socket.socket]) -> Iterator[Callable[[], None]]:
    changes = {f"/var/log/nginx/{name}.log": str(folder / f"{name}.log") for name in ("error", "access")}
    if os.geteuid() != 0:
        changes["user www-data;\n"] = ""
    for sock, port in zip(sockets, (9000, 8080), strict=True):
        changes[f"listen {port};"] = "listen {}:{};".format(*sock.getsockname())
    for host, machine in zip(hosts, ("10.0.0.5", "10.0.0.6"), strict=True):
        for service, port in (("chat", 9000), ("web", 8000)):
            changes[f"{machine}:{port}"] = port_of(host, service)
    config = folder / "nginx.conf"
    config.write_text(adapted("nginx.conf", changes))
    arguments = ["-c", str(config), "-e", str(folder / "error.log"), "-g", f"daemon off; pid {folder}/nginx.pid;"]
    # The variable with which nginx passes its sockets to a new version of itself.
    descriptors = [sock.fileno() for sock in sockets]
    environment = {**os.environ, "NGINX": "".join(f"{number};" for number in descriptors)}
    process = subprocess.Popen(["nginx", *arguments], pass_fds=descriptors, env=environment)

    def take_out() -> None:
        text = config.read_text()
        for service in ("chat", "web"):
            before = f"server {port_of(hosts[0], service)} "
            assert before in text
            text = text.replace(before, f"{before}down ")
        config.write_text(text)
        old = children(process.pid)
        process.send_signal(signal.SIGHUP)
        until(lambda: children(process.pid) - old and all(map(shuts_down, old)), "new processes of nginx")

    try:
        yield take_out
    finally:
        process.terminate()
        process.wait(DEADLINE_SECONDS)


def shuts_down(pid: int) -> bool:
    """Return whether a worker process of nginx accepts no more clients, or has ended."""
    try:
        return b"shutting down" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return True


def nginx_has_streams() -> bool:
    return any(Path("/etc/nginx/modules-enabled").glob("*-mod-stream.conf"))


@pytest.fixture(
    params=[
        pytest.param(
            haproxy,
            marks=needs("haproxy"),
        ),
        pytest.param(
            nginx,
            marks=needs("nginx", works=nginx_has_streams()),
        ),
    ],
    ids=["haproxy", "nginx"],
)
def front(request: pytest.FixtureRequest, tmp_path: Path, hosts: list[LiveHost]) -> Iterator[Front]:
    """Run a proxy in front of both hosts. Its listening sockets are inherited: clients wait until it is ready."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=512)) for _ in range(2)]
        for sock in sockets:
            # nginx leaves inherited sockets as they are, and a worker process of it would block in accept().
            sock.setblocking(False)
        take_out = stack.enter_context(request.param(tmp_path, hosts, sockets))
        chat, web = (sock.getsockname() for sock in sockets)
        yield Front(chat, web, take_out)


def connected(front: Front) -> socket.socket:
    return socket.create_connection(front.chat, timeout=DEADLINE_SECONDS)


def question(client: socket.socket) -> tuple[str, int]:
    """Return the client's address as the host sees it, and the process id of that host's master."""
    client.sendall(b"?")
    peer, pid = client.recv(1024).decode().split()
    return peer, int(pid)


def test_clients_have_their_own_address_and_get_answers_after_their_end(front: Front, hosts: list[LiveHost]) -> None:
    used = set()
    with connected(front) as one, connected(front) as other:
        for client in (one, other):
            peer, pid = question(client)
            assert peer == "{}:{}".format(*client.getsockname())
            used.add(pid)
        assert used == {host.pid for host in hosts}
        one.sendall(b"hello")
        one.shutdown(socket.SHUT_WR)
        assert read_to_eof(one) == b"hello"
    # From an address that is not the proxy's, and with claims of its own, which do not count.
    claims = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
    client_of_web = http.client.HTTPConnection(*front.web, DEADLINE_SECONDS, source_address=("127.0.0.2", 0))
    with contextlib.closing(client_of_web):
        client_of_web.request("GET", "/", headers=claims)
        assert json.loads(client_of_web.getresponse().read()) == ["127.0.0.2", "http"]
    with connect("ws://{}:{}/".format(*front.web)) as websocket:
        websocket.send("hello")
        assert websocket.recv(DEADLINE_SECONDS) == "hello"


class Requests(threading.Thread):
    """Requests over one connection until `enough` is set."""

    def __init__(self, address: Address) -> None:
        super().__init__()
        self.enough = threading.Event()
        self.answered = threading.Semaphore(0)
        self.failures: list[object] = []
        self.disconnects = 0
        self._address = address

    def run(self) -> None:
        """Request, until the first failure."""
        try:
            with http_client(self._address) as connection:
                while not self.enough.is_set():
                    self._request(connection)
        except (OSError, http.client.HTTPException) as error:
            self.failures.append(error)

    def _request(self, connection: http.client.HTTPConnection) -> None:
        try:
            connection.request("GET", "/")
            response = connection.getresponse()
        except ConnectionError:
            # nginx closes connections between two requests when its configuration changes: a client connects again.
            self.disconnects += 1
            connection.close()
            return
        if response.status != 200 or not response.read():
            self.failures.append(response.status)
        self.answered.release()

    def wait_for(self, count: int) -> None:
        """Wait until `count` more requests were answered."""
        for _ in range(count):
            assert self.answered.acquire(timeout=DEADLINE_SECONDS), self.failures


def test_neither_a_reload_nor_a_stop_loses_a_connection_or_a_request(front: Front, hosts: list[LiveHost]) -> None:
    leaving, _ = hosts
    requests = [Requests(front.web) for _ in range(CLIENTS)]
    with Load(front.chat, in_flight=CLIENTS) as load, contextlib.ExitStack() as stack:
        for each in requests:
            each.start()
            stack.callback(each.join, DEADLINE_SECONDS)
            stack.callback(each.enough.set)

        def work() -> None:
            load.more(CONNECTIONS)
            for each in requests:
                each.wait_for(CONNECTIONS // CLIENTS)

        work()
        served: dict[int, socket.socket] = {}
        # The load counts for `leastconn` too, so the first two may have the same host.
        while served.keys() != {host.pid for host in hosts}:
            client = stack.enter_context(connected(front))
            if served.setdefault(question(client)[1], client) is not client:
                client.close()
        for host in hosts:
            assert host.command("reload").returncode == 0
            work()
        leaving.signal(signal.SIGTERM)
        work()
        front.take_out()
        # Clients of before both are connected still, and to the same workers.
        assert {pid: question(client)[1] for pid, client in served.items()} == {pid: pid for pid in served}
        served[leaving.pid].close()
        # The second one ends `drain_delay`.
        leaving.signal(signal.SIGTERM)
        assert leaving.wait() == 0
        work()
        count = load.stop()
    assert (count.failed, [each.failures for each in requests]) == (0, [[]] * CLIENTS), count
    assert all(each.disconnects <= 1 for each in requests)
