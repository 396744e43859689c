"""What an operator chooses for the WebSocket connections of a service."""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from reactorhost.framing import DEFAULT_MAX_SIZE

SAME_ORIGIN = "same"
_SEND_AS = ("same", "text", "binary")
# A site as a browser sends it, or a pattern of it: a scheme and no path.
_ORIGIN = re.compile(r"same|null|([*?\[]|[^/]+://)[^/]*", re.IGNORECASE)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """The parameters of the framing `websocket`.

    Attributes:
        max_size: bytes of the largest message that a client may send, after decompression.
        send_as: type of the messages that are sent as plain bytes: `text`, `binary`, or `same` for the type of the
            client's last message, text before the first one. Bytes that are not UTF-8 are sent as binary.
        compression: whether messages may be compressed, if the client offers it (permessage-deflate).
        compress_from: bytes from which a message that is sent is compressed.
        origins: from which sites the page of a browser may connect: origins such as `https://example.org`, patterns
            such as `https://*.example.org`, or `same` for the site that the client addresses. A client without
            an Origin is not a browser and may connect.
        subprotocols: in order of preference. A client has to offer one of them; empty for no subprotocol.
        ping_interval: seconds between the pings that a client is sent; 0 for none.
        ping_timeout: seconds without an answer to a ping until the connection is closed; 0 for no limit.

    Raises:
        TypeError, ValueError: a parameter is invalid.
    """

    max_size: int = DEFAULT_MAX_SIZE
    send_as: str = "same"
    compression: bool = True
    compress_from: int = 1024
    origins: Sequence[str] = ("*",)
    subprotocols: Sequence[str] = ()
    ping_interval: float = 20.0
    ping_timeout: float = 20.0

    def __post_init__(self) -> None:
        _check_whole("max_size", self.max_size, 1)
        _check_whole("compress_from", self.compress_from, 0)
        if self.send_as not in _SEND_AS:
            raise ValueError(f"send_as is {self.send_as!r} and must be one of {', '.join(_SEND_AS)}")
        if not isinstance(self.compression, bool):
            raise TypeError(f"compression is {self.compression!r}, not true or false")
        for name in ("origins", "subprotocols"):
            _check_texts(name, getattr(self, name))
        _check_each("origins", self.origins, _ORIGIN, "a site as browsers send it, such as https://example.org")
        _check_each("subprotocols", self.subprotocols, _TOKEN, "a name without spaces and separators")
        for name in ("ping_interval", "ping_timeout"):
            _check_seconds(name, getattr(self, name))

    def allows(self, origin: str | None, host: str | None) -> bool:
        """Return whether a page of `origin` may connect to `host`, as the headers of a request have them."""
        if origin is None:
            return True
        origin = origin.lower()
        is_same = host is not None and origin.partition("://")[2] == host.lower()
        return any(
            is_same if allowed == SAME_ORIGIN else fnmatch.fnmatchcase(origin, allowed.lower())
            for allowed in self.origins
        )


def _check_whole(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}, not a whole number of bytes")
    if value < least:
        raise ValueError(f"{name} is {value} and must be at least {least}")


def _check_seconds(name: str, value: object) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}, not a number of seconds")
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} is {value} and must be 0 or a number of seconds")


def _check_texts(name: str, value: object) -> None:
    # A text is a sequence of texts too, and a frequent mistake.
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(each, str) for each in value):
        raise TypeError(f"{name} is {value!r}, not a list of texts")


def _check_each(name: str, values: Sequence[str], form: re.Pattern[str], expected: str) -> None:
    # What has another form would never match, and refuse each client that it is meant for.
    for value in values:
        if not form.fullmatch(value):
            raise ValueError(f"{name} has {value!r}, which is not {expected}")
