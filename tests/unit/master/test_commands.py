"""What requests of the control socket cause in the master."""

from __future__ import annotations

import errno
import signal
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

from planner_settings import host_settings
from reactorhost.master.admin.commands import AdminCommands
from reactorhost.master.lifecycle import Lifecycle
from reactorhost.master.plan.planner import Planner


def test_the_file_of_the_workers_is_written_before_a_status_is_sent() -> None:
    planner = Planner(host_settings(1))
    context: Any = SimpleNamespace(
        planner=planner, pool=Mock(), monitor=Mock(), requests=Mock(), shared_counters=Mock(), bus=Mock()
    )
    calls = Mock()
    lifecycle = Lifecycle(context, Mock(after_settling=[]), calls.rundir, Mock())
    commands = AdminCommands(context, Mock(), lifecycle, Mock(), Mock(), Mock())
    commands.verbs()["status"](calls.session, {})
    assert [each[0] for each in calls.method_calls] == ["rundir.write_workers", "session.done"]


def test_a_signal_that_finds_no_free_descriptor_does_not_end_the_master() -> None:
    context: Any = SimpleNamespace(log=Mock())
    refused = OSError(errno.EMFILE, "Too many open files")
    launch: Any = Mock(terminal_gone=Mock(return_value=False), read_again=Mock(side_effect=refused))
    commands = AdminCommands(context, Mock(), Mock(), Mock(), launch, Mock())
    commands.signals()[signal.SIGHUP]()
    context.log.error.assert_called_once_with("action_failed", action="signal", error="Too many open files")
