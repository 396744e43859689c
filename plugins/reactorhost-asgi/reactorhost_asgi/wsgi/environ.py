"""Make the environment of a WSGI request of an ASGI scope. Source: PEP 3333, and CGI as in RFC 3875."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import IO, Any
from urllib.parse import unquote_to_bytes

from reactorhost_asgi.wsgi.file_wrapper import FileWrapper


def environ_of(scope: Mapping[str, Any], body: IO[bytes], body_bytes: int) -> dict[str, Any]:
    """Return the environment of a request whose body has arrived."""
    root: bytes = scope["root_path"].encode()
    raw_path: bytes = scope["raw_path"]
    path = unquote_to_bytes(raw_path) if b"%" in raw_path else raw_path
    server = scope["server"] or ("localhost", 80)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": root.decode("latin-1"),
        "PATH_INFO": path.removeprefix(root).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "REQUEST_URI": _uri(raw_path, scope["query_string"]),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": server[0],
        # A unix socket has no port.
        "SERVER_PORT": str(server[1] or 0),
        "CONTENT_TYPE": "",
        # Of what can be read, as RFC 3875 has it: a body in chunks has no header for that.
        "CONTENT_LENGTH": str(body_bytes) if body_bytes else "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": body,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
    }
    client = scope["client"]
    if client is not None:
        environ["REMOTE_ADDR"], port = client
        environ["REMOTE_PORT"] = str(port)
    _add_headers(environ, scope["headers"])
    return environ


def _add_headers(environ: dict[str, Any], headers: Iterable[tuple[bytes, bytes]]) -> None:
    for name, value in headers:
        key = _key(name)
        if key is None:
            continue
        text = value.decode("latin-1")
        if key in environ and key != "CONTENT_TYPE":
            text = f"{environ[key]}{';' if key == 'HTTP_COOKIE' else ','} {text}"
        environ[key] = text


@lru_cache(256)
def _key(name: bytes) -> str | None:
    """Return the key of a header, or None for one that is not passed on."""
    # With an underscore it would pass for the header with a dash, which a proxy may have removed or set.
    # HTTP_PROXY is a setting of HTTP clients (CVE-2016-5385).
    if name in (b"content-length", b"proxy") or b"_" in name:
        return None
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key == "CONTENT_TYPE" else f"HTTP_{key}"


def _uri(raw_path: bytes, query: bytes) -> str:
    return (raw_path + b"?" + query if query else raw_path).decode("latin-1")
