"""The how-to pages on migrating: the server of before and the plugin of after have the same conversation."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from line_clients import LineClient, on_each_worker
from programs import needs, needs_module
from reactorhost.testing import DEADLINE_SECONDS, LiveHost
from waiting import until

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "migrate"
PORT = "9000"


def connect(address: tuple[str, int]) -> LineClient:
    return LineClient(socket.create_connection(address, timeout=DEADLINE_SECONDS))


def converse(alice: LineClient, bob: LineClient, carol: Callable[[], LineClient]) -> None:
    assert alice.request("alice") == "hello alice"
    assert bob.request("bob") == "hello bob"
    # Workers know of a member of another one after a moment.
    until(lambda: bob.request("are you there?") == "bob: are you there?" and alice.readable(0.05), "a message of bob")
    bob.send("now")
    alice.until("bob: now")
    bob.until("bob: now")
    until(lambda: alice.request("I am") == "alice: I am" and bob.readable(0.05), "a message of alice")
    bob.until("alice: I am")
    bob.send("/quit")
    assert bob.until("bye")[-1] == "bye"
    with pytest.raises(EOFError):
        bob.line()
    assert alice.request("still here") == "alice: still here"
    alice.close()
    with carol() as client:
        assert client.request("carol") == "hello carol"
        # The last message of alice may come from the other worker meanwhile.
        client.send("alone")
        client.until("carol: alone")
        client.end()
        with pytest.raises(EOFError):
            client.until("more")


@contextlib.contextmanager
def program(name: str, folder: Path) -> Iterator[tuple[str, int]]:
    """Run a server of before on a port of its own; leave when it has ended."""
    text = (EXAMPLES / f"{name}.py").read_text()
    assert text.count(PORT) == 1
    # Of an address that no other program uses, so that the port is still free when the server binds it.
    host = f"127.{os.getpid() % 250 + 1}.{os.getpid() // 250 % 250 + 1}.1"
    with socket.create_server((host, 0)) as sock:
        port = sock.getsockname()[1]
    (folder / "server.py").write_text(text.replace(PORT, str(port)).replace("127.0.0.1", host))
    process = subprocess.Popen([sys.executable, str(folder / "server.py")])
    try:
        until(lambda: process.poll() is not None or accepts((host, port)), "a server that accepts")
        yield host, port
    finally:
        process.kill()
        process.wait()


def accepts(address: tuple[str, int]) -> bool:
    with socket.socket() as client:
        return client.connect_ex(address) == 0


@pytest.mark.parametrize(
    "name", ["socketserver_before", "asyncio_before", pytest.param("twisted_before", marks=needs_module("twisted"))]
)
def test_the_server_of_before_has_the_conversation(name: str, tmp_path: Path) -> None:
    with program(name, tmp_path) as address, connect(address) as alice, connect(address) as bob:
        converse(alice, bob, lambda: connect(address))


@pytest.mark.parametrize(
    "name", ["socketserver_after:Room", "asyncio_after:Room", "twisted_after:Room", "workerman_after.py"]
)
def test_the_plugin_of_after_has_it_with_clients_of_two_workers(
    name: str, live_host: Callable[..., LiveHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(EXAMPLES)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    host = live_host("--plugin", name, "--workers", "2")
    with ExitStack() as stack:
        alice, bob = on_each_worker(host, stack)
        converse(alice, bob, lambda: LineClient(host.connect()))


@needs("php")
def test_php_can_read_the_server_for_workerman() -> None:
    checked = subprocess.run(
        ["php", "-l", EXAMPLES / "workerman_before.php"], capture_output=True, text=True, check=False, timeout=60
    )
    assert checked.returncode == 0, checked.stdout
