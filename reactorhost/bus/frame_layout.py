"""Kinds of frames and the layouts of their fields; `bus.frames` describes them.

A layout has the fields of fixed size of its kind, without `HEAD`: length of the rest, and kind.
"""

from __future__ import annotations

import enum
import struct

from reactorhost.bus.refs import ID_BYTES
from reactorhost.bus.replica import Replicated


class Kind(enum.IntEnum):
    """The byte behind the length."""

    HELLO = 1
    CHANGE = 2
    CHUNK = 3
    RESYNC = 4
    HEARTBEAT = 5
    MESSAGE = 6
    TO_CONNECTION = 7
    GAP = 8
    GOODBYE = 9
    ENDED = 10


HEAD = struct.Struct("!IB")
HELLO = struct.Struct(f"!H{ID_BYTES}s{ID_BYTES}sII")
CHANGE = struct.Struct("!BQ?H")
CHUNK = struct.Struct("!BQI?")
ENTRY = struct.Struct("!HI")
RESYNC = struct.Struct("!B")
HEARTBEAT = struct.Struct(f"!{len(Replicated)}Q")
MESSAGE = struct.Struct("!QH")
TO_CONNECTION = struct.Struct("!Q?")
GAP = struct.Struct("!??")
KEY = struct.Struct("!H")
ENDED = struct.Struct(f"!{ID_BYTES}s?")
# HEAD and MESSAGE at once: messages are what there is most of.
WHOLE_MESSAGE = struct.Struct("!IBQH")
MESSAGE_BYTES = 1 + MESSAGE.size
