"""Try to load plugins in children of their own, so that one that hangs, exits or crashes harms nothing.

A child writes one line of JSON into a pipe and is killed when it has, or when its time is up. Whatever the plugin
prints goes nowhere.
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
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, NoReturn

import click

from reactorhost.api.option import OPTION_TYPES, Option
from reactorhost.errors import PluginError, ReactorhostError
from reactorhost.plugins import commands
from reactorhost.plugins.description import description
from reactorhost.plugins.discovery import find, installed
from reactorhost.plugins.identity import PluginIdentity, PluginReport
from reactorhost.plugins.loading import load
from reactorhost.plugins.options import WhereOf, configure

Table = Mapping[str, object]
Look = Callable[[str, PluginIdentity], PluginReport]

_GRACE_SECONDS = 1.0
_MOST_DETAILS = 32_000
"""Characters of a traceback that are told; with the rest of the line they fit the pipe's 64 KiB."""


def _nowhere(key: str) -> str | None:
    return None


def inspect(
    named: str, timeout_seconds: float, host_version: str, table: Table | None = None, where_of: WhereOf = _nowhere
) -> PluginReport:
    """Try to load one plugin, configure it if there is a table of its options, and tell what came of it."""
    try:
        identity = find(named)
    except PluginError as error:
        return _refused(PluginIdentity(named, None, None, named), error)
    return _inspect_each([(named, identity)], timeout_seconds, partial(_loaded, host_version, table, where_of))[0]


def inspect_all(timeout_seconds: float, host_version: str) -> list[PluginReport]:
    """Try to load every installed plugin, all at the same time."""
    plugins = [(identity.name, identity) for identity in installed()]
    return _inspect_each(plugins, timeout_seconds, partial(_loaded, host_version, None, _nowhere))


def inspect_named(names: Iterable[str], timeout_seconds: float, host_version: str) -> list[PluginReport]:
    """Try to load several plugins at the same time; those that are not there are left out."""
    plugins = []
    for named in names:
        with suppress(PluginError):
            plugins.append((named, find(named)))
    return _inspect_each(plugins, timeout_seconds, partial(_loaded, host_version, None, _nowhere))


def describe(named: str, timeout_seconds: float, host_version: str) -> PluginReport:
    """Try to load one plugin, and tell all that it says of itself.

    Raises:
        PluginError: nothing has this name, or several distributions claim it.
    """
    return _inspect_each([(named, find(named))], timeout_seconds, partial(_described, host_version))[0]


@dataclass(frozen=True, slots=True)
class _Child:
    """One process that tries to load one plugin."""

    identity: PluginIdentity
    pid: int
    process: int
    pipe: int


def _inspect_each(
    plugins: Iterable[tuple[str, PluginIdentity]], timeout_seconds: float, look: Look
) -> list[PluginReport]:
    children: list[_Child] = []
    reports = []
    try:
        for named, identity in plugins:
            children.append(_start(named, identity, look, timeout_seconds))
        deadline = time.monotonic() + timeout_seconds
        reports = [_report(child, deadline, timeout_seconds) for child in children]
    finally:
        for child in children[len(reports) :]:
            _end(child)
    return reports


def _start(named: str, identity: PluginIdentity, look: Look, timeout_seconds: float) -> _Child:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        # Should this process be ended before it can end its child.
        signal.setitimer(signal.ITIMER_REAL, timeout_seconds + _GRACE_SECONDS)
        _try_to_load(named, identity, look, writer)
    os.close(writer)
    return _Child(identity, pid, os.pidfd_open(pid), reader)


def _try_to_load(named: str, identity: PluginIdentity, look: Look, writer: int) -> NoReturn:
    try:
        os.setsid()
        _fall_silent()
        line = json.dumps(_as_json(look(named, identity))).encode() + b"\n"
        while line:
            line = line[os.write(writer, line) :]
    finally:
        os._exit(0)


def _fall_silent() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.disable()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    # Whoever replaced these may have them write elsewhere.
    sys.stdin = sys.stdout = sys.stderr = os.fdopen(nowhere, "r+", buffering=1, closefd=False)


