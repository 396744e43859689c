"""How a connection is closed, paused and timed, and what the client sees of it."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable

import pytest

from clients import read_to_eof
from plugin_files import ECHO, WITNESS, told, told_until
from reactorhost.testing import LiveHost
from waiting import until

Hosts = Callable[..., LiveHost]

MIB = 1024 * 1024


# close, abort, send_eof


def test_close_sends_everything_to_a_slow_reader(host_with: Hosts) -> None:
    host = host_with(
        WITNESS,
        """
        @hookimpl
        def receive(connection, data):
            connection.send(bytes(8 * 1024 * 1024))
            connection.close()
            connection.close()
        """,
    )
    with host.connect() as client:
        client.sendall(b"xyz")
        got = 0
        while data := client.recv(20_000):
            got += len(data)
            # Discarded by the host, without harm to what is being sent.
            client.sendall(b"more")
    assert got == 8 * MIB
    closed = told_until(host, "close")[-1]
    assert closed["reason"] == "local"
    assert closed["sent"] == 8 * MIB


def test_abort_resets_at_once_and_discards_queued_bytes(host_with: Hosts) -> None:
    host = host_with(
        WITNESS,
        """
        @hookimpl
        def receive(connection, data):
            connection.send(bytes(64 * 1024 * 1024))
            connection.abort()
        """,
    )
    with host.connect() as client:
        client.sendall(b"x")
        closed = told_until(host, "close")[-1]
        with pytest.raises(ConnectionResetError):
            read_to_eof(client)
    assert closed["reason"] == "local"
    assert closed["sent"] < 64 * MIB


def test_send_eof_closes_the_sending_side_only(host_with: Hosts) -> None:
    host = host_with(
        WITNESS,
        """
        @hookimpl
        def receive(connection, data):
            if data == b"end":
                connection.send(bytes(4 * 1024 * 1024))
                connection.send_eof()
                connection.send_eof()
            tell("received", data=data.decode(), sent=connection.send(b"never sent"))
        """,
    )
    with host.connect() as client:
        client.sendall(b"end")
        assert read_to_eof(client) == bytes(4 * MIB)
        assert told_until(host, "received")[-1] == {"event": "received", "data": "end", "sent": False}
        client.sendall(b"but I am not done")
        assert told(host) == {"event": "received", "data": "but I am not done", "sent": False}
    closed = told(host)
    assert (closed["event"], closed["reason"], closed["sent"]) == ("close", "peer", 4 * MIB)


def test_a_client_that_does_not_read_is_reset_after_the_close_timeout(host_with: Hosts) -> None:
    host = host_with(
        WITNESS,
        """
        @hookimpl
        def receive(connection, data):
            connection.send(bytes(64 * 1024 * 1024))
            connection.close()
        """,
        settings=("--close-timeout", "0.3"),
    )
    with host.connect() as client:
        client.sendall(b"x")
        closed = told_until(host, "close")[-1]
        assert closed["reason"] == "timeout"
        assert closed["sent"] < 64 * MIB
        with pytest.raises(ConnectionResetError):
            read_to_eof(client)


def test_a_client_that_does_not_close_is_cut_off_after_the_close_timeout(host_with: Hosts) -> None:
    host = host_with(
        WITNESS,
        "@hookimpl\ndef receive(connection, data):\n    connection.close()\n",
        settings=("--close-timeout", "0.3"),
    )
    with host.connect() as client:
        client.sendall(b"x")
        assert client.recv(1) == b""
        assert told_until(host, "close")[-1]["reason"] == "local"
        # The host's socket is closed: what the client sends now is answered with a reset.
        until(lambda: resets(client), "a reset")


def resets(client: socket.socket) -> bool:
    try:
        client.send(b"x")
    except (ConnectionResetError, BrokenPipeError):
        return True
    return False


def test_a_full_send_buffer_closes_with_overflow(host_with: Hosts) -> None:
    host = host_with(
        WITNESS,
        """
        def chatter(connection):
            while connection.send(bytes(65536)):
                pass
            tell("refused")

        @hookimpl
        def receive(connection, data):
            connection.call_later(0, chatter, connection)
        """,
        settings=("--max-send-buffer", "256KiB"),
    )
    with host.connect() as client, host.connect() as other:
        client.sendall(b"x")
        facts = told_until(host, "close")
        assert [fact["event"] for fact in facts] == ["connect", "connect", "refused", "close"]
        assert facts[-1]["reason"] == "overflow"
        assert other.fileno() >= 0
        with pytest.raises(ConnectionResetError):
            read_to_eof(client)


@pytest.mark.parametrize("size", [100, 20 * MIB])
def test_one_answer_may_be_larger_than_the_send_buffer(host_with: Hosts, size: int) -> None:
    host = host_with(
        f"@hookimpl\ndef receive(connection, data):\n    connection.send(bytes({size}))\n    connection.close()\n",
        settings=("--max-send-buffer", "256KiB"),
    )
    with host.connect() as client:
        client.sendall(b"x")
        assert len(read_to_eof(client)) == size


# pause, resume


def test_a_paused_connection_is_not_read_until_it_is_resumed(host_with: Hosts) -> None:
    host = host_with("""
        paused = []

        @hookimpl
        def receive(connection, data):
            if data == b"pause":
                paused.append(connection)
                connection.pause()
                connection.send(b"paused")
            elif data == b"look":
                connection.send(b"%d" % paused[0].bytes_in)
            elif data == b"resume":
                paused[0].resume()
            else:
                connection.send(data.upper())
        """)
    with host.connect() as client, host.connect() as other:
        client.sendall(b"pause")
        assert client.recv(6) == b"paused"
        client.sendall(b"hello")
        # Twice: the first answer may come from the turn in which the bytes arrived.
        for _ in range(2):
            other.sendall(b"look")
            assert other.recv(1) == b"5"
        other.sendall(b"resume")
        assert client.recv(5) == b"HELLO"


def test_a_paused_connection_can_be_closed(host_with: Hosts) -> None:
    host = host_with(
        WITNESS,
        """
        @hookimpl
        def receive(connection, data):
            connection.pause()
            connection.send(bytes(1024 * 1024))
            connection.close()
        """,
    )
    with host.connect() as client:
        client.sendall(b"x" * 100_000)
        assert len(read_to_eof(client)) == MIB
    assert told_until(host, "close")[-1]["reason"] == "local"


# Timers and timeouts


def test_idle_timeout_closes_a_silent_connection(host_with: Hosts) -> None:
    host = host_with(WITNESS, ECHO, settings=("--idle-timeout", "300ms"))
    with host.connect() as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        assert client.recv(1) == b""
    assert told_until(host, "close")[-1]["reason"] == "idle"


def test_a_connection_with_traffic_is_not_idle(host_with: Hosts) -> None:
    host = host_with(ECHO, settings=("--idle-timeout", "1s"))
    begun = time.monotonic()
    with host.connect() as client:
        while time.monotonic() < begun + 1.5:
            client.sendall(b"x")
            assert client.recv(1) == b"x"


def test_idle_timeout_can_be_set_for_one_connection(host_with: Hosts) -> None:
    host = host_with(
        WITNESS,
        """
        @hookimpl
        def receive(connection, data):
            tell("was", timeout=connection.idle_timeout)
            connection.idle_timeout = 0.2 if data == b"short" else None
        """,
        settings=("--idle-timeout", "1s"),
    )
    with host.connect() as patient, host.connect() as client:
        patient.sendall(b"long")
        assert told_until(host, "was")[-1]["timeout"] == 1.0
        client.sendall(b"short")
        assert client.recv(1) == b""
        client.close()
        assert told_until(host, "close")[-1]["id"] == 2
        # Longer than the setting, and it is not closed.
        assert select.select([patient], (), (), 1.3) == ([], [], [])


def test_timers_of_a_connection_are_cancelled_with_it(host_with: Hosts) -> None:
    host = host_with("""
        def due(name, number):
            tell("timer", of=name, number=number)

        @hookimpl
        def receive(connection, data):
            name = data.decode()
            # The time in which the end of a client must be noticed, also on a busy machine.
            connection.call_later(1.5, due, name, 1)
            connection.call_later(1.5, due, name, 2).cancel()
            connection.call_later(1.7, due, name, 3)
            connection.send(b"x")
        """)
    with host.connect() as stays:
        with host.connect() as leaves:
            leaves.sendall(b"leaves")
            assert leaves.recv(1) == b"x"
            stays.sendall(b"stays")
            assert stays.recv(1) == b"x"
        assert [told(host) for _ in range(2)] == [
            {"event": "timer", "of": "stays", "number": 1},
            {"event": "timer", "of": "stays", "number": 3},
        ]
