"""What every host test is held to: nothing is left behind, and nothing went wrong that it did not expect."""

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
from reactorhost.testing import LiveHost

_PATIENCE_SECONDS = 20.0
_SEVERE_LINE = re.compile(r"^\S+Z (?:error|critical) (\S+)", re.MULTILINE)
_UNCAUGHT = re.compile(r"^Traceback \(most recent call last\)", re.MULTILINE)


@pytest.fixture
def expected_errors() -> list[str]:
    """Return a list for the events that this test expects in the log at level error: `.append("worker_crashed")`."""
    return []


@pytest.fixture
def killed_masters() -> list[LiveHost]:
    """Return a list for the hosts whose master this test kills for good: its files may stay behind."""
    return []


@pytest.fixture
def write_plugin(tmp_path: Path) -> Callable[..., str]:
    """Return a function that writes a plugin file, over the one before if it has the same name; returns its path."""

    def write(source: str, name: str = "made") -> str:
        path = tmp_path / f"{name}.py"
        path.write_text(f"from reactorhost import hookimpl\n{source}")
        return str(path)

    return write


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """Start hosts by `daemon("--plugin", "echo", ...)` that leave the terminal; they end with the test."""
    daemons: list[Daemon] = []

    def start(*arguments: str, environment: dict[str, str] | None = None, cwd: Path | None = None) -> Daemon:
        host = Daemon(tmp_path / f"daemon{len(daemons)}", *arguments, environment=environment, cwd=cwd)
        daemons.append(host)
        host.start()
        return host

    yield start
    for host in daemons:
        host.end()


@pytest.fixture(autouse=True)
def _nothing_is_left(
    expected_errors: list[str], killed_masters: list[LiveHost], monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Hold every test to leaving no process, no file, no descriptor and no error that it did not expect."""
    hosts = _note_hosts(monkeypatch)
    token = uuid.uuid4().hex
    # Every process that a test starts has it, and so has whatever such a process starts in turn.
    monkeypatch.setenv(started.TOKEN, token)
    descriptors = _descriptors()
    children = started.children(os.getpid())
    yield
    # The processes first: what is still alive would be blamed for the rest too.
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


def _note_hosts(monkeypatch: pytest.MonkeyPatch) -> list[LiveHost]:
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
    # Only the one who made the directory removes it: not who was started after one that was killed.
    heir = host.log_path.exists() and host.log().count(" host_starting ") > 1
    if not left and host.run_dir.exists() and (not heir or os.listdir(host.run_dir)):
        left = [host.run_dir, *host.run_dir.iterdir()]
    return [f"file left: {path}" for path in left]


def _unexpected_in_log(host: LiveHost, expected: list[str]) -> list[str]:
    if not host.log_path.exists():
        return []
    log = host.log()
    events = set(_SEVERE_LINE.findall(log)) | set(_severe_objects(log))
    problems = [f"unexpected error in the log: {event}" for event in sorted(events - set(expected))]
    # A host that does not come up shows the traceback of a plugin there, and a worker that crashes its own.
    failed = host._process is not None and (host._process.returncode or 0) > 0
    if not failed and "worker_crashed" not in expected and _UNCAUGHT.search(log):
        problems.append("an exception that nobody caught is in the log")
    return [*problems, log] if problems else []


def _severe_objects(log: str) -> Iterator[str]:
    """Yield the events of a log in JSON that are errors."""
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
            # The one that the listing itself used.
            continue
    return found


def _end_all(token: str) -> list[str]:
    """Wait for every process with the token to end; kill and return those that do not."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
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
                    select.select([descriptor], (), (), _PATIENCE_SECONDS)
            finally:
                os.close(descriptor)
    return left
