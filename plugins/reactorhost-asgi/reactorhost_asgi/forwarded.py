"""Client and scheme of a request as a proxy has seen them, from the headers of listed proxies only."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware, _TrustedHosts

from reactorhost import SetupError
from reactorhost_asgi.application import Application

UNIX = "unix"
"""Stands for the clients of a unix socket, which have no address."""


class _TrustedProxies(_TrustedHosts):
    def __contains__(self, host: str | None) -> bool:
        return super().__contains__(host or UNIX)


def wrong_proxies(proxies: Sequence[object]) -> Iterator[SetupError]:
    """Yield what is wrong with the names of proxies; uvicorn accepts any text, and then trusts nothing.

    Each is an address, a network or `unix`, or a `*` is alone.
    """
    for proxy in proxies:
        if proxy == UNIX or (proxy == "*" and len(proxies) == 1):
            continue
        try:
            ipaddress.ip_network(str(proxy))
        except ValueError:
            known = "addresses, networks such as 10.0.0.0/8, and unix; or * alone"
            yield SetupError(f"it must have {known}, not {proxy!r}", option="forwarded_allow_ips")


def forwarded(application: Application, proxies: Sequence[str]) -> Application:
    """Return an application that sees the client behind a proxy, when its peer is one of these.

    Source: X-Forwarded-For and X-Forwarded-Proto have no standard; as uvicorn reads them.
    """
    middleware = ProxyHeadersMiddleware(application)
    middleware.trusted_hosts = _TrustedProxies(list(proxies))
    return middleware


def forwarding(proxies: Sequence[str]) -> Callable[[Any], None]:
    """Return a function that changes the scope of a request as `forwarded` does."""
    middleware = forwarded(_nothing, proxies)

    def apply(scope: Any) -> None:
        # It waits for nothing before the application, which ends at once.
        try:
            middleware(scope, None, None).send(None)
        except StopIteration:
            return

    return apply


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    pass
