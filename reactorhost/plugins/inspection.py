"""Load plugins in child processes, so that a plugin that hangs, exits or crashes does not affect the caller.

Each plugin gets a forked child in a session of its own. The child writes its report, one line of JSON, into an
anonymous file and exits; its standard descriptors are /dev/null. When the child has exited, or its time is up, its
whole process group is killed, so nothing that the plugin started is left.

The child is a fork and not `subprocess.run([sys.executable, ...])`:

- A fork costs 20 ms a plugin. A new interpreter that imports the host first costs 120 ms, so `reactorhost plugins`
  with two plugins would take 0.44 s instead of 0.24 s.
- `subprocess.run` kills only its direct child when the time is up, and what the plugin started survives.
- The child must import plugins as a worker does: with this process's `sys.path`, `-P`, `-W` and `-X` options. A fork
  has them already, a new interpreter would need each of them as an argument, and the configuration pickled.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from typing import Any, NoReturn

import click

from reactorhost.api.option import OPTION_TYPES, Option
from reactorhost.errors import PluginError, ReactorhostError
from reactorhost.plugins import commands
from reactorhost.plugins.discovery import find, installed
from reactorhost.plugins.identity import PluginIdentity, PluginReport, description
from reactorhost.plugins.loading import load
from reactorhost.plugins.options import WhereOf, configure

Table = Mapping[str, object]
Examine = Callable[[str, PluginIdentity], PluginReport]

_GRACE_SECONDS = 1.0
_MAX_DETAILS = 32_000
"""Characters of a traceback that are reported: its end."""


def _no_origin(key: str) -> str | None:
    return None


def inspect(
    named: str, timeout_seconds: float, host_version: str, table: Table | None = None, where_of: WhereOf = _no_origin
) -> PluginReport:
    """Load one plugin, configure it if `table` has its options, and report the result."""
    try:
        identity = find(named)
    except PluginError as error:
        return _failed(PluginReport(PluginIdentity(named, None, None, named)), error)
    return _inspect_each([(named, identity)], timeout_seconds, partial(_loaded, host_version, table, where_of))[0]


def inspect_all(timeout_seconds: float, host_version: str) -> list[PluginReport]:
    """Load every installed plugin, all at the same time, and report the results."""
    plugins = [(identity.name, identity) for identity in installed()]
    return _inspect_each(plugins, timeout_seconds, partial(_loaded, host_version, None, _no_origin))


def inspect_named(names: Iterable[str], timeout_seconds: float, host_version: str) -> list[PluginReport]:
    """Load several plugins at the same time and report the results; plugins that do not exist are left out."""
    plugins = []
    for named in names:
        with suppress(PluginError):
            plugins.append((named, find(named)))
    return _inspect_each(plugins, timeout_seconds, partial(_loaded, host_version, None, _no_origin))


def describe(named: str, timeout_seconds: float, host_version: str) -> PluginReport:
    """Load one plugin and report the result, with its description and commands.

    Raises:
        PluginError: there is no plugin of this name, or several distributions have one.
    """
    return _inspect_each([(named, find(named))], timeout_seconds, partial(_described, host_version))[0]


@dataclass(frozen=True, slots=True)
class _Child:
    """A process that loads one plugin; `pidfd` becomes readable when it exits, `file` holds its report."""

    identity: PluginIdentity
    pid: int
    pidfd: int
    file: int


def _inspect_each(
    plugins: Iterable[tuple[str, PluginIdentity]], timeout_seconds: float, examine: Examine
) -> list[PluginReport]:
    children: list[_Child] = []
    reports: list[PluginReport] = []
    try:
        for name, identity in plugins:
            children.append(_start(name, identity, examine, timeout_seconds))
        # One deadline for all: the children run at the same time.
        deadline = time.monotonic() + timeout_seconds
        for child in children:
            select.select([child.pidfd], [], [], max(0.0, deadline - time.monotonic()))
            reports.append(_report(child, timeout_seconds))
    finally:
        # After an exception or an interrupt: the children whose reports were not read.
        for child in children[len(reports) :]:
            _end(child)
    return reports


def _start(name: str, identity: PluginIdentity, examine: Examine, timeout_seconds: float) -> _Child:
    # A file and not a pipe: a process that the plugin started may keep a pipe open, and a plugin that closes
    # descriptors would end it. A file is complete when the child has exited.
    file = os.memfd_create("plugin-report")
    pid = os.fork()
    if pid == 0:
        # The timer ends the child when this process is killed before it can.
        signal.setitimer(signal.ITIMER_REAL, timeout_seconds + _GRACE_SECONDS)
        _run_child(name, identity, examine, file)
    return _Child(identity, pid, os.pidfd_open(pid), file)


def _run_child(name: str, identity: PluginIdentity, examine: Examine, file: int) -> NoReturn:
    try:
        # A group of its own, so that `_end` can kill what the plugin starts.
        os.setsid()
        _silence()
        line = json.dumps(_to_json(examine(name, identity))).encode() + b"\n"
        while line:
            line = line[os.write(file, line) :]
    finally:
        # Not sys.exit: neither exit handlers nor threads of the plugin may delay or change the exit.
        os._exit(0)


def _silence() -> None:
    """Connect the standard descriptors to /dev/null; turn off core dumps and the traceback of a fatal signal."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.disable()
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    # The sys objects may have been replaced by ones that write elsewhere.
    sys.stdin = sys.stdout = sys.stderr = os.fdopen(null, "r+", buffering=1, closefd=False)


