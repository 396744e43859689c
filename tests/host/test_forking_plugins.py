"""Processes that a plugin forks keep nothing of the host open and share no signal with it."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from reactorhost.testing import HostFailedError, LiveHost
from waiting import all_end

FORKS = """
import os, signal
from pathlib import Path
from reactorhost import hookimpl

def fork(name):
    pid = os.fork()
    if pid == 0:
        signal.pause()
    (Path(__file__).parent / name).write_text(str(pid))

fork("at_import")

@hookimpl
def receive(connection, data):
    fork("in_receive")
    connection.send(data)
"""


def test_children_of_a_plugin_do_not_keep_the_address_in_use(
    live_host: Callable[..., LiveHost], tmp_path: Path
) -> None:
    (tmp_path / "forks.py").write_text(FORKS)
    host = live_host("--plugin", str(tmp_path / "forks.py"), "--workers", "1")
    address = host.address()
    try:
        with host.connect() as client:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
        assert host.stop() == 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=5)
    finally:
        for name in ("at_import", "in_receive"):
            os.kill(int((tmp_path / name).read_text()), signal.SIGKILL)


FORKS_A_CHILD = """
import os, select, signal
from reactorhost import hookimpl

@hookimpl
def receive(connection, data):
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGQUIT, lambda number, frame: os._exit(0))
        os.write(writer, b"x")
        while True:
            # Not signal.pause(): it would miss a signal that arrives just before it.
            select.select((), (), (), 0.05)
    os.read(reader, 1)
    os.close(reader)
    os.close(writer)
    connection.send(str(pid).encode())
"""


def test_a_signal_to_a_child_of_a_plugin_is_not_delivered_to_the_worker(
    live_host: Callable[..., LiveHost], tmp_path: Path
) -> None:
    (tmp_path / "forks.py").write_text(FORKS_A_CHILD)
    host = live_host("--plugin", str(tmp_path / "forks.py"), "--workers", "1")
    (worker,) = host.workers()
    with host.connect() as client:
        client.sendall(b"x")
        child = int(client.recv(100))
        os.kill(child, signal.SIGQUIT)
        # Then a byte in the worker's wake-up socket, if there was one, is there before the second request.
        assert all_end([child])
        client.sendall(b"x")
        os.kill(int(client.recv(100)), signal.SIGKILL)
    assert [each["pid"] for each in host.workers()] == [worker["pid"]]


def test_a_very_long_error_of_a_plugin_is_reported_with_its_place(
    live_host: Callable[..., LiveHost], tmp_path: Path
) -> None:
    (tmp_path / "long.py").write_text("raise ValueError('x' * 5_000_000)")
    with pytest.raises(HostFailedError) as caught:
        live_host("--plugin", str(tmp_path / "long.py"))
    assert caught.value.status == 4
    assert f"where: {tmp_path / 'long.py'}:1" in caught.value.text
    assert len(caught.value.text) < 100_000
