"""A WebSocket connection without its socket: the handshake, the messages, and the end.

`websockets.server.ServerProtocol` parses the request and the frames, negotiates, and answers pings and the client's
close. It parses all that it is fed at once. Three things follow:

- What came behind the request may be parsed before `accept`. Until then nothing is sent, and `accept` puts the answer
  to the request in front.
- The last frame, which answers the client's close or names a violation, is held back until the messages before it
  were taken: a plugin may still answer them, and nothing may follow a close. Pongs are sent as soon as possible.
- A compressed message may be a thousandth of its content. `max_size` holds for one message, and one read may have
  thousands. So compressed input is parsed in slices, each when the messages of the slice before were taken.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterable, Iterator
from typing import TYPE_CHECKING, Self, cast

from websockets.datastructures import Headers
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.frames import CloseCode, Frame
from websockets.protocol import SEND_EOF, Event
from websockets.server import ServerProtocol

from reactorhost.framing import FramingError
from reactorhost_websocket.endings import answer_for, checked_close, close_for, close_frame
from reactorhost_websocket.messages import Assembly, encoded
from reactorhost_websocket.opening import RefusedError, end_of_request, open_with, refusal
from reactorhost_websocket.parameters import Parameters

if TYPE_CHECKING:
    from websockets.typing import Subprotocol

_SLICE = 4096
"""Bytes of compressed input that are parsed at once: they become 4 MiB at most, and one message of `max_size`."""
# Without a context that is kept from message to message, an idle connection needs no memory for zlib, 26 KiB
# otherwise, and a message to a group is compressed once for all its members. Each message then has a compressor of its
# own: one of this size is made in 5 us, one of zlib's default size in 120 us, most of it for fresh pages of memory.
_DEFLATE = ServerPerMessageDeflateFactory(
    server_no_context_takeover=True,
    client_no_context_takeover=True,
    server_max_window_bits=12,
    compress_settings={"memLevel": 5},
)
_LOGGER = logging.getLogger("reactorhost_websocket.protocol")
# The library logs the begin and the end of each connection; the host has its own log of them.
_LOGGER.setLevel(logging.WARNING)


class WebSocket:
    """The framing of one connection, as `connection.framing`.

    Attributes:
        parameters: what the operator has chosen.
        path: the path of the request, with its query; empty before the request has arrived.
        headers: the headers of the request, by name in upper or lower case.
        origin: the site of the page that connects, or None: the client is not a browser.
        subprotocol: the subprotocol that was negotiated, or None.
        opening: true until a request can be accepted.
        ended: whether the client has ended the session.
        is_delivering: whether messages wait for the hooks, or a hook works on one; the client may not be read then.
    """

    __slots__ = (
        "_answer",
        "_assembly",
        "_close",
        "_deflate",
        "_in_frame",
        "_is_closed",
        "_last",
        "_outgoing",
        "_protocol",
        "_received",
        "_refusal",
        "_violation",
        "ended",
        "headers",
        "is_delivering",
        "opening",
        "origin",
        "parameters",
        "path",
        "subprotocol",
    )

    def __init__(self, parameters: Parameters | None = None) -> None:
        self.parameters = parameters = parameters or Parameters()
        self.opening = True
        self.ended = False
        self.is_delivering = False
        self.path = ""
        self.headers = Headers()
        self.origin: str | None = None
        self.subprotocol: str | None = None
        self._protocol = ServerProtocol(
            extensions=[_DEFLATE] if parameters.compression else [],
            subprotocols=cast("list[Subprotocol]", list(parameters.subprotocols)),
            max_size=parameters.max_size,
            logger=_LOGGER,
        )
        self._received = b""
        # The answer to the request until it is accepted or refused; nothing is sent before it.
        self._answer: bytes | None = b""
        self._deflate: PerMessageDeflate | None = None
        self._assembly = Assembly()
        # The last bytes have begun a frame and not completed it.
        self._in_frame = False
        self._outgoing: list[bytes] = []
        # The frame that follows the messages which were not taken yet, and what the client did wrong, if anything.
        self._last = b""
        self._violation = ""
        # Nothing is added to what is sent any more.
        self._is_closed = False
        # What a plugin has chosen for the end.
        self._refusal: tuple[int, str] | None = None
        self._close: tuple[int, str] | None = None

    def __repr__(self) -> str:
        return f"WebSocket({self.parameters})"

    @property
    def is_text(self) -> bool:
        """Whether the message that is being received is text, or the last one; true before the first."""
        return self._assembly.is_text

    @property
    def incomplete(self) -> bool:
        """Whether a message, or a frame of any kind, has begun that is not complete."""
        return self._in_frame or self._assembly.begun

    @property
    def is_accepted(self) -> bool:
        """Whether the request was accepted, and the client knows it."""
        return self._answer is None and not self.opening

    @property
    def close_code(self) -> int | None:
        """The code of the client's close: None if it has sent none, 1005 for a close without a code."""
        received = self._protocol.close_rcvd
        return None if received is None else int(received.code)

    @property
    def close_reason(self) -> str:
        """The reason of the client's close; it may be empty."""
        received = self._protocol.close_rcvd
        return "" if received is None else received.reason

    @property
    def frame_key(self) -> Hashable:
        """What `frame` depends on; None for what only this connection sends."""
        # What is to be sent first is part of what `frame` returns.
        if self._is_closed or self._answer is not None or self._outgoing:
            return None
        window = None if self._deflate is None else self._deflate.local_max_window_bits
        return (WebSocket, self._sends_text, window, self.parameters.compress_from)

    def fresh(self) -> Self:
        """Return a framing with the same parameters, for another connection."""
        return type(self)(self.parameters)

    def feed(self, data: bytes) -> Iterable[bytes]:
        """Add received bytes and return the messages that are complete now.

        Raises:
            FramingError: the request is refused. The iterator raises it when the client breaks the protocol.
        """
        if self.opening:
            data = self._open(data)
            if not data:
                return ()
        self.is_delivering = True
        if self._deflate is not None and len(data) > _SLICE:
            return self._messages_by_slices(data)
        return self._messages(self._events(data))

    def outgoing(self) -> bytes:
        """Take out what is to be sent now."""
        if not self._outgoing or self._answer is not None:
            return b""
        outgoing, self._outgoing = self._outgoing, []
        return b"".join(outgoing)

    def accept(self) -> None:
        """Answer the request; the messages that were framed before follow."""
        assert self._answer
        self._outgoing.insert(0, self._answer)
        self._answer = None

    def closing(self, reason: str) -> None:
        """End the session from this side: refuse the request, or send a close."""
        if self._answer and self._close is not None and self._refusal is None:
            # A plugin closes with a code while the request waits: a page gets a code with a close only.
            self.accept()
            self._end(close_frame(*self._close))
        elif self._answer is not None:
            self._refuse(refusal(*(self._refusal or answer_for(reason))).serialize())
        elif not self._is_closed:
            # The client may have ended it, and the connection is closed before its last messages were taken.
            self._end(self._last or close_frame(*(self._close or close_for(reason))))

    def frame(self, message: object) -> bytes:
        """Return a message as it goes on the wire; after a close nothing.

        Raises:
            TypeError: it is neither bytes-like nor a text.
            ValueError: it cannot be sent as what it is.
        """
        opcode, data = encoded(message, as_text=self._sends_text)
        deflate = self._deflate
        extensions = [deflate] if deflate is not None and len(data) >= self.parameters.compress_from else ()
        framed = Frame(opcode, data).serialize(mask=False, extensions=extensions)
        if self._is_closed:
            return b""
        if self._outgoing or self._answer is not None:
            self._outgoing.append(framed)
            return self.outgoing()
        return framed

    def end_with(self, code: int, reason: str) -> None:
        """Choose code and reason of the close with which `closing` ends the session.

        Raises:
            ValueError: a close cannot have them.
        """
        self._close = checked_close(code, reason)

    def refuse_with(self, status: int, text: str) -> None:
        """Choose status and text of the answer with which `closing` refuses the request.

        Raises:
            ValueError: the status is not that of an error.
        """
        if not isinstance(status, int) or not 400 <= status < 600:
            raise ValueError(f"a request is refused with a status from 400 to 599, not {status!r}")
        self._refusal = (status, text)

    @property
    def _sends_text(self) -> bool:
        send_as = self.parameters.send_as
        return self._assembly.is_text if send_as == "same" else send_as == "text"

    def _open(self, data: bytes) -> bytes:
        """Check the request when it is complete; return what came behind it."""
        searched = len(self._received)
        self._received += data
        protocol = self._protocol
        try:
            end = end_of_request(self._received, searched)
            if end is None:
                return b""
            head, behind, self._received = self._received[:end], self._received[end:], b""
            request, response = open_with(protocol, head, self.parameters)
        except RefusedError as error:
            self._refuse(error.answer)
            raise
        self.path, self.headers = request.path, request.headers
        self.origin, self.subprotocol = protocol.origin, protocol.subprotocol
        self._deflate = cast("PerMessageDeflate | None", next(iter(protocol.extensions), None))
        protocol.send_response(response)
        self._answer = b"".join(protocol.data_to_send())
        self.opening = False
        return behind

    def _events(self, data: bytes) -> list[Event]:
        """Parse bytes; the answers to pings go to `outgoing`."""
        protocol = self._protocol
        protocol.receive_data(data)
        writes = protocol.data_to_send()
        if writes:
            if writes[-1] == SEND_EOF:
                writes.pop()
                self._last = writes.pop()
                self._violation = str(protocol.parser_exc or "")
            self._outgoing += writes
        events = protocol.events_received()
        if data:
            # Behind whole frames too: a client could otherwise begin each frame with the end of the one before. A frame
            # of which only the header has arrived is noticed with the next bytes.
            self._in_frame = not events or bool(protocol.reader.buffer)
        return events

    def _messages(self, events: list[Event]) -> Iterator[bytes]:
        assembly = self._assembly
        self.is_delivering = True
        try:
            for event in events:
                message = assembly.add(cast("Frame", event))
                if message is not None:
                    yield message
        except UnicodeDecodeError as error:
            self._violation = f"a text message is not UTF-8: {error.reason}"
            self._last = close_frame(CloseCode.INVALID_DATA, "not UTF-8")
        # Not before the hook of the last message has ended: the host asks for the next one then.
        self.is_delivering = False
        if self._last and not self._is_closed:
            self._end(self._last)
            if self._violation:
                raise FramingError(self._violation)
            self.ended = True

    def _messages_by_slices(self, data: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), _SLICE):
            yield from self._messages(self._events(data[at : at + _SLICE]))

    def _refuse(self, answer: bytes) -> None:
        self._answer = None
        # Messages have no meaning without the handshake.
        self._outgoing.clear()
        self._end(answer)

    def _end(self, last: bytes) -> None:
        self._outgoing.append(last)
        self._is_closed = True
