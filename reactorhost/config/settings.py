"""Every setting of a host: its type once resolved, and the one table of where it may be set.

The table is what the command line's options, the environment, the check of the TOML file and `config show` are
made from. A setting `stop_timeout` is `--stop-timeout`, `REACTORHOST_STOP_TIMEOUT` and `[host] stop_timeout`.
"""

from __future__ import annotations

import select
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Literal

from reactorhost.config import service_values, values
from reactorhost.config.service import Service
from reactorhost.config.values import Kind

DEFAULT_ADDRESS = "tcp://127.0.0.1:9000"
DEFAULT_SERVICE = "default"
MAX_WORKERS = 256
POLLERS = ("epoll", "selectors") if hasattr(select, "epoll") else ("selectors",)
"""What the reactor can wait with on this system, the default first."""


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
    event_loop: str
    poller: str
    peer_timeout: float | None
    close_timeout: float
    threads: int
    thread_queue: int
    slow_hook: float | None
    config_file: Path | None
    origins: Mapping[str, Origin]
    """By setting; also `service.NAME.KEY`, `plugin.NAME` and `plugin.NAME.KEY`."""

    def where(self, key: str) -> str | None:
        """Return `FILE:LINE`, the flag or the variable that set `key` of `origins`, or None."""
        origin = self.origins.get(key)
        return origin.where or None if origin else None

    def where_option(self, plugin: str, key: str) -> str | None:
        """Return the place of an option of a plugin, or of the plugin's table when the option is not given."""
        return self.where(f"plugin.{plugin}.{key}") or self.where(f"plugin.{plugin}")


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


def _service(name: str, kind: Kind, default: object, text: str, *, many: bool = False, shown: str = "") -> Setting:
    flag, variable = f"--{name.replace('_', '-')}", f"REACTORHOST_{name.upper()}"
    return Setting(name, kind, default, text, (flag,), variable, "service.NAME", many, default_text=shown)


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
        "Address to serve: tcp://HOST:PORT, tls://HOST:PORT, udp://HOST:PORT or unix:///PATH. May be repeated.",
        ("--listen",),
        "REACTORHOST_LISTEN",
        table="service.NAME",
        many=True,
        default_text=DEFAULT_ADDRESS,
    ),
    _service(
        "framing",
        service_values.FRAMING,
        None,
        "Messages out of the bytes: lines; in the file also a table. In place of the plugin's own.",
        shown="the plugin's own, or none",
    ),
    _service(
        "certificate",
        values.PATH,
        (),
        "PEM file of a certificate and its chain, for TLS. May be repeated: clients choose by name.",
        many=True,
        shown="none",
    ),
    _service(
        "key",
        values.PATH,
        (),
        "PEM file of a certificate's private key; one for each certificate.",
        many=True,
        shown="none",
    ),
    _service(
        "client_ca",
        values.PATH,
        None,
        "PEM file of the authorities that sign clients' certificates.",
        shown="none",
    ),
    _service(
        "client_certificates",
        values.choice("none", "optional", "required"),
        "none",
        "Whether clients show a certificate of their own.",
        shown="required with --client-ca, else none",
    ),
    _service(
        "alpn",
        service_values.PROTOCOL,
        (),
        "Protocol offered by ALPN, the one liked best first. May be repeated.",
        many=True,
        shown="none",
    ),
    _service(
        "proxy_from",
        service_values.NETWORK,
        (),
        "Network of proxies that send a PROXY header; then nobody else may connect. May be repeated.",
        many=True,
        shown="none",
    ),
    _service(
        "handshake_timeout",
        values.duration(0.1, 3600),
        10.0,
        "Longest time for a TLS handshake and a PROXY header: seconds, or 500ms, 2m.",
    ),
    _service(
        "max_datagram",
        values.size(1, 65535),
        65535,
        "Longest datagram that is handed to the plugins; a longer one is dropped: bytes, or 1KiB.",
    ),
    _service(
        "unix_mode",
        service_values.MODE,
        None,
        "Mode of the files of unix sockets, octal.",
        shown="what the umask leaves of 0777",
    ),
    _service(
        "unix_owner",
        service_values.OWNER,
        None,
        "Owner of the files of unix sockets: USER, USER:GROUP or :GROUP; -: whoever starts the host.",
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
    Setting(
        "set",
        values.OPTION_TEXT,
        (),
        "Option of a plugin, as in its [plugin.NAME] table. May be repeated.",
        ("--set",),
        "REACTORHOST_SET",
        table=None,
        many=True,
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
        "event_loop",
        values.choice("asyncio", "uvloop"),
        "asyncio",
        "Loop of workers whose plugins have async hooks; uvloop has to be installed.",
    ),
    _host(
        "poller",
        values.choice(*POLLERS),
        POLLERS[0],
        "How master and workers wait for sockets; selectors: Python's module of that name, for debugging.",
    ),
    _host(
        "peer_timeout",
        values.duration(0, 86400, zero_is_none=True),
        120.0,
        "Time without a sign of life of a client's machine after which it is given up, 0: the kernel's: seconds.",
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
SERVICE_SETTINGS: tuple[Setting, ...] = tuple(setting for setting in TABLE if setting.table == "service.NAME")
OVERRIDES: tuple[Setting, ...] = (BY_NAME["idle_timeout"],)
"""Settings of the host that a service may have for itself."""
SERVICE_KEYS: frozenset[str] = frozenset(setting.name for setting in (*SERVICE_SETTINGS, *OVERRIDES))
