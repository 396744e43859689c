"""A worker reports each source file that it has imported once, also one that is imported later."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import reactorhost_echo
from reactorhost.ipc.messages import Message
from reactorhost.plugins.source_files import source_files
from reactorhost.reactor import Reactor
from reactorhost.testing.fakes import FakeClock, FakePoller, turn
from reactorhost.worker.monitor.source_report import SourceReport


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "developed_module.py"
    path.write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield path
    sys.modules.pop("developed_module", None)


def test_files_are_reported_once_and_those_that_are_imported_later_within_a_second(module: Path) -> None:
    clock = FakeClock()
    poller = FakePoller(clock)
    reactor = Reactor(poller, clock)
    sent: list[Message] = []
    SourceReport(reactor, sent.append).start()
    # This test is one.
    [first] = sent
    assert __file__ in first["files"]
    assert str(module) not in first["files"]
    importlib.import_module("developed_module")
    clock.now += 1.0
    turn(reactor, poller)
    status = module.stat()
    [_, later] = sent
    assert json.loads(json.dumps(later["files"])) == {str(module): [status.st_ino, status.st_size, status.st_mtime_ns]}
    clock.now += 1.0
    turn(reactor, poller)
    assert len(sent) == 2


def test_neither_the_host_nor_what_is_installed_is_watched() -> None:
    found = source_files()
    assert not [path for path in found if "site-packages" in path or path.endswith("/json/__init__.py")]
    assert not [
        path for path in found if path.startswith(str(Path(SourceReport.report.__code__.co_filename).parents[2]))
    ]
    # An editable install is developed.
    assert reactorhost_echo.__file__ in found or "site-packages" in str(reactorhost_echo.__file__)
