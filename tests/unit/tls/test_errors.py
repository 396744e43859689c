"""What OpenSSL says when TLS fails, in plain words."""

from __future__ import annotations

import ssl

import pytest

from reactorhost.tls import errors


def failure(reason: str | None, text: str = "") -> ssl.SSLError:
    error = ssl.SSLError(1, text)
    error.reason = reason  # type: ignore[assignment]  # OpenSSL gives none for some
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (failure("NO_SHARED_CIPHER"), "it has no cipher in common with this host"),
        (failure("SOMETHING_NEW"), "something new"),
        (failure(None, "plain text"), "plain text"),
    ],
)
def test_a_failure_is_told_in_plain_words_or_at_least_in_small_letters(error: ssl.SSLError, words: str) -> None:
    assert errors.words(error) == words


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"GET / HTTP/1.1\r\n", "it sent plain HTTP, not TLS"),
        (b"SSH-2.0\r\n", "it sent plain text, not TLS"),
        (b"\x80\x2e", "what it sent is not TLS"),
    ],
)
def test_what_is_no_tls_is_told_by_its_first_bytes(data: bytes, words: str) -> None:
    assert errors.not_tls(data) == words
