"""A fake dialer: every connect succeeds at once, except to the addresses that a test refuses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from reactorhost.testing.fake_tls import FakeTlsRole, fake_facts
from reactorhost.testing.fakes import FakeSocket, FakeUdpSocket
from reactorhost.tls.role import TlsRole
from reactorhost.worker.outbound.dialer import Connected, Dial, FarEnd
from reactorhost.worker.stream.transport import StreamTransport
from reactorhost.worker.udp.connected import ConnectedTransport

Reached = Callable[[FakeSocket, Callable[[], StreamTransport | ConnectedTransport]], object]
"""Called with a fake socket and with the function that makes its transport."""


@dataclass(slots=True, eq=False, repr=False)
class FakeDialer:
    """Connects fake sockets; `refused` holds the reasons by address."""

    reached: Reached
    refused: Mapping[str, str]

    def dial(self, far_end: FarEnd, connected: Connected, failed: Callable[[str], object]) -> Dial:
        """Return an attempt that begins with its `start()`."""
        return _FakeDial(self.reached, self.refused.get(str(far_end.address)), far_end, connected, failed)

    def tls_role(self, far_end: FarEnd) -> TlsRole:
        """Return the client's side, without encryption."""
        return FakeTlsRole(far_end.certificate_name)


@dataclass(slots=True, eq=False, repr=False)
class _FakeDial:
    step = "no answer"

    reached: Reached
    refusal: str | None
    far_end: FarEnd
    connected: Connected
    failed: Callable[[str], object]

    def start(self) -> None:
        if self.refusal is not None:
            self.failed(self.refusal)
            return
        address = self.far_end.address
        sock = FakeUdpSocket() if address.scheme == "udp" else FakeSocket()
        peer = address.unix_name if address.scheme == "unix" else (address.host, address.port)
        facts = fake_facts(self.far_end.certificate_name) if address.scheme == "tls" else None
        self.reached(sock, lambda: self.connected(cast("Any", sock), peer, facts))

    def cancel(self) -> None:
        """Do nothing: the attempt ended within `start()`."""
