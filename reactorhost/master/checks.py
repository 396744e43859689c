"""What is looked at before a host starts, or takes over other settings; nothing here imports a plugin."""

from __future__ import annotations

import time

from reactorhost import __version__
from reactorhost.config.problems import Problems
from reactorhost.config.settings import Settings
from reactorhost.errors import ConfigError, Problem
from reactorhost.plugins import discovery, framings
from reactorhost.plugins.compatibility import check_host


def check_plugins(settings: Settings) -> None:
    """Make sure that every plugin named is installed and made for this host, without importing any.

    Workers look again, because a reload may find another version. What reading versions takes is imported here, once,
    and theirs by the fork.

    Raises:
        PluginError: one is not.
    """
    for named in dict.fromkeys(named for service in settings.services for named in service.plugins):
        check_host(discovery.find(named), __version__)


def check_framings(settings: Settings) -> None:
    """Make sure that every framing in the configuration is one.

    Raises:
        ConfigError: some are not.
    """
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


def check_certificates(settings: Settings) -> list[str]:
    """Load every certificate as workers will; returns a sentence for each that expires soon.

    Raises:
        ConfigError: some cannot be used.
    """
    told: list[str] = []
    problems: list[Problem] = []
    for service in settings.services:
        if service.tls is None:
            continue
        # Here and not above: whoever speaks no TLS does without it.
        from reactorhost.tls.context import ServerTls

        try:
            loaded = ServerTls(service.tls, settings.where(f"service.{service.name}.certificate"))
        except ConfigError as error:
            problems += error.problems
            continue
        for certificate in loaded.certificates:
            days = certificate.days_left(time.time())
            if days is not None:
                told.append(f"the certificate {certificate.path} expires in {days} days")
    if problems:
        raise ConfigError(problems)
    return told


def check_services(settings: Settings) -> list[str]:
    """Look at all framings and certificates; returns warnings.

    Raises:
        ConfigError: some cannot be used.
    """
    check_framings(settings)
    return check_certificates(settings)
