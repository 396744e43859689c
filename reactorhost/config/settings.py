"""Every setting of a host: its resolved type, and one table of the flags, variables and keys that set it.

The options of the command line, the environment, the check of the TOML file and `config show` all use this table. A
setting `stop_timeout` is `--stop-timeout`, `REACTORHOST_STOP_TIMEOUT` and `[host] stop_timeout`. One of the bus has the
prefix everywhere but in its table: `bus_url` is `--bus-url`, `REACTORHOST_BUS_URL` and `[bus] url`. So has the
`workers` of a service.
"""

from __future__ import annotations

import select
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Literal

from reactorhost.address import Address
from reactorhost.config import values
from reactorhost.config.framing_value import FRAMING
from reactorhost.config.service import Service
from reactorhost.config.setting_help import HELP
from reactorhost.config.values import ValueKind
from reactorhost.config.worker_count import WorkerRange, worker_count

# Loopback: a host that was given no address is not reachable from other machines.
DEFAULT_ADDRESS = "tcp://127.0.0.1:9000"
DEFAULT_SERVICE = "default"
MAX_WORKERS = 256
_CLOSING_SHARE = 0.3
_LONGEST_CLOSING_SECONDS = 3.0
_SHORTEST_CLOSING_SECONDS = 1.0
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
    """The number at the start."""
    workers_range: WorkerRange | None
    """Where the number stays while it follows the load; None if it does not."""
    daemon: bool
    run_dir: Path
    pid_file: Path
    log_file: Path | None
    log_format: Literal["auto", "text", "json"]
    log_level: str
    user: str | None
    group: str | None
    backlog: int
    max_connections: int
    when_full: Literal["wait", "refuse"]
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
    message_timeout: float | None
    max_age: float | None
    max_rss: int | None
    max_connections_per_worker: int | None
    max_messages_per_worker: int | None
    admin: Address | None
    ready_min: int
    drain_delay: float
    reload_on_change: bool
    debug: bool
    bus_url: str | None
    bus_max_message: int
    bus_max_queue: int
    bus_down_period: float
    config_file: Path | None
    origins: Mapping[str, Origin]
    """By name of a setting; also `service.NAME.KEY`, `plugin.NAME` and `plugin.NAME.KEY`."""

    def addresses(self) -> list[Address]:
        """Return every address that the host listens on: those of the services, then `admin`."""
        of_services = [address for service in self.services for address in service.listen]
        return of_services if self.admin is None else [*of_services, self.admin]

    @property
    def most_workers(self) -> int:
        """Return the largest number of workers that is reached without a request."""
        return self.workers_range.most if self.workers_range else self.workers

    @property
    def stop_drain_seconds(self) -> float:
        """Return how long connections may continue after a stop began; the rest of `stop_timeout` is for closing."""
        return self.stop_timeout - min(_LONGEST_CLOSING_SECONDS, self.stop_timeout * _CLOSING_SHARE)

    @property
    def closing_seconds(self) -> float:
        """Return the time to close what is left when a drain is over."""
        return max(_SHORTEST_CLOSING_SECONDS, self.stop_timeout - self.stop_drain_seconds)

    @property
    def stop_seconds(self) -> float:
        """Return how long a stop takes at most: `stop_timeout`, or up to a second longer if it is very short."""
        return self.stop_drain_seconds + self.closing_seconds

    def where(self, key: str) -> str | None:
        """Return the `FILE:LINE`, flag or variable that set a key of `origins`, or None."""
        origin = self.origins.get(key)
        return origin.where or None if origin else None

    def is_set(self, key: str) -> bool:
        """Return whether a flag, a variable or the file sets a key of `origins`."""
        return self.origins[key].layer is not Layer.DEFAULT

    def where_option(self, plugin: str, key: str) -> str | None:
        """Return where an option of a plugin is set, or if it is not, where the plugin's table is."""
        return self.where(f"plugin.{plugin}.{key}") or self.where(f"plugin.{plugin}")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its kind and default, and the flag, variable and key that set it."""

    name: str
    kind: ValueKind
    default: object
    table: str | None = "host"
    """The TOML table whose `key` sets it; None if a file cannot set it."""
    many: bool = False
    shown: str = ""
    """The default as `--help` shows it, if that is not how the kind shows it."""
    spellings: tuple[str, ...] = ()
    """The flags, if they are others than `--NAME`."""
    off_flag: str | None = None

    @property
    def key(self) -> str:
        """Return its key in the TOML table."""
        # `bus_url` in [bus], and `service_workers` in [service.NAME].
        return self.name.removeprefix(f"{(self.table or '').partition('.')[0]}_")

    @property
    def flags(self) -> tuple[str, ...]:
        """Return the flags; messages name the first."""
        return self.spellings or (f"--{self.name.replace('_', '-')}",)

    @property
    def flag(self) -> str:
        """Return the flag that messages name."""
        return self.flags[0]

    @property
    def variable(self) -> str:
        """Return the environment variable."""
        return f"REACTORHOST_{self.name.upper()}"

    @property
    def help(self) -> str:
        """Return its line of `--help`."""
        return HELP[self.name]

    @property
    def shown_default(self) -> str:
        """Return the default as text for `--help`."""
        return self.shown or ("none" if self.many else self.kind.show(self.default))


_DAY = 86400
_SERVICE = "service.NAME"

TABLE: tuple[Setting, ...] = (
    Setting("plugins", values.PLUGIN, (), _SERVICE, many=True, spellings=("--plugin",)),
    Setting("listen", values.ADDRESS, (), _SERVICE, many=True, shown=DEFAULT_ADDRESS),
    Setting("framing", FRAMING, None, _SERVICE, shown="the plugin's own, or none"),
    Setting("certificate", values.PATH, (), _SERVICE, many=True),
    Setting("key", values.PATH, (), _SERVICE, many=True),
    Setting("client_ca", values.PATH, None, _SERVICE, shown="none"),
    Setting(
        "client_certificates",
        values.choice("none", "optional", "required"),
        "none",
        _SERVICE,
        shown="required with --client-ca, else none",
    ),
    Setting("alpn", values.PROTOCOL, (), _SERVICE, many=True),
    Setting("starttls", values.SWITCH, False, _SERVICE, off_flag="--no-starttls"),
    Setting("proxy_from", values.PROXY_NETWORK, (), _SERVICE, many=True),
    Setting("handshake_timeout", values.duration(0.1, 3600), 10.0, _SERVICE),
    # The length field of UDP has 16 bits, so nothing larger arrives.
    Setting("max_datagram", values.size(1, 65535), 65535, _SERVICE),
    Setting("unix_mode", values.MODE, None, _SERVICE, shown="what the umask leaves of 0777"),
    Setting("unix_owner", values.OWNER, None, _SERVICE),
    Setting("service_workers", values.COUNT, None, _SERVICE, shown="all"),
    Setting("allow", values.NETWORK, (), _SERVICE, many=True, shown="all"),
    Setting("deny", values.NETWORK, (), _SERVICE, many=True),
    Setting("max_connections_per_address", values.COUNT, None, _SERVICE, shown="no limit"),
    Setting("accept_rate", values.COUNT, None, _SERVICE, shown="no limit"),
    Setting("config", values.PATH, None, None, shown="none"),
    Setting("set", values.OPTION_TEXT, (), None, many=True),
    Setting("workers", worker_count(MAX_WORKERS), "auto"),
    Setting("name", values.NAME, "default"),
    Setting("daemon", values.SWITCH, False, spellings=("--daemon", "-d"), off_flag="--foreground"),
    Setting(
        "run_dir", values.PATH, None, shown="/run/reactorhost/NAME for root, else $XDG_RUNTIME_DIR/reactorhost/NAME"
    ),
    Setting("pid_file", values.PATH, None, shown="RUN_DIR/master.pid"),
    Setting("log_file", values.LOG_PATH, None),
    Setting("log_format", values.choice("auto", "text", "json"), "auto"),
    Setting("log_level", values.choice("debug", "info", "warning", "error", "critical"), "info"),
    Setting("user", values.ACCOUNT, None),
    Setting("group", values.ACCOUNT, None),
    # More than most systems allow: the kernel reduces it to net.core.somaxconn.
    Setting("backlog", values.whole(1, 2**31 - 1), 102400),
    Setting("max_connections", values.whole(1, 10_000_000), 65536),
    Setting("when_full", values.choice("wait", "refuse"), "wait"),
    Setting("max_send_buffer", values.size(1 << 10, 1 << 36), 16 << 20),
    # All of a stop is over by then. Docker and supervisord send KILL after 10 s.
    Setting("stop_timeout", values.duration(0, _DAY), 8.0),
    Setting("boot_timeout", values.duration(0.1, 3600), 30.0),
    Setting("drain_timeout", values.duration(0, 30 * _DAY), 3600.0),
    # Longer than the kernel repeats a SYN-ACK, 63 s with the default net.ipv4.tcp_synack_retries of 5: until then a
    # handshake may complete on the socket of a slot that is gone.
    Setting("retire_delay", values.duration(0, 3600), 65.0),
    Setting("idle_timeout", values.duration(0, 30 * _DAY, zero_is_none=True), None),
    Setting("stall_timeout", values.duration(0, _DAY, zero_is_none=True), 30.0),
    Setting("event_loop", values.choice("asyncio", "uvloop"), "asyncio"),
    Setting("poller", values.choice(*POLLERS), POLLERS[0]),
    Setting("peer_timeout", values.duration(0, 86400, zero_is_none=True), 120.0),
    Setting("close_timeout", values.duration(0.01, 3600), 10.0),
    Setting("threads", values.whole(1, 1024), 4),
    Setting("thread_queue", values.whole(1, 10_000_000), 1000),
    Setting("slow_hook", values.duration(0, 3600, zero_is_none=True), 0.1),
    Setting("message_timeout", values.duration(0, 30 * _DAY, zero_is_none=True), None),
    Setting("max_age", values.duration(0, 365 * _DAY, zero_is_none=True), None),
    Setting("max_rss", values.MEMORY, None, shown="no limit"),
    Setting("max_connections_per_worker", values.COUNT, None, shown="no limit"),
    Setting("max_messages_per_worker", values.COUNT, None, shown="no limit"),
    Setting("admin", values.ADMIN_ADDRESS, None, shown="none"),
    Setting("ready_min", values.whole(1, MAX_WORKERS), 1),
    Setting("drain_delay", values.duration(0, 3600), 0.0),
    Setting(
        "reload_on_change", values.SWITCH, False, spellings=("--reload-on-change", "--reload"), off_flag="--no-reload"
    ),
    Setting("debug", values.SWITCH, False, off_flag="--no-debug"),
    Setting("bus_url", values.URL, None, "bus"),
    # Below the longest frame that a worker reads (bus.frames).
    Setting("bus_max_message", values.size(1, 64 << 20), 1 << 20, "bus"),
    Setting("bus_max_queue", values.size(64 << 10, 1 << 36), 16 << 20, "bus"),
    Setting("bus_down_period", values.duration(0.5, 3600), 30.0, "bus"),
)

BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in TABLE}
HOST_TABLES: Mapping[str, Mapping[str, Setting]] = {
    name: {setting.key: setting for setting in TABLE if setting.table == name} for name in ("host", "bus")
}
"""The tables that are not of one service, and their settings by key."""
HOST_KEYS: frozenset[str] = frozenset(HOST_TABLES["host"])
SERVICE_SETTINGS: tuple[Setting, ...] = tuple(setting for setting in TABLE if setting.table == _SERVICE)
OVERRIDES: tuple[Setting, ...] = (BY_NAME["idle_timeout"], BY_NAME["message_timeout"], BY_NAME["when_full"])
"""Settings of the host that a service can override."""
BY_SERVICE_KEY: Mapping[str, Setting] = {setting.key: setting for setting in (*SERVICE_SETTINGS, *OVERRIDES)}
SERVICE_KEYS: frozenset[str] = frozenset(BY_SERVICE_KEY)
