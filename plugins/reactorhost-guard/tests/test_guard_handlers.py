"""The guard beside handlers of every kind, in one worker on the bench."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import reactorhost_echo
import reactorhost_websocket.hooks
import served
from guard_bench import PEER, AsyncEcho, Protocols, Streams, counted, refused
from reactorhost.testing import PluginBench
from reactorhost_asgi import Asgi
from reactorhost_guard import Guard
from websocket_bench import Browser
from websocket_frames import TEXT, Sent, frame


@pytest.mark.parametrize("handler", [reactorhost_echo, AsyncEcho, Protocols, Streams])
@pytest.mark.parametrize("guard_first", [True, False])
def test_handlers_of_every_kind_are_guarded_whatever_the_order(
    plugin_bench: Callable[..., PluginBench], handler: Any, guard_first: bool
) -> None:
    plugins = (Guard, handler) if guard_first else (handler, Guard)
    options = {"Guard": {"connects": "1/h burst 2", "messages": "1/h burst 3"}}
    bench = plugin_bench(*plugins, options=options)
    client, refused_later = bench.connect(PEER), bench.connect(PEER)
    for _ in range(3):
        client.send(b"x")
    assert client.received == b"xxx"
    refused_later.send(b"y")
    assert refused_later.received == b""
    assert refused(refused_later)
    assert refused(bench.connect(PEER))
    assert counted(bench) == {"closed_messages": 1, "refused_connects": 1, "strikes": 2}


def test_messages_of_a_websocket_are_counted_and_not_its_frames(plugin_bench: Callable[..., PluginBench]) -> None:
    plugins = (Guard, reactorhost_websocket.hooks, reactorhost_echo)
    browser = Browser(plugin_bench(*plugins, options={"Guard": {"messages": "1/h burst 2"}}))
    for _ in range(2):
        half, rest = frame(TEXT, b"hel", fin=False), frame(0, b"lo")
        assert browser.sends(half + rest) == [Sent(TEXT, b"hello")]
    browser.sends(frame(TEXT, b"third"))
    assert refused(browser.client)


def test_requests_of_an_application_are_counted_by_what_arrives(
    plugin_bench: Callable[..., PluginBench], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    monkeypatch.setattr(served, "app", application)
    asgi = {"app": "served:app", "app_dir": served.FOLDER, "lifespan": "off"}
    bench = plugin_bench(Asgi(), Guard, options={"Asgi": asgi, "Guard": {"messages": "1/h burst 2"}})
    client = bench.connect()
    for _ in range(3):
        client.send(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
    assert [answer.status for answer in served.answers(client)] == [200, 200]
    assert refused(client)
