"""A fake dialer: every connect succeeds at once, except to the addresses that a test refuses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from reactorhost.testing.fakes import FakeSocket
from reactorhost.tls.facts import TlsFacts
from reactorhost.worker.outbound.dialer import Connected, Dial, FarEnd
from reactorhost.worker.stream.transport import StreamTransport

Reached = Callable[[FakeSocket, Callable[[], StreamTransport]], StreamTransport]
"""Called with a fake socket and with the function that makes its transport, whose result it returns."""


class FakeDialer:
    """Connects fake sockets; `refused` holds the reasons by address."""

    def __init__(self, reached: Reached, refused: Mapping[str, str]) -> None:
        self._reached = reached
        self._refused = refused

    def dial(self, far_end: FarEnd, connected: Connected, failed: Callable[[str], object]) -> Dial:
        """Return an attempt that begins with its `start()`."""
        return _FakeDial(self._reached, self._refused.get(str(far_end.address)), far_end, connected, failed)


class _FakeDial:
    step = "no answer"

    def __init__(
        self,
        reached: Reached,
        refusal: str | None,
        far_end: FarEnd,
        connected: Connected,
        failed: Callable[[str], object],
    ) -> None:
        self._reached = reached
        self._refusal = refusal
        self._far_end = far_end
        self._connected = connected
        self._failed = failed

    def start(self) -> None:
        if self._refusal is not None:
            self._failed(self._refusal)
            return
        address, sock = self._far_end.address, FakeSocket()
        peer = address.path if address.scheme == "unix" else (address.host, address.port)
        facts = None
        if address.scheme == "tls":
            name = self._far_end.server_name or address.host
            facts = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", None, name, None)
        self._reached(sock, lambda: self._connected(cast("Any", sock), peer, facts))

    def cancel(self) -> None:
        """Do nothing: the attempt ended within `start()`."""
