"""The request that opens a WebSocket connection: where it ends, and whether it can be accepted."""

from __future__ import annotations

import re

from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from reactorhost.framing import FramingError
from reactorhost_websocket.parameters import Parameters

MOST_BYTES = 32 * 1024
"""Bytes of the longest request."""
_MOST_SHOWN = 200
"""Characters of a malformed line in an answer and in the log."""
# A line may end with LF alone, so that a request which is typed by hand is answered, though with an error.
_END = re.compile(rb"\n\r?\n")


class RefusedError(FramingError):
    """A request that cannot be accepted.

    Attributes:
        answer: the response, as it goes on the wire.
    """

    def __init__(self, what: str, answer: Response) -> None:
        super().__init__(what)
        self.answer = answer.serialize()


def end_of_request(received: bytes, searched: int) -> int | None:
    """Return where a request ends, or None while it is incomplete; the first bytes `searched` have no end.

    Raises:
        RefusedError: it is not an HTTP request, or too long.
    """
    # The end may have begun in the bytes that were searched.
    end = _END.search(received, max(0, searched - 2))
    if end is not None and end.end() <= MOST_BYTES:
        return end.end()
    if received and not received[:1].isalpha():
        # A TLS handshake, for example: no end of a request would follow.
        raise refused(400, "what was received is not an HTTP request")
    if len(received) > MOST_BYTES:
        raise refused(431, f"the request has more than {MOST_BYTES:,} bytes")
    return None


def open_with(protocol: ServerProtocol, head: bytes, parameters: Parameters) -> tuple[Request, Response]:
    """Return a request and the response that accepts it; subprotocol and extensions are negotiated by then.

    Raises:
        RefusedError: it cannot be accepted.
    """
    protocol.receive_data(head)
    request = next(iter(protocol.events_received()), None)
    if not isinstance(request, Request):
        raise _unparsed(protocol)
    hosts = request.headers.get_all("Host")
    # RFC 9112, section 3.2. The library leaves it to the caller.
    if len(hosts) != 1:
        raise refused(400, f"the request has {len(hosts)} Host headers, not one")
    response = protocol.accept(request)
    if response.status_code != 101:
        raise RefusedError(str(protocol.handshake_exc), response)
    if not parameters.allows(protocol.origin, hosts[0]):
        raise refused(403, f"pages of {protocol.origin} may not connect to this server")
    return request, response


def refused(status: int, what: str) -> RefusedError:
    """Return an error whose answer has a status and a sentence."""
    return RefusedError(what, refusal(status, f"{what[:1].upper()}{what[1:]}."))


def refusal(status: int, text: str) -> Response:
    """Return a response of one sentence."""
    return ServerProtocol().reject(status, f"{text}\n")


def _unparsed(protocol: ServerProtocol) -> RefusedError:
    found = protocol.handshake_exc
    # What is too long is the exception itself, and what is malformed its cause.
    cause = found.__cause__ or found if found is not None else None
    # The head is whole, so the end that the library misses is that of a line.
    what = "a line of the request ends without a carriage return" if isinstance(cause, EOFError) else str(cause)
    error = refused(400, what[:_MOST_SHOWN])
    # The library answers a request that is too long, and leaves a malformed one without an answer.
    error.answer = b"".join(protocol.data_to_send()) or error.answer
    return error
