"""What a check has looked at, as rows for people and programs."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from reactorhost.address import Address
from reactorhost.config.settings import Layer, Origin, Settings
from reactorhost.errors import counted
from reactorhost.plugins import discovery
from reactorhost.system.account import resolve_account


class CheckRow(NamedTuple):
    """One thing that was checked and can be used."""

    check: str
    subject: str
    detail: str
    """What was found out about it."""


def checked(settings: Settings) -> Iterator[CheckRow]:
    """Yield what a successful check of these settings has looked at."""
    yield CheckRow("settings", str(settings.config_file or "without a file"), _sources(settings))
    account = resolve_account(settings.user, settings.group)
    if account is not None:
        yield CheckRow("account", str(account), "of the workers")
    for named in dict.fromkeys(named for service in settings.services for named in service.plugins):
        used = [service.name for service in settings.services if named in service.plugins]
        yield CheckRow("plugin", str(discovery.find(named)), f"loaded, for {_services(used)}")
    if settings.bus_url is not None:
        scheme = settings.bus_url.partition(":")[0]
        yield CheckRow("bus", str(discovery.find_backend(scheme)), "loaded, not connected")
    for service in settings.services:
        for address in service.listen:
            yield CheckRow("address", str(address), f"{_address(address)}, for {_services([service.name])}")
    if settings.admin is not None:
        yield CheckRow("address", str(settings.admin), f"{_address(settings.admin)}, for probes and metrics")
    yield from _certificates(settings)
    yield CheckRow("run directory", str(settings.run_dir), _state(settings.run_dir))
    if settings.pid_file.parent != settings.run_dir:
        yield CheckRow("pid file", str(settings.pid_file), _state(settings.pid_file))
    if settings.log_file is not None:
        yield CheckRow("log file", str(settings.log_file), _state(settings.log_file))


def lines(rows: Sequence[CheckRow]) -> list[str]:
    """Return a line for each row."""
    first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
    return [f"ok  {row.check:<{first}}  {row.subject:<{second}}  {row.detail}" for row in rows]


def _sources(settings: Settings) -> str:
    """Return from how many places of each kind the values come; all others are defaults."""
    # Without what names the file, which is shown beside it and sets nothing by itself.
    origins = {origin for key, origin in settings.origins.items() if key != "config_file"}
    found = Counter(_noun(origin) for origin in origins)
    counts = {noun: found[noun] for noun in ("argument", "flag", "variable", "line")}
    listed = ", ".join(counted(count, noun) for noun, count in counts.items() if count)
    return f"set by {listed}" if listed else "only defaults"


def _noun(origin: Origin) -> str | None:
    if origin.layer is Layer.FLAG and origin.where.startswith("argument "):
        return "argument"
    return {Layer.FLAG: "flag", Layer.ENVIRONMENT: "variable", Layer.FILE: "line"}.get(origin.layer)


def _services(names: list[str]) -> str:
    return f"service{'' if len(names) == 1 else 's'} {', '.join(names)}"


def _address(address: Address) -> str:
    if address.scheme == "fd":
        return "passed by systemd at the start"
    if address.scheme == "unix":
        return "in a namespace of its own, may be in use" if address.is_abstract else "can be made, may be in use"
    return "of this machine, may be in use"


def _certificates(settings: Settings) -> Iterator[CheckRow]:
    for service in settings.services:
        if service.tls is None:
            continue
        # Late, because a host without TLS does not need the ssl module.
        from reactorhost.tls.certificates import load

        for path, key in zip(service.tls.certificates, service.tls.keys, strict=True):
            certificate = load(path, key)
            expiry = time.strftime("%Y-%m-%d", time.gmtime(certificate.not_after))
            names = ", ".join(certificate.names) or "no name"
            yield CheckRow("certificate", str(path), f"for {names}, until {expiry}, with its key")
        if service.tls.client_ca is not None:
            client_ca = str(service.tls.client_ca)
            yield CheckRow("authorities", client_ca, f"of client certificates, {service.tls.client_certificates}")


def _state(path: os.PathLike[str]) -> str:
    return "can be written" if os.path.exists(path) else "can be made"
