"""How often the limits for clients took effect, in words."""

from __future__ import annotations

from typing import cast

from reactorhost.dashboard.text.quantities import number
from reactorhost.ipc.status import StatusDocument

_WORDS = {
    "denied": "denied",
    "over_address_limit": "over max_connections_per_address",
    "late_messages": "late in a message",
    "rate_pauses": "pauses by accept_rate",
}


def counts(document: StatusDocument) -> list[str]:
    """Return a count in words for each limit that took effect."""
    limited = cast("dict[str, int]", document["limited"])
    return [f"{number(count)} {_WORDS[name]}" for name, count in limited.items() if count]
