"""The extensions (TLVs) of a PROXY header of version 2: what a proxy says of its client beside the addresses.

Nothing here makes a system call. Each extension is a type (1 byte), a length (2 bytes) and a value; the value of
PP2_TYPE_SSL contains extensions of its own. Source: section 2.2 of proxy-protocol.txt in the documentation of HAProxy.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NoReturn

from reactorhost.api.proxy_facts import ProxyFacts, ProxyTls

_ALPN, _AUTHORITY, _CRC32C, _NOOP, _UNIQUE_ID, _SSL = 0x01, 0x02, 0x03, 0x04, 0x05, 0x20
_SSL_VERSION, _SSL_CN, _SSL_CIPHER = 0x21, 0x22, 0x23

# PP2_CLIENT_SSL, and PP2_CLIENT_CERT_CONN or PP2_CLIENT_CERT_SESS.
_USES_TLS = 0x01
_HAS_CERTIFICATE = 0x02 | 0x04

_LONGEST_UNIQUE_ID = 128
_LENGTH = struct.Struct("!BH")
_CHECKSUM = struct.Struct("!I")
# The flags above, and 0 if the certificate was verified.
_SSL_HEAD = struct.Struct("!BI")
# Castagnoli's polynomial, reflected (RFC 3720, appendix B.4).
_POLYNOMIAL = 0x82F63B78

_NO_FACTS = ProxyFacts(values=MappingProxyType({}))


class ProxyExtensionError(Exception):
    """The extensions of a header are malformed; the text continues a sentence about the header."""


def facts(header: bytes, start: int) -> ProxyFacts:
    """Return what the extensions of a whole header say, which begin at `start`.

    Raises:
        ProxyExtensionError: one is malformed, or the checksum is wrong.
    """
    if start == len(header):
        # One object for all the connections whose header has no extension.
        return _NO_FACTS
    values = {}
    for kind, at, value in _extensions(header, start):
        if kind == _CRC32C:
            _verify_checksum(header, at, value)
        if kind != _NOOP:
            values[kind] = value
    unique_id = values.get(_UNIQUE_ID)
    if unique_id is not None and len(unique_id) > _LONGEST_UNIQUE_ID:
        _wrong_size(_UNIQUE_ID, unique_id)
    return ProxyFacts(
        alpn=_text(values, _ALPN),
        authority=_text(values, _AUTHORITY),
        unique_id=unique_id,
        tls=_tls(values.get(_SSL)),
        values=MappingProxyType(values),
    )


def _extensions(data: bytes, start: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield type, position of the value, and value of each extension."""
    while start < len(data):
        end = at = start + _LENGTH.size
        if at <= len(data):
            kind, size = _LENGTH.unpack_from(data, start)
            end = at + size
        if end > len(data):
            raise ProxyExtensionError("an extension that is cut off")
        yield kind, at, data[at:end]
        start = end


def _text(values: Mapping[int, bytes], kind: int) -> str | None:
    # Not refused: the name in a certificate may have another encoding.
    return values[kind].decode(errors="backslashreplace") if kind in values else None


def _tls(value: bytes | None) -> ProxyTls | None:
    if value is None:
        return None
    if len(value) < _SSL_HEAD.size:
        _wrong_size(_SSL, value)
    client, unverified = _SSL_HEAD.unpack_from(value)
    if not client & _USES_TLS:
        return None
    values = {kind: each for kind, _, each in _extensions(value, _SSL_HEAD.size)}
    return ProxyTls(
        version=_text(values, _SSL_VERSION),
        cipher=_text(values, _SSL_CIPHER),
        verified=bool(client & _HAS_CERTIFICATE) and not unverified,
        common_name=_text(values, _SSL_CN),
        values=MappingProxyType(values),
    )


def _wrong_size(kind: int, value: bytes) -> NoReturn:
    raise ProxyExtensionError(f"an extension {kind:#04x} of {len(value)} bytes")


def _verify_checksum(header: bytes, at: int, value: bytes) -> None:
    if len(value) != _CHECKSUM.size:
        _wrong_size(_CRC32C, value)
    # It is computed with its own value as zeros.
    zeroed = header[:at] + bytes(_CHECKSUM.size) + header[at + _CHECKSUM.size :]
    if crc32c(zeroed) != _CHECKSUM.unpack(value)[0]:
        raise ProxyExtensionError("a wrong checksum")


def crc32c(data: bytes) -> int:
    """Return the checksum of RFC 3720; that of `zlib` has another polynomial."""
    table, checksum = _table(), 0xFFFF_FFFF
    for byte in data:
        checksum = checksum >> 8 ^ table[(checksum ^ byte) & 0xFF]
    return checksum ^ 0xFFFF_FFFF


@functools.cache
def _table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)  # noqa: PLW2901  shifted bit by bit
        table.append(value)
    return tuple(table)
