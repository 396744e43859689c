"""A plugin that nobody packaged imports what lies beside it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from reactorhost.testing import LiveHost

HANDLER = """
import neighbour
from reactorhost import hookimpl

@hookimpl
def receive(connection, data):
    connection.send(neighbour.GREETING + data)
"""


@pytest.mark.parametrize("named", ["./handler.py", "handler:plugin"])
def test_a_one_off_finds_its_neighbours(
    live_host: Callable[..., LiveHost], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "neighbour.py").write_text("GREETING = b'hello '\n")
    (folder / "handler.py").write_text(HANDLER + "import sys\nplugin = sys.modules[__name__]\n")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    host = live_host("--plugin", named, environment=dict(os.environ))
    with host.connect() as client:
        client.sendall(b"you")
        assert client.recv(100) == b"hello you"
