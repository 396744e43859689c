"""The PROXY header, versions 1 and 2: the addresses of a proxy's client, sent before the client's own bytes.

Nothing here makes a system call. Source: proxy-protocol.txt in the documentation of HAProxy.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

from reactorhost.address import Endpoint, unix_endpoint
from reactorhost.api.proxy_facts import ProxyFacts
from reactorhost.worker.handshake import proxy_tlvs
from reactorhost.worker.handshake.proxy_tlvs import ProxyExtensionError

_TEXT = b"PROXY "
# The specification's longest line of version 1, with its CRLF.
_LONGEST_TEXT = 107
_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_FIXED_BYTES = 16
# The size of `sun_path` (unix(7)); the specification has fixed it for version 2.
_UNIX_PATH = 108

_LOCAL, _PROXIED = 0, 1
_UNSPECIFIED, _IPV4, _IPV6, _UNIX = 0, 1, 2, 3
_STREAM, _DATAGRAM = 1, 2
_ADDRESS_BYTES = {_UNSPECIFIED: 0, _IPV4: 12, _IPV6: 36, _UNIX: 2 * _UNIX_PATH}


class ProxyHeaderError(Exception):
    """The bytes are not a PROXY header; the text continues a sentence about the peer."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """The addresses in a header, and in version 2 what its extensions say.

    All are None when the proxy speaks for itself or does not know the addresses.
    """

    source: Endpoint | None = None
    destination: Endpoint | None = None
    facts: ProxyFacts | None = None


class ProxyHeaderParser:
    """Parses a header that arrives in pieces, without consuming a byte after it.

    Attributes:
        header: the header, once it is complete.
    """

    def __init__(self) -> None:
        self.header: ProxyHeader | None = None
        self._received = bytearray()

    @property
    def begun(self) -> bool:
        """Whether a byte was consumed."""
        return bool(self._received)

    def feed(self, data: bytes) -> int:
        """Consume the bytes that belong to the header, and return their number.

        Raises:
            ProxyHeaderError: the bytes cannot be the beginning of a header.
        """
        before = len(self._received)
        self._received += data
        if _may_begin_with(self._received, _TEXT):
            end = self._read_text()
        elif _may_begin_with(self._received, _SIGNATURE):
            end = self._read_binary()
        else:
            raise ProxyHeaderError("it sent no PROXY header")
        del self._received[end:]
        return end - before

    def _read_text(self) -> int:
        """Return the position of the header's end, or the number of bytes so far if it is incomplete."""
        end = self._received.find(b"\r\n", 0, _LONGEST_TEXT)
        if end < 0:
            if len(self._received) >= _LONGEST_TEXT:
                raise ProxyHeaderError(f"its PROXY header has no end within {_LONGEST_TEXT} bytes")
            return len(self._received)
        self.header = _from_text(bytes(self._received[:end]))
        return end + 2

    def _read_binary(self) -> int:
        if len(self._received) < _FIXED_BYTES:
            return len(self._received)
        command, kind = self._received[12], self._received[13]
        length = int.from_bytes(self._received[14:_FIXED_BYTES])
        needed = _check_fixed(command, kind, length)
        end = _FIXED_BYTES + length
        if len(self._received) < end:
            return len(self._received)
        proxied = command & 0x0F == _PROXIED and kind & 0x0F == _STREAM and kind >> 4 != _UNSPECIFIED
        self.header = _from_block(kind >> 4, bytes(self._received[:end]), needed) if proxied else ProxyHeader()
        return end


def _may_begin_with(received: bytearray, signature: bytes) -> bool:
    return received.startswith(signature[: len(received)])


def _from_text(line: bytes) -> ProxyHeader:
    words = line.split(b" ")
    if words[1] == b"UNKNOWN":
        return ProxyHeader()
    families = {b"TCP4": ipaddress.IPv4Address, b"TCP6": ipaddress.IPv6Address}
    if words[1] not in families or len(words) != 6:
        raise ProxyHeaderError(f"its PROXY header is malformed: {_shown(line)}")
    family = families[words[1]]
    try:
        hosts = [str(family(word.decode("ascii"))) for word in words[2:4]]
        ports = [_port(word) for word in words[4:6]]
    except ValueError as error:
        raise ProxyHeaderError(f"its PROXY header has a wrong address or port: {_shown(line)}") from error
    return ProxyHeader(Endpoint(hosts[0], ports[0]), Endpoint(hosts[1], ports[1]))


def _port(word: bytes) -> int:
    if not (word.isdigit() and len(word) <= 5 and int(word) <= 65535):
        raise ValueError(word)
    return int(word)


def _shown(line: bytes) -> str:
    return ascii(line.decode("latin-1"))


def _check_fixed(command: int, kind: int, length: int) -> int:
    """Return the size of the addresses in bytes.

    Raises:
        ProxyHeaderError: the fixed part is not valid.
    """
    if command >> 4 != 2:
        raise ProxyHeaderError(f"its PROXY header has version {command >> 4}")
    if command & 0x0F not in (_LOCAL, _PROXIED):
        raise ProxyHeaderError(f"its PROXY header has an unknown command {command & 0x0F}")
    # The proxy's own connection, such as a health check: any addresses are to be ignored.
    if command & 0x0F == _LOCAL:
        return 0
    if kind >> 4 not in _ADDRESS_BYTES or kind & 0x0F > _DATAGRAM:
        raise ProxyHeaderError(f"its PROXY header has an unknown kind of address {kind:#04x}")
    needed = _ADDRESS_BYTES[kind >> 4]
    if length < needed:
        raise ProxyHeaderError(f"its PROXY header has {length} bytes, too few for the addresses")
    return needed


def _from_block(family: int, header: bytes, size: int) -> ProxyHeader:
    """Return the addresses, which have `size` bytes, and what the extensions behind them say."""
    behind = _FIXED_BYTES + size
    source, destination = _endpoints(family, header[_FIXED_BYTES:behind])
    try:
        return ProxyHeader(source, destination, proxy_tlvs.facts(header, behind))
    except ProxyExtensionError as error:
        raise ProxyHeaderError(f"its PROXY header has {error}") from None


def _endpoints(family: int, block: bytes) -> tuple[Endpoint, Endpoint]:
    if family == _UNIX:
        return _unix(block[:_UNIX_PATH]), _unix(block[_UNIX_PATH:])
    size = 4 if family == _IPV4 else 16
    source, destination = (str(ipaddress.ip_address(block[at : at + size])) for at in (0, size))
    source_port, destination_port = struct.unpack_from("!HH", block, 2 * size)
    return Endpoint(source, source_port), Endpoint(destination, destination_port)


def _unix(padded: bytes) -> Endpoint:
    # A zero byte ends a path, but an abstract name begins with one (unix(7)).
    return unix_endpoint(padded.rstrip(b"\0") if padded.startswith(b"\0") else padded.partition(b"\0")[0])
