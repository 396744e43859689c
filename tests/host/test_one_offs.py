"""A plugin that is not packaged can import modules of its folder."""

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
def test_an_unpackaged_plugin_can_import_modules_in_its_folder(
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
