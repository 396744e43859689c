"""`reactorhost top` while a worker hangs: its row, its alert, its page, and the page of the log file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from clients import answers, read_exactly
from reactorhost.testing import LiveHost
from screens import ScreenProgram, reactorhost

HANGS = """
import logging, os, select

@hookimpl
def receive(connection, data):
    if data.startswith(b"/"):
        # Until the file exists; on one line, so that the line number is known.
        while not os.path.exists(data): select.select((), (), (), 0.01)  # here
    elif data == b"?":
        logging.getLogger("made").warning("no such room")
    connection.send(data)
"""


def test_a_worker_that_hangs_is_found_on_the_screen_with_its_client_and_its_log(
    live_host: Callable[..., LiveHost], write_plugin: Callable[..., str], tmp_path: Path
) -> None:
    plugin = write_plugin(HANGS)
    place = next(at for at, text in enumerate(Path(plugin).read_text().splitlines(), 1) if "# here" in text)
    log_file, release = tmp_path / "host.log", tmp_path / "release"
    host = live_host("--plugin", plugin, "--workers", "1", "--log-file", str(log_file), "--stall-timeout", "0")
    command = reactorhost("top", "--run-dir", str(host.run_dir), "-d", "0.2")
    with host.connect() as client, ScreenProgram(command, columns=200) as screen:
        peer = "{}:{}".format(*client.getsockname())
        screen.until_text("1/1 ready", "q quit")
        for _ in range(10):
            assert answers(client, b"?")
        client.sendall(str(release).encode())
        hangs = f"made.receive at {plugin}:{place} for {peer}"
        screen.until_text("0/1 ready, 1 silent", f"in {hangs}", "→ 1")
        # The key of the alert selects its row.
        screen.type("1\r")
        screen.until_text("Workers › worker", "its loop has not turned for", "blocked by", peer)
        screen.type("5")
        screen.until_text(str(log_file), "made: no such room  ×", "worker_blocked slot=", f" peer={peer} ")
        screen.type("/no such\r")
        screen.until_gone("worker_blocked")
        screen.type("\x1b")
        screen.until_text("worker_blocked slot=")
        release.touch()
        assert read_exactly(client, len(str(release)))
        screen.until_text("slow_hook_ended plugin=made", f"peer={peer} seconds=")
        screen.type("1")
        screen.until_text("1/1 ready")
        screen.until_gone(" silent ")
        screen.type("q")
        assert screen.wait() == 0
        assert screen.is_restored()
