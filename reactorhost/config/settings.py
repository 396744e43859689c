"""Every setting of a host: its type once resolved, and the one table of where it may be set.

The table is what the command line's options, the environment, the check of the TOML file and `config show` are
made from. A setting `stop_timeout` is `--stop-timeout`, `REACTORHOST_STOP_TIMEOUT` and `[host] stop_timeout`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Literal

from reactorhost.address import Address
from reactorhost.config import values
from reactorhost.config.values import Kind

DEFAULT_ADDRESS = "tcp://127.0.0.1:9000"
DEFAULT_SERVICE = "default"
MAX_WORKERS = 256


class Source(Enum):
    """The places that a setting's value can come from, the strongest first."""

    FLAG = "flag"
    ENVIRONMENT = "environment"
    FILE = "file"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one value came from."""

    source: Source
    where: str = ""
    """`--workers`, `REACTORHOST_WORKERS` or `FILE:LINE`; empty for a default."""
    note: str = ""

    def __str__(self) -> str:
        place = self.where if self.source is Source.FILE else f"{self.source.value} {self.where}".rstrip()
        return f"{place} ({self.note})" if self.note else place


@dataclass(frozen=True, slots=True)
class Service:
    """Addresses that share one ordered plugin chain."""

    name: str
    listen: tuple[Address, ...]
    plugins: tuple[str, ...]
    """As named: `echo`, `module:object`, `/absolute/path/file.py`."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What one host runs with, complete and checked; times are seconds, sizes bytes."""

    name: str
    services: tuple[Service, ...]
    plugin_tables: Mapping[str, Mapping[str, object]]
    workers: int
    daemon: bool
    run_dir: Path
    pid_file: Path
    log_file: Path | None
    log_format: Literal["text", "json"]
    log_level: str
    user: str | None
    group: str | None
    backlog: int
    max_connections: int
    max_send_buffer: int
    stop_timeout: float
    boot_timeout: float
    drain_timeout: float
    retire_delay: float
    idle_timeout: float | None
    stall_timeout: float | None
    close_timeout: float
    threads: int
    thread_queue: int
    slow_hook: float | None
    config_file: Path | None
    origins: Mapping[str, Origin]
    """By setting; also `service.NAME.listen`, `service.NAME.plugins`, `plugin.NAME` and `plugin.NAME.KEY`."""

    def where(self, key: str) -> str | None:
        """Return `FILE:LINE`, the flag or the variable that set `key` of `origins`, or None."""
        origin = self.origins.get(key)
        return origin.where or None if origin else None


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table."""

    name: str
    kind: Kind
    default: object
    help: str
    """One line, with the unit and the meaning of special values; without the default."""
    flags: tuple[str, ...]
    variable: str
    table: str | None = "host"
    """The TOML table whose key `name` sets it; None if a file cannot."""
    many: bool = False
    off_flag: str | None = None
    default_text: str = ""

    @property
    def flag(self) -> str:
        """Return the spelling that messages use."""
        return self.flags[0]

    @property
    def shown_default(self) -> str:
        """Return the default as people read it."""
        return self.default_text or self.kind.show(self.default)


def _host(name: str, kind: Kind, default: object, text: str, *, shown: str = "") -> Setting:
    flags = (f"--{name.replace('_', '-')}",)
    return Setting(name, kind, default, text, flags, f"REACTORHOST_{name.upper()}", default_text=shown)


_DAY = 86400

TABLE: tuple[Setting, ...] = (
    Setting(
        "plugins",
        values.PLUGIN,
        (),
        "Plugin to serve with, first called first: an installed name, module:object or ./file.py. May be repeated.",
        ("--plugin",),
        "REACTORHOST_PLUGINS",
        table="service.NAME",
        many=True,
        default_text="none",
    ),
    Setting(
        "listen",
        values.ADDRESS,
        (),
        "Address to serve: tcp://HOST:PORT, tcp://[V6]:PORT or unix:///PATH. May be repeated.",
        ("--listen",),
        "REACTORHOST_LISTEN",
        table="service.NAME",
        many=True,
        default_text=DEFAULT_ADDRESS,
    ),
    Setting(
        "config",
        values.PATH,
        None,
        "TOML file to read settings, services and plugin tables from.",
        ("--config",),
        "REACTORHOST_CONFIG",
        table=None,
        default_text="none",
    ),
    _host("workers", values.worker_count(MAX_WORKERS), "auto", "Worker processes; auto: one for each usable CPU."),
    _host("name", values.NAME, "default", "Name of this instance, for running several beside each other."),
    Setting(
        "daemon",
        values.SWITCH,
        False,
        "Leave the terminal once the workers are ready.",
        ("--daemon", "-d"),
        "REACTORHOST_DAEMON",
        off_flag="--foreground",
    ),
    _host(
        "run_dir",
        values.PATH,
        None,
        "Directory of lock, pid files and control socket.",
        shown="/run/reactorhost/NAME for root, else $XDG_RUNTIME_DIR/reactorhost/NAME",
    ),
    _host("pid_file", values.PATH, None, "File for the master's process id.", shown="RUN_DIR/master.pid"),
    _host("log_file", values.LOG_PATH, None, "File to log to; -: standard error."),
    _host("log_format", values.choice("text", "json"), "text", "Form of a log line."),
    _host(
        "log_level",
        values.choice("debug", "info", "warning", "error", "critical"),
        "info",
        "Least level that is logged.",
    ),
    _host("user", values.ACCOUNT, None, "User that the workers run as; -: the user who starts the host."),
    _host("group", values.ACCOUNT, None, "Group that the workers run as; -: the primary group of that user."),
    _host(
        "backlog",
        values.whole(1, 2**31 - 1),
        102400,
        "Connections that may wait to be accepted, for each listening socket; the kernel may give fewer.",
    ),
    _host("max_connections", values.whole(1, 10_000_000), 65536, "Open connections for each worker."),
    _host(
        "max_send_buffer",
        values.size(1 << 10, 1 << 36),
        16 << 20,
        "Unsent bytes for one connection, past which it is closed: bytes, or 64KiB, 16MiB.",
    ),
    _host(
        "stop_timeout",
        values.duration(0, _DAY),
        10.0,
        "Longest time that a stop waits for connections to end: seconds, or 500ms, 2m, 1h.",
    ),
    _host(
        "boot_timeout",
        values.duration(0.1, 3600),
        30.0,
        "Longest time that a worker may take to become ready: seconds, or 500ms, 2m, 1h.",
    ),
    _host(
        "drain_timeout",
        values.duration(0, 30 * _DAY),
        3600.0,
        "Longest time that an old worker serves on after a reload: seconds, or 500ms, 2m, 1h.",
    ),
    _host(
        "retire_delay",
        values.duration(0, 3600),
        65.0,
        "Time that a removed worker's sockets stay served, for late handshakes: seconds, or 500ms, 2m.",
    ),
    _host(
        "idle_timeout",
        values.duration(0, 30 * _DAY, zero_is_none=True),
        None,
        "Silence after which a connection is closed, 0: never: seconds, or 500ms, 2m, 1h.",
    ),
    _host(
        "stall_timeout",
        values.duration(0, _DAY, zero_is_none=True),
        30.0,
        "Time after which a worker whose loop does not turn is replaced, 0: never: seconds, or 500ms, 2m.",
    ),
    _host(
        "close_timeout",
        values.duration(0.01, 3600),
        10.0,
        "Longest time to send the rest to a connection that is being closed: seconds, or 500ms, 2m.",
    ),
    _host("threads", values.whole(1, 1024), 4, "Threads of each worker for plugins that block; made when needed."),
    _host(
        "thread_queue",
        values.whole(1, 10_000_000),
        1000,
        "Calls that may wait for one of these threads, for each worker; one more is refused.",
    ),
    _host(
        "slow_hook",
        values.duration(0, 3600, zero_is_none=True),
        0.1,
        "Time that a hook may hold the loop before the log warns, 0: never warn: seconds, or 500ms, 2m.",
    ),
)

BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in TABLE}
HOST_KEYS: frozenset[str] = frozenset(setting.name for setting in TABLE if setting.table == "host")
SERVICE_KEYS: frozenset[str] = frozenset(setting.name for setting in TABLE if setting.table == "service.NAME")