def _loaded(
    host_version: str, table: Table | None, where_of: WhereOf, named: str, identity: PluginIdentity
) -> PluginReport:
    try:
        plugin = load(named, host_version)
        if table is not None:
            configure(plugin, table, where_of)
    except ReactorhostError as error:
        return _refused(identity, error)
    return PluginReport(identity, plugin.hooks, plugin.options, plugin.file)


def _described(host_version: str, named: str, identity: PluginIdentity) -> PluginReport:
    try:
        plugin = load(named, host_version)
    except ReactorhostError as error:
        return _refused(identity, error)
    report = PluginReport(identity, plugin.hooks, plugin.options, plugin.file, description=description(plugin))
    group = click.Group(identity.name)
    try:
        commands.add_to(group, plugin)
    except ReactorhostError as error:
        refused = _refused(identity, error)
        return replace(report, error=refused.error, details=refused.details, status=refused.status)
    return replace(report, commands=commands.listed(group))


def _refused(identity: PluginIdentity, error: ReactorhostError) -> PluginReport:
    details = error.details[-_MOST_DETAILS:] if error.details else None
    return PluginReport(identity, error=tuple(error.lines()), details=details, status=error.exit_status)


def _report(child: _Child, deadline: float, timeout_seconds: float) -> PluginReport:
    try:
        line = _read_line(child, deadline)
    finally:
        status = _end(child)
    if line.endswith(b"\n"):
        return _from_json(child.identity, json.loads(line))
    fate = f"plugin {child.identity} {_fate(status, timeout_seconds)}"
    return PluginReport(child.identity, error=(fate,), status=PluginError.exit_status)


def _read_line(child: _Child, deadline: float) -> bytes:
    """Return what the child wrote, until it has written a line, is gone, or is late."""
    poll = select.poll()
    poll.register(child.pipe, select.POLLIN)
    poll.register(child.process, select.POLLIN)
    os.set_blocking(child.pipe, False)
    line = b""
    while not line.endswith(b"\n"):
        ready = dict(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))
        if not ready:
            break
        try:
            read = os.read(child.pipe, 65536)
        except BlockingIOError:
            read = b""
        line += read
        if not read:
            # Nothing more can come of a process that is gone; of one that only closed the pipe, its end can.
            if child.process in ready:
                break
            poll.unregister(child.pipe)
    return line


def _end(child: _Child) -> int | None:
    """Kill a child with all that it has started, and return its wait status, or None if it still ran."""
    ended_itself = bool(select.select([child.process], [], [], 0)[0])
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    os.kill(child.pid, signal.SIGKILL)
    _, status = os.waitpid(child.pid, 0)
    os.close(child.process)
    os.close(child.pipe)
    return status if ended_itself else None


def _fate(status: int | None, timeout_seconds: float) -> str:
    if status is None:
        return f"did not finish loading in {timeout_seconds:g} s"
    if os.WIFSIGNALED(status):
        return f"crashed while loading: {signal.Signals(os.WTERMSIG(status)).name}"
    return f"ended the process while loading, with exit status {os.waitstatus_to_exitcode(status)}"


def _as_json(report: PluginReport) -> dict[str, Any]:
    fields = asdict(replace(report, options=()))
    fields["options"] = [
        {
            "name": option.name,
            "type": option.type.__name__,
            "help": option.help,
            "choices": list(option.choices),
            "secret": option.secret,
        }
        | ({} if option.required else {"default": option.default})
        for option in report.options
    ]
    return fields


def _from_json(identity: PluginIdentity, fields: dict[str, Any]) -> PluginReport:
    types = {kind.__name__: kind for kind in OPTION_TYPES}
    return PluginReport(
        identity,
        hooks=tuple(fields["hooks"]),
        options=tuple(Option(**{**option, "type": types[option["type"]]}) for option in fields["options"]),
        file=fields["file"],
        error=tuple(fields["error"]) if fields["error"] is not None else None,
        details=fields["details"],
        status=fields["status"],
        description=fields["description"],
        commands=tuple((name, text) for name, text in fields["commands"]),
    )
