"""Addresses of one host that lead to the same socket, found out before any of them is bound.

Those with the same text are reported when the settings are read. What is here needs the names and files of this
machine. When such addresses are bound, the second one seems to be in use by another process.
"""

from __future__ import annotations

from collections.abc import Iterator

from reactorhost.address import Address
from reactorhost.config.problems import Problems
from reactorhost.config.services import canonical_sockets
from reactorhost.config.settings import Settings
from reactorhost.errors import ReactorhostError
from reactorhost.master.listen import bind
from reactorhost.master.listen.unix_socket_files import real_name

_WILDCARDS = frozenset(("0.0.0.0", "::"))


def check_overlaps(settings: Settings) -> None:
    """Check that no two addresses overlap, as `0.0.0.0:9000` and `127.0.0.1:9000` do, those of services and `admin`.

    Raises:
        ConfigError: two do.
    """
    problems = Problems()
    before: list[tuple[str, Address]] = []
    for service in settings.services:
        for address in service.listen:
            other = next(((name, each) for name, each in before if _overlap(address, each)), None)
            if other is not None:
                name, each = other
                what = f"service {service.name!r}: {address} overlaps with {each} of service {name!r}"
                origin = settings.origins[f"service.{service.name}.listen"]
                problems.add(what, origin, "a host can bind only one of them: remove one, or change it")
            before.append((service.name, address))
    if settings.admin is not None:
        for name, each in before:
            if _is_same(settings.admin, each) or _overlap(settings.admin, each):
                what = f"admin: {settings.admin} overlaps with {each} of service {name!r}"
                problems.add(what, settings.origins["admin"], "use a different port or path")
    if problems.found:
        raise problems.error()


def _is_same(one: Address, other: Address) -> bool:
    return not set(canonical_sockets(one)).isdisjoint(canonical_sockets(other))


def _overlap(one: Address, other: Address) -> bool:
    if _is_same(one, other):
        # Reported when the settings were read.
        return False
    if one.scheme == "unix" or other.scheme == "unix":
        return one.scheme == other.scheme and real_name(one) == real_name(other)
    # Before any name is resolved: few hosts have a port twice, and a resolver can be slow.
    if not one.port or (one.scheme == "udp", one.port) != (other.scheme == "udp", other.port):
        return False
    others = list(_hosts(other))
    return any(
        family == other_family and (host == other_host or not _WILDCARDS.isdisjoint((host[0], other_host[0])))
        for family, host in _hosts(one)
        for other_family, other_host in others
    )


def _hosts(address: Address) -> Iterator[tuple[int, tuple[object, ...]]]:
    """Yield the family of every socket of an address, and its host with the scope; none if it cannot be resolved."""
    try:
        for family, sockaddr in bind.resolve(address):
            yield family, (sockaddr[0], *sockaddr[3:])
    except ReactorhostError:
        # The bind reports it.
        return
