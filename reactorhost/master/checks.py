"""What is checked before a host starts or changes its settings; nothing here imports a plugin."""

from __future__ import annotations

import importlib.util
import resource
import time
from collections.abc import Callable

from reactorhost import __version__
from reactorhost.address import Address
from reactorhost.config.problems import Problems, raise_together
from reactorhost.config.settings import MAX_WORKERS, Settings
from reactorhost.errors import BootError, ConfigError, PluginError, ReactorhostError, counted
from reactorhost.framing.named import may_be_brought
from reactorhost.master.http.sockets import is_local
from reactorhost.master.listen import bind
from reactorhost.master.listen.overlaps import check_overlaps
from reactorhost.master.listen.unix_socket_files import check_owners
from reactorhost.master.supervisor import SPARE_DESCRIPTORS
from reactorhost.master.workers.pool import DESCRIPTORS_OF_A_WORKER
from reactorhost.plugins import discovery, framings
from reactorhost.plugins.discovery import check_host
from reactorhost.system.account import resolve_account

_DESCRIPTORS_OF_A_MASTER = 16
"""What a master has open beside its sockets and its workers."""


def check_plugins(settings: Settings) -> None:
    """Check that every configured plugin is installed and supports this version of the host.

    Raises:
        ReactorhostError: one is not, or does not.
    """
    first_service: dict[str, str] = {}
    for each in settings.services:
        for named in each.plugins:
            first_service.setdefault(named, each.name)
    failures: list[ReactorhostError] = []
    # Workers check again, because a reload may find another version. That this check imports packaging in the master
    # saves each worker the import.
    for named, service in first_service.items():
        try:
            check_host(discovery.find(named), __version__)
        except PluginError as error:
            error.where = error.where or settings.where(f"service.{service}.plugins")
            failures.append(error)
    raise_together(failures)


def _check_framings(settings: Settings) -> None:
    # Not `raise` at the first: one error reports the framings of all services.
    problems = Problems()
    for service in settings.services:
        # Whether a plugin brings a framing is known only where plugins are loaded.
        if service.framing is None or may_be_brought(service.framing):
            continue
        key = f"service.{service.name}.framing"
        try:
            framings.from_config(service.name, service.framing, settings.where(key))
        except ConfigError as error:
            for problem in error.problems:
                problems.add(problem.what, settings.origins[key], problem.hint)
    if problems.found:
        raise problems.error()


def _check_watching(settings: Settings) -> None:
    if settings.reload_on_change and importlib.util.find_spec("watchfiles") is None:
        what = "reload_on_change needs watchfiles, which is not installed"
        where = settings.where("reload_on_change")
        raise ReactorhostError(what, where=where, hint="pip install watchfiles")


def _check_certificates(settings: Settings) -> list[str]:
    """Load every certificate as workers do; returns a warning for each one that expires soon."""
    warnings: list[str] = []
    problems = Problems()
    for service in settings.services:
        # A service with certificates that lack their keys was reported when the settings were read.
        if service.tls is None or len(service.tls.certificates) != len(service.tls.keys):
            continue
        # Late, because a host without TLS does not need the ssl module.
        from reactorhost.tls.context import ServerTls

        try:
            loaded = ServerTls(service.tls, settings.where(f"service.{service.name}.certificate"))
        except ConfigError as error:
            problems.include(error)
            continue
        for certificate in loaded.certificates:
            days = certificate.days_left(time.time())
            if days is not None:
                warnings.append(f"the certificate {certificate.path} expires in {days} days")
    if problems.found:
        raise problems.error()
    return warnings


def _check_admin(settings: Settings) -> list[str]:
    """Return a warning if other machines reach the HTTP endpoint."""
    if settings.admin is None or is_local(settings.admin):
        return []
    return [f"admin is {settings.admin}: other machines reach it, without password and TLS"]


def _check_backlog(settings: Settings) -> list[str]:
    """Return a warning if the kernel does not allow the backlog that was set."""
    effective = bind.effective_backlog(settings.backlog)
    if effective == settings.backlog or not settings.is_set("backlog"):
        return []
    return [f"the kernel limits the backlog to {effective} (net.core.somaxconn), and {settings.backlog} was set"]


def check_settings(settings: Settings) -> list[str]:
    """Check accounts, addresses, limits, plugins, framings and certificates; returns warnings.

    Raises:
        ReactorhostError: the failure of one check, or a ConfigError with the failures of several.
    """
    warnings: list[str] = []
    failures: list[ReactorhostError] = []
    for check in (
        _check_account,
        check_owners,
        check_overlaps,
        _check_watching,
        _check_descriptors,
        check_plugins,
        _check_framings,
        _check_certificates,
        _check_admin,
        _check_backlog,
    ):
        try:
            warnings += check(settings) or ()
        except ReactorhostError as error:
            failures.append(error)
    raise_together(failures)
    return warnings


def _check_account(settings: Settings) -> None:
    resolve_account(settings.user, settings.group)


def _check_descriptors(settings: Settings) -> None:
    # The master raises its limit to the hard one.
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    # With an IPv6 socket for each name: names are resolved only if that could be too many.
    sockets = _sockets(settings, lambda address: 2)
    if limit != resource.RLIM_INFINITY and _needed(settings.most_workers, sockets) > limit:
        sockets = _sockets(settings, lambda address: len(list(bind.resolve(address))))
        needed = _needed(settings.most_workers, sockets)
        if needed > limit:
            workers, listening = counted(settings.most_workers, "worker"), counted(sockets, "listening socket")
            what = f"{workers} and {listening} need {needed} open files, and the limit is {limit}"
            raise BootError(what, hint="raise it (ulimit -n, LimitNOFILE of systemd), or run fewer workers")


def _sockets(settings: Settings, of_address: Callable[[Address], int]) -> int:
    """Return the number of listening sockets of a host; `of_address` returns those of an address in one slot."""
    return sum(
        1
        if address.scheme in ("unix", "fd")
        else of_address(address) * min(settings.most_workers, service.workers or MAX_WORKERS)
        for service in settings.services
        for address in service.listen
    )


def _needed(workers: int, sockets: int) -> int:
    # Only slots above the first one must leave the spare ones.
    spare = SPARE_DESCRIPTORS if workers > 1 else DESCRIPTORS_OF_A_WORKER
    return _DESCRIPTORS_OF_A_MASTER + sockets + workers * DESCRIPTORS_OF_A_WORKER + spare