def _loaded(
    host_version: str, table: Table | None, where_of: WhereOf, named: str, identity: PluginIdentity
) -> PluginReport:
    try:
        plugin = load(named, host_version)
        if table is not None:
            configure(plugin, table, where_of)
    except ReactorhostError as error:
        return _failed(PluginReport(identity), error)
    return PluginReport(identity, plugin.hooks, plugin.options, plugin.file)


def _described(host_version: str, named: str, identity: PluginIdentity) -> PluginReport:
    try:
        plugin = load(named, host_version)
    except ReactorhostError as error:
        return _failed(PluginReport(identity), error)
    report = PluginReport(identity, plugin.hooks, plugin.options, plugin.file, description=description(plugin))
    group = click.Group(identity.name)
    try:
        commands.add_to(group, plugin)
    except ReactorhostError as error:
        return _failed(report, error)
    return replace(report, commands=commands.visible_commands(group))


def _failed(report: PluginReport, error: ReactorhostError) -> PluginReport:
    details = error.details[-_MAX_DETAILS:] if error.details else None
    return replace(report, error=tuple(error.lines()), details=details, status=error.exit_status)


def _report(child: _Child, timeout_seconds: float) -> PluginReport:
    line, status = _end(child)
    if line.endswith(b"\n"):
        return _from_json(child.identity, json.loads(line))
    error = f"plugin {child.identity} {_failure(status, timeout_seconds)}"
    return PluginReport(child.identity, error=(error,), status=PluginError.exit_status)


def _end(child: _Child) -> tuple[bytes, int | None]:
    """Kill a child's process group; return what it reported, and its wait status or None if it was still running."""
    exited = bool(select.select([child.pidfd], [], [], 0)[0])
    # Before waitpid: until then the child's pid, which is its group's id too, cannot be used again.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    # A child that has not reached setsid() yet is in no group of its own.
    os.kill(child.pid, signal.SIGKILL)
    _, status = os.waitpid(child.pid, 0)
    os.close(child.pidfd)
    with os.fdopen(child.file, "rb") as file:
        file.seek(0)
        # One line: a plugin that forks while it is imported has two processes that report.
        line = file.readline()
    return line, status if exited else None


def _failure(status: int | None, timeout_seconds: float) -> str:
    if status is None:
        return f"did not finish loading in {timeout_seconds:g} s"
    if os.WIFSIGNALED(status):
        return f"crashed while loading: {signal.Signals(os.WTERMSIG(status)).name}"
    return f"ended the process while loading, with exit status {os.waitstatus_to_exitcode(status)}"


def _to_json(report: PluginReport) -> dict[str, Any]:
    options = []
    for option in report.options:
        values = {each.name: getattr(option, each.name) for each in fields(Option)}
        options.append(
            {key: value for key, value in values.items() if value is not ...} | {"type": option.type.__name__}
        )
    return {**asdict(replace(report, options=())), "options": options}


def _from_json(identity: PluginIdentity, values: dict[str, Any]) -> PluginReport:
    types = {kind.__name__: kind for kind in OPTION_TYPES}
    # JSON has lists only, a report has tuples.
    report: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    report["identity"] = identity
    # JSON has no types: they are sent by name.
    report["options"] = tuple(Option(**{**option, "type": types[option["type"]]}) for option in values["options"])
    report["commands"] = tuple((name, text) for name, text in values["commands"])
    return PluginReport(**report)
