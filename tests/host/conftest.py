"""Fixtures of the host tests. After every test: no process, file or descriptor left, no unexpected error logged."""

from __future__ import annotations

import gc
import json
import os
import re
import select
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import started
from daemons import Daemon
from plugin_files import plugin_file
from reactorhost.testing import _HOSTS as HOSTS
from reactorhost.testing import LiveHost

_END_SECONDS = 20.0
_SEVERE_LINE = re.compile(r"^\S+Z (?:error|critical) (\S+)", re.MULTILINE)
# Under -d, standard error of a worker is written to the log line by line.
_UNCAUGHT = re.compile(r"^(?:\S+Z warning )?Traceback \(most recent call last\)", re.MULTILINE)


@pytest.fixture
def expected_errors() -> list[str]:
    """Return a list for the events that this test expects in the log at level error: `.append("worker_crashed")`."""
    return []


@pytest.fixture
def killed_masters() -> list[LiveHost]:
    """Return a list for hosts whose master the test kills: their files may stay behind."""
    return []


@pytest.fixture
def write_plugin(tmp_path: Path) -> Callable[..., str]:
    """Return a function that writes a plugin file, replacing one of the same name, and returns its path."""

    def write(source: str, name: str = "made") -> str:
        path = tmp_path / f"{name}.py"
        path.write_text(f"from reactorhost import hookimpl\n{source}")
        return str(path)

    return write


@pytest.fixture
def host_with(live_host: Callable[..., LiveHost], tmp_path: Path) -> Callable[..., LiveHost]:
    """Start a host of one worker with a plugin made of pieces of source."""

    def start(*sources: str, settings: tuple[str, ...] = ()) -> LiveHost:
        return live_host("--plugin", plugin_file(tmp_path, "asked", *sources), "--workers", "1", *settings)

    return start


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """Return a function that starts a daemon, as `daemon("--plugin", "echo", ...)`; daemons end with the test."""
    daemons: list[Daemon] = []

    def start(*arguments: str, environment: dict[str, str] | None = None, cwd: Path | None = None) -> Daemon:
        host = Daemon(tmp_path / f"daemon{len(daemons)}", *arguments, environment=environment, cwd=cwd)
        daemons.append(host)
        host.start()
        return host

    yield start
    for host in daemons:
        host.end()


@pytest.fixture(scope="module")
def _host_of_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHost]:
    host = LiveHost(tmp_path_factory.mktemp("echo_host"), "--plugin", "echo", "--workers", "1")
    with host:
        yield host
    problems = [*_files_of(host), *_unexpected_in_log(host, [])]
    assert not problems, "\n".join(problems)


@pytest.fixture
def echo_host(_host_of_module: LiveHost, request: pytest.FixtureRequest) -> Iterator[LiveHost]:
    """Return a host of one worker with the plugin `echo`, for the tests of a module that leave it as they found it."""
    host = _host_of_module
    # The report of a test that fails has its log.
    request.node.stash[HOSTS] = [host]
    yield host
    # A client whose end the host has not noticed yet would be one of the next test.
    status = host.until(lambda status: not status["totals"]["connections"], "the end of every client")
    assert (status["generation"], [slot["restarts"] for slot in status["slots"]]) == (1, [0]), host.log()


@pytest.fixture(autouse=True)
def _check_leftovers(
    expected_errors: list[str], killed_masters: list[LiveHost], monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Check after each test that no process, file, descriptor or unexpected error is left."""
    hosts = _record_hosts(monkeypatch)
    token = uuid.uuid4().hex
    # Inherited by every process that the test starts, and by their children.
    monkeypatch.setenv(started.TOKEN, token)
    descriptors = _descriptors()
    children = started.children(os.getpid())
    yield
    # Processes first: one that still runs would also show up in the other checks.
    left = _end_all(token)
    problems = [f"left running: {each}" for each in left]
    for host in hosts:
        if host not in killed_masters:
            problems += _files_of(host)
        problems += _unexpected_in_log(host, expected_errors)
    if _descriptors() != descriptors:
        gc.collect()
        problems += [f"descriptor left open: {each}" for each in sorted(_descriptors() - descriptors)]
    problems += [f"child left: {each}" for each in sorted(started.children(os.getpid()) - children)]
    assert not problems, "\n".join(problems)


@pytest.fixture
def no_child_or_descriptor_is_left() -> Iterator[None]:
    """Check that a test leaves no child and no descriptor in this process, not even one to be collected."""
    before = os.listdir("/proc/self/fd")
    yield
    assert os.listdir("/proc/self/fd") == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def _record_hosts(monkeypatch: pytest.MonkeyPatch) -> list[LiveHost]:
    hosts: list[LiveHost] = []
    initialise = LiveHost.__init__

    def note(host: LiveHost, directory: Path, *arguments: str, environment: dict[str, str] | None = None) -> None:
        initialise(host, directory, *arguments, environment=environment)
        hosts.append(host)

    monkeypatch.setattr(LiveHost, "__init__", note)
    return hosts


def _files_of(host: LiveHost) -> list[str]:
    names = ("master.pid", "workers.pid", "lock", "control.sock")
    left = [host.run_dir / name for name in names if (host.run_dir / name).exists()]
    # A host removes its directory only if it made it, so not after one that was killed.
    reused = host.log_path.exists() and host.log().count(" host_starting ") > 1
    if not left and host.run_dir.exists() and (not reused or os.listdir(host.run_dir)):
        left = [host.run_dir, *host.run_dir.iterdir()]
    return [f"file left: {path}" for path in left]


def _unexpected_in_log(host: LiveHost, expected: list[str]) -> list[str]:
    if not host.log_path.exists():
        return []
    log = host.log()
    events = set(_SEVERE_LINE.findall(log)) | set(_severe_objects(log))
    problems = [f"unexpected error in the log: {event}" for event in sorted(events - set(expected))]
    # A host that fails to start logs the traceback of a plugin, and a crashed worker its own.
    failed = host._process is not None and (host._process.returncode or 0) > 0
    if not failed and "worker_crashed" not in expected and _UNCAUGHT.search(log):
        problems.append("an uncaught exception is in the log")
    return [*problems, log] if problems else []


def _severe_objects(log: str) -> Iterator[str]:
    """Yield the error events of a JSON log."""
    for line in log.splitlines():
        if line.startswith('{"time"'):
            record = json.loads(line)
            if record["level"] in ("error", "critical"):
                yield record["event"]


def _descriptors() -> set[str]:
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")
        except FileNotFoundError:
            # The descriptor that listdir itself used.
            continue
    return found


def _end_all(token: str) -> list[str]:
    """Wait until every process with the token has ended; kill and return those that have not."""
    deadline = time.monotonic() + _END_SECONDS
    left: list[str] = []
    while running := started.running(token):
        for pid, name in running.items():
            try:
                descriptor = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            try:
                if not select.select([descriptor], (), (), max(0.0, deadline - time.monotonic()))[0]:
                    left.append(f"{pid} {name}")
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                    select.select([descriptor], (), (), _END_SECONDS)
            finally:
                os.close(descriptor)
    return left
