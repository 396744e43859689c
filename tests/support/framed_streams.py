"""Framings, and streams in pieces."""

from __future__ import annotations

from reactorhost.framing import Delimited, Fixed, FramingError, LengthPrefixed, Lines

Built = Delimited | Fixed | LengthPrefixed | Lines


def bytewise(stream: bytes) -> list[bytes]:
    """Split a stream into single bytes."""
    return [stream[at : at + 1] for at in range(len(stream))]


def taken(framing: Built, pieces: list[bytes]) -> tuple[list[bytes], str | None]:
    """Feed the pieces; return the messages and the error after them, if any."""
    messages: list[bytes] = []
    try:
        for piece in pieces:
            for message in framing.feed(piece):
                messages.append(message)  # noqa: PERF402  what comes before an error counts
    except FramingError as error:
        return messages, str(error)
    return messages, None
