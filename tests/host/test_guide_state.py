"""The how-to of state: each of its examples with two workers, and the mistake that it begins with."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from line_clients import LineClient, on_each_worker
from reactorhost.testing import LiveHost
from redis_server import RedisServer
from waiting import until

Hosts = Callable[..., LiveHost]

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
PAGE = (ROOT / "docs" / "how-to" / "state.md").read_text(encoding="utf-8")


@pytest.fixture
def serving(live_host: Hosts) -> Callable[..., LiveHost]:
    """Start a host of two workers with an example."""

    def serve(plugin: str, *settings: str) -> LiveHost:
        arguments = ("--plugin", plugin, "--workers", "2", *settings)
        return live_host(*arguments, environment={"PYTHONPATH": str(EXAMPLES)})

    return serve


def test_every_example_file_is_in_the_page_and_no_other() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    files = sorted(EXAMPLES.glob("state_*.py"))
    assert sorted(blocks) == sorted(path.read_text(encoding="utf-8") for path in files)


def incremented(clients: list[LineClient], times: int = 4) -> list[int]:
    """Let each client send `INCR n` in turn, several times; return the answers."""
    return [int(client.request("INCR n")) for _ in range(times) for client in clients]


def test_a_number_in_memory_is_counted_by_each_worker_for_itself(serving: Callable[..., LiveHost]) -> None:
    host = serving("state_lost:Numbers")
    with ExitStack() as stack:
        assert incremented(on_each_worker(host, stack)) == [1, 1, 2, 2, 3, 3, 4, 4]


def test_with_one_worker_for_the_service_it_is_counted_once(serving: Callable[..., LiveHost]) -> None:
    host = serving("state_one_worker:Numbers")
    assert len(host.workers()) == 2
    with ExitStack() as stack:
        # Enough that with two workers both would serve some.
        clients = [stack.enter_context(LineClient(host.connect())) for _ in range(16)]
        assert incremented(clients, 1) == list(range(1, 17))


def test_sqlite_counts_for_all_workers_and_over_a_stop(serving: Callable[..., LiveHost], tmp_path: Path) -> None:
    file = ("--set", f"state_sqlite:Numbers.file={tmp_path / 'numbers.db'}")
    host = serving("state_sqlite:Numbers", *file)
    with ExitStack() as stack:
        clients = on_each_worker(host, stack)
        assert incremented(clients) == [1, 2, 3, 4, 5, 6, 7, 8]
        # All at once: each number is returned once.
        for client in clients:
            client.send("\n".join(["INCR n"] * 50))
        assert sorted(int(client.line()) for client in clients for _ in range(50)) == list(range(9, 109))
    host.stop()
    host = serving("state_sqlite:Numbers", *file)
    with LineClient(host.connect()) as client:
        assert client.request("INCR n") == "109"
        assert client.request("INCR other") == "1"


def test_redis_counts_for_all_workers_and_without_it_clients_get_an_answer(serving: Callable[..., LiveHost]) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(RedisServer())
        host = serving("state_redis:Numbers", "--set", f"state_redis:Numbers.url={server.url}")
        clients = on_each_worker(host, stack)
        assert incremented(clients) == [1, 2, 3, 4, 5, 6, 7, 8]
        for client in clients:
            client.send("\n".join(["INCR n"] * 50))
        assert sorted(int(client.line()) for client in clients for _ in range(50)) == list(range(9, 109))
        server.kill()
        assert clients[0].request("INCR n") == "error: try again later"
        assert "redis: " in host.log()
        server.start()
        assert clients[0].request("INCR n") == "1"


def test_the_last_message_of_a_group_is_known_to_workers_that_start_later(serving: Callable[..., LiveHost]) -> None:
    host = serving("state_message:Notice")
    with ExitStack() as stack:
        clients = on_each_worker(host, stack)
        assert [client.line() for client in clients] == ["no notice today"] * 2
        clients[0].send("closed on Monday")
        assert [client.line() for client in clients] == ["closed on Monday"] * 2
        assert host.command("reload").returncode == 0
        new = on_each_worker(host, stack)
        assert [client.line() for client in new] == ["closed on Monday"] * 2
        # The clients of the old workers get what those of the new ones send.
        new[0].send("open again")
        assert [client.line() for client in (*clients, *new)] == ["open again"] * 4


def test_presence_lists_the_clients_of_all_workers(serving: Callable[..., LiveHost]) -> None:
    host = serving("state_presence:Online")
    with ExitStack() as stack:
        clients = on_each_worker(host, stack)
        addresses = {client.address for client in clients}
        # A worker is notified of the clients of another one a moment later.
        until(lambda: _listed(clients[0]) == addresses, "the list of both clients")
        clients[1].close()
        until(lambda: _listed(clients[0]) == {clients[0].address}, "the list of one client")


def _listed(client: LineClient) -> set[str]:
    count, _, addresses = client.request("?").partition(": ")
    assert int(count) == len(addresses.split())
    return set(addresses.split())


def test_a_shared_counter_counts_the_clients_of_all_workers_over_a_reload(serving: Callable[..., LiveHost]) -> None:
    host = serving("state_counter:Visits")

    def visits() -> int:
        with LineClient(host.connect()) as client:
            return int(client.line().split()[0])

    first = [visits() for _ in range(16)]
    # Another worker's last addition may not be visible yet.
    assert first[0] == 1
    assert max(first) <= 16
    assert host.command("reload").returncode == 0
    assert visits() == 17
