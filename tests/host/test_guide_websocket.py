"""The guide's page on WebSocket: its example in a real host, with the clients of the `websockets` library."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from pki import Pki
from reactorhost.testing import DEADLINE_SECONDS, LiveHost
from waiting import until

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guide" / "websocket.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "docs" / "examples" / "websocket_rooms.py"


def test_the_example_is_in_the_page() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert EXAMPLE.read_text(encoding="utf-8") in blocks


def end_of(client: ClientConnection) -> tuple[int, str]:
    """Return code and reason of the close that a client gets next."""
    with pytest.raises(ConnectionClosed) as caught:
        client.recv(timeout=DEADLINE_SECONDS)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code, caught.value.rcvd.reason


def test_the_rooms_of_the_example(live_host: Callable[..., LiveHost]) -> None:
    arguments = ("--plugin", "websocket", "--plugin", "websocket_rooms:Rooms", "--workers", "2")
    host = live_host(*arguments, environment={"PYTHONPATH": str(EXAMPLE.parent)})
    url = "ws://{}:{}".format(*host.address())
    with pytest.raises(InvalidStatus) as refused, connect(f"{url}/rooms/"):
        pass
    response = refused.value.response
    assert (response.status_code, response.body) == (404, b"Connect to /rooms/NAME.\n")
    with connect(f"{url}/rooms/blue") as ann, connect(f"{url}/rooms/blue") as bob, connect(f"{url}/rooms/red") as eve:
        # A group's members are known to other workers a moment later.
        until(lambda: exchanged(ann, bob), "a message from ann to bob")
        bob.send("fragmented " * 10_000)
        assert ann.recv(timeout=DEADLINE_SECONDS) == "fragmented " * 10_000
        assert ann.ping().wait(DEADLINE_SECONDS)
        eve.send(b"binary")
        assert end_of(eve) == (1003, "text only")


def exchanged(sender: ClientConnection, receiver: ClientConnection) -> bool:
    sender.send("hello")
    try:
        return receiver.recv(timeout=0.1) == "hello"
    except TimeoutError:
        return False


def test_messages_are_echoed_over_tls_and_the_connection_moves_to_a_new_worker(
    live_host: Callable[..., LiveHost], tmp_path: Path
) -> None:
    pki = Pki(tmp_path)
    pki.issue("server", "localhost")
    host = live_host(
        *("--plugin", "websocket", "--plugin", "echo", "--workers", "1", "--listen", "tls://127.0.0.1:0"),
        *pki.arguments("server"),
    )
    context = pki.context()
    url = f"wss://localhost:{host.address()[1]}/"

    async def converse() -> None:
        async with connect_async(url, ssl=context) as client:
            for message in ("grüße", b"\xff\x00", "", "large " * 100_000):
                await client.send(message)
                assert await client.recv() == message
            await asyncio.to_thread(host.command, "reload")
            await client.wait_closed()
            assert (client.close_code, client.close_reason) == (1012, "restart")
        async with connect_async(url, ssl=context) as client:
            await client.send("again")
            assert await client.recv() == "again"

    asyncio.run(asyncio.wait_for(converse(), DEADLINE_SECONDS))
