"""How clients are shared among the servers of a pool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from proxy_benches import pool_of
from reactorhost_proxy.health import Health
from reactorhost_proxy.pool import Pool, Upstream

A, B, C, D = (f"tcp://{name}:1" for name in "abcd")


def chosen(pool: Pool, key: bytes = b"", tried: Sequence[Upstream] = (), now: float = 0.0) -> str | None:
    upstream = pool.choose(key, tried, now)
    if upstream is None:
        return None
    upstream.active += 1
    return upstream.address


def lose(pool: Pool, address: str) -> Health:
    (upstream,) = (each for each in pool.upstreams if each.address == address)
    while not upstream.health.failed():
        pass
    return upstream.health


def spread(pool: Pool, keys: int = 2000) -> dict[bytes, str | None]:
    return {key: chosen(pool, key) for key in (b"10.0.%d.%d" % divmod(n, 256) for n in range(keys))}


def test_the_server_with_the_fewest_connections_is_chosen() -> None:
    pool = pool_of(A, B, C)
    assert [chosen(pool) for _ in range(3)] == [A, B, C]
    pool.upstreams[1].active -= 1
    assert chosen(pool) == B


def test_equal_servers_are_chosen_in_turn() -> None:
    pool = pool_of(A, B, C)
    found = []
    for _ in range(6):
        found.append(chosen(pool))
        for upstream in pool.upstreams:
            upstream.active = 0
    assert found == [A, B, C, A, B, C]


def test_connections_are_in_proportion_to_the_weights() -> None:
    pool = pool_of(f"{A} weight=3", B)
    assert Counter(chosen(pool) for _ in range(400)) == {A: 300, B: 100}


def test_a_hash_is_the_same_for_every_pool_with_these_servers_in_any_order() -> None:
    assert spread(pool_of(A, B, C, balance="hash")) == spread(pool_of(C, A, B, balance="hash"))


@pytest.mark.parametrize(("words", "share"), [("", 1 / 3), (" weight=2", 1 / 2)])
def test_a_hash_follows_the_weights(words: str, share: float) -> None:
    found = Counter(spread(pool_of(A + words, B, C, balance="hash"), 10_000).values())
    assert found[A] / 10_000 == pytest.approx(share, abs=0.03)


def test_a_server_that_goes_moves_only_its_own_clients() -> None:
    pool = pool_of(A, B, C, balance="hash")
    before = spread(pool)
    lose(pool, B)
    after = spread(pool)
    assert B not in after.values()
    assert all(after[key] == address for key, address in before.items() if address != B)


def test_a_server_that_is_added_moves_only_the_clients_that_it_gets() -> None:
    before = spread(pool_of(A, B, C, balance="hash"))
    after = spread(pool_of(A, B, C, D, balance="hash"))
    moved = [key for key in before if before[key] != after[key]]
    assert {after[key] for key in moved} == {D}
    assert len(moved) / len(before) == pytest.approx(1 / 4, abs=0.05)


def test_backups_are_used_when_nothing_else_is_left() -> None:
    pool = pool_of(A, f"{B} backup", f"{C} backup")
    assert [chosen(pool) for _ in range(3)] == [A, A, A]
    assert chosen(pool, tried=pool.upstreams[:1]) == B
    lose(pool, A)
    assert {chosen(pool) for _ in range(4)} == {B, C}


def test_a_server_that_is_drained_or_down_or_tried_is_not_chosen() -> None:
    pool = pool_of(f"{A} drain", B, C)
    lose(pool, B)
    assert {chosen(pool) for _ in range(3)} == {C}
    assert chosen(pool, tried=pool.upstreams[2:]) is None
    assert pool.down == 1


@pytest.mark.parametrize("balance", ["least", "hash"])
def test_a_server_that_is_up_again_starts_slowly(balance: str) -> None:
    def share(now: float) -> float:
        pool = pool_of(A, B, balance=balance, slow_start=100.0)
        health = lose(pool, A)
        while not health.check_succeeded(1000.0):
            pass
        found = Counter(chosen(pool, b"%d" % n, now=now) for n in range(4000))
        return found[A] / 4000

    assert share(1000.0) == pytest.approx(0.1 / 1.1, abs=0.02)
    assert share(1050.0) == pytest.approx(0.5 / 1.5, abs=0.03)
    assert share(1100.0) == pytest.approx(1 / 2, abs=0.03)
