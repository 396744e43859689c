"""The headers of an answer that say where its body ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Header = tuple[bytes, bytes]


def without_framing(headers: Iterable[Header]) -> Sequence[Header]:
    """Return the headers of an application without Transfer-Encoding: the server decides on chunks.

    Raises:
        RuntimeError: a client could read them in two ways, or not at all.
    """
    listed = headers if isinstance(headers, list | tuple) else list(headers)
    names = [name.lower() for name, _ in listed]
    if names.count(b"content-length") > 1:
        raise RuntimeError("an answer has more than one Content-Length")
    if b"transfer-encoding" not in names:
        return listed
    for name, (_, value) in zip(names, listed, strict=True):
        if name == b"transfer-encoding" and value.lower() != b"chunked":
            raise RuntimeError(f"an answer has the Transfer-Encoding {value!r}, which is not implemented")
    return [header for name, header in zip(names, listed, strict=True) if name != b"transfer-encoding"]
