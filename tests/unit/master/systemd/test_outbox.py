"""Notifications are sent in order, and never waited for."""

from __future__ import annotations

from collections.abc import Sequence
from unittest.mock import Mock

from reactorhost.master.systemd.outbox import Outbox
from reactorhost.reactor import Reactor
from reactorhost.testing.fakes import FakeClock, FakePoller


class FakeNotifySocket:
    """A socket that fails with `error` if it is set."""

    def __init__(self) -> None:
        self.error: OSError | None = None
        self.sent: list[tuple[str, tuple[int, ...]]] = []

    def send(self, text: str, descriptors: Sequence[int] = ()) -> None:
        if self.error is not None:
            raise self.error
        self.sent.append((text, tuple(descriptors)))

    def texts(self) -> list[str]:
        return [text for text, _ in self.sent]


class Sender:
    """An outbox with a fake socket."""

    def __init__(self) -> None:
        clock = FakeClock()
        self.reactor = Reactor(FakePoller(clock), clock)
        self.socket = FakeNotifySocket()
        self.log = Mock()
        self.outbox = Outbox(self.reactor, self.socket, self.log)  # type: ignore[arg-type]

    def pass_time(self) -> None:
        for _ in range(3):
            self.reactor.turn(1.0)


def test_a_notification_is_sent_at_once_with_its_descriptors() -> None:
    sender = Sender()
    sender.outbox.send("RELOADING=1", "MONOTONIC_USEC=7")
    sender.outbox.send("FDSTORE=1", descriptors=lambda: (5, 6))
    assert sender.socket.sent == [("RELOADING=1\nMONOTONIC_USEC=7", ()), ("FDSTORE=1", (5, 6))]


def test_a_busy_service_manager_gets_everything_later_in_order() -> None:
    sender = Sender()
    sender.socket.error = BlockingIOError()
    for line in ("READY=1", "RELOADING=1", "READY=1"):
        sender.outbox.send(line)
    sender.pass_time()
    assert sender.socket.sent == []
    sender.socket.error = None
    sender.pass_time()
    assert sender.socket.texts() == ["READY=1", "RELOADING=1", "READY=1"]
    sender.log.warning.assert_not_called()


def test_of_what_waits_only_the_newest_of_a_kind_is_sent() -> None:
    sender = Sender()
    sender.socket.error = BlockingIOError()
    sender.outbox.send("READY=1")
    for number in range(1000):
        sender.outbox.send(f"STATUS={number}", kind="STATUS")
        sender.outbox.send("WATCHDOG=1", kind="WATCHDOG")
    sender.socket.error = None
    sender.pass_time()
    assert sender.socket.texts() == ["READY=1", "STATUS=999", "WATCHDOG=1"]


def test_a_service_manager_that_is_gone_is_logged_once_until_it_is_back() -> None:
    sender = Sender()
    sender.socket.error = FileNotFoundError(2, "No such file or directory")
    sender.outbox.send("STATUS=1")
    sender.outbox.send("STATUS=2")
    sender.log.warning.assert_called_once_with("service_manager_lost", error="No such file or directory")
    sender.socket.error = None
    sender.outbox.send("STATUS=3")
    assert sender.socket.texts() == ["STATUS=3"]
    sender.socket.error = ConnectionRefusedError(111, "Connection refused")
    sender.outbox.send("STATUS=4")
    assert sender.log.warning.call_count == 2


def test_the_cause_is_logged_also_if_it_is_not_one_of_the_kernel() -> None:
    sender = Sender()
    sender.socket.error = OSError("AF_UNIX path too long")
    sender.outbox.send("READY=1")
    sender.log.warning.assert_called_once_with("service_manager_lost", error="AF_UNIX path too long")
