"""`start --reload`: what changes on disk is served, and what is broken is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reactorhost.testing import LiveHost
from waiting import until

PLUGIN = """
import spoken

@hookimpl
def receive(connection, data):
    connection.send(spoken.TEXT)
"""


@pytest.fixture
def spoken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that writes the module that the plugin imports, as an editor does: beside it, then renamed."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def write(source: str) -> None:
        (tmp_path / "spoken.new").write_text(source)
        (tmp_path / "spoken.new").rename(tmp_path / "spoken.py")

    write("TEXT = b'one'")
    return write


def says(host: LiveHost) -> bytes:
    with host.connect() as client:
        client.sendall(b"?")
        return client.recv(100)


def test_changed_code_is_served_and_broken_code_is_not(
    live_host: Callable[..., LiveHost],
    write_plugin: Callable[..., str],
    spoken: Callable[[str], None],
    expected_errors: list[str],
) -> None:
    host = live_host("--plugin", write_plugin(PLUGIN), "--workers", "1", "--reload")
    assert says(host) == b"one"
    # A client that stays connected to the old code does not keep it for long.
    with host.connect() as stays:
        host.until(lambda status: status["totals"]["connections"] == 1)
        spoken("TEXT = b'two'")
        until(lambda: says(host) == b"two", "the new code")
        assert stays.recv(1) == b""
    expected_errors += ["worker_not_booted", "reload_failed"]
    spoken("TEXT = b'thr")
    until(lambda: " reload_failed " in host.log(), "the failure")
    assert "SyntaxError" in host.log()
    assert says(host) == b"two"
    # What is missing is created beside the others.
    spoken("from spoken_by_another import TEXT")
    until(lambda: "No module named 'spoken_by_another'" in host.log(), "the failure")
    write_plugin("TEXT = b'four'", "spoken_by_another")
    until(lambda: says(host) == b"four", "the new code")


def test_a_changed_configuration_is_read(live_host: Callable[..., LiveHost], tmp_path: Path) -> None:
    config = tmp_path / "host.toml"
    text = (
        "[host]\nworkers = {}\nreload_on_change = true\n[service.a]\nlisten = 'tcp://127.0.0.1:0'\nplugins = 'echo'\n"
    )
    config.write_text(text.format(1))
    host = live_host("--config", str(config))
    # A file that is written in place is empty for a moment, and might be read then.
    (tmp_path / "new").write_text(text.format(2))
    (tmp_path / "new").rename(config)
    host.until(lambda status: status["workers_ready"] == 2)
