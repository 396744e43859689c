"""The cases that conformance suites of WebSocket have: each whole, frame by frame and byte by byte."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from reactorhost_websocket import Parameters
from websocket_frames import (
    BINARY,
    CLOSE,
    CONT,
    DEFLATE,
    PING,
    PONG,
    RSV1,
    RSV2,
    RSV3,
    TEXT,
    Sent,
    close,
    deflated,
    frame,
    frames,
    inflated,
)
from websocket_server import opened

GREETING = "Hello-µ@ßöäüàá-UTF-8!!".encode()
NO_CODE = 1005


@dataclass(frozen=True)
class Case:
    """Frames of a client, and what a server that echoes has to send: messages, pongs, and the code of the close.

    `code` is None when the connection stays open. `is_orderly` when the client has closed it, and broke no rule.
    """

    name: str
    sends: Sequence[bytes]
    echoes: Sequence[tuple[int, bytes]] = ()
    pongs: Sequence[bytes] = ()
    code: int | None = None
    compressed: bool = False
    is_orderly: bool = False


def sizes() -> Iterator[Case]:
    """1: messages of all sizes of the length field."""
    for opcode, size in itertools.product((TEXT, BINARY), (0, 1, 125, 126, 127, 128, 65535, 65536)):
        data = b"*" * size
        yield Case(f"1-{opcode}-{size}", [frame(opcode, data)], [(opcode, data)])
    yield Case("1-mask-of-zeros", [frame(TEXT, b"Hello", mask=bytes(4))], [(TEXT, b"Hello")])
    # RFC 6455, section 5.2, has 63 bits for the length.
    yield Case("1-length-of-64-bits", [b"\x82\xff" + b"\xff" * 8 + bytes(4)], code=1009)


def pings() -> Iterator[Case]:
    """2: pings and pongs."""
    for name, data in (("empty", b""), ("text", b"Hello"), ("binary", b"\x00\xff\xfe\xfd"), ("longest", b"\xfe" * 125)):
        yield Case(f"2-ping-{name}", [frame(PING, data)], pongs=[data])
    yield Case("2-ping-too-long", [frame(PING, b"\xfe" * 126)], code=1002)
    yield Case("2-pong-unsolicited", [frame(PONG), frame(PONG, b"payload"), frame(PING, b"1")], pongs=[b"1"])
    yield Case("2-pong-too-long", [frame(PONG, b"\xfe" * 126)], code=1002)
    payloads = [b"%d" % number for number in range(10)]
    yield Case("2-ten-pings", [frame(PING, each) for each in payloads], pongs=payloads)


def reserved_bits() -> Iterator[Case]:
    """3: reserved bits without an extension."""
    for rsv in range(1, 8):
        for opcode, data in ((TEXT, b"small"), (BINARY, b"small"), (PING, b""), (CLOSE, b"\x03\xe8")):
            sends = [frame(TEXT, b"before"), frame(opcode, data, rsv=rsv), frame(PING, b"after")]
            yield Case(f"3-{opcode}-rsv{rsv}", sends, [(TEXT, b"before")], code=1002)


def opcodes() -> Iterator[Case]:
    """4: opcodes without a meaning."""
    for opcode in (*range(3, 8), *range(11, 16)):
        yield Case(f"4-{opcode}-empty", [frame(opcode)], code=1002)
        yield Case(f"4-{opcode}-payload", [frame(opcode, b"reserved")], code=1002)
        sends = [frame(TEXT, b"before"), frame(opcode, b"x"), frame(TEXT, b"after")]
        yield Case(f"4-{opcode}-between", sends, [(TEXT, b"before")], code=1002)


def fragments() -> Iterator[Case]:
    """5: fragmentation."""
    first, last = frame(TEXT, b"one", fin=False), frame(CONT, b"two")
    whole = [(TEXT, b"onetwo")]
    yield Case("5-ping-in-fragments", [frame(PING, b"x", fin=False), frame(PING, b"y")], code=1002)
    yield Case("5-pong-in-fragments", [frame(PONG, b"x", fin=False), frame(PONG, b"y")], code=1002)
    yield Case("5-close-in-fragments", [frame(CLOSE, b"\x03\xe8", fin=False)], code=1002)
    yield Case("5-two", [first, last], whole)
    yield Case("5-two-binary", [frame(BINARY, b"\xff", fin=False), frame(CONT, b"\xfe")], [(BINARY, b"\xff\xfe")])
    yield Case("5-two-first-empty", [frame(TEXT, fin=False), last], [(TEXT, b"two")])
    yield Case("5-two-last-empty", [first, frame(CONT)], [(TEXT, b"one")])
    yield Case("5-all-empty", [frame(TEXT, fin=False), frame(CONT, fin=False), frame(CONT)], [(TEXT, b"")])
    yield Case("5-ping-between", [first, frame(PING, b"now"), last], whole, pongs=[b"now"])
    yield Case("5-pong-between", [first, frame(PONG, b"now"), last], whole)
    parts = [frame(TEXT, b"0", fin=False), *(frame(CONT, b"%d" % number, fin=False) for number in range(1, 9))]
    sends = [piece for part in parts for piece in (part, frame(PING, b"p"))]
    yield Case("5-ping-between-each", [*sends, frame(CONT, b"9")], [(TEXT, b"0123456789")], pongs=[b"p"] * 9)
    for fin in (False, True):
        yield Case(f"5-continuation-of-nothing-{fin}", [frame(CONT, b"x", fin=fin), frame(TEXT, b"y")], code=1002)
        again = frame(CONT, b"x", fin=fin)
        yield Case(f"5-continuation-after-the-last-{fin}", [first, last, again], whole, code=1002)
        yield Case(f"5-continuation-after-a-message-{fin}", [frame(TEXT, b"x"), again], [(TEXT, b"x")], code=1002)
        for opcode in (TEXT, BINARY):
            yield Case(f"5-message-in-message-{opcode}-{fin}", [first, frame(opcode, b"x", fin=fin)], code=1002)
    ones = [frame(BINARY, b"\x01", fin=False), *[frame(CONT, b"\x01", fin=False)] * 500, frame(CONT, b"\x01")]
    yield Case("5-frames-of-one-byte", ones, [(BINARY, b"\x01" * 502)])
    sends = [first, last, first, frame(PING, b"p"), last, frame(BINARY, b"b")]
    yield Case("5-several-messages", sends, [*whole, *whole, (BINARY, b"b")], pongs=[b"p"])


VALID = {
    "empty": b"",
    "greeting": GREETING,
    "greek": "κόσμε".encode(),
    "nul": b"\x00",
    "two-bytes-least": b"\xc2\x80",
    "two-bytes-most": b"\xdf\xbf",
    "three-bytes-least": b"\xe0\xa0\x80",
    "before-surrogates": b"\xed\x9f\xbf",
    "after-surrogates": b"\xee\x80\x80",
    "replacement": b"\xef\xbf\xbd",
    "noncharacter": b"\xef\xbf\xbf",
    "four-bytes-least": b"\xf0\x90\x80\x80",
    "four-bytes-most": b"\xf4\x8f\xbf\xbf",
    "delete": b"\x7f",
}
INVALID = {
    "continuation-least": b"\x80",
    "continuation-most": b"\xbf",
    "continuations": b"\x80\xbf\x80\xbf",
    "starts-of-two": b"\xc0 \xdf ",
    "starts-of-three": b"\xe0 \xef ",
    "starts-of-four": b"\xf0 \xf7 ",
    "starts-of-five": b"\xf8 \xfb ",
    "starts-of-six": b"\xfc \xfd ",
    "two-incomplete": b"\xc2",
    "three-incomplete": b"\xe1\x80",
    "four-incomplete": b"\xf1\x80\x80",
    "four-with-space": b"\xf1\x80\x80 ",
    "fe": b"\xfe",
    "ff": b"\xff",
    "overlong-slash-2": b"\xc0\xaf",
    "overlong-slash-3": b"\xe0\x80\xaf",
    "overlong-slash-4": b"\xf0\x80\x80\xaf",
    "overlong-slash-5": b"\xf8\x80\x80\x80\xaf",
    "overlong-slash-6": b"\xfc\x80\x80\x80\x80\xaf",
    "overlong-2": b"\xc1\xbf",
    "overlong-3": b"\xe0\x9f\xbf",
    "overlong-4": b"\xf0\x8f\xbf\xbf",
    "overlong-nul": b"\xc0\x80",
    "above-unicode": b"\xf4\x90\x80\x80",
    "five-bytes": b"\xf8\x88\x80\x80\x80",
    "six-bytes": b"\xfc\x84\x80\x80\x80\x80",
    "surrogate-high": b"\xed\xa0\x80",
    "surrogate-low": b"\xed\xbf\xbf",
    "surrogate-pair": b"\xed\xa0\x80\xed\xb0\x80",
}


def utf8() -> Iterator[Case]:
    """6: text is UTF-8, in one frame, and with a character in several."""
    for name, data in VALID.items():
        yield Case(f"6-valid-{name}", [frame(TEXT, data)], [(TEXT, data)])
        parts = [frame(TEXT, fin=False), *(frame(CONT, bytes([byte]), fin=False) for byte in data), frame(CONT)]
        yield Case(f"6-valid-{name}-by-byte", parts, [(TEXT, data)])
    for name, data in INVALID.items():
        yield Case(f"6-invalid-{name}", [frame(TEXT, data), frame(TEXT, b"after")], code=1007)
        parts = [frame(TEXT, b"begin ", fin=False), *(frame(CONT, bytes([byte]), fin=False) for byte in data)]
        yield Case(f"6-invalid-{name}-by-byte", [*parts, frame(CONT)], code=1007)
        yield Case(f"6-binary-{name}", [frame(BINARY, data)], [(BINARY, data)])
    bad = [frame(TEXT, GREETING, fin=False), frame(CONT, b"\xf4\x90", fin=False)]
    # At the frame that shows it; the message is not complete, and nothing else follows.
    yield Case("6-fails-before-the-end", bad, code=1007)
    sends = [frame(TEXT, b"good"), frame(TEXT, b"\xff"), close(1000)]
    yield Case("6-before-a-close", sends, [(TEXT, b"good")], code=1007)


def closes() -> Iterator[Case]:
    """7: the closing handshake."""
    message = [(TEXT, b"Hello")]
    hello = frame(TEXT, b"Hello")
    yield Case("7-empty", [close()], code=NO_CODE, is_orderly=True)
    yield Case("7-after-a-message", [hello, close(1000)], message, code=1000, is_orderly=True)
    yield Case("7-twice", [close(1000), close(1000)], code=1000, is_orderly=True)
    yield Case("7-message-behind", [close(1000), hello], code=1000, is_orderly=True)
    yield Case("7-ping-behind", [close(1000), frame(PING, b"p")], code=1000, is_orderly=True)
    yield Case("7-bad-frame-behind", [close(1000), frame(3)], code=1000, is_orderly=True)
    yield Case("7-in-a-message", [frame(TEXT, b"one", fin=False), close(1000), frame(CONT, b"two")], code=1002)
    yield Case("7-one-byte", [frame(CLOSE, b"\x03")], code=1002)
    yield Case("7-reason", [close(1000, b"bye")], code=1000, is_orderly=True)
    yield Case("7-reason-longest", [close(1000, b"*" * 123)], code=1000, is_orderly=True)
    yield Case("7-reason-too-long", [close(1000, b"*" * 124)], code=1002)
    yield Case("7-reason-not-utf-8", [close(1000, b"\xce\xba\xed\xa0\x80")], code=1007)
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999):
        yield Case(f"7-code-{code}", [close(code)], code=code, is_orderly=True)
    for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535):
        yield Case(f"7-code-{code}-invalid", [close(code)], code=1002)


MOST = 100_000


def limits() -> Iterator[Case]:
    """9: the maximum size of a message, which `test_the_answer_is_that_of_the_case` sets to `MOST`."""
    data = b"*" * MOST
    yield Case("9-largest", [frame(BINARY, data)], [(BINARY, data)])
    # Its head is enough.
    yield Case("9-too-large", [frame(BINARY, data + b"*")[:14]], code=1009)
    half = frame(BINARY, data[: MOST // 2], fin=False)
    yield Case("9-largest-in-fragments", [half, frame(CONT, data[MOST // 2 :])], [(BINARY, data)])
    sends = [half, frame(CONT, data[MOST // 2 :], fin=False), frame(CONT, b"*")]
    yield Case("9-too-large-in-fragments", sends, code=1009)
    yield Case("9-ping-beside-the-largest", [half, frame(PING, b"p")], pongs=[b"p"])


def masks() -> Iterator[Case]:
    """A client has to mask its frames (RFC 6455, section 5.1)."""
    for opcode in (TEXT, BINARY, PING, CLOSE):
        yield Case(f"mask-missing-{opcode}", [frame(opcode, mask=None)], code=1002)


def compression() -> Iterator[Case]:
    """12 and 13: messages that are compressed."""
    for size in (0, 16, 1024, 4096, 65536):
        data = (b"compression " * (size // 12 + 1))[:size]
        sends = [frame(TEXT, deflated(data), rsv=RSV1)]
        yield Case(f"12-{size}", sends, [(TEXT, data)], compressed=True)
        parts = deflated(data)
        first, rest = frame(TEXT, parts[:2], fin=False, rsv=RSV1), frame(CONT, parts[2:])
        yield Case(f"12-{size}-in-fragments", [first, frame(PING), rest], [(TEXT, data)], [b""], compressed=True)
    yield Case("12-not-compressed", [frame(TEXT, b"plain")], [(TEXT, b"plain")], compressed=True)
    several = [b"%d" % number * 100 for number in range(50)]
    sends = [frame(BINARY, deflated(data), rsv=RSV1) for data in several]
    yield Case("12-several", sends, [(BINARY, data) for data in several], compressed=True)
    yield Case("12-not-utf-8", [frame(TEXT, deflated(b"\xff"), rsv=RSV1)], code=1007, compressed=True)
    yield Case("12-garbage", [frame(TEXT, b"\xff\xff\xff\xff", rsv=RSV1)], code=1002, compressed=True)
    yield Case("12-ping", [frame(PING, b"", rsv=RSV1)], code=1002, compressed=True)
    for rsv in (RSV2, RSV3, RSV1 | RSV2):
        yield Case(f"12-rsv{rsv}", [frame(TEXT, deflated(b"x"), rsv=rsv)], code=1002, compressed=True)
    data = deflated(b"one two")
    sends = [frame(TEXT, data[:2], fin=False, rsv=RSV1), frame(CONT, data[2:], rsv=RSV1)]
    yield Case("12-rsv1-in-continuation", sends, code=1002, compressed=True)
    bomb = deflated(bytes(MOST + 1))
    yield Case("12-bomb", [frame(BINARY, bomb, rsv=RSV1)], code=1009, compressed=True)
    sends = [frame(BINARY, bomb[:50], fin=False, rsv=RSV1), frame(CONT, bomb[50:])]
    yield Case("12-bomb-in-fragments", sends, code=1009, compressed=True)


GROUPS = (sizes, pings, reserved_bits, opcodes, fragments, utf8, closes, limits, masks, compression)
CASES = [case for group in GROUPS for case in group()]
SMALL = [case for case in CASES if sum(map(len, case.sends)) < 20_000]


def check(case: Case, pieces: Sequence[bytes]) -> None:
    headers = {"Sec_WebSocket_Extensions": DEFLATE} if case.compressed else {}
    server = opened(Parameters(max_size=MOST), **headers)
    server.receive(*pieces)
    sent = frames(server.sent)
    assert [each.data for each in sent if each.opcode == PONG] == list(case.pongs)
    assert [plain(each) for each in sent if each.opcode in (TEXT, BINARY)] == list(case.echoes)
    assert server.is_closed == (case.code is not None)
    if case.code is not None:
        # The close is the last frame, and the only one.
        assert [each.opcode for each in sent].index(CLOSE) == len(sent) - 1
        assert code_of(sent[-1]) == case.code
        assert server.session.ended == case.is_orderly


def plain(sent: Sent) -> tuple[int, bytes]:
    return sent.opcode, inflated(sent.data) if sent.rsv & RSV1 else sent.data


def code_of(sent: Sent) -> int:
    return int.from_bytes(sent.data[:2], "big") if sent.data else NO_CODE


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_answer_is_that_of_the_case(case: Case) -> None:
    check(case, [b"".join(case.sends)])
    check(case, case.sends)


@pytest.mark.parametrize("case", SMALL, ids=[case.name for case in SMALL])
def test_the_answer_is_the_same_byte_by_byte(case: Case) -> None:
    check(case, [bytes([byte]) for byte in b"".join(case.sends)])
