"""What requests of the control socket cause in the master."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

from planner_settings import host_settings
from reactorhost.master.admin.commands import AdminCommands
from reactorhost.master.lifecycle import Lifecycle
from reactorhost.master.plan.planner import Planner


def test_the_file_of_the_workers_is_written_before_a_status_is_sent() -> None:
    planner = Planner(host_settings(1))
    context: Any = SimpleNamespace(planner=planner, pool=Mock(), monitor=Mock(), requests=Mock())
    calls = Mock()
    lifecycle = Lifecycle(context, Mock(after_settling=[]), calls.rundir, Mock())
    commands = AdminCommands(context, Mock(), lifecycle, Mock(), Mock(), Mock())
    commands.verbs()["status"](calls.session, {})
    assert [each[0] for each in calls.method_calls] == ["rundir.write_workers", "session.done"]
