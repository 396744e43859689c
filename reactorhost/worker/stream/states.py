"""The states of a stream: why it is not read, and how its next bytes are sent.

The transport uses the names of this module below each class. Those of `Hold` are plain integers, for the operators of
an `IntFlag` are Python code; and CPython 3.11 looks up a member of an enum by a Python call.
"""

from __future__ import annotations

import enum


class Hold(enum.IntFlag):
    """Why input is not delivered; 0 while it is."""

    PLUGIN = enum.auto()
    """The plugin has called `pause()`."""
    SEND_FULL = enum.auto()
    """The send buffer has passed its high-water mark and is not yet below its low-water mark."""
    HOOK_BACKLOG = enum.auto()
    """Too much waits for the async hooks of this connection."""
    INPUT_PENDING = enum.auto()
    """Input that was read already comes first."""
    PEER_EOF = enum.auto()
    """The client has sent everything that it will send."""
    CLOSING = enum.auto()
    """The host closes the connection: input is discarded."""
    TLS_HANDSHAKE = enum.auto()
    """TLS begins: see `starttls`."""
    EOF_CALLED = enum.auto()
    """The `eof` hook was called for the client's end."""
    HALF_OPEN = enum.auto()
    """The same, and a plugin keeps the connection open for sending."""
    THROTTLED = enum.auto()
    """The plugin has called `throttle()`, and its time is not over."""


PLUGIN = Hold.PLUGIN.value
SEND_FULL = Hold.SEND_FULL.value
HOOK_BACKLOG = Hold.HOOK_BACKLOG.value
INPUT_PENDING = Hold.INPUT_PENDING.value
PEER_EOF = Hold.PEER_EOF.value
CLOSING = Hold.CLOSING.value
TLS_HANDSHAKE = Hold.TLS_HANDSHAKE.value
EOF_CALLED = Hold.EOF_CALLED.value
HALF_OPEN = Hold.HALF_OPEN.value
THROTTLED = Hold.THROTTLED.value

BY_PLUGIN = PLUGIN | THROTTLED
"""The reasons of plugins: the connection is not idle, and messages that wait for an async hook are held too."""

ENDED = PEER_EOF | EOF_CALLED
"""What is held because of the client's end only: no event is waited for."""

NO_DELIVERY = BY_PLUGIN | SEND_FULL | HOOK_BACKLOG | CLOSING | TLS_HANDSHAKE
"""The reasons that also stop the delivery of input that was read already."""


class Send(enum.IntEnum):
    """What `send` does; only `DIRECT` is false. From `FIN_PENDING` on nothing more is accepted."""

    DIRECT = 0
    """Nothing waits: bytes go to the kernel."""
    CORKED = 1
    """Small answers are collected, to be sent together."""
    QUEUED = 2
    """Bytes wait until the kernel has room; new ones go behind them."""
    FIN_PENDING = 3
    """The same, and our FIN follows the last of them."""
    FIN_SENT = 4
    """Our half of the connection is closed."""
    BROKEN = 5
    """A send has failed, or the connection is closed."""


DIRECT = Send.DIRECT
CORKED = Send.CORKED
QUEUED = Send.QUEUED
FIN_PENDING = Send.FIN_PENDING
FIN_SENT = Send.FIN_SENT
BROKEN = Send.BROKEN
