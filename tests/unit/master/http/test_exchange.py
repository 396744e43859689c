"""One request and its response: methods, paths, what is not HTTP, and whether the connection continues."""

from __future__ import annotations

import json
from collections.abc import Mapping

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorhost.errors import ReactorhostError
from reactorhost.master.http.exchange import exchange
from reactorhost.master.http.messages import Request, Response, Route, json_response, text_response
from reactorhost.reactor import Reactor
from reactorhost.reactor.steps import StepRunner
from reactorhost.testing.fakes import FakeClock, FakePoller, FakeSocket

GET = "GET /live HTTP/1.1\r\nHost: x\r\n\r\n"


def fails(request: Request) -> Response:
    raise ReactorhostError("the numbers are not there", hint="wait")


def has_no_descriptor(request: Request) -> Response:
    raise OSError(24, "Too many open files")


ROUTES: Mapping[str, Route] = {
    "/live": lambda request: text_response(200, "the host is alive"),
    "/echo": lambda request: json_response(200, [request.path, request.query, request.headers]),
    "/fails": fails,
    "/full": has_no_descriptor,
    "/big": lambda request: Response(200, b"x" * 1_000_000),
}


class Client:
    """A client of one connection, and what the host answered."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.poller = FakePoller(self.clock)
        self.reactor = Reactor(self.poller, self.clock)
        self.socket = FakeSocket()
        self.poller.open(self.socket)
        self.http = h11.Connection(h11.SERVER, max_incomplete_event_size=1024)
        self.results: list[bool | str] = []

    def send(self, *parts: bytes) -> None:
        """Let the client send these parts in turns of their own, and the host answer one request."""
        steps = exchange(self.socket, self.http, ROUTES)
        StepRunner(self.reactor, self.socket, steps, self.results.append, lambda e: self.results.append(str(e))).begin(
            9
        )
        for part in parts:
            self.socket.incoming.append(part)
            self.reactor.turn(0)

    def response(self, method: str = "GET") -> tuple[int, Mapping[str, str], bytes]:
        """Return status, headers and body of the response, which h11 accepts as one."""
        client = h11.Connection(h11.CLIENT)
        client.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        client.send(h11.EndOfMessage())
        client.receive_data(bytes(self.socket.taken))
        self.socket.taken.clear()
        response = client.next_event()
        assert isinstance(response, h11.Response)
        body = b""
        while isinstance(event := client.next_event(), h11.Data):
            body += bytes(event.data)
        assert isinstance(event, h11.EndOfMessage)
        return response.status_code, {name.decode(): value.decode() for name, value in response.headers}, body


def answer(text: str, method: str = "GET") -> tuple[int, Mapping[str, str], bytes, bool | str]:
    client = Client()
    client.send(text.encode("latin-1"), b"")
    return *client.response(method), client.results[0]


def test_a_request_is_answered_and_the_connection_continues() -> None:
    status, headers, body, continues = answer(GET)
    assert (status, body, continues) == (200, b"the host is alive\n", True)
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert headers["cache-control"] == "no-store"
    assert "date" in headers


def test_head_has_the_headers_of_get_and_no_body() -> None:
    status, headers, body, continues = answer("HEAD /live HTTP/1.1\r\nHost: x\r\n\r\n", "HEAD")
    assert (status, headers["content-length"], body, continues) == (200, "18", b"", True)


def test_a_request_may_come_byte_by_byte() -> None:
    client = Client()
    client.send(*(bytes([byte]) for byte in GET.encode()))
    assert client.response()[0] == 200


def test_a_route_receives_path_query_and_headers() -> None:
    request = "GET /echo?a=1&a=2&verbose HTTP/1.1\r\nHost: x\r\nAccept: one\r\nAccept: two\r\n\r\n"
    path, query, headers = json.loads(answer(request)[2])
    assert (path, query) == ("/echo", {"a": ["1", "2"], "verbose": [""]})
    assert headers["accept"] == "one, two"


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        ("GET /nothing HTTP/1.1", 404, "nothing is at this path; paths: /live, "),
        ("POST /live HTTP/1.1", 405, "only GET and HEAD are possible"),
        ("GET /fails HTTP/1.1", 500, "the numbers are not there\n  hint: wait"),
        ("GET /full HTTP/1.1", 500, "the request /full failed: Too many open files"),
        ("GET http://x/live HTTP/1.1", 200, "the host is alive"),
        ("GET http://[/live HTTP/1.1", 400, "the address of the request is not valid"),
    ],
)
def test_what_is_not_possible_is_answered_in_words(line: str, status: int, words: str) -> None:
    found, headers, body, continues = answer(f"{line}\r\nHost: x\r\n\r\n")
    assert (found, continues) == (status, True)
    assert words in body.decode()
    assert headers.get("allow") == ("GET, HEAD" if status == 405 else None)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("hello\r\n\r\n", 400),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n", 400),
        ("GET /live HTTP/1.1\r\n\r\n", 400),
        ("GET /live HTTP/1.1\r\nHost: x\r\nLong: " + 2000 * "x", 431),
        ("GET /live HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        ("GET /live HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", 400),
    ],
)
def test_what_is_not_http_is_answered_and_ends_the_connection(text: str, status: int) -> None:
    found, headers, body, continues = answer(text)
    assert (found, continues, headers["connection"]) == (status, False, "close")
    assert b"this is not a valid HTTP request: " in body


@pytest.mark.parametrize(
    "text",
    [
        "GET /live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "GET /live HTTP/1.0\r\n\r\n",
        # The body is not read, so what follows cannot be told from it.
        "GET /live HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nGET /",
        "POST /live HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "GET /live HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
        "GET /live HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_a_response_can_be_the_last_one(text: str) -> None:
    status, headers, _, continues = answer(text)
    assert (headers["connection"], continues) == ("close", False)
    assert status == (405 if text.startswith("POST") else 200)


def test_requests_that_came_at_once_are_answered_one_after_the_other() -> None:
    client = Client()
    client.send((GET + GET).encode())
    assert client.response()[0] == 200
    client.send()
    assert client.response()[0] == 200
    assert client.results == [True, True]


def test_an_end_without_a_request_has_no_response() -> None:
    client = Client()
    client.send(b"")
    assert client.results == [False]
    assert not client.socket.taken


def test_a_client_that_reads_slowly_gets_all_of_it() -> None:
    client = Client()
    client.socket.reading = False
    client.send(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
    assert not client.results
    client.socket.reading = True
    client.reactor.turn(0)
    assert len(client.response()[2]) == 1_000_000


@given(st.lists(st.one_of(st.binary(), st.sampled_from([b"GET ", b"/live", b" HTTP/1.1", b"\r\n", b"Host: x\r\n"]))))
def test_no_bytes_of_a_client_raise_anything(parts: list[bytes]) -> None:
    client = Client()
    client.send(*parts, b"", b"")
    assert len(client.results) == 1
