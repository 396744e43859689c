"""The options of `[plugin.asgi]`, checked."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from reactorhost import Option, SetupError
from reactorhost_asgi.forwarded import wrong_proxies

OPTIONS = (
    Option("app", help="the application, as package.module:name"),
    Option("app_dir", default=".", help="folder from which the application is imported"),
    Option("factory", bool, default=False, help="whether the name is that of a function that returns the application"),
    Option(
        "interface",
        default="auto",
        choices=("auto", "asgi3", "asgi2", "wsgi"),
        help="interface of the application; auto: by its arguments",
    ),
    Option(
        "lifespan",
        default="auto",
        choices=("auto", "on", "off"),
        help="whether an ASGI application is started and stopped; auto: if it can",
    ),
    Option("root_path", default="", help="path under which a proxy serves the application"),
    Option("forwarded_allow_ips", list, default=[], help="proxies whose X-Forwarded headers are used; unix; * for all"),
    Option("header_timeout", float, default=20.0, help="seconds in which line and headers of a request must arrive"),
    Option("body_timeout", float, default=60.0, help="seconds in which each 16 KiB of a request body must arrive"),
    Option("request_timeout", float, default=0.0, help="seconds until the application begins its answer; 0 for any"),
    Option("keep_alive", float, default=75.0, help="seconds without a request after which a connection is closed"),
    Option("max_header", int, default=65_536, help="bytes of the line and the headers of a request"),
    Option("max_body", int, default=0, help="bytes of the body of a request; 0 for any"),
    Option("max_requests", int, default=0, help="requests that run at once in a worker; 0 for any"),
    Option("ws_max_size", int, default=16 << 20, help="bytes of a WebSocket message"),
    Option("ws_ping_interval", float, default=20.0, help="seconds between pings of WebSocket clients; 0 for none"),
    Option("ws_ping_timeout", float, default=20.0, help="seconds in which a client must answer a ping"),
    Option("ws_compression", bool, default=True, help="whether WebSocket messages may be compressed"),
    Option("access_log", default="off", help="off, log (the host's log), - (standard output), or an absolute path"),
    Option(
        "access_log_format", default="combined", choices=("common", "combined", "json"), help="format of the access log"
    ),
    Option("server_header", default="reactorhost", help="value of the header Server; empty for none"),
    Option("date_header", bool, default=True, help="whether answers have the header Date"),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The values of the options; see `OPTIONS`."""

    app: str
    app_dir: str
    factory: bool
    interface: str
    lifespan: str
    root_path: str
    forwarded_allow_ips: list[str]
    header_timeout: float
    body_timeout: float
    request_timeout: float
    keep_alive: float
    max_header: int
    max_body: int
    max_requests: int
    ws_max_size: int
    ws_ping_interval: float
    ws_ping_timeout: float
    ws_compression: bool
    access_log: str
    access_log_format: str
    server_header: str
    date_header: bool

    @classmethod
    def checked(cls, config: Mapping[str, Any]) -> Settings:
        """Return the settings of a plugin's table.

        Raises:
            ExceptionGroup: of a `SetupError` for each option with an invalid value.
        """
        settings = cls(**{each.name: config[each.name] for each in fields(cls)})
        problems = list(settings._problems())
        if problems:
            raise ExceptionGroup("options", problems)
        return settings

    def _problems(self) -> Iterator[SetupError]:
        module, colon, name = self.app.partition(":")
        if not (colon and _is_dotted(module) and _is_dotted(name)):
            yield SetupError(f"it must have the form package.module:name, not {self.app!r}", option="app")
        for option in ("header_timeout", "body_timeout", "keep_alive", "ws_max_size", "max_header", "ws_ping_timeout"):
            if getattr(self, option) <= 0:
                yield SetupError(f"it must be above 0, not {getattr(self, option)}", option=option)
        for option in ("request_timeout", "max_body", "max_requests", "ws_ping_interval"):
            if getattr(self, option) < 0:
                yield SetupError(f"it must not be negative, as {getattr(self, option)} is", option=option)
        yield from wrong_proxies(self.forwarded_allow_ips)
        if self.root_path and (not self.root_path.startswith("/") or self.root_path.endswith("/")):
            yield SetupError(
                f"it must begin with a / and not end with one, as in /shop, not {self.root_path!r}", option="root_path"
            )
        if not self.root_path.isascii():
            yield SetupError(
                f"it must be ASCII, with other characters as %XX, not {self.root_path!r}", option="root_path"
            )
        if self.access_log not in ("off", "log", "-") and not os.path.isabs(self.access_log):
            yield SetupError(
                f"it must be off, log, - or an absolute path, not {self.access_log!r}", option="access_log"
            )
        if not (self.server_header.isascii() and self.server_header.isprintable()) and self.server_header:
            yield SetupError("it must be printable ASCII", option="server_header")


def _is_dotted(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))
