"""How a WebSocket connection ends from the server's side: the answer to a request, or the code of a close."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from websockets.exceptions import ProtocolError
from websockets.frames import Close, CloseCode, Frame, Opcode

_MOST_REASON = 123
"""Bytes of the longest reason: a control frame has at most 125, of which the code takes two."""

_CLOSES: Mapping[str, tuple[int, str]] = {
    "local": (CloseCode.NORMAL_CLOSURE, ""),
    "error": (CloseCode.INTERNAL_ERROR, ""),
    "shutdown": (CloseCode.SERVICE_RESTART, "restart"),
}
_ANSWERS: Mapping[str, tuple[int, str]] = {
    "local": (HTTPStatus.FORBIDDEN, "The connection is refused."),
    "error": (HTTPStatus.INTERNAL_SERVER_ERROR, "The server has failed; its log says why."),
    "timeout": (HTTPStatus.REQUEST_TIMEOUT, "The request took too long."),
}


def close_for(reason: str) -> tuple[int, str]:
    """Return code and reason of a close, for a `CloseReason` of the host."""
    return _CLOSES.get(reason, (CloseCode.GOING_AWAY, reason))


def answer_for(reason: str) -> tuple[int, str]:
    """Return status and text of the answer to a request that is not accepted, for a `CloseReason` of the host."""
    return _ANSWERS.get(reason, (HTTPStatus.SERVICE_UNAVAILABLE, "The server ends the connection. Please try again."))


def checked_close(code: int, reason: str) -> tuple[int, str]:
    """Return code and reason of a close if a close can have them.

    Raises:
        TypeError: the reason is not a text.
        ValueError: they cannot be sent.
    """
    if not isinstance(reason, str):
        raise TypeError(f"the reason of a close is a text, not {reason!r}")
    try:
        Close(code, "").check()
    except (ProtocolError, TypeError):
        raise ValueError(f"a close has a code such as 1000, or one from 3000 to 4999, not {code!r}") from None
    size = len(reason.encode())
    if size > _MOST_REASON:
        raise ValueError(f"the reason of a close has at most {_MOST_REASON} bytes, not {size}")
    return code, reason


def close_frame(code: int, reason: str) -> bytes:
    """Return a close as it goes on the wire."""
    return Frame(Opcode.CLOSE, Close(code, reason).serialize()).serialize(mask=False)
