"""Framings: split a byte stream into messages.

Nothing here makes a system call or knows connections: received bytes go in, complete messages come out.
"""

from __future__ import annotations

from reactorhost.framing.contract import DEFAULT_MAX_SIZE, Framing, FramingError, SessionFraming
from reactorhost.framing.delimited import Delimited, Lines
from reactorhost.framing.named import framing_named
from reactorhost.framing.sized import Fixed, LengthPrefixed

__all__ = [
    "DEFAULT_MAX_SIZE",
    "Delimited",
    "Fixed",
    "Framing",
    "FramingError",
    "LengthPrefixed",
    "Lines",
    "SessionFraming",
    "framing_named",
]
