"""Answers that the server gives in place of the application."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus


@dataclass(frozen=True, slots=True)
class Refusal:
    """One such answer; the connection is closed behind it."""

    status: HTTPStatus
    text: str

    def payload(self, default_headers: list[tuple[bytes, bytes]], *, with_body: bool = True) -> bytes:
        """Return the bytes of the whole answer."""
        body = f"{self.text}\n".encode()
        headers = b"".join(b"%s: %s\r\n" % header for header in default_headers)
        head = b"HTTP/1.1 %d %s\r\n" % (self.status, self.status.phrase.encode())
        kind = b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        return head + headers + kind + (body if with_body else b"")


class RefusedError(Exception):
    """Raised in a callback of the parser, which passes it on as the context of its own error."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal


MALFORMED = Refusal(HTTPStatus.BAD_REQUEST, "The request is malformed.")
HOST_WRONG = Refusal(HTTPStatus.BAD_REQUEST, "An HTTP/1.1 request needs exactly one header Host.")
UPGRADE_BUSY = Refusal(HTTPStatus.BAD_REQUEST, "An upgrade cannot follow a request that was not answered.")
UPGRADE_BODY = Refusal(HTTPStatus.BAD_REQUEST, "Nothing may follow a request for an upgrade before its answer.")
HEAD_LATE = Refusal(HTTPStatus.REQUEST_TIMEOUT, "The headers of the request did not arrive in time.")
BODY_LATE = Refusal(HTTPStatus.REQUEST_TIMEOUT, "The body of the request did not arrive in time.")
BODY_TOO_LARGE = Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body of the request is too large.")
HEAD_TOO_LARGE = Refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The headers of the request are too large.")
FAILED = Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal Server Error")
TOO_MANY = Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "The server has too many requests.")
VERSION_WRONG = Refusal(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "Only HTTP/1.1 and HTTP/1.0 are understood here.")
TOO_SLOW = Refusal(HTTPStatus.GATEWAY_TIMEOUT, "The application did not answer in time.")
