"""Messages: their types, and how they are put together from the frames that a client sends."""

from __future__ import annotations

import codecs

from websockets.frames import Frame, Opcode

_new_decoder = codecs.getincrementaldecoder("utf-8")


class Text(bytes):
    """UTF-8 that is sent as a text message, whatever `send_as` says."""

    __slots__ = ()


class Binary(bytes):
    """Bytes that are sent as a binary message, whatever `send_as` says."""

    __slots__ = ()


class Ping(bytes):
    """Up to 125 bytes that are sent as a ping; the client answers with a pong of the same bytes."""

    __slots__ = ()


class Assembly:
    """Puts messages together from frames whose order was checked, and checks that text is UTF-8.

    Attributes:
        is_text: whether the last message is text.
    """

    __slots__ = ("_decoder", "_parts", "is_text")

    def __init__(self) -> None:
        self.is_text = True
        self._parts: bytearray | None = None
        self._decoder: codecs.IncrementalDecoder | None = None

    @property
    def begun(self) -> bool:
        """Whether the first frames of a message were added, and more are to follow."""
        return self._parts is not None

    def add(self, frame: Frame) -> bytes | None:
        """Return the message that a frame completes; None if none is complete, and for control frames.

        Raises:
            UnicodeDecodeError: a text is not UTF-8; raised at the first frame that shows it.
        """
        opcode, data = frame.opcode, bytes(frame.data)
        if opcode is Opcode.CONT:
            return self._add_part(data, frame.fin)
        if opcode is not Opcode.TEXT and opcode is not Opcode.BINARY:
            return None
        if not frame.fin:
            # Not a list of the parts: each object costs some 40 bytes more than its data, which may be one byte.
            self._parts = bytearray()
            self._decoder = _new_decoder() if opcode is Opcode.TEXT else None
            return self._add_part(data, final=False)
        self.is_text = opcode is Opcode.TEXT
        if self.is_text and not data.isascii():
            data.decode()
        return data

    def _add_part(self, data: bytes, final: bool) -> bytes | None:
        assert self._parts is not None, "websockets checks the order of frames"
        self._parts += data
        if self._decoder is not None:
            self._decoder.decode(data, final)
        if not final:
            return None
        self.is_text = self._decoder is not None
        message, self._parts, self._decoder = bytes(self._parts), None, None
        return message


def encoded(message: object, as_text: bool) -> tuple[Opcode, bytes]:
    """Return the type that a message is sent as, and its bytes; plain bytes are text if `as_text` and if they can be.

    Raises:
        TypeError: it is neither bytes-like nor a text.
        ValueError: it cannot be sent as what it is.
    """
    if type(message) is bytes:
        # By far the most frequent.
        return (Opcode.TEXT if as_text and _is_utf8(message) else Opcode.BINARY), message
    if isinstance(message, str):
        try:
            return Opcode.TEXT, message.encode()
        except UnicodeEncodeError:
            raise ValueError("a text has a lone surrogate, which UTF-8 cannot encode") from None
    if isinstance(message, Ping):
        if len(message) > 125:
            raise ValueError(f"a ping has at most 125 bytes, not {len(message)}")
        return Opcode.PING, message
    if isinstance(message, Binary):
        return Opcode.BINARY, message
    if isinstance(message, Text):
        if not _is_utf8(message):
            raise ValueError("a text message is not UTF-8")
        return Opcode.TEXT, message
    return encoded(bytes(memoryview(message)), as_text)  # type: ignore[arg-type]  # raises for what is not bytes-like


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
