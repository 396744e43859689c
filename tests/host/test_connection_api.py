"""The methods and attributes of a connection, and what the client sees of them."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clients import ended
from kernel import is_stopped
from plugin_files import ECHO, WITNESS, plugin_file, told, told_until
from reactorhost.testing import DEADLINE_SECONDS, LiveHost
from waiting import until

Hosts = Callable[..., LiveHost]

MIB = 1024 * 1024


@pytest.fixture
def host_with(live_host: Hosts, tmp_path: Path) -> Callable[..., LiveHost]:
    """Start a host of one worker with a plugin made of pieces of source."""

    def start(*sources: str, settings: tuple[str, ...] = ()) -> LiveHost:
        return live_host("--plugin", plugin_file(tmp_path, "asked", *sources), "--workers", "1", *settings)

    return start


def everything(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(MIB), b""))


def close_of(host: LiveHost) -> dict[str, Any]:
    return told_until(host, "close")[-1]


# send


def test_send_accepts_every_bytes_like_object(host_with: Hosts) -> None:
    host = host_with("""
        @hookimpl
        def receive(connection, data):
            answers = [
                connection.send(b"bytes,"),
                connection.send(bytearray(b"bytearray,")),
                connection.send(memoryview(b"memoryview,")),
                connection.send(memoryview(b"e-v-e-r-y- -s-e-c-o-n-d-")[::2]),
                connection.send(memoryview(bytearray(8)).cast("I")),
                connection.send(b""),
            ]
            tell("sent", answers=answers)
            connection.close()
        """)
    with host.connect() as client:
        client.sendall(b"x")
        assert everything(client) == b"bytes,bytearray,memoryview,every second" + bytes(8)
    assert told(host)["answers"] == [True] * 6


def test_send_of_a_string_is_an_error(host_with: Hosts, expected_errors: list[str]) -> None:
    expected_errors.append("hook_failed")
    host = host_with(WITNESS, '@hookimpl\ndef receive(connection, data):\n    connection.send("text")\n')
    with host.connect() as client:
        client.sendall(b"x")
        assert client.recv(1) == b""
    assert close_of(host)["reason"] == "error"
    assert "TypeError" in host.wait_for_log("hook_failed")


@pytest.mark.parametrize("hook", ["def", "async def"])
def test_send_is_refused_in_the_first_thread_of_a_plugin(host_with: Hosts, hook: str) -> None:
    host = host_with(f"""
        import threading

        def send_in_thread(connection, errors):
            try:
                connection.send(b"from a thread")
            except RuntimeError as error:
                errors.append(str(error))

        @hookimpl
        {hook} receive(connection, data):
            errors = []
            thread = threading.Thread(target=send_in_thread, args=(connection, errors))
            thread.start()
            thread.join()
            connection.send(errors[0].encode())
    """)
    with host.connect() as client:
        client.sendall(b"x")
        assert client.recv(MIB).startswith(b"connection.send was called in the thread ")


def test_sent_bytes_do_not_change_with_the_buffer_they_came_from(host_with: Hosts) -> None:
    host = host_with("""
        @hookimpl
        def receive(connection, data):
            buffer = bytearray(b"a" * 8 * 1024 * 1024)
            connection.send(buffer)
            buffer[:] = b"b" * len(buffer)
            connection.close()
        """)
    with host.connect() as client:
        client.sendall(b"x")
        assert everything(client) == b"a" * 8 * MIB


def test_send_returns_whether_it_accepts_the_bytes(host_with: Hosts) -> None:
    host = host_with("""
        @hookimpl
        def receive(connection, data):
            before = connection.send(b"before")
            connection.close()
            tell("sent", before=before, after=connection.send(b"after"))

        @hookimpl
        def close(connection, reason):
            # Each of these does nothing, and does not raise.
            connection.close()
            connection.abort()
            connection.send_eof()
            connection.pause()
            connection.resume()
            connection.idle_timeout = 1.0
            connection.call_later(0, tell, "late")
            tell("close", sent=connection.send(b"in close"), peer=str(connection.peer), queued=connection.queued)
        """)
    for _ in range(2):
        with host.connect() as client:
            client.sendall(b"x")
            assert everything(client) == b"before"
            peer = "{}:{}".format(*client.getsockname())
        assert told(host) == {"event": "sent", "before": True, "after": False}
        assert told(host) == {"event": "close", "sent": False, "peer": peer, "queued": 0}


def test_connect_may_send_and_close(host_with: Hosts) -> None:
    host = host_with(
        WITNESS,
        """
        @hookimpl(trylast=True)
        def connect(connection):
            connection.send(b"we are closed")
            connection.close()

        @hookimpl
        def receive(connection, data):
            tell("received")
        """,
    )
    with host.connect() as client:
        client.sendall(b"x")
        assert everything(client) == b"we are closed"
    assert told(host)["reason"] == "local"


def test_connect_may_send_before_anything_is_received(host_with: Hosts) -> None:
    host = host_with(ECHO, '@hookimpl\ndef connect(connection):\n    connection.send(b"hello ")\n')
    with host.connect() as client:
        assert client.recv(6) == b"hello "
        client.sendall(b"world")
        assert client.recv(5) == b"world"


def test_abort_in_connect_resets(host_with: Hosts) -> None:
    host = host_with("""
        @hookimpl
        def connect(connection):
            connection.abort()

        @hookimpl
        def close(connection, reason):
            tell("close", reason=reason.value)
        """)
    # The reset may arrive as early as in the client's connect.
    with pytest.raises(ConnectionResetError), host.connect() as client:
        client.recv(1)
    assert told(host)["reason"] == "local"


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
    closed = close_of(host)
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
        closed = close_of(host)
        with pytest.raises(ConnectionResetError):
            everything(client)
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
        assert everything(client) == bytes(4 * MIB)
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
        closed = close_of(host)
        assert closed["reason"] == "timeout"
        assert closed["sent"] < 64 * MIB
        with pytest.raises(ConnectionResetError):
            everything(client)


def test_a_client_that_does_not_close_is_cut_off_after_the_close_timeout(host_with: Hosts) -> None:
    host = host_with(
        WITNESS,
        "@hookimpl\ndef receive(connection, data):\n    connection.close()\n",
        settings=("--close-timeout", "0.3"),
    )
    with host.connect() as client:
        client.sendall(b"x")
        assert client.recv(1) == b""
        assert close_of(host)["reason"] == "local"
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
            everything(client)


@pytest.mark.parametrize("size", [100, 20 * MIB])
def test_one_answer_may_be_larger_than_the_send_buffer(host_with: Hosts, size: int) -> None:
    host = host_with(
        f"@hookimpl\ndef receive(connection, data):\n    connection.send(bytes({size}))\n    connection.close()\n",
        settings=("--max-send-buffer", "256KiB"),
    )
    with host.connect() as client:
        client.sendall(b"x")
        assert len(everything(client)) == size


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
        assert len(everything(client)) == MIB
    assert close_of(host)["reason"] == "local"


# Timers and timeouts


def test_idle_timeout_closes_a_silent_connection(host_with: Hosts) -> None:
    host = host_with(WITNESS, ECHO, settings=("--idle-timeout", "300ms"))
    with host.connect() as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        assert client.recv(1) == b""
    assert close_of(host)["reason"] == "idle"


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
        assert close_of(host)["id"] == 2
        # Longer than the setting, and it is not closed.
        assert select.select([patient], (), (), 1.3) == ([], [], [])


def test_timers_of_a_connection_are_cancelled_with_it(host_with: Hosts) -> None:
    host = host_with("""
        def due(name, number):
            tell("timer", of=name, number=number)

        @hookimpl
        def receive(connection, data):
            name = data.decode()
            connection.call_later(0.3, due, name, 1)
            connection.call_later(0.3, due, name, 2).cancel()
            connection.call_later(0.5, due, name, 3)
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


