"""What commands print with `--json`: the shape of each document, from which its JSON Schema is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NotRequired, TypedDict

from reactorhost.ipc.host_row import HostRow
from reactorhost.ipc.status import PluginStatus, StatusDocument


class Result(TypedDict):
    """What every document has."""

    schema: int


class ProblemRow(TypedDict):
    """One problem: what is wrong, where, and what to do."""

    what: str
    where: str | None
    hint: str | None


class Failure(TypedDict):
    """Why a command failed."""

    status: int
    """The exit status."""
    problems: list[ProblemRow]
    details: str | None
    """A traceback of a plugin's code."""


class FailureResult(Result):
    """The document of a command that failed."""

    error: Failure


class StopResult(Result):
    """The host that has stopped; the name is null if it did not answer."""

    name: str | None
    run_dir: str


class ReloadResult(Result):
    """A reload that has ended."""

    replaced: int
    generation: int
    warnings: list[str]


class UpgradeResult(ReloadResult):
    """An upgrade that has ended: the versions of the host before and after it."""

    before: str
    version: str


class ScaleResult(Result):
    """How many workers are ready, and how many drain."""

    workers: int
    draining: int


class ReopenResult(Result):
    """The log file; null for standard error."""

    log_file: str | None


class CheckedRow(TypedDict):
    """One thing that was checked."""

    check: str
    subject: str
    detail: str


class CheckResult(Result):
    """Settings that can be used."""

    checks: list[CheckedRow]
    warnings: list[str]


class SettingRow(TypedDict):
    """A setting, its value as it would be written, and its source."""

    setting: str
    value: str
    origin: str


class ChangeRow(SettingRow):
    """A setting that has changed since the start, and what applies it: HUP or restart."""

    applied_by: str


class SettingsResult(Result):
    """Every setting; of a running host also what has changed since, and what is wrong with it."""

    settings: list[SettingRow]
    changes: NotRequired[list[ChangeRow]]
    problems: NotRequired[list[ProblemRow]]


class HostsResult(Result):
    """The hosts that run."""

    hosts: list[HostRow]


class TlsRow(TypedDict):
    """The TLS of a connection; `subject` is that of the client's certificate."""

    version: str
    cipher: str
    server_name: str | None
    subject: str | None


class ConnectionRow(TypedDict):
    """One client connection, or a connection of a plugin to another server; rates only if they were requested."""

    slot: int
    pid: int
    id: int
    service: str
    peer: str
    age_seconds: float
    idle_seconds: float
    bytes_in: int
    bytes_out: int
    queued_bytes: int
    state: str
    tls: TlsRow | None
    in_per_second: NotRequired[float | None]
    out_per_second: NotRequired[float | None]


class ConnectionGroupRow(TypedDict):
    """The connections of one client address, or of one service: sums, the longest age and the shortest idle time."""

    peer: NotRequired[str]
    service: NotRequired[str]
    connections: int
    age_seconds: float
    idle_seconds: float
    bytes_in: int
    bytes_out: int
    queued_bytes: int
    in_per_second: NotRequired[float | None]
    out_per_second: NotRequired[float | None]


class WorkerName(TypedDict):
    """A worker."""

    slot: int
    pid: int


class ConnectionsResult(Result):
    """Connections, or groups of them, and the workers that did not answer in time."""

    connections: NotRequired[list[ConnectionRow]]
    groups: NotRequired[list[ConnectionGroupRow]]
    unanswered: list[WorkerName]
    matched: int
    """How many connections the options select, of `total`."""
    total: int


class DisconnectResult(Result):
    """The client that was disconnected."""

    service: str
    peer: str


class HealthResult(Result):
    """Whether a host is alive and ready, and why it is not ready."""

    live: bool
    ready: bool
    not_ready: list[str]


class PluginRow(TypedDict):
    """A plugin: where it comes from, its hooks, whether a running host uses it, and why it does not load."""

    name: str
    distribution: str | None
    version: str | None
    file: str | None
    hooks: list[str]
    active: bool
    error: str | None


class BusRow(TypedDict):
    """A backend of the bus between machines: the scheme of its URLs, and why it does not load."""

    scheme: str
    distribution: str | None
    version: str | None
    error: str | None


class PluginsResult(Result):
    """The installed plugins, and backends of the bus."""

    plugins: list[PluginRow]
    buses: list[BusRow]


class OptionRow(TypedDict):
    """An option of a plugin."""

    name: str
    type: str
    required: bool
    default: object
    help: str
    choices: list[object]
    secret: bool


class CommandRow(TypedDict):
    """A command of a plugin."""

    name: str
    help: str


class PluginDescription(PluginRow):
    """A plugin with what it declares."""

    named: str
    target: str
    description: str | None
    options: list[OptionRow]
    commands: list[CommandRow]
    shadowed: bool
    """Whether a command of the host has the same name."""


class PluginResult(Result):
    """One plugin, and a sample of its table."""

    plugin: PluginDescription
    sample: str


class NewResult(Result):
    """The package of a new plugin: its names, folder and files, and the commands that install, test and serve it."""

    name: str
    distribution: str
    module: str
    folder: str
    files: list[str]
    commands: list[str]


class VersionResult(Result):
    """The versions of the host, of Python, of packages (null: not installed) and of the installed plugins."""

    version: str
    python: str
    executable: str
    system: str
    packages: dict[str, str | None]
    plugins: list[PluginStatus]


class LogEvent(TypedDict):
    """One line of the log; its other members are the fields of the event. A line that is no event has `text`."""

    time: str | None
    level: str | None
    event: str | None


RESULTS: Mapping[str, tuple[type, ...]] = {
    "start": (StatusDocument,),
    "stop": (StopResult,),
    "restart": (StatusDocument,),
    "reload": (ReloadResult,),
    "upgrade": (UpgradeResult,),
    "scale": (ScaleResult,),
    "reopen": (ReopenResult,),
    "ls": (HostsResult,),
    "status": (StatusDocument,),
    "top": (StatusDocument,),
    "connections": (ConnectionsResult,),
    "disconnect": (DisconnectResult,),
    "logs": (LogEvent,),
    "health": (HealthResult,),
    "plugins": (PluginsResult, PluginResult),
    "new": (NewResult,),
    "check": (CheckResult,),
    "config show": (SettingsResult,),
    "version": (VersionResult,),
}
"""What each command prints if it succeeds; `plugins` with a name prints the second. All can print a FailureResult."""
