"""`loop.start_tls` for the adapter's transports, and where the methods of a loop that take a transport are replaced.

asyncio's own would lay a TLS protocol over the transport, and uvloop's accepts no transport but its own. Here the host
makes the handshake, so that `connection.tls` has the facts, and the transport stays the same: it may be used further,
where asyncio forbids it.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, NoReturn

from reactorhost.api.connection import refuse_session
from reactorhost.tls.role import ClientRole, ServerRole
from reactorhost.worker.adapter import file_sending
from reactorhost.worker.adapter.transport import AsyncioTransport
from reactorhost.worker.stream import starttls


def accept_own_transports(loop: asyncio.AbstractEventLoop) -> None:
    """Let `start_tls` and `sendfile` of a loop accept transports of the adapter too."""
    of_loop = loop.start_tls
    sendfile_of_loop = loop.sendfile

    async def start_tls(transport: Any, protocol: Any, sslcontext: Any, **options: Any) -> Any:
        if not isinstance(transport, AsyncioTransport):
            return await of_loop(transport, protocol, sslcontext, **options)
        if transport.stream.connection.tls is not None:
            # TLS within TLS. That of asyncio, on uvloop too.
            return await asyncio.BaseEventLoop.start_tls(loop, transport, protocol, sslcontext, **options)  # type: ignore[arg-type]
        return await _start_tls(transport, protocol, sslcontext, **options)

    async def sendfile(transport: Any, file: Any, *args: Any, **options: Any) -> int:
        if not isinstance(transport, AsyncioTransport):
            return await sendfile_of_loop(transport, file, *args, **options)
        return await file_sending.sendfile(loop, transport, file, *args, **options)

    # On the object: see `aio.event_loop.call_after_signal_changes`.
    loop.start_tls = start_tls  # type: ignore[method-assign]
    loop.sendfile = sendfile  # type: ignore[method-assign]


async def _start_tls(
    transport: AsyncioTransport,
    protocol: Any,
    sslcontext: Any,
    *,
    server_side: bool = False,
    server_hostname: str | None = None,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
) -> AsyncioTransport:
    """See `loop.start_tls` of asyncio. The host's `handshake_timeout` and `close_timeout` hold too."""
    if not isinstance(sslcontext, ssl.SSLContext):
        raise TypeError(f"sslcontext is expected to be an instance of ssl.SSLContext, got {sslcontext!r}")
    role = ServerRole() if server_side else ClientRole("", _no_default)
    name = None if server_side else server_hostname
    refuse_session("start_tls", transport.stream)
    started = starttls.start(transport.stream, sslcontext, name, None, role)
    transport.set_protocol(protocol)
    # As asyncio does.
    transport.resume_reading()
    try:
        async with asyncio.timeout(ssl_handshake_timeout):
            await started
    except TimeoutError:
        what = f"SSL handshake is taking longer than {ssl_handshake_timeout} seconds: aborting the connection"
        transport.error = ConnectionAbortedError(what)
        transport.abort()
        raise transport.error from None
    except asyncio.CancelledError:
        # `close` would wait for the handshake.
        transport.abort()
        raise
    except BaseException:
        transport.close()
        raise
    return transport


def _no_default() -> NoReturn:
    raise AssertionError("a context was passed")
