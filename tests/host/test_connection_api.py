"""The methods and attributes of a connection, and what the client sees of them."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clients import read_to_eof
from plugin_files import ECHO, WITNESS, plugin_file, told, told_until
from reactorhost.testing import DEADLINE_SECONDS, LiveHost

Hosts = Callable[..., LiveHost]

MIB = 1024 * 1024


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
        assert read_to_eof(client) == b"bytes,bytearray,memoryview,every second" + bytes(8)
    assert told(host)["answers"] == [True] * 6


def test_send_of_a_string_is_an_error(host_with: Hosts, expected_errors: list[str]) -> None:
    expected_errors.append("hook_failed")
    host = host_with(WITNESS, '@hookimpl\ndef receive(connection, data):\n    connection.send("text")\n')
    with host.connect() as client:
        client.sendall(b"x")
        assert client.recv(1) == b""
    assert told_until(host, "close")[-1]["reason"] == "error"
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
        assert read_to_eof(client) == b"a" * 8 * MIB


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
            assert read_to_eof(client) == b"before"
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
        assert read_to_eof(client) == b"we are closed"
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
