"""Whether the library that writes the metrics is there: it is an extra."""

from __future__ import annotations

from importlib.util import find_spec

LIBRARY = "prometheus_client"


def is_installed() -> bool:
    """Return whether this installation has the library."""
    return find_spec(LIBRARY) is not None
