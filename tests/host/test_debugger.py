"""`start --debug`: a breakpoint in a hook opens the debugger on the terminal of the host."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from reactorhost.testing import DEADLINE_SECONDS
from terminals import CTRL_C, on_a_terminal

PLUGIN = """
@hookimpl
def receive(connection, data):
    breakpoint()
    connection.send(data.upper())
"""


def test_a_breakpoint_in_a_hook_is_on_the_terminal(
    write_plugin: Callable[..., str], tmp_path: Path, expected_errors: list[str]
) -> None:
    expected_errors.append("hook_failed")
    words = ("--plugin", write_plugin(PLUGIN), "--workers", "4", "--debug")
    with on_a_terminal(tmp_path, *words) as host:
        assert len(host.workers()) == 1
        with host.connect() as client:
            client.sendall(b"hello")
            host.wait_for_screen(b"(Pdb) ")
            began = time.monotonic()
            host.type(b"p data * 2\n")
            host.wait_for_screen(b"b'hellohello'")
            # Longer than a host without a debugger leaves its log silent: two heartbeats are missed.
            host.until(lambda status: time.monotonic() - began > 2.0)
            host.type(b"c\n")
            assert client.recv(100) == b"HELLO"
            # To leave the debugger is an exception in the hook, not the end of the worker.
            before, host.screen = host.workers()[0]["pid"], b""
            client.sendall(b"again")
            host.wait_for_screen(b"(Pdb) ")
            host.type(b"q\n")
            host.until(lambda status: status["totals"]["hook_errors"] == 1)
            assert host.workers()[0]["pid"] == before
        assert "BdbQuit" in host.log()
        assert " warning " not in host.log()
        host.type(CTRL_C)
        assert host.process.wait(DEADLINE_SECONDS) == 0
