"""Load plugins in child processes and report what they contain."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, fields, replace
from functools import partial
from typing import Any

import click

from reactorhost.api.option import OPTION_TYPES, Option
from reactorhost.errors import PluginError, ReactorhostError
from reactorhost.plugins import child, commands
from reactorhost.plugins.child import Child, Report, Send
from reactorhost.plugins.discovery import find, installed, installed_backends
from reactorhost.plugins.identity import PluginIdentity, PluginReport, description
from reactorhost.plugins.loading import load, load_backend

Examine = Callable[[str, PluginIdentity], PluginReport]

_MAX_DETAILS = 32_000
"""Characters of a traceback that are reported: its end."""


def inspect_all(timeout_seconds: float, host_version: str) -> list[PluginReport]:
    """Load every installed plugin, all at the same time, and report the results."""
    plugins = [(identity.name, identity) for identity in installed()]
    return _inspect_each(plugins, timeout_seconds, partial(_loaded, host_version))


def inspect_backends(timeout_seconds: float, host_version: str) -> list[PluginReport]:
    """Load every installed backend of the bus, all at the same time, and report the results."""
    backends = [(identity.name, identity) for identity in installed_backends()]
    return _inspect_each(backends, timeout_seconds, partial(_loaded_backend, host_version))


def inspect_named(names: Iterable[str], timeout_seconds: float, host_version: str) -> list[PluginReport]:
    """Load several plugins at the same time and report the results; plugins that do not exist are left out."""
    plugins = []
    for named in names:
        with suppress(PluginError):
            plugins.append((named, find(named)))
    return _inspect_each(plugins, timeout_seconds, partial(_loaded, host_version))


def describe(named: str, timeout_seconds: float, host_version: str) -> PluginReport:
    """Load one plugin and report the result, with its description and commands.

    Raises:
        PluginError: there is no plugin of this name, or several distributions have one.
    """
    return _inspect_each([(named, find(named))], timeout_seconds, partial(_described, host_version))[0]


def _inspect_each(
    plugins: Iterable[tuple[str, PluginIdentity]], timeout_seconds: float, examine: Examine
) -> list[PluginReport]:
    children: list[tuple[PluginIdentity, Child]] = []
    reports: list[PluginReport] = []
    try:
        for name, identity in plugins:
            run = partial(_send_report, examine, name, identity)
            children.append((identity, child.start(run, timeout_seconds)))
        # One deadline for all: the children run at the same time.
        deadline = time.monotonic() + timeout_seconds
        for identity, each in children:
            each.wait(deadline - time.monotonic())
            reports.append(_report(identity, each, timeout_seconds))
    finally:
        # After an exception or an interrupt: the children whose reports were not read.
        for _, each in children[len(reports) :]:
            each.end()
    return reports


def _send_report(examine: Examine, name: str, identity: PluginIdentity, send: Send) -> None:
    send(_to_json(examine(name, identity)))


def _loaded(host_version: str, named: str, identity: PluginIdentity) -> PluginReport:
    try:
        plugin = load(named, host_version)
    except ReactorhostError as error:
        return _failed(PluginReport(identity), error)
    return PluginReport(identity, plugin.hooks, plugin.options, plugin.file)


def _loaded_backend(host_version: str, scheme: str, identity: PluginIdentity) -> PluginReport:
    try:
        load_backend(scheme, host_version)
    except ReactorhostError as error:
        return _failed(PluginReport(identity), error)
    return PluginReport(identity)


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


def _report(identity: PluginIdentity, process: Child, timeout_seconds: float) -> PluginReport:
    reports, status = process.end()
    if reports:
        # The first: a plugin that forks while it is imported has two processes that report.
        return _from_json(identity, reports[0])
    error = f"plugin {identity} {child.failure(status, timeout_seconds)}"
    return PluginReport(identity, error=(error,), status=PluginError.exit_status)


def _to_json(report: PluginReport) -> dict[str, Any]:
    options = []
    for option in report.options:
        values = {each.name: getattr(option, each.name) for each in fields(Option)}
        options.append(
            {key: value for key, value in values.items() if value is not ...} | {"type": option.type.__name__}
        )
    return {**asdict(replace(report, options=())), "options": options}


def _from_json(identity: PluginIdentity, values: Report) -> PluginReport:
    types = {kind.__name__: kind for kind in OPTION_TYPES}
    # JSON has lists only, a report has tuples.
    report: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    report["identity"] = identity
    # JSON has no types: they are sent by name.
    report["options"] = tuple(Option(**{**option, "type": types[option["type"]]}) for option in values["options"])
    report["commands"] = tuple((name, text) for name, text in values["commands"])
    return PluginReport(**report)
