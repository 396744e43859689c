"""Two hosts in two network namespaces, with Redis in a third: in the long form, where namespaces are allowed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from reactorhost.testing import LiveHost
from redis_server import DEADLINE_SECONDS, PROGRAM, require_server
from talk_plugin import PLUGIN, Client

NETWORK = "10.231.77"
REDIS, ONE, OTHER = (f"rh{os.getpid()}{name}" for name in "rab")


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def namespaces(request: pytest.FixtureRequest) -> Iterator[None]:
    """Make three namespaces, each with an interface on one bridge, which is in that of Redis."""
    if not request.config.getoption("--soak", default=False):
        pytest.skip("only with --soak")
    require_server()
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and the program ip")
    with ExitStack() as undo:
        try:
            for name in (REDIS, ONE, OTHER):
                ip("netns", "add", name)
                undo.callback(ip, "netns", "delete", name)
                ip("-n", name, "link", "set", "lo", "up")
            ip("-n", REDIS, "link", "add", "bridge", "type", "bridge")
            ip("-n", REDIS, "addr", "add", f"{NETWORK}.1/24", "dev", "bridge")
            ip("-n", REDIS, "link", "set", "bridge", "up")
            for number, name in ((2, ONE), (3, OTHER)):
                ip("-n", REDIS, "link", "add", f"to{number}", "type", "veth", "peer", "eth0", "netns", name)
                ip("-n", REDIS, "link", "set", f"to{number}", "master", "bridge", "up")
                ip("-n", name, "addr", "add", f"{NETWORK}.{number}/24", "dev", "eth0")
                ip("-n", name, "link", "set", "eth0", "up")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"network namespaces are not allowed here: {error.stderr.decode().strip()}")
        yield


class NamespaceHost(LiveHost):
    """A host in a network namespace, which a client reaches by a unix socket."""

    def __init__(self, directory: Path, namespace: str, *arguments: str) -> None:
        self._namespace = namespace
        self._socket_path = directory.with_suffix(".sock")
        super().__init__(directory, "--listen", f"unix://{self._socket_path}", *arguments)

    def _command(self, *arguments: str) -> list[str]:
        return ["ip", "netns", "exec", self._namespace, *super()._command(*arguments)]

    def connect(self, service: str | None = None) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(DEADLINE_SECONDS)
        client.connect(str(self._socket_path))
        return client


@pytest.mark.usefixtures("namespaces")
def test_two_machines_exchange_messages_over_a_network_that_breaks(tmp_path: Path) -> None:
    plugin = tmp_path / "talk.py"
    plugin.write_text(PLUGIN)
    assert PROGRAM is not None
    server = subprocess.Popen(
        ["ip", "netns", "exec", REDIS, PROGRAM, "--bind", f"{NETWORK}.1", "--protected-mode", "no", "--save", ""],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
    )
    url = f"redis://{NETWORK}.1?timeout=1&retry=0.5"
    with ExitStack() as cleanup:
        cleanup.callback(server.wait, DEADLINE_SECONDS)
        cleanup.callback(server.kill)
        hosts = []
        for name in (ONE, OTHER):
            arguments = ("--plugin", str(plugin), "--bus-url", url, "--workers", "2")
            host = cleanup.enter_context(NamespaceHost(tmp_path / name, name, *arguments))
            hosts.append(host)
            host.until(lambda status: status["bus"] and (status["bus"]["backend"] or {}).get("state") == "up")
        clients = [Client(host) for host in hosts]
        for client in clients:
            cleanup.callback(client.close)
        ann, bob = clients
        assert ann.ask("join room Ann") == "ok"
        assert bob.ask("join room Bob") == "ok"
        ann.until("joined Bob")
        bob.send("say room hello")
        ann.until("hello")
        # The cable of one of them is pulled.
        ip("-n", REDIS, "link", "set", "to3", "down")
        hosts[1].until(lambda status: status["bus"]["backend"]["state"] == "down")
        assert hosts[0].status()["bus"]["backend"]["state"] == "up"
        ann.send("say room lost")
        ip("-n", REDIS, "link", "set", "to3", "up")
        bob.until("gap room 0")
        ann.send("say room again")
        bob.until("again")
        assert ann.until("again") == ["lost"]
