"""Whether a terminal shows colours and its user wants them: see no-color.org."""

from __future__ import annotations

from collections.abc import Mapping


def wants_color(environment: Mapping[str, str]) -> bool:
    """Return whether colours are wanted on the terminal that these variables describe."""
    return not environment.get("NO_COLOR") and environment.get("TERM", "dumb") not in ("", "dumb", "unknown")
