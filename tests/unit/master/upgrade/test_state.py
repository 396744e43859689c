"""Every attribute of what an upgrade passes on is exported, or left out for a reason."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from planner_settings import host_settings
from reactorhost.config.default_paths import selection
from reactorhost.errors import ReactorhostError
from reactorhost.ipc.typed_json import from_json, to_json
from reactorhost.master.admin.control_server import ControlServer, Session
from reactorhost.master.admin.fixed_settings import FIXED_SETTINGS, bound
from reactorhost.master.http.server import HttpServer
from reactorhost.master.http.sockets import EndpointSockets
from reactorhost.master.listen.listeners import Listeners
from reactorhost.master.rundir import RunDirectory, RunDirectoryState
from reactorhost.master.stats.monitor import Monitor
from reactorhost.master.upgrade.state import StatsState, fit_settings
from reactorhost.master.workers.introductions import Introductions
from reactorhost.master.workers.pool import WorkerHandle, WorkerPool
from reactorhost.master.workers.requests import WorkerRequests
from reactorhost.system.fork import ForkRegistry
from reactorhost.system.own_file import FileState


def new_directory(path: Path) -> RunDirectory:
    return RunDirectory(path, path / "master.pid", ForkRegistry(), selection("default", path, {}, 1000))


def attributes(kind: type) -> set[str]:
    """Return the attributes of a class with slots, or those that its constructor sets."""
    if slots := getattr(kind, "__slots__", ()):
        return set(slots)
    made: dict[type, Callable[[], object]] = {
        RunDirectory: lambda: new_directory(Path("/run/x")),
        Listeners: lambda: Listeners(host_settings(1), ForkRegistry()),
        Session: lambda: Session(Mock(), Mock()),
        EndpointSockets: lambda: EndpointSockets(Mock()),
    }
    return set(vars(made[kind]()))


# By class: what is exported, and what is not: other parts, what follows from the settings, and what is made anew.
ATTRIBUTES: dict[type, tuple[str, str]] = {
    RunDirectory: (
        "_lock _locked_file _has_pid_file _workers _workers_current _record _recorded _made",
        "path pid_file control_socket workers_file lock_file _registry _selection",
    ),
    Listeners: (
        "groups _sockets _unix_files _leaving _full steered",
        # What was passed and is not used was closed by the first program. Queues are read anew.
        "_settings _registry passed _readings",
    ),
    WorkerPool: (
        "scoreboard _handles _host_id",
        # A count of the kernel is read anew.
        "reactor registry run_worker account _report_handlers _reserve _oom_kills",
    ),
    WorkerHandle: ("pid line page stack_descriptor failure plugins sockets killed", ""),
    ControlServer: (
        "_listener _file _sessions",
        "reactor registry path verbs log _retry _lines _most_clients",
    ),
    Session: ("line waiting busy active_at", "_on_response"),
    # Clients of probes are waited for, and those that are idle are disconnected.
    HttpServer: (
        "sockets",
        "reactor registry routes most_clients _clients _watched _retry _quiet_since _turn _answered",
    ),
    EndpointSockets: ("opened _files", "address"),
    Introductions: ("_users _missing", "reactor pool log _retrying"),
    # None waits when the next program is executed.
    WorkerRequests: ("", "reactor pool _open _last_number"),
    Monitor: (
        "samples errors metrics services",
        "reactor pool resident proportional silent lag_max_seconds cpu_percent _cpu",
    ),
}


@pytest.mark.parametrize("kind", ATTRIBUTES, ids=lambda kind: kind.__name__)
def test_every_attribute_is_exported_or_left_out_for_a_reason(kind: type) -> None:
    exported, left_out = ATTRIBUTES[kind]
    assert attributes(kind) == set(exported.split()) | set(left_out.split())


def test_an_earlier_version_finds_the_fields_that_it_requires() -> None:
    required = {"began", "samples", "metrics", "bus", "shared_counters", "errors", "events"}
    assert required <= {each.name for each in fields(StatsState)}


def test_a_run_directory_goes_on_with_its_lock_and_its_files(tmp_path: Path) -> None:
    path = tmp_path / "new" / "run"
    before = new_directory(path)
    before.prepare()
    before.take_lock()
    before.write_pid_file()
    before.write_workers([(0, os.getpid(), 1)])
    state = from_json(RunDirectoryState, to_json(before.export()))
    after = new_directory(path)
    after.restore(state)
    assert after.state() is FileState.PRESENT
    assert [each[1] for each in after.written()] == [FileState.PRESENT, FileState.PRESENT]
    after.clean_up()
    # With the parents that the first program made.
    assert list(tmp_path.iterdir()) == []


def test_a_host_that_has_lost_its_lock_is_not_upgraded(tmp_path: Path) -> None:
    with pytest.raises(ReactorhostError, match="lock was removed"):
        new_directory(tmp_path).export()


def test_fixed_settings_are_those_of_the_first_start_and_addresses_must_be_the_same() -> None:
    first = replace(host_settings(2), name="web", log_file=Path("/var/log/web"), backlog=5)
    state = Mock(
        fixed={name: to_json(getattr(first, name)) for name in FIXED_SETTINGS},
        bound=tuple((name, str(address), tls) for name, address, tls in bound(first)),
    )
    fresh = replace(first, name="other", log_file=None, backlog=7, stop_timeout=9.0)
    assert fit_settings(fresh, state) == replace(first, stop_timeout=9.0)
    moved = replace(fresh, services=(replace(fresh.services[0], listen=()),))
    with pytest.raises(ReactorhostError, match="cannot change in an upgrade"):
        fit_settings(moved, state)
