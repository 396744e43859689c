"""What is fuzzed: every parser of bytes that a stranger can send, or an operator can write.

A target takes any bytes. It returns if they were accepted or refused as promised, and raises if not. Those that parse a
stream compare it whole with the same stream in pieces, which an attacker chooses too.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import h11

from planner_settings import host_settings
from reactorhost.address import parse
from reactorhost.config.resolve import resolve
from reactorhost.errors import ReactorhostError
from reactorhost.framing import Delimited, Fixed, Framing, FramingError, LengthPrefixed, Lines
from reactorhost.ipc.messages import MessageDecoder
from reactorhost.master.admin.commands import AdminCommands
from reactorhost.master.http.exchange import exchange
from reactorhost.master.http.messages import json_response
from reactorhost.master.plan.planner import Planner
from reactorhost.worker.handshake.proxy_protocol import ProxyHeaderError, ProxyHeaderParser

Target = Callable[[bytes], None]

_MAX_SIZE = 64
_HTTP_ROUNDS = 20


def pieces(data: bytes) -> tuple[list[bytes], bytes]:
    """Cut a stream into pieces whose sizes its first bytes decide; returns the pieces and the whole stream."""
    sizes, stream = data[:4] or b"\1", data[4:]
    cut: list[bytes] = []
    at = 0
    while at < len(stream):
        size = max(1, sizes[len(cut) % len(sizes)] % 16)
        cut.append(stream[at : at + size])
        at += size
    return cut, stream


def _fed(framing: Framing, parts: list[bytes]) -> tuple[list[bytes], bool]:
    messages: list[bytes] = []
    try:
        for part in parts:
            messages += framing.feed(part)
    except FramingError:
        return messages, True
    return messages, False


def fuzz_framing(make: Callable[[], Framing], data: bytes) -> None:
    """Split a stream into messages, whole and in pieces."""
    parts, stream = pieces(data)
    whole, refused = _fed(make(), [stream])
    cut, cut_refused = _fed(make(), parts)
    assert (whole, refused) == (cut, cut_refused)
    assert all(len(message) <= _MAX_SIZE for message in whole)


def fuzz_address(data: bytes) -> None:
    """Parse an address; one that is accepted has a text form that means the same."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        address = parse(text)
    except ReactorhostError:
        return
    assert parse(str(address)) == address


def fuzz_proxy_header(data: bytes) -> None:
    """Parse a PROXY header, whole and in pieces; no byte behind it is consumed."""
    parts, stream = pieces(data)
    whole, cut = ProxyHeaderParser(), ProxyHeaderParser()
    consumed = _header(whole, [stream])
    assert _header(cut, parts) == consumed
    assert whole.header == cut.header
    if consumed is not None and whole.header is not None:
        assert consumed <= len(stream)
        assert _header(again := ProxyHeaderParser(), [stream[:consumed]]) == consumed
        assert again.header == whole.header


def _header(parser: ProxyHeaderParser, parts: list[bytes]) -> int | None:
    """Feed parts until the header is complete; returns the number of bytes consumed, None if they are refused."""
    consumed = 0
    try:
        for part in parts:
            consumed += (taken := parser.feed(part))
            assert parser.header is not None or taken == len(part)
            if parser.header is not None:
                break
    except ProxyHeaderError:
        return None
    return consumed


class _ReceivedSocket:
    """A socket on which parts arrive, and then the end of the stream."""

    def __init__(self, parts: list[bytes]) -> None:
        self._parts = iter(parts)
        self.sent = bytearray()

    def recv(self, size: int) -> bytes:
        """Return the next part."""
        return next(self._parts, b"")

    def send(self, data: bytes) -> int:
        """Take everything."""
        self.sent += data
        return len(data)

    def shutdown(self, how: int) -> None:
        """End the sending half."""

    def fileno(self) -> int:
        """Return a number that is no descriptor."""
        return -1


def fuzz_admin_http(data: bytes) -> None:
    """Answer the requests of one connection; every response is one that h11 accepts as a client."""
    parts, _ = pieces(data)
    sock = _ReceivedSocket(parts)
    http = h11.Connection(h11.SERVER, max_incomplete_event_size=4096)
    routes = {"/": lambda request: json_response(200, [request.path, request.query, request.headers])}
    # The number of requests in the bytes is unknown, but each has at least 16 of them.
    for _ in range(_HTTP_ROUNDS):
        steps: Iterator[Any] = exchange(sock, http, routes)
        try:
            while True:
                next(steps)
        except StopIteration as returned:
            if not returned.value:
                break
    _check_responses(bytes(sock.sent))


def _check_responses(sent: bytes) -> None:
    while sent:
        # GET, since a response to HEAD differs from others by its request only.
        client = h11.Connection(h11.CLIENT)
        client.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
        client.send(h11.EndOfMessage())
        client.receive_data(sent)
        client.receive_data(b"")
        response = client.next_event()
        assert isinstance(response, h11.Response)
        head, _, rest = sent.partition(b"\r\n\r\n")
        length = next(int(value) for name, value in response.headers if name == b"content-length")
        sent = rest[length:] if not rest.startswith(b"HTTP/1.1 ") else rest
        assert head.startswith(b"HTTP/1.1 ")


