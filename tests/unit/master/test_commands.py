"""What requests of the control socket cause in the master."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from planner_settings import host_settings
from reactorhost.config.resolve import resolve
from reactorhost.errors import ReactorhostError, UsageError
from reactorhost.master.admin.commands import AdminCommands
from reactorhost.master.admin.configuration_file import ConfigurationFile
from reactorhost.master.lifecycle import Lifecycle
from reactorhost.master.plan.planner import HostState, Planner


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


@pytest.mark.parametrize(("since", "wanted"), [({}, None), ({"events_since": 7}, 7)], ids=str)
def test_a_status_has_the_events_since_an_id(since: dict[str, Any], wanted: int | None) -> None:
    status = Mock()
    AdminCommands(Mock(), Mock(), Mock(), status, Mock(), Mock()).verbs()["status"](Mock(), since)
    assert status.document.call_args.kwargs["events_since"] == wanted


@pytest.mark.parametrize("since", ["7", True, 1.5])
def test_events_since_anything_but_an_id_are_refused(since: object) -> None:
    commands = AdminCommands(Mock(), Mock(), Mock(), Mock(), Mock(), Mock())
    with pytest.raises(UsageError, match="events_since must be the id of an event"):
        commands.verbs()["status"](Mock(), {"events_since": since})


class Host:
    """What requests to scale act on."""

    def __init__(self, workers: str) -> None:
        settings = resolve({"plugins": ("echo",), "workers": workers}, {}, Path("/"), uid=1000, cpus=lambda: 3)
        self.planner = Planner(settings)
        self.read_again = Mock(return_value=settings)
        context: Any = Mock(planner=self.planner)
        imported = Mock(changed=tuple)
        self.launch: Any = Mock(
            read_again=self.read_again, terminal_gone=lambda: False, directory=".", imported=imported
        )
        self.commands = AdminCommands(context, Mock(), Mock(), Mock(), self.launch, Mock())

    def scale(self, workers: object) -> tuple[int, str | None]:
        """Request a number of workers; returns the wanted one, and the range in which it follows the load."""
        self.commands.verbs()["scale"](Mock(), {"workers": workers})
        return self.wanted()

    def wanted(self) -> tuple[int, str | None]:
        limits = self.planner.autoscale.range
        return self.planner.scaling.target, None if limits is None else str(limits)

    def configure(self, workers: str) -> tuple[int, str | None]:
        """Change the configuration, and let the host read it again."""
        flags = {"plugins": ("echo",), "workers": workers}
        self.read_again.return_value = resolve(flags, {}, Path("/"), uid=1000, cpus=lambda: 3)
        self.commands.signals()[signal.SIGHUP]()
        return self.wanted()


def test_a_reload_warns_of_a_configuration_that_only_hup_reads(tmp_path: Path) -> None:
    host, path = Host("2"), tmp_path / "host.toml"
    path.write_text("[host]\n")
    host.launch.configuration = ConfigurationFile(path)
    path.write_text("[host]\nworkers = 3\n")
    session = Mock()
    host.commands.verbs()["reload"](session, {})
    session.warning.assert_called_once_with(
        f"{path} has changed, and a reload brings code only; `kill -HUP {os.getpid()}` reads it and reloads"
    )
    host.commands.signals()[signal.SIGHUP]()
    session = Mock()
    host.commands.verbs()["reload"](session, {})
    session.warning.assert_not_called()


def test_a_refused_configuration_is_not_in_use(tmp_path: Path) -> None:
    host, path = Host("2"), tmp_path / "host.toml"
    path.write_text("[host]\n")
    host.launch.configuration = ConfigurationFile(path)
    path.write_text("[host]\nwrkers = 3\n")
    host.read_again.side_effect = ReactorhostError("unknown key")
    host.commands.signals()[signal.SIGHUP]()
    session = Mock()
    host.commands.verbs()["reload"](session, {})
    session.warning.assert_called_once()


def test_a_number_fixes_what_followed_the_load_until_auto() -> None:
    host = Host("2-16")
    assert host.wanted() == (2, "2-16")
    assert host.scale(20) == (20, None)
    assert host.scale("auto") == (16, "2-16")
    host.commands.signals()[signal.SIGTTIN]()
    assert host.wanted() == (17, None)


def test_a_range_is_followed_from_the_nearest_number() -> None:
    host = Host("4")
    assert host.scale("2-8") == (4, "2-8")
    assert host.scale({"min": 6, "max": 8}) == (6, "6-8")
    assert host.scale(3) == (3, None)
    with pytest.raises(UsageError, match="this host has no range of workers"):
        host.scale("auto")


@pytest.mark.parametrize("wrong", [0, 257, "2", True, None, 1.5, "8-2", "0-2", {"min": 1}, [2]], ids=repr)
def test_a_wrong_number_changes_nothing(wrong: object) -> None:
    host = Host("2-16")
    with pytest.raises(UsageError, match="the number of workers must"):
        host.scale(wrong)
    assert host.wanted() == (2, "2-16")


def test_a_signal_beyond_the_limits_changes_nothing() -> None:
    host = Host("1-4")
    host.commands.signals()[signal.SIGTTOU]()
    assert host.wanted() == (1, "1-4")


def test_only_a_changed_configuration_changes_the_number() -> None:
    host = Host("2-16")
    assert host.scale(9) == (9, None)
    assert host.configure("2-16") == (9, None)
    assert host.configure("2-12") == (9, "2-12")
    assert host.configure("10-12") == (10, "10-12")
    assert host.configure("5") == (5, None)
    assert host.configure("auto") == (3, None)


def test_a_signal_that_finds_no_free_descriptor_does_not_end_the_master() -> None:
    context: Any = SimpleNamespace(log=Mock())
    refused = OSError(errno.EMFILE, "Too many open files")
    launch: Any = Mock(terminal_gone=Mock(return_value=False), read_again=Mock(side_effect=refused))
    commands = AdminCommands(context, Mock(), Mock(), Mock(), launch, Mock())
    commands.signals()[signal.SIGHUP]()
    context.log.error.assert_called_once_with("action_failed", action="signal", error="Too many open files")


def commands_of(planner: Planner, lifecycle: Mock) -> AdminCommands:
    context: Any = SimpleNamespace(planner=planner, log=Mock())
    return AdminCommands(context, Mock(), lifecycle, Mock(), Mock(), Mock())


def by_signal(commands: AdminCommands) -> None:
    commands.signals()[signal.SIGTERM]()


def by_quit(commands: AdminCommands) -> None:
    commands.signals()[signal.SIGQUIT]()


def by_client(commands: AdminCommands) -> None:
    commands.verbs()["stop"](Mock(), {})


def by_client_now(commands: AdminCommands) -> None:
    commands.verbs()["stop"](Mock(), {"now": True})


@pytest.mark.parametrize(
    ("state", "request_stop", "delayed", "at_once"),
    [
        (HostState.RUNNING, by_signal, True, False),
        (HostState.RUNNING, by_client, True, False),
        (HostState.RUNNING, by_quit, False, True),
        (HostState.RUNNING, by_client_now, False, True),
        (HostState.LEAVING, by_signal, False, False),
        (HostState.LEAVING, by_client, True, False),
        (HostState.LEAVING, by_client_now, False, True),
        (HostState.STOPPING, by_signal, False, True),
        (HostState.STOPPING, by_client, True, False),
    ],
)
def test_what_a_request_to_stop_means_depends_on_the_state(
    state: HostState, request_stop: Callable[[AdminCommands], None], delayed: bool, at_once: bool
) -> None:
    planner, lifecycle = Planner(host_settings(1)), Mock()
    planner.state = state
    request_stop(commands_of(planner, lifecycle))
    assert lifecycle.stop.call_args.kwargs == {"delayed": delayed, "at_once": at_once}


@pytest.mark.parametrize("state", [HostState.LEAVING, HostState.STOPPING])
def test_a_host_that_is_being_stopped_is_not_changed(state: HostState) -> None:
    planner = Planner(host_settings(1))
    planner.state = state
    with pytest.raises(ReactorhostError, match="the host is being stopped"):
        commands_of(planner, Mock()).verbs()["scale"](Mock(), {"workers": 2})


def test_health_is_what_the_probe_reports() -> None:
    planner, session = Planner(host_settings(1)), Mock()
    planner.state = HostState.LEAVING
    commands_of(planner, Mock()).verbs()["health"](session, {})
    result = session.done.call_args.kwargs
    assert result["ready"] is False
    assert "the host is being stopped" in result["not_ready"]


def test_a_client_that_reopens_the_log_follows_how_many_workers_confirm() -> None:
    context: Any = Mock(planner=Planner(host_settings(2)))
    for pid in (7, 8):
        context.planner.slots[pid] = Mock()
        context.planner.table.add(pid, pid, 1, 0.0, 10.0)
    session = Mock()
    AdminCommands(context, Mock(), Mock(), Mock(), Mock(), Mock()).verbs()["reopen"](session, {})
    session.progress.assert_called_once_with("waiting for 2 workers", step_seconds=0.0)


def test_only_what_a_terminal_echoes_begins_a_new_line() -> None:
    calls = Mock()
    commands = AdminCommands(Mock(), Mock(), calls.lifecycle, Mock(), Mock(), calls.log_file)
    commands.signals()[signal.SIGTERM]()
    commands.signals()[signal.SIGINT]()
    assert [each[0] for each in calls.method_calls] == ["lifecycle.stop", "log_file.end_echoed_line", "lifecycle.stop"]
