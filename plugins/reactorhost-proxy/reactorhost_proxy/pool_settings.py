"""The options of a pool of servers.

Each can stand in `[plugin.proxy]`, for all pools, and in `[plugin.proxy.pools.NAME]`, for one. The `servers` of
`[plugin.proxy]` are those of the pool `default`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reactorhost import Option, SetupError
from reactorhost_proxy import server
from reactorhost_proxy.balance import BALANCES
from reactorhost_proxy.server import Server

DEFAULT_POOL = "default"

POOL_OPTIONS = (
    Option(
        "servers", list, default=[], help="addresses, each with weight=N, max_connections=N, backup or drain behind it"
    ),
    Option(
        "balance", default="least", choices=tuple(BALANCES), help="least connections, or hash of the client address"
    ),
    Option(
        "max_connections",
        int,
        default=0,
        help="clients that a server has at the same time, of all workers; 0: no limit",
    ),
    Option("queue_timeout", float, default=5.0, help="seconds that a client waits for a server that has so many"),
    Option("retries", int, default=2, help="attempts to connect to another server, after the first one"),
    Option("connect_timeout", float, default=5.0, help="seconds for one attempt to connect, with its TLS handshake"),
    Option("health", default="passive", choices=("passive", "active", "off"), help="when servers are checked"),
    Option("health_interval", float, default=2.0, help="seconds between two checks of a server"),
    Option("health_timeout", float, default=2.0, help="seconds for one check"),
    Option("health_send", default="", help="text that a check sends"),
    Option("health_expect", default="", help="text that the answer to a check has to contain"),
    Option("rise", int, default=2, help="checks that succeed until a server is up again"),
    Option("fall", int, default=3, help="failures one after another until a server is down"),
    Option("slow_start", float, default=0.0, help="seconds in which a server that is up again gets its full share"),
    Option("send_proxy", default="off", choices=("off", "v1", "v2"), help="PROXY header that servers are sent"),
    Option(
        "half_closed_timeout", float, default=300.0, help="seconds without a byte after one side's end; 0: no limit"
    ),
    Option("tls_ca", default=None, help="PEM file of the authorities of servers at tls:// addresses"),
    Option("tls_certificate", default=None, help="PEM file of the certificate that servers are shown, with its key"),
    Option("tls_server_name", default=None, help="name in the certificate of the servers, if not their host"),
    Option("tls_verify", bool, default=True, help="whether the certificate of a server is verified"),
)

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_LEAST = {
    **dict.fromkeys(("connect_timeout", "health_interval", "health_timeout"), (0.001, "more than 0")),
    **dict.fromkeys(
        ("max_connections", "queue_timeout", "retries", "slow_start", "half_closed_timeout"), (0, "0 or more")
    ),
    **dict.fromkeys(("rise", "fall"), (1, "1 or more")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """One pool; see `POOL_OPTIONS`."""

    name: str
    servers: tuple[Server, ...]
    balance: str
    max_connections: int
    queue_timeout: float
    retries: int
    connect_timeout: float
    health: str
    health_interval: float
    health_timeout: float
    health_send: str
    health_expect: str
    rise: int
    fall: int
    slow_start: float
    send_proxy: str
    half_closed_timeout: float
    tls_ca: str | None
    tls_certificate: str | None
    tls_server_name: str | None
    tls_verify: bool


class PoolReader:
    """Reads pools, and collects what is invalid.

    `common` are the values of `[plugin.proxy]`, which hold for what a pool does not set. So they are checked with the
    default pool only, and with that also if it has no servers.
    """

    def __init__(self, common: Mapping[str, object]) -> None:
        self.problems: list[SetupError] = []
        self._common = common
        self._name = DEFAULT_POOL

    def default(self) -> PoolSettings:
        """Return the pool of `[plugin.proxy]` itself."""
        self._check(self._common)
        return self._pool(dict(self._common))

    def named(self, name: str, table: object) -> PoolSettings | None:
        """Return the pool of a table; None if its name is invalid, or it is no table."""
        self._name = name
        if not _NAME.fullmatch(name):
            what = (
                f"the name {name!r} of a pool must have up to 32 characters of a-z, 0-9 and _, and begin with a letter"
            )
            self.problems.append(SetupError(what, option="pools"))
        elif name == DEFAULT_POOL:
            what = "the pool 'default' is that of [plugin.proxy] itself"
            self.problems.append(SetupError(what, option="pools", hint="rename it"))
        elif not isinstance(table, dict):
            self.problems.append(SetupError(f"pool {name!r} must be a table", option="pools"))
        else:
            count = len(self.problems)
            own = self._typed(table)
            self._check(own)
            if not table.get("servers") and len(self.problems) == count:
                hint = 'write servers = ["tcp://HOST:PORT"]'
                self.problems.append(SetupError(f"pool {name!r} has no servers", option="pools", hint=hint))
            return self._pool({**self._common, "servers": [], **own})
        return None

    def _typed(self, table: Mapping[str, object]) -> dict[str, object]:
        """Return the values of a table that are of the right types."""
        options = {option.name: option for option in POOL_OPTIONS}
        values: dict[str, object] = {}
        for key, value in table.items():
            option = options.get(key)
            if option is None:
                what, hint = f"pool {self._name!r} has no option {key!r}", f"they are {', '.join(options)}"
                self.problems.append(SetupError(what, option="pools", hint=hint))
            elif not option.accepts(value):
                what = f"{key} of pool {self._name!r} is {value!r}, which is not {option.kind}"
                self.problems.append(SetupError(what, option="pools", hint=option.help))
            else:
                values[key] = float(value) if option.type is float else value  # type: ignore[arg-type]
        return values

    def _check(self, values: Mapping[str, object]) -> None:
        for name, (least, what) in _LEAST.items():
            value = values.get(name, least)
            assert isinstance(value, int | float)
            if value < least:
                self._refuse(name, f"it is {value:g} and must be {what}")

    def _pool(self, values: dict[str, Any]) -> PoolSettings:
        servers: list[Server] = []
        for text in values["servers"]:
            try:
                parsed = server.parse(text)
            except ValueError as error:
                self._refuse("servers", str(error))
                continue
            if any(parsed.address == each.address for each in servers):
                self._refuse("servers", f"{parsed.address} is there twice")
            servers.append(parsed)
        if servers and all(each.is_draining for each in servers):
            self._refuse("servers", "every server is on drain, so none gets a client")
        return PoolSettings(**values | {"name": self._name, "servers": tuple(servers)})

    def _refuse(self, option: str, what: str) -> None:
        if self._name == DEFAULT_POOL:
            self.problems.append(SetupError(what, option=option))
        else:
            self.problems.append(SetupError(f"{option} of pool {self._name!r}: {what}", option="pools"))
