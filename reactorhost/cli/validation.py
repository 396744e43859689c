"""Check all settings of a host, so that one error reports all that is wrong with them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from reactorhost.config.problems import Problems, raise_together
from reactorhost.config.service import Service
from reactorhost.config.settings import Settings
from reactorhost.errors import PluginError, ReactorhostError
from reactorhost.framing.named import may_be_brought
from reactorhost.master.checks import check_settings
from reactorhost.plugins import discovery
from reactorhost.system.account import resolve_account


def validate(settings: Settings, problems: Problems, *, starts: bool) -> list[str]:
    """Check settings that were read with these problems; returns warnings.

    A command that `starts` a host finds out by itself whether files, addresses and plugins can be used. Otherwise they
    are checked too, the plugins in a child process. After another problem the plugins are loaded in any case, because
    their tables may have problems too.

    Raises:
        ReactorhostError: the settings or the plugins have problems.
    """
    failures: list[ReactorhostError] = [problems.error()] if problems.found else []
    warnings: list[str] = []
    try:
        warnings = check_settings(settings)
    except ReactorhostError as error:
        failures.append(error)
    if not starts:
        # Late, as in `_load`: a start that succeeds does not need it.
        from reactorhost.master.places import check_places

        failures += check_places(settings)
    if failures or not starts:
        try:
            warnings += _load(settings, only_plugins=bool(failures))
        except ReactorhostError as error:
            failures.append(error)
    raise_together(failures)
    return warnings


def _load(settings: Settings, *, only_plugins: bool) -> list[str]:
    """Load what a worker would load; without what was checked and failed if `only_plugins`."""
    from reactorhost.dashboard.output.banner import fewer_workers, no_receive
    from reactorhost.worker.dry_run import dry_run

    account = None
    with suppress(ReactorhostError):
        account = resolve_account(settings.user, settings.group)
    if only_plugins:
        settings = replace(settings, services=tuple(map(_unchecked, settings.services)))
    facts = dry_run(settings, account)
    warnings = [no_receive(service) for service in facts.without_receive]
    warnings += [
        f"service {service!r} has no framing, so message_timeout has no effect there"
        for service in facts.without_message_timeout
    ]
    for service in settings.services:
        allowed = min(service.workers or settings.most_workers, settings.most_workers)
        limit = facts.most_workers.get(service.name)
        if limit is not None and limit.workers < allowed:
            warnings.append(fewer_workers(service.name, limit.workers, settings.most_workers, limit.plugin))
    return warnings


def _unchecked(service: Service) -> Service:
    """Return a service with those of its settings that only the load of its plugins checks."""
    found = tuple(filter(_is_found, service.plugins))
    checked = service.framing is None or not may_be_brought(service.framing) or found != service.plugins
    return replace(service, tls=None, framing=None if checked else service.framing, plugins=found)


def _is_found(named: str) -> bool:
    try:
        discovery.find(named)
    except PluginError:
        return False
    return True
