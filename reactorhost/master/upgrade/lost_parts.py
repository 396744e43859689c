"""What a host would lose by an upgrade, although the other installation can continue it."""

from __future__ import annotations

from reactorhost.config.settings import Settings
from reactorhost.master.metrics import library
from reactorhost.master.upgrade.document import Document


def lost_parts(settings: Settings, before: Document) -> list[str]:
    """Return a warning for each part that the installation of before has and this one does not."""
    if settings.admin is None or not before.has_metrics or library.is_installed():
        return []
    return [f"{settings.admin} would serve no metrics: prometheus-client is not installed there"]
