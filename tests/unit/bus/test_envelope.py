"""Envelopes of what a backend carries."""

from __future__ import annotations

import pytest

from reactorhost.bus.envelope import Envelope, EnvelopeError, EnvelopeFlags, is_from, opened, sealed
from reactorhost.bus.refs import Origin

HOST, WORKER = b"h" * 8, b"w" * 8


def envelope(flags: EnvelopeFlags = EnvelopeFlags.BEGINS, data: bytes = b"data") -> Envelope:
    return Envelope(HOST, WORKER, flags, 2**63, 7, data)


@pytest.mark.parametrize("flags", [0, 1, 2, 3])
@pytest.mark.parametrize("data", [b"", b"\0" * 100])
def test_what_is_sealed_is_opened(flags: int, data: bytes) -> None:
    sent = envelope(EnvelopeFlags(flags), data)
    found = opened(sealed(sent))
    assert found == sent
    assert (found.origin, found.begins, found.is_notice) == (Origin(HOST, WORKER), flags in (1, 3), flags in (2, 3))


def test_the_host_is_read_without_opening() -> None:
    payload = sealed(envelope())
    assert is_from(HOST, payload)
    assert not is_from(WORKER, payload)
    # Also of a version that is not known here.
    assert is_from(HOST, b"\xff" + payload[1:])
    assert not is_from(HOST, b"")


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\x02" + sealed(envelope())[1:], "version 2 of the bus"),
        (b"\x63", "version 99 of the bus"),
        (b"", "too short"),
        (sealed(envelope(data=b""))[:-1], "too short"),
        (sealed(envelope())[:17] + b"\x04" + sealed(envelope())[18:], "unknown flag"),
    ],
)
def test_anything_else_is_refused_with_a_reason(payload: bytes, reason: str) -> None:
    with pytest.raises(EnvelopeError, match=reason):
        opened(payload)
