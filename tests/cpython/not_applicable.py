"""The tests of CPython's own suite that are not run on the transports of the adapter, and why."""

from __future__ import annotations

_KEPT = "a protocol is kept until the client's end too, for `close` hooks; the test looks at it before that"
_LINGERS = "a transport of the host that is closed reads on, so its peer is not reset and sends all of its file"
_QUEUED = "the host queues the file among what is written, so nothing has to be locked and nothing can be missing"
_REPEATED = "the same tests with another selector of the loop, which has only the reactor's descriptor to watch"
_MOCKED = "the socket is a mock, which cannot be registered with epoll"

NOT_APPLICABLE = {
    "PollEventLoopTests": _REPEATED,
    "SelectEventLoopTests": _REPEATED,
    "test_add_reader_or_writer_transport_fd": "the loop does not know descriptors that the reactor watches",
    "test_create_connection_ip_addr": _MOCKED,
    "test_create_connection_ipv6_scope": _MOCKED,
    "test_create_connection_memory_leak": _KEPT,
    "test_create_connection_no_inet_pton": _MOCKED,
    "test_create_connection_service_name": _MOCKED,
    "test_handshake_timeout": _KEPT,
    "test_handshake_timeout_handler_leak": _KEPT,
    "test_sendfile_close_peer_in_the_middle_of_receiving": _LINGERS,
    "test_sendfile_fallback_close_peer_in_the_middle_of_receiving": _LINGERS,
    "test_sendfile_force_unsupported_native": _QUEUED,
    "test_sendfile_prevents_bare_write": _QUEUED,
    "test_start_tls_slow_client_cancel": "a handshake that is cancelled ends in a reset here",
}
"""Names of test methods and classes, and the reason."""
