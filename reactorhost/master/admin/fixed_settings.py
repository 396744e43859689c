"""The settings that a running host keeps, whatever its configuration says: a fresh value takes effect at a restart."""

from __future__ import annotations

from reactorhost.address import Address
from reactorhost.config.settings import Settings

FIXED_SETTINGS = (
    "name",
    "daemon",
    "run_dir",
    "pid_file",
    "log_file",
    "user",
    "group",
    "backlog",
    "peer_timeout",
    "admin",
    "reload_on_change",
    "debug",
)
"""What a process keeps for its whole life."""


def bound(settings: Settings) -> list[tuple[str, Address, bool]]:
    """Return every service's addresses, and whether TLS is used there."""
    return [(each.name, address, each.speaks_tls(address)) for each in settings.services for address in each.listen]
