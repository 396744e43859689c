"""Problems with the files of a host, in the status until they are over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

from planner_settings import host_settings
from reactorhost.errors import ReactorhostError
from reactorhost.master.file_watch import FileWatch
from reactorhost.master.plan.planner import Planner
from reactorhost.system.own_file import FileState

PATH = Path("/run/host/workers.pid")


class Watched:
    """A watch over one file that can or cannot be written."""

    def __init__(self) -> None:
        self.state = FileState.MISSING
        self.write: Callable[[], object] = Mock()
        self.problems: dict[Path, str] = {}
        rundir = Mock(path=PATH.parent, written=lambda: [(PATH, self.state, self.write)])
        rundir.state.return_value = FileState.PRESENT
        control = Mock()
        control.state.return_value = FileState.PRESENT
        listeners = Mock()
        listeners.shared.return_value = []
        planner = Planner(host_settings(1))
        context = SimpleNamespace(problems=self.problems, planner=planner, listeners=listeners, log=Mock(), pool=Mock())
        self._watch = FileWatch(context, rundir, control, None, Mock(), Mock())  # type: ignore[arg-type]

    def check(self) -> list[str]:
        self._watch.check()
        return list(self.problems.values())


def test_a_problem_ends_when_the_file_is_written_by_the_watch() -> None:
    watched = Watched()
    watched.write = Mock(side_effect=ReactorhostError("the disk is full"))
    assert watched.check() == ["the disk is full"]
    watched.write = Mock()
    assert watched.check() == []
    watched.write.assert_called_once()


def test_a_problem_ends_when_the_file_was_written_in_the_meantime() -> None:
    watched = Watched()
    watched.write = Mock(side_effect=ReactorhostError("the disk is full"))
    assert watched.check() == ["the disk is full"]
    watched.state = FileState.PRESENT
    assert watched.check() == []
