"""The request that opens a WebSocket connection: where it ends, and whether it can be accepted."""

from __future__ import annotations

import re

from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from reactorhost.framing import FramingError
from reactorhost_websocket.parameters import Parameters

MOST_BYTES = 32 * 1024
"""Bytes of the longest request."""
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
        RefusedError: it is no request of HTTP, or too long.
    """
    # The end may have begun in the bytes that were searched.
    end = _END.search(received, max(0, searched - 2))
    if end is not None and end.end() <= MOST_BYTES:
        return end.end()
    if received and not received[:1].isalpha():
        # A TLS handshake, for example. More would be waited for in vain.
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
    # The library answers a request that is too long, and closes without an answer when it is malformed.
    error = protocol.handshake_exc
    what = str(error.__cause__ or error) if error is not None else "the request is incomplete"
    answered = b"".join(protocol.data_to_send())
    found = refused(400, what)
    if answered:
        found.answer = answered
    return found
