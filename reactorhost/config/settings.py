"""Every setting of a host: its resolved type, and one table of the flags, variables and keys that set it.

The options of the command line, the environment, the check of the TOML file and `config show` all use this table. A
setting `stop_timeout` is `--stop-timeout`, `REACTORHOST_STOP_TIMEOUT` and `[host] stop_timeout`.
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
from reactorhost.config.values import ValueKind

DEFAULT_ADDRESS = "tcp://127.0.0.1:9000"
DEFAULT_SERVICE = "default"
MAX_WORKERS = 256
POLLERS = ("epoll", "selectors") if hasattr(select, "epoll") else ("selectors",)
"""What the reactor can wait with on this system, the default first."""


class Layer(Enum):
    """The layers that may set a value, the strongest first."""

    FLAG = "flag"
    ENVIRONMENT = "environment"
    FILE = "file"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was set."""

    layer: Layer
    where: str = ""
    """`--workers`, `REACTORHOST_WORKERS` or `FILE:LINE`; empty for a default."""
    note: str = ""

    def __str__(self) -> str:
        place = self.where if self.layer is Layer.FILE else f"{self.layer.value} {self.where}".rstrip()
        return f"{place} ({self.note})" if self.note else place


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one host, complete and checked; times are seconds, sizes bytes."""

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
    """By name of a setting; also `service.NAME.KEY`, `plugin.NAME` and `plugin.NAME.KEY`."""

    def where(self, key: str) -> str | None:
        """Return the `FILE:LINE`, flag or variable that set a key of `origins`, or None."""
        origin = self.origins.get(key)
        return origin.where or None if origin else None

    def where_option(self, plugin: str, key: str) -> str | None:
        """Return where an option of a plugin is set, or if it is not, where the plugin's table is."""
        return self.where(f"plugin.{plugin}.{key}") or self.where(f"plugin.{plugin}")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its kind and default, and the flag, variable and key that set it."""

    name: str
    kind: ValueKind
    default: object
    help: str
    """One line with the unit and the meaning of special values, without the default."""
    flags: tuple[str, ...]
    variable: str
    table: str | None = "host"
    """The TOML table whose key `name` sets it; None if a file cannot set it."""
    many: bool = False
    off_flag: str | None = None
    default_text: str = ""

    @property
    def flag(self) -> str:
        """Return the flag that messages name."""
        return self.flags[0]

    @property
    def shown_default(self) -> str:
        """Return the default as text for `--help`."""
        return self.default_text or self.kind.show(self.default)


def _service(name: str, kind: ValueKind, default: object, text: str, *, many: bool = False, shown: str = "") -> Setting:
    flag, variable = f"--{name.replace('_', '-')}", f"REACTORHOST_{name.upper()}"
    return Setting(name, kind, default, text, (flag,), variable, "service.NAME", many, default_text=shown)


def _host(name: str, kind: ValueKind, default: object, text: str, *, shown: str = "") -> Setting:
    flags = (f"--{name.replace('_', '-')}",)
    return Setting(name, kind, default, text, flags, f"REACTORHOST_{name.upper()}", default_text=shown)


_DAY = 86400

TABLE: tuple[Setting, ...] = (
    Setting(
        "plugins",
        values.PLUGIN,
        (),
        "Plugin to load: an installed name, module:object or ./file.py. May be repeated; the first is called first.",
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
        "Address to listen on: tcp://HOST:PORT, tls://HOST:PORT, udp://HOST:PORT or unix:///PATH. May be repeated.",
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
        "How bytes are split into messages: lines; in the file also a table. Replaces the plugin's framing.",
        shown="the plugin's own, or none",
    ),
    _service(
        "certificate",
        values.PATH,
        (),
        "PEM file of a TLS certificate and its chain. May be repeated; the client's server name selects one.",
        many=True,
        shown="none",
    ),
    _service(
        "key",
        values.PATH,
        (),
        "PEM file of a certificate's private key; one for each certificate, in the same order.",
        many=True,
        shown="none",
    ),
    _service(
        "client_ca",
        values.PATH,
        None,
        "PEM file of the authorities that sign client certificates.",
        shown="none",
    ),
    _service(
        "client_certificates",
        values.choice("none", "optional", "required"),
        "none",
        "Whether clients must present a certificate.",
        shown="required with --client-ca, else none",
    ),
    _service(
        "alpn",
        service_values.PROTOCOL,
        (),
        "Protocol offered by ALPN. May be repeated; the first is preferred.",
        many=True,
        shown="none",
    ),
    _service(
        "proxy_from",
        service_values.NETWORK,
        (),
        "Network of proxies that send a PROXY header; other clients are then refused. May be repeated.",
        many=True,
        shown="none",
    ),
    _service(
        "handshake_timeout",
        values.duration(0.1, 3600),
        10.0,
        "Time limit for the TLS handshake and the PROXY header: seconds, or 500ms, 2m.",
    ),
    _service(
        "max_datagram",
        values.size(1, 65535),
        65535,
        "Size of the largest datagram that plugins receive; larger ones are dropped: bytes, or 1KiB.",
    ),
    _service(
        "unix_mode",
        service_values.MODE,
        None,
        "Mode of unix socket files, octal.",
        shown="what the umask leaves of 0777",
    ),
    _service(
        "unix_owner",
        service_values.OWNER,
        None,
        "Owner of unix socket files: USER, USER:GROUP or :GROUP; - for the user that starts the host.",
    ),
    Setting(
        "config",
        values.PATH,
        None,
        "TOML file with settings, services and plugin tables.",
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
    _host(
        "workers",
        values.worker_count(MAX_WORKERS),
        "auto",
        "Number of worker processes; auto: one for each usable CPU.",
    ),
    _host("name", values.NAME, "default", "Name of this instance, to run several on one machine."),
    Setting(
        "daemon",
        values.SWITCH,
        False,
        "Run in the background: return once the workers are ready.",
        ("--daemon", "-d"),
        "REACTORHOST_DAEMON",
        off_flag="--foreground",
    ),
    _host(
        "run_dir",
        values.PATH,
        None,
        "Directory for lock file, pid files and control socket.",
        shown="/run/reactorhost/NAME for root, else $XDG_RUNTIME_DIR/reactorhost/NAME",
    ),
    _host("pid_file", values.PATH, None, "File for the process id of the master.", shown="RUN_DIR/master.pid"),
    _host("log_file", values.LOG_PATH, None, "File to log to; - for standard error."),
    _host("log_format", values.choice("text", "json"), "text", "Format of log lines."),
    _host(
        "log_level",
        values.choice("debug", "info", "warning", "error", "critical"),
        "info",
        "Lowest level that is logged.",
    ),
    _host("user", values.ACCOUNT, None, "User that the workers run as; - for the user that starts the host."),
    _host("group", values.ACCOUNT, None, "Group that the workers run as; - for the primary group of that user."),
    _host(
        "backlog",
        values.whole(1, 2**31 - 1),
        102400,
        "Connections that may wait in the accept queue of each listening socket; the kernel may allow fewer.",
    ),
    _host("max_connections", values.whole(1, 10_000_000), 65536, "Maximum number of open connections for each worker."),
    _host(
        "max_send_buffer",
        values.size(1 << 10, 1 << 36),
        16 << 20,
        "Unsent bytes of one connection above which it is closed: bytes, or 64KiB, 16MiB.",
    ),
    _host(
        "stop_timeout",
        values.duration(0, _DAY),
        10.0,
        "Time that a stop waits for connections to end: seconds, or 500ms, 2m, 1h.",
    ),
    _host(
        "boot_timeout",
        values.duration(0.1, 3600),
        30.0,
        "Time within which a worker must become ready: seconds, or 500ms, 2m, 1h.",
    ),
    _host(
        "drain_timeout",
        values.duration(0, 30 * _DAY),
        3600.0,
        "Time after a reload or a scaling for which an old worker serves its connections: seconds, or 500ms, 2m, 1h.",
    ),
    _host(
        "retire_delay",
        values.duration(0, 3600),
        65.0,
        "Time for which the sockets of a removed worker are still served, for late handshakes: seconds, or 500ms, 2m.",
    ),
    _host(
        "idle_timeout",
        values.duration(0, 30 * _DAY, zero_is_none=True),
        None,
        "Time without data after which a connection is closed: seconds, or 500ms, 2m, 1h; 0 for never.",
    ),
    _host(
        "stall_timeout",
        values.duration(0, _DAY, zero_is_none=True),
        30.0,
        "Time after which a worker whose event loop is blocked is replaced: seconds, or 500ms, 2m; 0 for never.",
    ),
    _host(
        "event_loop",
        values.choice("asyncio", "uvloop"),
        "asyncio",
        "Event loop of workers whose plugins have async hooks; uvloop must be installed.",
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
        "Time without a reply from a client's machine until it is disconnected: seconds; 0 for the kernel default.",
    ),
    _host(
        "close_timeout",
        values.duration(0.01, 3600),
        10.0,
        "Time without progress after which a closing connection is ended: seconds, or 500ms, 2m.",
    ),
    _host(
        "threads",
        values.whole(1, 1024),
        4,
        "Threads of each worker for blocking calls of plugins; started when needed.",
    ),
    _host(
        "thread_queue",
        values.whole(1, 10_000_000),
        1000,
        "Calls that may wait for a thread, for each worker; further calls are refused.",
    ),
    _host(
        "slow_hook",
        values.duration(0, 3600, zero_is_none=True),
        0.1,
        "Time for which a hook may block the event loop before it is logged: seconds, or 500ms, 2m; 0 for never.",
    ),
)

BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in TABLE}
HOST_KEYS: frozenset[str] = frozenset(setting.name for setting in TABLE if setting.table == "host")
SERVICE_SETTINGS: tuple[Setting, ...] = tuple(setting for setting in TABLE if setting.table == "service.NAME")
OVERRIDES: tuple[Setting, ...] = (BY_NAME["idle_timeout"],)
"""Settings of the host that a service can override."""
SERVICE_KEYS: frozenset[str] = frozenset(setting.name for setting in (*SERVICE_SETTINGS, *OVERRIDES))
