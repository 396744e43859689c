"""Texts for failures of TLS."""

from __future__ import annotations

import ssl

import pytest

from reactorhost.tls import errors


def failure(reason: str | None, text: str = "") -> ssl.SSLError:
    error = ssl.SSLError(1, text)
    error.reason = reason  # type: ignore[assignment]  # OpenSSL gives none for some
    return error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (failure("NO_SHARED_CIPHER"), "it has no cipher in common with this host"),
        (failure("SOMETHING_NEW"), "something new"),
        (failure(None, "plain text"), "plain text"),
    ],
)
def test_a_failure_has_a_text_or_openssls_reason_in_lower_case(error: ssl.SSLError, text: str) -> None:
    assert errors.reason(error) == text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"GET / HTTP/1.1\r\n", "it sent plain HTTP, not TLS"),
        (b"SSH-2.0\r\n", "it sent plain text, not TLS"),
        (b"\x80\x2e", "it sent bytes that are not TLS"),
    ],
)
def test_the_first_bytes_show_what_was_sent_instead_of_tls(data: bytes, text: str) -> None:
    assert errors.not_tls(data) == text
