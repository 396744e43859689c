"""The bytes of an answer that is complete with its first part, which most are."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from uvicorn.protocols.http.httptools_impl import HEADER_RE, HEADER_VALUE_RE, STATUS_LINE

# They decide how the answer ends, or whether the connection does.
_UNUSUAL = frozenset((b"connection", b"transfer-encoding"))
_BODYLESS = (204, 304)


def head_of(
    status: int,
    headers: Iterable[tuple[bytes, bytes]],
    default_head: bytes,
    body: bytes,
    *,
    is_head: bool,
    keep_alive: bool,
) -> bytes | None:
    """Return the status line and all headers; None if there is anything unusual, which uvicorn's code is for."""
    if not 200 <= status < 600:
        return None
    content = [STATUS_LINE[status], default_head]
    size = -1
    for name, value in headers:
        written = _name(name)
        if written is None or HEADER_VALUE_RE.search(value):
            return None
        if written == b"content-length: ":
            if size >= 0:
                return None
            size = int(value)
        content += (written, value, b"\r\n")
    has_body = not is_head and status not in _BODYLESS
    if (size != len(body)) if has_body else (body and not is_head):
        return None
    content.append(b"\r\n" if keep_alive else b"connection: close\r\n\r\n")
    return b"".join(content)


@lru_cache(256)
def _name(name: bytes) -> bytes | None:
    name = name.lower()
    return None if HEADER_RE.search(name) or name in _UNUSUAL else name + b": "
