"""Settings for tests of the planner."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from reactorhost.config.resolve import resolve
from reactorhost.config.settings import Settings


def host_settings(workers: int, **services: int | None) -> Settings:
    """Return settings whose timeouts the tests rely on; `services`, if any are given, have these numbers of workers."""
    flags = {
        "plugins": ("echo",),
        "workers": str(workers),
        "boot_timeout": "10",
        "stop_timeout": "5",
        "drain_timeout": "60",
        "retire_delay": "65",
    }
    settings = resolve(flags, {}, Path("/"), uid=1000)
    (default,) = settings.services
    limited = tuple(replace(default, name=name, workers=limit) for name, limit in services.items())
    return replace(settings, services=limited or (default,))
