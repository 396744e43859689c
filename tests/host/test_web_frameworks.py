"""Sites on the frameworks that people use, served as they are: hello, an upload, a stream, a file, a WebSocket."""

from __future__ import annotations

import http.client
import importlib.util
import os
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.sync.client import connect

from clients import http_client
from reactorhost.testing import DEADLINE_SECONDS, LiveHost

APPS = Path(__file__).parent / "support" / "web_apps"
FRAMEWORKS = {
    "starlette": "starlette_site:app",
    "fastapi": "fastapi_site:app",
    "flask": "flask_site:app",
    "django": "django_site:wsgi",
    "django with asgi": "django_site:asgi",
}
UPLOAD_BYTES = 3_000_000


@pytest.fixture(params=FRAMEWORKS)
def site(request: pytest.FixtureRequest, live_host: Callable[..., LiveHost]) -> LiveHost:
    """Return a host that serves a site."""
    framework = request.param.split()[0]
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    settings = (f"asgi.app={FRAMEWORKS[request.param]}", f"asgi.app_dir={APPS}")
    return live_host("--plugin", "asgi", "--workers", "1", *(word for each in settings for word in ("--set", each)))


def requested(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None, **headers: str
) -> bytes:
    """Return the body of an answer with status 200."""
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    text = response.read()
    assert response.status == 200, text
    return text


def test_a_site_serves_everything_over_one_connection(
    site: LiveHost, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    content = os.urandom(UPLOAD_BYTES)
    (tmp_path / "file").write_bytes(content)
    file = f"/file?path={urllib.parse.quote(str(tmp_path / 'file'))}"
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n%s\r\n--x--\r\n'
    with http_client(site.address()) as connection:
        assert requested(connection, "GET", "/hello?name=you") == b"hello you"
        kind = "multipart/form-data; boundary=x"
        upload = form % (b"u" * UPLOAD_BYTES)
        assert requested(connection, "POST", "/upload", upload, content_type=kind) == b"a.bin %d" % UPLOAD_BYTES
        assert requested(connection, "GET", "/stream") == b"0\n1\n2\n3\n4\n"
        assert requested(connection, "GET", file) == content
        connection.request("HEAD", file)
        head = connection.getresponse()
        assert (head.read(), head.status, head.getheader("content-length")) == (b"", 200, str(UPLOAD_BYTES))
        connection.request("GET", "/missing")
        missing = connection.getresponse()
        missing.read()
        assert missing.status == 404
        if not request.node.callspec.params["site"].startswith("django"):
            connection.request("GET", file, headers={"Range": "bytes=100-299999"})
            part = connection.getresponse()
            assert (part.status, part.read()) == (206, content[100:300_000])
    if request.node.callspec.params["site"] in ("starlette", "fastapi"):
        host, port = site.address()
        with connect(f"ws://{host}:{port}/talk") as websocket:
            websocket.send("hello")
            assert websocket.recv(DEADLINE_SECONDS) == "HELLO"
    assert " error " not in site.log()
