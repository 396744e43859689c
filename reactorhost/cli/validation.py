"""Check all settings of a host, so that one error reports all that is wrong with them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from reactorhost.config.problems import Problems
from reactorhost.config.settings import Settings
from reactorhost.dashboard.output.banner import no_receive
from reactorhost.errors import PluginError, ReactorhostError
from reactorhost.master.checks import check_settings, raise_together
from reactorhost.plugins import discovery
from reactorhost.system.account import resolve_account
from reactorhost.worker.dry_run import dry_run


def validate(settings: Settings, problems: Problems, *, loads_plugins: bool) -> list[str]:
    """Check settings that were read with these problems; returns warnings.

    The plugins are loaded, in a child process, if `loads_plugins`, and otherwise only after another problem, because
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
    if failures or loads_plugins:
        try:
            warnings += _load(settings, only_plugins=bool(failures))
        except ReactorhostError as error:
            failures.append(error)
    raise_together(failures)
    return warnings


def _load(settings: Settings, *, only_plugins: bool) -> list[str]:
    """Load what a worker would load; without what was checked and failed if `only_plugins`."""
    account = None
    with suppress(ReactorhostError):
        account = resolve_account(settings.user, settings.group)
    if only_plugins:
        services = (
            replace(service, tls=None, framing=None, plugins=tuple(filter(_is_found, service.plugins)))
            for service in settings.services
        )
        settings = replace(settings, services=tuple(services))
    return [no_receive(service) for service in dry_run(settings, account)]


def _is_found(named: str) -> bool:
    try:
        discovery.find(named)
    except PluginError:
        return False
    return True
