"""Notifications are datagrams to a socket with a path or an abstract name, with descriptors if there are any."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from reactorhost.system.notify import NotifySocket


@pytest.fixture(params=["path", "abstract"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"{tmp_path}/notify" if request.param == "path" else f"@{tmp_path}"


@pytest.fixture
def receiver(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(address.replace("@", "\0"))
        sock.setblocking(False)
        yield sock


@pytest.fixture
def sender(address: str) -> Iterator[NotifySocket]:
    sender = NotifySocket(address)
    yield sender
    sender.close()


def test_a_notification_arrives_with_its_descriptors(receiver: socket.socket, sender: NotifySocket) -> None:
    sender.send("READY=1")
    assert receiver.recv(100) == b"READY=1"
    with open(os.devnull, "rb") as file:
        sender.send("FDSTORE=1\nFDNAME=a", (file.fileno(), receiver.fileno()))
        data, descriptors, _, _ = socket.recv_fds(receiver, 100, 10)
        assert data == b"FDSTORE=1\nFDNAME=a"
        assert os.path.sameopenfile(descriptors[0], file.fileno())
        assert len(descriptors) == 2
        for descriptor in descriptors:
            os.close(descriptor)


def test_a_reader_that_is_too_slow_is_not_waited_for(receiver: socket.socket, sender: NotifySocket) -> None:
    def flood() -> None:
        for _ in range(100_000):
            sender.send("STATUS=" + "x" * 1000)

    with pytest.raises(BlockingIOError):
        flood()
    assert receiver.recv(10) == b"STATUS=xxx"


def test_a_socket_that_is_gone_is_an_error_and_one_that_is_back_is_used(address: str, sender: NotifySocket) -> None:
    with pytest.raises(OSError, match=r"No such file|refused"):
        sender.send("READY=1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address.replace("@", "\0"))
        sender.send("READY=1")
        assert receiver.recv(100) == b"READY=1"


def test_nothing_is_sent_after_the_end(receiver: socket.socket, sender: NotifySocket) -> None:
    sender.close()
    sender.send("READY=1")
    with pytest.raises(BlockingIOError):
        receiver.recv(1)
