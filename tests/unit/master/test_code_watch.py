"""The process that watches source files, where the system reports no events."""

from __future__ import annotations

import socket
from unittest.mock import Mock

import pytest
import watchfiles

from reactorhost.master import code_watch


class Changes:
    """A change at the second look; at the third one the master closes its end of the line."""

    def __init__(self, master: socket.socket) -> None:
        self._master = master
        self._looks = 0
        self.received = b""

    def take(self) -> list[str]:
        self._looks += 1
        if self._looks == 3:
            self.received = self._master.recv(4096)
            self._master.close()
        return ["/a.py"] if self._looks == 2 else []


@pytest.mark.parametrize("error", [OSError("file watch limit"), RuntimeError("too many open files")])
def test_changes_are_noticed_without_events(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setattr(watchfiles, "watch", Mock(side_effect=error))
    monkeypatch.setattr(code_watch, "_LOOK_MILLISECONDS", 0)
    ours, theirs = socket.socketpair()
    changes = Changes(ours)
    with ours, theirs:
        code_watch._look(theirs, changes, ["/"])  # type: ignore[arg-type]
    assert changes.received == b'{"changed": ["/a.py"]}\n'
