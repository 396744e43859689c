"""The guard in a real host: over several workers, a reload and a restart."""

from __future__ import annotations

import re
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from reactorhost.testing import LiveHost

OTHER = "127.0.0.2"


def answer(host: LiveHost, source: str = "127.0.0.1") -> bytes:
    """Connect from an address of the loopback network, send a byte, and return the answer; nothing if it is refused."""
    try:
        with socket.create_connection(host.address(), timeout=30, source_address=(source, 0)) as client:
            client.sendall(b"x")
            return client.recv(1)
    except (ConnectionResetError, BrokenPipeError):
        return b""


def guard(config: Path, *arguments: str) -> str:
    """Run a command of the guard, and return what it prints."""
    command = [sys.executable, "-m", "reactorhost", "guard", "--config", str(config), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


def test_a_ban_holds_in_all_workers_after_a_reload_and_after_a_restart(
    live_host: Callable[..., LiveHost], tmp_path: Path
) -> None:
    config = tmp_path / "host.toml"
    config.write_text(
        '[service.echo]\nlisten = "tcp://127.0.0.1:0"\nplugins = ["guard", "echo"]\n[plugin.guard]\n'
        f'connects = "1/h burst 60"\nban_after = 3\nban_time = "1h"\nstate_dir = "{tmp_path / "state"}"\n'
    )
    arguments = ("--config", str(config), "--workers", "2")
    host = live_host(*arguments)
    # The kernel chooses the worker of each, and each worker has a bucket of its own until they know of each other.
    attempts = 0
    while "guard_banned" not in host.log():
        answer(host)
        attempts += 1
        assert attempts < 400
    file = tmp_path / "state" / "bans.json"
    host.until(lambda _: [answer(host) for _ in range(4)] == [b""] * 4 and file.exists(), "a ban in both workers")
    assert [answer(host) for _ in range(20)] == [b""] * 20
    assert answer(host, OTHER) == b"x"
    assert host.command("reload").returncode == 0
    # A new worker reads the bans of the file before it accepts.
    assert [answer(host) for _ in range(20)] == [b""] * 20
    assert re.fullmatch(r"127\.0\.0\.1  \S+ left  connects\n", guard(config, "bans"))
    assert guard(config, "ban", OTHER, "--for", "1d") == f"banned {OTHER} for 1d\n"
    host.until(lambda _: [answer(host, OTHER) for _ in range(8)] == [b""] * 8, "a ban by command in both workers")
    # Not the other one, whose buckets may be empty: its last connects may have been shared with the new workers.
    assert guard(config, "unban", OTHER) == f"unbanned {OTHER}\n"
    host.until(lambda _: [answer(host, OTHER) for _ in range(4)] == [b"x"] * 4, "the end of the ban in both workers")
    assert host.stop() == 0
    again = live_host(*arguments)
    assert answer(again) == b""
    assert answer(again, OTHER) == b"x"


def test_a_client_that_waits_is_noticed_when_it_breaks_and_ends_with_the_host(
    live_host: Callable[..., LiveHost],
) -> None:
    options = ("--set", "guard.messages=1/h burst 1 slow 2h", "--stop-timeout", "1s")
    host = live_host("--plugin", "guard", "--plugin", "echo", "--workers", "1", *options)

    def slowed(source: str) -> socket.socket:
        """Return a client that is not read for the next two hours."""
        client = socket.create_connection(host.address(), timeout=30, source_address=(source, 0))
        for _ in range(2):
            client.sendall(b"x")
            assert client.recv(1) == b"x"
        return client

    with slowed("127.0.0.1") as waits, slowed(OTHER) as gone:
        host.until(lambda status: status["totals"]["connections"] == 2)
        # A reset.
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        gone.close()
        host.until(lambda status: status["totals"]["connections"] == 1, "the end of the client that was reset")
        waits.sendall(b"unread")
        assert host.stop() == 0
        assert waits.recv(1) == b""


def test_the_bans_of_a_host_without_a_folder_survive_a_reload(live_host: Callable[..., LiveHost]) -> None:
    options = ("--set", "guard.connects=1/h burst 100", "--set", "guard.ban_after=1")
    host = live_host("--plugin", "guard", "--plugin", "echo", "--workers", "1", *options)
    assert [answer(host) for _ in range(102)] == [b"x"] * 100 + [b"", b""]
    assert host.log().count("reason=banned") == 1
    assert host.command("reload").returncode == 0
    # A worker that starts serves before it has read the history. It logs its own refusals, but no ban of its own.
    host.until(lambda _: answer(host) == b"" and host.log().count("reason=banned") == 2, "the ban in the new worker")
    assert host.log().count("guard_banned") == 1
    assert answer(host, OTHER) == b"x"
