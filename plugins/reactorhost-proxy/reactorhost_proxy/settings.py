"""The options of the plugin: pools of servers, and which pool the clients of a service get."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reactorhost import Option, SetupError
from reactorhost_proxy import names
from reactorhost_proxy.names import NameTable
from reactorhost_proxy.pool_settings import DEFAULT_POOL, POOL_OPTIONS, PoolReader, PoolSettings

OPTIONS = (
    *POOL_OPTIONS,
    Option("pools", dict, default={}, help="further pools by name, each a table with servers and options of a pool"),
    Option("routes", dict, default={}, help="by service: the name of a pool, or a table of TLS server names to pools"),
    Option("hello_timeout", float, default=5.0, help="seconds until a client has sent its TLS server name"),
)

Route = str | NameTable
"""The name of a pool, or pools by server name."""


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """Everything that the operator has set.

    Attributes:
        routes: the route of each service.
    """

    pools: Mapping[str, PoolSettings]
    routes: Mapping[str, Route]
    hello_timeout: float


def parse(config: Mapping[str, object], services: Sequence[str]) -> ProxySettings:
    """Check the values of the options.

    Raises:
        ExceptionGroup: of a `SetupError` for each value that is invalid; it names the option.
    """
    pools = PoolReader({option.name: config[option.name] for option in POOL_OPTIONS})
    default = pools.default()
    tables = _table(config, "pools")
    found = {DEFAULT_POOL: default} if default.servers else {}
    found |= {name: pool for name, table in tables.items() if (pool := pools.named(name, table)) is not None}
    problems = pools.problems
    routes: dict[str, Route] = {}
    # A pool that is invalid is reported already.
    known = [*([DEFAULT_POOL] if config["servers"] else ()), *tables]
    for service, to in _table(config, "routes").items():
        try:
            routes[service] = _route(service, to, known)
        except SetupError as error:
            problems.append(error)
            continue
        if service not in services:
            hint = f"those are {', '.join(services)}"
            problems.append(SetupError(f"no service {service!r} uses the plugin", option="routes", hint=hint))
    hello_timeout = config["hello_timeout"]
    assert isinstance(hello_timeout, float)
    if not hello_timeout > 0:
        problems.append(SetupError("it must be more than 0", option="hello_timeout"))
    # Behind all others, because of which a service may have no servers.
    problems = problems or list(_without_servers(services, routes, found))
    if problems:
        raise ExceptionGroup("options", problems)
    # The others have the pool of their own name, or else the default one.
    by_name = {service: service if service in found else DEFAULT_POOL for service in services}
    return ProxySettings(found, by_name | routes, hello_timeout)


def _without_servers(
    services: Sequence[str], routes: Mapping[str, Route], pools: Mapping[str, PoolSettings]
) -> Iterator[SetupError]:
    """Yield the problem of each service that has neither a pool nor a route."""
    for service in services:
        if not {service, DEFAULT_POOL} & pools.keys() and service not in routes:
            hint = f"set servers under [plugin.proxy] or [plugin.proxy.pools.{service}], or a pool in routes"
            yield SetupError(f"service {service!r} has no servers", option="servers", hint=hint)


def _table(config: Mapping[str, object], name: str) -> Mapping[str, object]:
    table = config[name]
    assert isinstance(table, dict)
    return table


def _route(service: str, to: object, pools: Sequence[str]) -> Route:
    if isinstance(to, str):
        return _known(service, to, pools)
    if not isinstance(to, dict) or not to:
        what = f"the route of service {service!r} must be the name of a pool or a table of server names"
        raise SetupError(what, option="routes")
    seen: set[str] = set()
    for pattern, pool in to.items():
        try:
            names.check_pattern(pattern)
        except ValueError as error:
            raise SetupError(f"the route of service {service!r}: {error}", option="routes") from None
        if pattern.lower() in seen:
            raise SetupError(f"the route of service {service!r} has {pattern!r} twice", option="routes")
        seen.add(pattern.lower())
        _known(service, pool, pools)
    return NameTable(to)


def _known(service: str, pool: object, pools: Sequence[str]) -> str:
    if not isinstance(pool, str) or pool not in pools:
        hint = f"the pools are {', '.join(pools)}" if pools else "there is no pool: set servers, or a pool in pools"
        raise SetupError(
            f"the route of service {service!r} leads to {pool!r}, which is not a pool", option="routes", hint=hint
        )
    return pool
