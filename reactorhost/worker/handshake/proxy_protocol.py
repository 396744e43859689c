"""The PROXY header: what a proxy says of its client before the client's own bytes. Versions 1 and 2.

Nothing here makes a system call. A checksum among the extensions of version 2 is not looked at, as nothing of them is:
what a proxy that is trusted sends over TCP has a checksum already.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

from reactorhost.address import Endpoint

_TEXT = b"PROXY "
_LONGEST_TEXT = 107
_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_FIXED_BYTES = 16
_UNIX_PATH = 108

_LOCAL, _PROXIED = 0, 1
_UNSPECIFIED, _IPV4, _IPV6, _UNIX = 0, 1, 2, 3
_STREAM, _DATAGRAM = 1, 2
_ADDRESS_BYTES = {_UNSPECIFIED: 0, _IPV4: 12, _IPV6: 36, _UNIX: 2 * _UNIX_PATH}


class ProxyHeaderError(Exception):
    """The bytes are not a PROXY header."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """What a header says; both ends are None when the proxy speaks for itself, or does not know them."""

    source: Endpoint | None = None
    destination: Endpoint | None = None


class ProxyHeaderParser:
    """Takes bytes as they come, and not one more than the header has.

    Attributes:
        header: what it says, once it is complete.
        begun: whether anything came.
    """

    def __init__(self) -> None:
        self.header: ProxyHeader | None = None
        self._taken = bytearray()

    @property
    def begun(self) -> bool:
        """Whether anything came."""
        return bool(self._taken)

    def feed(self, data: bytes) -> int:
        """Take what of these bytes belongs to the header, and return how many they are.

        Raises:
            ProxyHeaderError: they cannot become a header.
        """
        before = len(self._taken)
        self._taken += data
        if _agree(self._taken, _TEXT):
            end = self._read_text()
        elif _agree(self._taken, _SIGNATURE):
            end = self._read_binary()
        else:
            raise ProxyHeaderError("what it sent is no PROXY header")
        del self._taken[end:]
        return end - before

    def _read_text(self) -> int:
        """Return where the header ends in what came so far, or where that ends."""
        end = self._taken.find(b"\r\n", 0, _LONGEST_TEXT)
        if end < 0:
            if len(self._taken) >= _LONGEST_TEXT:
                raise ProxyHeaderError(f"its PROXY header has no end within {_LONGEST_TEXT} bytes")
            return len(self._taken)
        self.header = _of_text(bytes(self._taken[:end]))
        return end + 2

    def _read_binary(self) -> int:
        if len(self._taken) < _FIXED_BYTES:
            return len(self._taken)
        command, kind = self._taken[12], self._taken[13]
        length = int.from_bytes(self._taken[14:_FIXED_BYTES])
        needed = _check_fixed(command, kind, length)
        end = _FIXED_BYTES + length
        if len(self._taken) < end:
            return len(self._taken)
        block = bytes(self._taken[_FIXED_BYTES : _FIXED_BYTES + needed])
        proxied = command & 0x0F == _PROXIED and kind & 0x0F == _STREAM
        self.header = _of_block(kind >> 4, block) if proxied else ProxyHeader()
        return end


def _agree(taken: bytearray, mark: bytes) -> bool:
    return taken.startswith(mark[: len(taken)])


def _of_text(line: bytes) -> ProxyHeader:
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
    """Return how many bytes the addresses have."""
    if command >> 4 != 2:
        raise ProxyHeaderError(f"its PROXY header has version {command >> 4}")
    if command & 0x0F not in (_LOCAL, _PROXIED):
        raise ProxyHeaderError(f"its PROXY header has an unknown command {command & 0x0F}")
    if command & 0x0F == _LOCAL:
        return 0
    if kind >> 4 not in _ADDRESS_BYTES or kind & 0x0F > _DATAGRAM:
        raise ProxyHeaderError(f"its PROXY header has an unknown kind of address {kind:#04x}")
    needed = _ADDRESS_BYTES[kind >> 4]
    if length < needed:
        raise ProxyHeaderError(f"its PROXY header says {length} bytes, too few for the addresses")
    return needed


def _of_block(family: int, block: bytes) -> ProxyHeader:
    if family == _UNSPECIFIED:
        return ProxyHeader()
    if family == _UNIX:
        return ProxyHeader(_unix(block[:_UNIX_PATH]), _unix(block[_UNIX_PATH:]))
    size = 4 if family == _IPV4 else 16
    source, destination = (str(ipaddress.ip_address(block[at : at + size])) for at in (0, size))
    source_port, destination_port = struct.unpack_from("!HH", block, 2 * size)
    return ProxyHeader(Endpoint(source, source_port), Endpoint(destination, destination_port))


def _unix(padded: bytes) -> Endpoint:
    # A name of the abstract kind begins with the byte that ends the others.
    path = padded.rstrip(b"\0") if padded.startswith(b"\0") else padded.partition(b"\0")[0]
    return Endpoint(f"unix:{path.decode(errors='backslashreplace')}" if path else "unix", 0)
