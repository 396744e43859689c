"""How many clients a server has at the same time, and the queue of those that wait."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_benches import A, B, Bench, addresses, advance_until, pool_of, serving
from reactorhost import CloseReason
from reactorhost.testing import BenchClient, PluginBench
from reactorhost_proxy.pool import Upstream
from reactorhost_proxy.session import Session
from reactorhost_proxy.waiting import WaitingClients


def open_to(bench: PluginBench, server: str) -> list[BenchClient]:
    """Return the far ends of a server that are open."""
    return [
        each
        for each, address in zip(bench.outbound, addresses(bench), strict=True)
        if each.closed is None and address == server
    ]


def queue(bench: PluginBench) -> tuple[float, float]:
    """Return how many clients have a server, and how many wait."""
    stats = bench.stats()
    return stats["default.active"], stats["default.queued"]


def test_clients_wait_for_a_server_in_their_order(plugin_bench: Bench) -> None:
    bench = serving(plugin_bench, A, max_connections=1)
    clients = [bench.connect() for _ in range(3)]
    clients[2].send(b"third")
    clients[1].send(b"second")
    assert queue(bench) == (1, 2)
    clients[0].reset()
    assert queue(bench) == (1, 2), "its server has not ended yet"
    bench.outbound[0].end()
    assert queue(bench) == (1, 1)
    assert bench.outbound[1].received == b"second"
    bench.outbound[1].reset()
    assert bench.outbound[2].received == b"third"
    assert (queue(bench), len(bench.outbound)) == ((1, 0), 3)


def test_a_server_with_room_is_chosen_whatever_its_weight(plugin_bench: Bench) -> None:
    bench = serving(plugin_bench, f"{A} weight=100 max_connections=2", B, max_connections=1)
    for _ in range(4):
        bench.connect()
    assert sorted(addresses(bench)) == [A, A, B]
    assert queue(bench) == (3, 1)


def test_a_client_of_a_hash_waits_for_its_own_server(plugin_bench: Bench) -> None:
    bench = serving(plugin_bench, A, B, balance="hash", max_connections=1)
    pool = pool_of(A, B, balance="hash")
    expected: dict[str, list[bytes]] = {A: [], B: []}
    for number in range(12):
        host = f"10.0.0.{number}"
        bench.connect((host, 1)).send(host.encode())
        chosen = pool.choose(host.encode(), (), 0.0)
        assert chosen is not None
        expected[chosen.address].append(host.encode())
    served: dict[str, list[bytes]] = {A: [], B: []}
    # All of the first server, while clients that came before them wait for the other one.
    for server in (A, B):
        while connected := open_to(bench, server):
            served[server].append(connected[0].received)
            connected[0].reset()
    assert min(map(len, expected.values())) > 1
    assert served == expected


@pytest.mark.parametrize("seconds", [3.0, 0.0])
def test_a_client_that_has_waited_too_long_is_closed(plugin_bench: Bench, seconds: float) -> None:
    bench = serving(plugin_bench, A, max_connections=1, queue_timeout=seconds)
    first, second = bench.connect(), bench.connect()
    bench.advance(max(0.0, seconds - 0.1))
    assert second.closed is (None if seconds else CloseReason.LOCAL)
    bench.advance(0.2)
    assert (first.closed, second.closed) == (None, CloseReason.LOCAL)
    assert (bench.stats()["queue_timed_out"], queue(bench)) == (1, (1, 0))


def test_a_client_that_was_served_in_time_is_not_closed(plugin_bench: Bench) -> None:
    bench = serving(plugin_bench, A, max_connections=1, queue_timeout=3.0)
    _, second = bench.connect(), bench.connect()
    bench.advance(2.9)
    bench.outbound[0].reset()
    bench.advance(60.0)
    assert (second.closed, bench.stats()["queue_timed_out"]) == (None, 0)


def test_a_client_that_leaves_the_queue_is_forgotten(plugin_bench: Bench) -> None:
    bench = serving(plugin_bench, A, max_connections=1)
    _, second, third = (bench.connect() for _ in range(3))
    third.send(b"third")
    second.reset()
    assert queue(bench) == (1, 1)
    bench.outbound[0].reset()
    assert bench.outbound[1].received == b"third"
    bench.advance(60.0)
    assert bench.stats()["queue_timed_out"] == 0


def test_a_connection_that_ends_only_on_one_side_still_counts(plugin_bench: Bench) -> None:
    bench = serving(plugin_bench, A, max_connections=1, queue_timeout=3600.0)
    first, _ = bench.connect(), bench.connect()
    first.end()
    assert queue(bench) == (1, 1)
    bench.outbound[0].end()
    assert queue(bench) == (1, 0)


def test_backups_are_not_for_clients_that_wait(plugin_bench: Bench) -> None:
    bench = serving(plugin_bench, A, f"{B} backup", max_connections=1)
    bench.connect()
    bench.connect()
    assert (addresses(bench), queue(bench)) == ([A], (1, 1))


def test_a_client_that_one_server_refuses_waits_for_the_other_one(plugin_bench: Bench) -> None:
    bench = serving(plugin_bench, A, B, max_connections=1)
    bench.connect()
    bench.connect()
    assert addresses(bench) == [A, B]
    bench.refuse(A)
    waiting = [bench.connect() for _ in range(3)]
    for number, client in enumerate(waiting):
        client.send(b"%d" % number)
    bench.outbound[0].reset()
    # The first one has tried in vain, and so have those behind it: all wait for the server that is left.
    assert (bench.stats()["connect_failed"], queue(bench)) == (3, (1, 3))
    bench.accept(A)
    bench.outbound[1].reset()
    assert (addresses(bench)[2], bench.outbound[2].received) == (B, b"0")


def test_a_server_that_cannot_be_used_by_the_first_one_serves_the_next(plugin_bench: Bench) -> None:
    bench = serving(plugin_bench, A, B, max_connections=1)
    bench.connect()
    bench.connect()
    bench.refuse(A)
    first = bench.connect()
    first.send(b"first")
    bench.outbound[0].reset()
    bench.accept(A)
    second = bench.connect()
    second.send(b"second")
    assert (addresses(bench)[2], bench.outbound[2].received) == (A, b"second")
    third = bench.connect()
    third.send(b"third")
    bench.outbound[2].reset()
    assert (addresses(bench)[3], bench.outbound[3].received) == (A, b"third")
    bench.outbound[1].reset()
    assert (addresses(bench)[4], bench.outbound[4].received) == (B, b"first")


@dataclass(eq=False)
class Waiting:
    """A client in the queue, which counts how often it was to connect."""

    wanted: Upstream
    tried: frozenset[Upstream] = frozenset()
    dialed: int = 0

    def dial(self) -> None:
        self.dialed += 1


def test_a_client_that_waits_for_a_backup_does_not_wait_for_those_before_it() -> None:
    pool = pool_of(A, f"{B} backup", max_connections=1)
    server, backup = pool.upstreams
    # The second one could not be connected to the server, and came into the queue behind the first one.
    first, second = Waiting(server), Waiting(backup, frozenset({server}))
    with PluginBench("proxy", options={"proxy": {"servers": [A]}}) as bench:
        queue_of_pool = WaitingClients(bench.worker, pool)
        for client in (first, second):
            queue_of_pool.add(cast("Session", client))
        queue_of_pool.serve(backup)
        assert (first.dialed, second.dialed) == (0, 1)
        queue_of_pool.serve(server)
        assert (first.dialed, second.dialed) == (1, 1)


def test_clients_that_wait_are_closed_when_the_last_server_is_down(plugin_bench: Bench) -> None:
    bench = serving(plugin_bench, A, max_connections=1, health="active", fall=1)
    bench.connect()
    waiting = [bench.connect() for _ in range(2)]
    bench.refuse(A)
    bench.advance(5.0)
    assert [each.closed for each in waiting] == [CloseReason.LOCAL] * 2
    assert (bench.stats()["no_server"], queue(bench)) == (2, (1, 0))


def test_clients_that_wait_are_served_by_a_server_that_comes_up(plugin_bench: Bench) -> None:
    bench = serving(plugin_bench, A, B, max_connections=1, health="passive", fall=1, rise=1, queue_timeout=3600.0)
    bench.refuse(A)
    bench.connect()
    bench.connect()
    assert (addresses(bench), queue(bench)) == ([B], (1, 1))
    bench.accept(A)
    advance_until(bench, lambda: queue(bench) == (2, 0))


def test_full_servers_are_logged_once_a_minute(plugin_bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench = serving(plugin_bench, A, max_connections=1, queue_timeout=10.0)
    for _ in range(3):
        bench.connect()
    assert caplog.text.count("servers_full pool=default") == 1
    bench.advance(61.0)
    bench.connect()
    assert caplog.text.count("servers_full pool=default") == 2


@pytest.mark.parametrize(
    ("most", "workers", "shares"), [(10, 4, [3, 3, 2, 2]), (8, 4, [2] * 4), (2, 4, [1] * 4), (7, 1, [7])]
)
def test_what_a_server_may_have_is_divided_among_the_workers(most: int, workers: int, shares: list[int]) -> None:
    pool = pool_of(A, f"{B} max_connections=1000", max_connections=most)
    found = []
    for slot in range(workers):
        pool.share(slot, workers)
        found.append(pool.upstreams[0].most_active)
        assert pool.upstreams[1].most_active == 1000 // workers
    assert found == shares


def test_clients_that_wait_are_served_when_the_share_of_the_worker_grows(plugin_bench: Bench) -> None:
    bench = serving(plugin_bench, A, max_connections=4)
    role = bench._parts.facades.role
    role.count = 4
    bench.advance(1.0)
    for _ in range(6):
        bench.connect()
    assert queue(bench) == (1, 5)
    role.count = 1
    bench.advance(1.0)
    assert queue(bench) == (4, 2)


STEPS = st.lists(st.tuples(st.sampled_from(("connect", "connect", "client", "server", "wait")), st.integers(0, 40)))


@settings(max_examples=30, deadline=None)
@given(STEPS)
def test_no_client_waits_beside_a_server_with_room_and_none_is_overtaken(steps: list[tuple[str, int]]) -> None:
    options = {"servers": [A, B], "health": "off", "max_connections": 2}
    clients: list[BenchClient] = []
    with PluginBench("proxy", options={"proxy": options}) as bench:
        for step, number in steps:
            ends = clients if step == "client" else bench.outbound
            if step == "connect":
                clients.append(bench.connect())
                clients[-1].send(b"%04d" % len(clients))
            elif step == "wait":
                bench.advance(number / 20)
            elif ends and ends[number % len(ends)].closed is None:
                ends[number % len(ends)].reset()
            active, waiting = queue(bench)
            assert active == min(4, active + waiting)
            assert max(len(open_to(bench, A)), len(open_to(bench, B))) <= 2
        order = [each.received for each in bench.outbound]
        assert order == sorted(order)
