"""A real host and a real browser: headless Chromium, on the chat page of the documentation and on an echo."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from chat_pages import converse
from chromium import Chromium

if TYPE_CHECKING:
    from reactorhost.testing import LiveHost

# For a run of these tests alone.
pytest_plugins = ["reactorhost.testing"]

CONFIG = """
[host]
workers = 2

[service.chat]
listen = "tcp://127.0.0.1:0"
plugins = ["websocket", "chat"]

[service.echo]
listen = "tcp://127.0.0.1:0"
plugins = ["websocket", "echo"]
framing = { kind = "websocket", subprotocols = ["v2", "v1"], max_size = 200_000 }

[service.closed]
listen = "tcp://127.0.0.1:0"
plugins = ["websocket", "echo"]
framing = { kind = "websocket", origins = ["https://example.org"] }
"""

DEFLATE_PARAMETERS = ("server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits=12")

ECHO = """(async () => {
    const socket = new WebSocket("ws://127.0.0.1:PORT/", ["v1", "other"]);
    socket.binaryType = "arraybuffer";
    const next = (name) => new Promise((resolve) => socket.addEventListener(name, resolve, { once: true }));
    await next("open");
    const found = { subprotocol: socket.protocol, extensions: socket.extensions };
    const exchange = async (data) => { socket.send(data); return (await next("message")).data; };
    const large = "large and compressed ".repeat(5000);
    found.text = await exchange("grüße 👋");
    found.empty = await exchange("");
    found.large = await exchange(large) === large;
    found.bytes = Array.from(new Uint8Array(await exchange(new Uint8Array([0, 255, 128]))));
    const closed = next("close");
    socket.close(4321, "done");
    const end = await closed;
    return { ...found, code: end.code, reason: end.reason, clean: end.wasClean };
})()"""

ENDS = """(async () => {
    const socket = new WebSocket("ws://127.0.0.1:PORT/", "v1");
    const next = (name) => new Promise((resolve) => socket.addEventListener(name, resolve, { once: true }));
    const closed = next("close");
    await next("open");
    socket.send("x".repeat(300_000));
    const end = await closed;
    return [end.code, end.wasClean];
})()"""

REFUSED = """new Promise((resolve) => {
    new WebSocket("ws://127.0.0.1:PORT/").onclose = (event) => resolve([event.code, event.wasClean]);
})"""


@pytest.fixture
def browser() -> Iterator[Chromium]:
    with Chromium() as started:
        yield started


def test_pages_chat_exchange_all_kinds_of_messages_and_come_back_after_a_reload(
    live_host: Callable[..., LiveHost], browser: Chromium, tmp_path: Path
) -> None:
    config = tmp_path / "host.toml"
    config.write_text(CONFIG)
    host = live_host("--config", str(config))
    ada, max_ = converse(browser, host.address("chat")[1])
    assert ada.page.picture(400, 300).startswith(b"\x89PNG")

    def run(script: str, service: str) -> Any:
        return ada.page.run(script.replace("PORT", str(host.address(service)[1])))

    assert run(ECHO, "echo") == {
        "subprotocol": "v1",
        "extensions": f"permessage-deflate; {'; '.join(DEFLATE_PARAMETERS)}",
        "text": "grüße 👋",
        "empty": "",
        "large": True,
        "bytes": [0, 255, 128],
        "code": 4321,
        "reason": "done",
        "clean": True,
    }
    assert run(ENDS, "echo") == [1009, True]
    assert run(REFUSED, "closed") == [1006, False]

    assert host.command("reload").returncode == 0
    for person in (ada, max_):
        person.until_shown("* The server restarts. Please connect again.")
        person.until_shown("Disconnected (1012 restart). Connecting again …")
        person.until_shown("* Welcome! You are guest", times=2)
    ada.types_until_shown("I am back.", max_)
