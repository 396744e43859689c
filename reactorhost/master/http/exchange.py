"""One request and its response over HTTP/1.1, as steps of the reactor; h11 has the rules of the protocol.

The body of a request is never read: a client that sends one gets its response, and then the end of the connection.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from email.utils import formatdate
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

import h11

from reactorhost.errors import ReactorhostError, error_from_os, limit_hint
from reactorhost.master.http.messages import Request, Response, Route, text_response
from reactorhost.reactor import READ, READ_BYTES, WRITE
from reactorhost.reactor.steps import ByteStream, Step, finish, send_all

_METHODS = ("GET", "HEAD")


def first_bytes(sock: ByteStream) -> Step[bytes]:
    """Wait for a request; returns its first bytes, or none if the client ends the connection."""
    while True:
        try:
            return sock.recv(READ_BYTES)
        except BlockingIOError:
            yield READ


def exchange(
    sock: ByteStream,
    http: h11.Connection,
    routes: Mapping[str, Route],
    may_answer: Callable[[str], bool] = lambda path: True,
) -> Step[bool]:
    """Receive a request and send the response; returns whether the connection continues.

    `may_answer` is called in each turn until it returns that the route of this path may run now.
    """
    head = last = False
    try:
        request = yield from _next_event(sock, http)
        if not isinstance(request, h11.Request):
            # The client ended the connection instead.
            return False
        head = request.method == b"HEAD"
        # RFC 9112, 6.1: with both headers of a length a proxy may have seen another end of the request.
        has_encoding = any(name == b"transfer-encoding" for name, _ in request.headers)
        last = has_encoding or not isinstance(http.next_event(), h11.EndOfMessage)
        response = yield from _respond(request, routes, may_answer)
    except h11.RemoteProtocolError as error:
        response = text_response(error.error_status_hint, f"this is not a valid HTTP request: {error}")
        last = True
    headers = [
        ("Date", formatdate(time.time(), usegmt=True)),
        ("Content-Type", response.content_type),
        ("Content-Length", str(len(response.body))),
        ("Cache-Control", "no-store"),
        *response.headers.items(),
    ]
    if last:
        headers.append(("Connection", "close"))
    reason = HTTPStatus(response.status).phrase
    data = http.send(h11.Response(status_code=response.status, headers=headers, reason=reason.encode())) or b""
    if not head:
        data += http.send(h11.Data(data=response.body)) or b""
    data += http.send(h11.EndOfMessage()) or b""
    yield from send_all(sock, data)
    # Also after HTTP/1.0, and after `Connection: close`.
    if http.our_state is not h11.DONE:
        yield from finish(sock)
        return False
    http.start_next_cycle()
    return True


def _next_event(sock: ByteStream, http: h11.Connection) -> Step[object]:
    while (event := http.next_event()) is h11.NEED_DATA:
        http.receive_data((yield from first_bytes(sock)))
    return event


def _respond(event: h11.Request, routes: Mapping[str, Route], may_answer: Callable[[str], bool]) -> Step[Response]:
    method = event.method.decode()
    if method not in _METHODS:
        allowed = {"Allow": ", ".join(_METHODS)}
        return text_response(405, f"the method is {method}, and only GET and HEAD are possible", allowed)
    try:
        target = urlsplit(event.target.decode())
    except ValueError as error:
        return text_response(400, f"the address of the request is not valid: {error}")
    route = routes.get(target.path)
    if route is None:
        return text_response(404, f"nothing is at this path; paths: {', '.join(routes)}")
    headers: dict[str, str] = {}
    for name, value in event.headers:
        key, text = name.decode(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    while not may_answer(target.path):
        yield WRITE
    try:
        return route(Request(target.path, parse_qs(target.query, keep_blank_values=True), headers))
    except ReactorhostError as error:
        return text_response(500, "\n".join(error.lines()))
    except OSError as error:
        # It concerns this request only, so the host goes on.
        failure = error_from_os(error, f"the request {target.path} failed", hint=limit_hint(error))
        return text_response(500, "\n".join(failure.lines()))
