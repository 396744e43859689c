"""The guide to the bus: each of its examples with clients on two workers."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from line_clients import LineClient, on_each_worker
from reactorhost.testing import LiveHost
from waiting import until

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
PAGE = (ROOT / "docs" / "guide" / "bus.md").read_text(encoding="utf-8")


@pytest.fixture
def serving(live_host: Callable[..., LiveHost]) -> Callable[[str], LiveHost]:
    """Start a host of two workers with an example."""
    return lambda plugin: live_host("--plugin", plugin, "--workers", "2", environment={"PYTHONPATH": str(EXAMPLES)})


def test_every_example_file_is_in_the_page() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    for path in EXAMPLES.glob("bus_*.py"):
        assert path.read_text(encoding="utf-8") in blocks, path


def test_a_broadcast_reaches_the_clients_of_all_workers(serving: Callable[[str], LiveHost]) -> None:
    host = serving("bus_broadcast:Broadcast")
    with ExitStack() as stack:
        first, second = on_each_worker(host, stack)

        def reaches() -> bool:
            first.send("hello")
            return second.readable(0.05)

        # The worker of the first client may not know of the second one yet.
        until(reaches, "a broadcast")
        assert second.line() == "hello"
        # The first line that it gets is not its own.
        second.send("hi")
        assert first.line() == "hi"


def test_a_topic_reaches_all_workers(serving: Callable[[str], LiveHost]) -> None:
    host = serving("bus_topic:Door")
    with ExitStack() as stack:
        first, _ = on_each_worker(host, stack)
        first.send("close")
        # The kernel chooses the workers of these: each has to be closed.
        until(lambda: all(_is_refused(host) for _ in range(16)), "a closed door in every worker")
        first.send("open")
        until(lambda: not any(_is_refused(host) for _ in range(16)), "an open door in every worker")


def _is_refused(host: LiveHost) -> bool:
    with LineClient(host.connect()) as client:
        client.end()
        try:
            return client.line() == "closed"
        except EOFError:
            return False


def test_a_ref_reaches_a_client_of_another_worker_until_it_ends(serving: Callable[[str], LiveHost]) -> None:
    host = serving("bus_refs:Whisper")
    with ExitStack() as stack:
        clients = on_each_worker(host, stack)
        refs = [client.line() for client in clients]
        # The worker of the first client may not know the other worker yet.
        clients[0].send(f"{refs[1]} hello")
        assert clients[1].line() == "hello"
        assert clients[0].request("nonsense hello") == "not connected"
        # The answer to a ref of its own worker needs no other one.
        assert clients[0].request(f"{refs[0].rpartition('-')[0]}-999999 hello") == "not connected"


def test_members_of_all_workers_are_listed_and_announced(serving: Callable[[str], LiveHost]) -> None:
    host = serving("bus_presence:Lobby")
    with ExitStack() as stack:
        first, second = on_each_worker(host, stack)
        assert first.request("ada") == "here: ada"
        assert first.line() == "+ ada"
        second.send("bob")
        assert first.line() == "+ bob"
        assert second.until("+ bob")[0] in ("here: bob", "here: ada, bob", "+ ada")
        second.close()
        assert first.line() == "- bob"
        # Joining again with another name.
        assert first.request("eve") == "here: eve"
        assert [first.line(), first.line()] == ["- ada", "+ eve"]
