"""Reasons of TLS failures as texts for the log."""

from __future__ import annotations

import ssl

_HTTP = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"CONNECT ", b"TRACE ", b"HTTP/")

_NO_VERSION = "it supports no enabled TLS version (1.2 or later)"
_REASONS = {
    "NO_SHARED_CIPHER": "it has no cipher in common with this host",
    "NO_SUITABLE_SIGNATURE_ALGORITHM": "it supports no signature algorithm that fits the certificate",
    "NO_SUITABLE_KEY_SHARE": "it has no key exchange in common with this host",
    "UNSUPPORTED_PROTOCOL": _NO_VERSION,
    "VERSION_TOO_LOW": _NO_VERSION,
    "WRONG_SSL_VERSION": _NO_VERSION,
    "INAPPROPRIATE_FALLBACK": "it fell back to an older TLS version than it has in common with this host",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it presented no certificate, which is required",
    "TLSV1_ALERT_PROTOCOL_VERSION": "it accepts no enabled TLS version (1.2 or later)",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not trust the authority of our certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it does not accept our certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "it reports that our certificate has expired",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "it does not accept our certificate",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "it cannot use our certificate",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "it aborted the handshake",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it requires a certificate of ours",
    "DECRYPTION_FAILED_OR_BAD_RECORD_MAC": "a record was damaged or forged in transit",
    "SSLV3_ALERT_BAD_RECORD_MAC": "it reports that a record was damaged or forged in transit",
    "WRONG_VERSION_NUMBER": "it sent bytes that are not TLS",
}


def reason(error: ssl.SSLError) -> str:
    """Return why TLS with a peer failed, to continue a sentence about the peer."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    name: str | None = error.reason
    if name is None:
        return str(error.strerror or error)
    return _REASONS.get(name, name.replace("_", " ").lower())


def not_tls(data: bytes) -> str:
    """Return what a peer sent instead of TLS, by its first bytes."""
    if data.startswith(_HTTP):
        return "it sent plain HTTP, not TLS"
    if data.isascii() and all(byte >= 32 or byte in b"\t\r\n" for byte in data):
        return "it sent plain text, not TLS"
    return "it sent bytes that are not TLS"
