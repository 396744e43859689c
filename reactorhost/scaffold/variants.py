"""Which package is wanted: how its plugin gets messages, and whether its hook is async."""

from __future__ import annotations

from dataclasses import dataclass

from reactorhost.errors import UsageError

FRAMINGS = ("lines", "delimited", "length_prefixed", "fixed")
"""The framings that can be chosen, by the names of their kinds; without one a plugin handles bytes as they arrive."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A kind of package: `handler` is a framing, `bytes`, `protocol` or `websocket`."""

    handler: str
    is_async: bool = False


VARIANTS = (
    *(Variant(handler, is_async) for handler in ("bytes", *FRAMINGS, "websocket") for is_async in (False, True)),
    Variant("protocol"),
)
"""All of them."""


def chosen(framing: str | None, *, is_async: bool, protocol: bool, websocket: bool) -> Variant:
    """Return the variant that these options choose.

    Raises:
        UsageError: two of them exclude each other.
    """
    if protocol and websocket:
        raise UsageError("--protocol receives bytes and --websocket messages", hint="use one of them")
    if protocol and framing:
        raise UsageError("an asyncio protocol splits the bytes itself", hint="use --protocol or --framing")
    if protocol and is_async:
        raise UsageError("the methods of an asyncio protocol are not async", hint="use --protocol or --async")
    if websocket and framing:
        raise UsageError("WebSocket has messages of its own", hint="use --websocket or --framing")
    handler = "protocol" if protocol else "websocket" if websocket else framing or "bytes"
    return Variant(handler, is_async)
