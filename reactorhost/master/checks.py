"""Checks before a host starts or changes its settings; nothing here imports a plugin."""

from __future__ import annotations

import time

from reactorhost import __version__
from reactorhost.config.problems import Problems
from reactorhost.config.settings import Settings
from reactorhost.errors import ConfigError, Problem
from reactorhost.plugins import discovery, framings
from reactorhost.plugins.discovery import check_host


def check_plugins(settings: Settings) -> None:
    """Check that every configured plugin is installed and supports this version of the host.

    Raises:
        PluginError: one is not, or does not.
    """
    # Workers check again, because a reload may find another version. That this check imports packaging in the master
    # saves each worker the import.
    for named in dict.fromkeys(named for service in settings.services for named in service.plugins):
        check_host(discovery.find(named), __version__)


def _check_framings(settings: Settings) -> None:
    # Not `raise` at the first: one error reports the framings of all services.
    problems = Problems()
    for service in settings.services:
        if service.framing is None:
            continue
        key = f"service.{service.name}.framing"
        try:
            framings.from_config(service.name, service.framing, settings.where(key))
        except ConfigError as error:
            for problem in error.problems:
                problems.add(problem.what, settings.origins[key], problem.hint)
    if problems.found:
        raise problems.error()


def _check_certificates(settings: Settings) -> list[str]:
    """Load every certificate as workers do; returns a warning for each one that expires soon."""
    warnings: list[str] = []
    problems: list[Problem] = []
    for service in settings.services:
        if service.tls is None:
            continue
        # Late, because a host without TLS does not need the ssl module.
        from reactorhost.tls.context import ServerTls

        try:
            loaded = ServerTls(service.tls, settings.where(f"service.{service.name}.certificate"))
        except ConfigError as error:
            problems += error.problems
            continue
        for certificate in loaded.certificates:
            days = certificate.days_left(time.time())
            if days is not None:
                warnings.append(f"the certificate {certificate.path} expires in {days} days")
    if problems:
        raise ConfigError(problems)
    return warnings


def check_services(settings: Settings) -> list[str]:
    """Check all framings and certificates; returns warnings.

    Raises:
        ConfigError: some cannot be used.
    """
    _check_framings(settings)
    return _check_certificates(settings)