# Attributes


def test_each_connection_has_a_state_of_its_own(host_with: Hosts) -> None:
    host = host_with("""
        @hookimpl
        def connect(connection):
            connection.state.seen = 0

        @hookimpl
        def receive(connection, data):
            connection.state.seen += len(data)
            connection.send(b"%d;" % connection.state.seen)
        """)
    with host.connect() as one, host.connect() as two:
        for client, message, answer in ((one, b"abc", b"3;"), (two, b"a", b"1;"), (one, b"d", b"4;")):
            client.sendall(message)
            assert client.recv(10) == answer


@pytest.mark.parametrize("kind", ["tcp v4", "tcp v6", "unix"])
def test_peer_and_local_are_the_addresses_of_both_ends(live_host: Hosts, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "socket"
    listen = {"tcp v4": "tcp://127.0.0.1:0", "tcp v6": "tcp://[::1]:0", "unix": f"unix://{path}"}[kind]
    if kind == "tcp v6" and not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    plugin = plugin_file(
        tmp_path,
        "ends",
        """
        def ends(connection):
            peer, local = connection.peer, connection.local
            return [str(peer), peer.host, peer.port, str(local), local.host, local.port]

        @hookimpl
        def receive(connection, data):
            tell("ends", ends=ends(connection), service=connection.service, tls=connection.tls)

        @hookimpl
        def close(connection, reason):
            tell("close", peer=str(connection.peer))
        """,
    )
    host = live_host("--plugin", plugin, "--workers", "1", "--listen", listen)
    if kind == "unix":
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(DEADLINE_SECONDS)
        client.connect(str(path))
    else:
        client = host.connect()
    with client:
        client.sendall(b"x")
        fact = told(host)
        if kind == "unix":
            expected = ["unix", "unix", 0, f"unix:{path}", f"unix:{path}", 0]
        else:
            here, there = client.getsockname()[:2], client.getpeername()[:2]
            form = "[{}]:{}" if kind == "tcp v6" else "{}:{}"
            expected = [form.format(*here), *here, form.format(*there), *there]
    assert fact == {"event": "ends", "ends": expected, "service": "default", "tls": None}
    assert told(host)["peer"] == expected[0]


def test_bytes_and_times_are_counted(host_with: Hosts) -> None:
    host = host_with("""
        @hookimpl
        def receive(connection, data):
            connection.send(b"12345" * 2)

        @hookimpl
        def close(connection, reason):
            tell("close", into=connection.bytes_in, out=connection.bytes_out, age=connection.age,
                 opened_at=connection.opened_at)
        """)
    before = time.time()
    with host.connect() as client:
        for _ in range(3):
            client.sendall(b"abc")
            assert client.recv(10) == b"12345" * 2
    fact = told(host)
    assert (fact["into"], fact["out"]) == (9, 30)
    assert before - 1 < fact["opened_at"] < time.time() + 1
    assert 0 <= fact["age"] < DEADLINE_SECONDS


def test_ids_are_unique_in_a_worker_over_all_its_services(live_host: Hosts, tmp_path: Path) -> None:
    plugin_file(tmp_path, "witness", WITNESS)
    config = tmp_path / "host.toml"
    config.write_text(
        '[service.one]\nlisten = "tcp://127.0.0.1:0"\nplugins = ["./witness.py"]\n'
        '[service.two]\nlisten = "tcp://127.0.0.1:0"\nplugins = ["./witness.py"]\n'
    )
    host = live_host("--config", str(config), "--workers", "1")
    ids = []
    for number in range(20):
        with host.connect("one" if number % 2 else "two"):
            ids.append(told(host)["id"])
        assert told(host)["event"] == "close"
    assert len(set(ids)) == 20


# Several connections in one turn

KNOWN = """
known = []

@hookimpl
def connect(connection):
    known.append(connection)
    tell("connect")

@hookimpl
def close(connection, reason):
    known.remove(connection)
    tell("close", id=connection.id, reason=reason.value)
"""


def received_in_one_turn(host: LiveHost, clients: list[socket.socket]) -> int:
    """Make the worker receive from all clients in one turn; returns the id of the first connection."""
    assert [told(host)["event"] for _ in clients] == ["connect"] * len(clients)
    pid = host.workers()[0]["pid"]
    os.kill(pid, signal.SIGSTOP)
    until(lambda: is_stopped(pid), "the worker's stop")
    for client in clients:
        client.sendall(b"x")
    os.kill(pid, signal.SIGCONT)
    first = told(host)
    assert first["event"] == "receive"
    return int(first["id"])


def acting_on_others(action: str) -> tuple[str, str]:
    return (
        KNOWN,
        f"""
        @hookimpl
        def receive(connection, data):
            tell("receive", id=connection.id)
            for other in list(known):
                if other is not connection:
                    other.{action}()
        """,
    )


@pytest.fixture
def clients() -> Iterator[list[socket.socket]]:
    """Return a list whose sockets are closed after the test."""
    opened: list[socket.socket] = []
    yield opened
    for client in opened:
        client.close()


@pytest.mark.parametrize("action", ["abort", "close"])
def test_a_connection_that_another_one_closes_receives_nothing_more_in_the_same_turn(
    host_with: Hosts, clients: list[socket.socket], action: str
) -> None:
    host = host_with(*acting_on_others(action))
    pid = host.workers()[0]["pid"]
    clients += [host.connect() for _ in range(5)]
    first = received_in_one_turn(host, clients)
    for number, client in enumerate(clients, 1):
        if number == first:
            client.close()
        else:
            assert ended(client)
            client.close()
    facts = [told(host) for _ in range(5)]
    assert {fact["event"] for fact in facts} == {"close"}
    reasons = {fact["id"]: fact["reason"] for fact in facts}
    assert reasons == {number: "peer" if number == first else "local" for number in range(1, 6)}
    assert host.workers()[0]["pid"] == pid


def test_a_connection_that_another_one_pauses_receives_nothing_more_in_the_same_turn(
    host_with: Hosts, clients: list[socket.socket]
) -> None:
    host = host_with(*acting_on_others("pause"))
    clients += [host.connect() for _ in range(5)]
    first = received_in_one_turn(host, clients)
    # Only the first is still read, so only its end is noticed.
    for client in clients:
        client.close()
    assert told(host) == {"event": "close", "id": first, "reason": "peer"}


def test_a_connection_that_another_one_half_closes_goes_on_receiving(
    host_with: Hosts, clients: list[socket.socket]
) -> None:
    host = host_with(*acting_on_others("send_eof"))
    clients += [host.connect() for _ in range(5)]
    first = received_in_one_turn(host, clients)
    others = {told(host)["id"] for _ in range(4)}
    assert others == set(range(1, 6)) - {first}


def test_a_hook_may_send_to_other_connections(host_with: Hosts) -> None:
    host = host_with(
        KNOWN,
        """
        @hookimpl
        def receive(connection, data):
            for other in known:
                other.send(data)
        """,
    )
    with host.connect() as one, host.connect() as two:
        assert [told(host)["event"] for _ in range(2)] == ["connect"] * 2
        one.sendall(b"to all")
        assert one.recv(10) == two.recv(10) == b"to all"


def test_a_late_answer_reaches_a_half_closed_client_that_was_paused(
    live_host: Callable[..., LiveHost], tmp_path: Path
) -> None:
    (tmp_path / "later.py").write_text(
        "from reactorhost import hookimpl\n"
        "def answer(connection, data):\n    connection.send(data)\n    connection.resume()\n"
        "@hookimpl\ndef receive(connection, data):\n"
        "    connection.pause()\n    connection.call_later(0.2, answer, connection, data)\n"
    )
    host = live_host("--plugin", str(tmp_path / "later.py"))
    with host.connect() as client:
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b"question"
        assert client.recv(100) == b""
