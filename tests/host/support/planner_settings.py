"""Settings for tests of the planner."""

from __future__ import annotations

from pathlib import Path

from reactorhost.config.resolve import resolve
from reactorhost.config.settings import Settings


def host_settings(workers: int) -> Settings:
    """Return settings whose timeouts the tests rely on."""
    flags = {
        "plugins": ("echo",),
        "workers": str(workers),
        "boot_timeout": "10",
        "stop_timeout": "5",
        "drain_timeout": "60",
        "retire_delay": "65",
    }
    return resolve(flags, {}, Path("/"), uid=1000)