def fuzz_toml(data: bytes) -> None:
    """Read a configuration file as a start does; each of its problems is one that can be shown."""
    with tempfile.NamedTemporaryFile(suffix=".toml") as file:
        file.write(data)
        file.flush()
        try:
            resolve({"config": file.name}, {}, Path("/"), uid=1000, cpus=lambda: 2)
        except ReactorhostError as error:
            # As the command prints it, which must not raise.
            error.lines()


def fuzz_control(data: bytes) -> None:
    """Decode requests of the control socket, whole and in pieces, and carry them out."""
    parts, stream = pieces(data)
    whole, refused = _decoded([stream])
    assert (whole, refused) == _decoded(parts)
    for message in whole:
        _carry_out(message)


def _decoded(parts: list[bytes]) -> tuple[list[dict[str, Any]], bool]:
    decoder, messages = MessageDecoder(), []
    try:
        for part in parts:
            # One by one: those before a bad line count.
            for message in decoder.feed(part):
                messages.append(message)  # noqa: PERF402  extend would lose them
    except ConnectionError:
        return messages, True
    return messages, False


def _carry_out(message: Mapping[str, Any]) -> None:
    planner = Planner(host_settings(2))
    context: Any = Mock(planner=planner)
    launch: Any = Mock(read_again=lambda: planner.settings, terminal_gone=lambda: False, directory=".")
    launch.imported.changed.return_value = ()
    commands = AdminCommands(context, Mock(), Mock(), Mock(), launch, Mock())
    verb = commands.verbs().get(str(message.get("verb")))
    if verb is not None and message["verb"] not in ("status", "launch"):
        # Those two read what is mocked here, and no field but `history`.
        with contextlib.suppress(ReactorhostError, OSError):
            verb(Mock(), dict(message))


TARGETS: Mapping[str, Target] = {
    "framing_lines": partial(fuzz_framing, partial(Lines, max_size=_MAX_SIZE)),
    "framing_lines_kept": partial(fuzz_framing, partial(Lines, max_size=_MAX_SIZE, keep_ends=True)),
    "framing_delimited": partial(fuzz_framing, partial(Delimited, b"\r\n.\r\n", max_size=_MAX_SIZE)),
    "framing_fixed": partial(fuzz_framing, partial(Fixed, 7)),
    "framing_sized": partial(fuzz_framing, partial(LengthPrefixed, ">H", max_size=_MAX_SIZE)),
    "framing_sized_inside": partial(
        fuzz_framing, partial(LengthPrefixed, "B", offset=3, inclusive=True, max_size=_MAX_SIZE)
    ),
    "address": fuzz_address,
    "proxy_header": fuzz_proxy_header,
    "admin_http": fuzz_admin_http,
    "toml": fuzz_toml,
    "control": fuzz_control,
}

_PIECES = b"\x10\x03\x01\x0f"

SEEDS: Mapping[str, list[bytes]] = {
    "framing_lines": [_PIECES + b"one\r\ntwo\n\nlast"],
    "framing_lines_kept": [_PIECES + b"one\r\ntwo\n\nlast"],
    "framing_delimited": [_PIECES + b"a mail\r\n.\r\nanother\r\n..\r\n.\r\n"],
    "framing_fixed": [_PIECES + b"1234567abcdefg12"],
    "framing_sized": [_PIECES + b"\0\3abc\0\0\0\2xy"],
    "framing_sized_inside": [_PIECES + b"hdr\7abchdr\4"],
    "address": [b"tcp://[::1]:9000", b"tls://*:1", b"unix:///run/a.sock", b"@name", b"udp://h:0", b"fd://web"],
    "proxy_header": [
        _PIECES + b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 80\r\nrest",
        _PIECES + b"PROXY TCP6 2001:db8::1 ::1 5000 80\r\n",
        _PIECES + b"PROXY UNKNOWN\r\n",
        _PIECES + b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\x13\x88\0\x50rest",
        _PIECES + b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x13\xc0\0\2\1\xc0\0\2\2\x13\x88\0\x50\x02\0\4name",
        _PIECES + b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
    ],
    "admin_http": [
        _PIECES + b"GET /?a=1&b HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\nGET /no HTTP/1.0\r\n\r\n",
        _PIECES + b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        _PIECES + b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
        _PIECES + b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ],
    "toml": [
        b'[host]\nworkers = "auto"\nstop_timeout = "8s"\nmax_rss = "1GiB"\n[plugin.echo]\na = 1\n',
        b'[service.a]\nlisten = ["tcp://*:1"]\nplugins = ["echo"]\nallow = ["10.0.0.0/8"]\n',
        b'[service.a]\nlisten = "tcp://*:1"\nplugins = "echo"\nframing = {kind = "lines", max_size = 10}\n',
        b'[host]\nworkers = { min = 2, max = 4 }\n[bus]\nurl = "redis://h"\n[service.b]\nlisten = "unix:///a"\n',
    ],
    "control": [
        _PIECES + b'{"verb": "scale", "workers": 3}\n{"verb": "reload"}\n',
        _PIECES + b'{"verb": "scale", "workers": {"min": 1, "max": 4}}\n{"verb": "scale", "workers": "auto"}\n',
        _PIECES + b'{"verb": "recycle", "pid": 7}\n{"verb": "stop", "now": true}\n{"verb": "connections"}\n',
        _PIECES + b'{"verb": "reopen"}\n{"verb": "health"}\n{"verb": "ping"}\n{"verb": "settings"}\n[]\n',
    ],
}
"""Valid inputs of each target, from which others are made."""
