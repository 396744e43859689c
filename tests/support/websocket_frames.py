"""The request and the frames of a WebSocket client, and the frames that a server has sent."""

from __future__ import annotations

import base64
import struct
import zlib
from dataclasses import dataclass

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
RSV1, RSV2, RSV3 = 4, 2, 1
KEY = base64.b64encode(b"sixteen bytes...").decode()
DEFLATE = "permessage-deflate; client_max_window_bits"
_MASK = b"\x37\xfa\x21\x3d"


def frame(opcode: int, data: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bytes | None = _MASK) -> bytes:
    """Return a frame as a client sends it."""
    bit = 0 if mask is None else 0x80
    size = len(data)
    if size < 126:
        length = bytes([bit | size])
    elif size < 65536:
        length = struct.pack("!BH", bit | 126, size)
    else:
        length = struct.pack("!BQ", bit | 127, size)
    head = bytes([fin << 7 | rsv << 4 | opcode]) + length
    return head + data if mask is None else head + mask + masked(data, mask)


def masked(data: bytes, mask: bytes) -> bytes:
    """Return data under a mask of four bytes, or without it."""
    whole = (mask * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(whole, "big")).to_bytes(len(data), "big")


def close(code: int | None = None, reason: bytes = b"") -> bytes:
    """Return a close as a client sends it."""
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


def deflated(data: bytes) -> bytes:
    """Return data as a message of permessage-deflate has it."""
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\x00\x00\xff\xff")


def inflated(data: bytes) -> bytes:
    """Return the content of a message of permessage-deflate."""
    return zlib.decompressobj(wbits=-15).decompress(data + b"\x00\x00\xff\xff")


def request(path: str = "/", *, line: str | None = None, without: str = "", **headers: str) -> bytes:
    """Return the request of a client; the words of the header names are joined by dashes."""
    given = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    usual = {
        "host": "example.org",
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-key": KEY,
        "sec-websocket-version": "13",
    }
    lines = [line or f"GET {path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in (usual | given).items() if name != without]
    return "".join(f"{each}\r\n" for each in [*lines, ""]).encode("latin-1")


@dataclass(frozen=True)
class Sent:
    """A frame that a server has sent."""

    opcode: int
    data: bytes
    rsv: int = 0


def frames(data: bytes) -> list[Sent]:
    """Return the frames in what a server has sent; none is fragmented or masked."""
    found = []
    while data:
        first, size, at = data[0], data[1], 2
        if size == 126:
            size, at = struct.unpack_from("!H", data, 2)[0], 4
        elif size == 127:
            size, at = struct.unpack_from("!Q", data, 2)[0], 10
        assert first & 0x80
        assert size < 126 or at > 2
        assert len(data) >= at + size
        found.append(Sent(first & 15, data[at : at + size], first >> 4 & 7))
        data = data[at + size :]
    return found
