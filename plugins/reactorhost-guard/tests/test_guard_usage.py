"""Usage of many addresses in bounded memory, and its exchange between workers."""

from __future__ import annotations

import os
import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reactorhost_guard.exchange import ORIGIN_BYTES, Exchange
from reactorhost_guard.meters import limit
from reactorhost_guard.usage import Limits, UsageTable

LIMITS = Limits(connects=limit(10.0, 20.0), messages=limit(100.0, 200.0), strikes=limit(1 / 60, 3.0))


def test_any_number_of_addresses_takes_the_memory_of_those_that_are_remembered() -> None:
    table = UsageTable(Limits(connects=limit(1.0, 5.0)), 500)
    chance = random.Random(1)

    def connect(count: int) -> None:
        for _ in range(count):
            table.take_connect(table.find(chance.getrandbits(32)), 1.0)
        table.take_touched()

    tracemalloc.start()
    connect(2_000)
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(15):
        connect(2_000)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(table) == 500
    assert after < before * 1.2


def test_an_address_that_is_used_is_remembered_and_the_oldest_is_forgotten() -> None:
    table = UsageTable(LIMITS, 3)
    first, second, third = (table.find(key) for key in (1, 2, 3))
    assert table.find(1) is first
    table.find(4)
    assert table.find(1) is first
    assert table.find(3) is third
    assert table.find(2) is not second


def test_an_address_with_open_connections_is_not_forgotten() -> None:
    table = UsageTable(LIMITS, 2)
    held = table.find(1)
    table.hold(held)
    table.hold(held)
    for key in range(2, 100):
        table.find(key)
    assert table.find(1) is held
    table.release(held)
    for key in range(2, 100):
        table.find(key)
    assert table.find(1) is held
    table.release(held)
    assert table.find(1) is held
    for key in range(2, 100):
        table.find(key)
    assert table.find(1) is not held
    assert len(table) == 2


def test_the_last_strike_is_the_one_before_a_ban_and_strikes_are_forgotten() -> None:
    table = UsageTable(LIMITS, 10)
    usage = table.find(1)
    assert [table.take_strike(usage, 0.0) for _ in range(6)] == [False, False, True] * 2
    slow = table.find(2)
    assert not any(table.take_strike(slow, now) for now in range(0, 6000, 61))


def test_without_strikes_nothing_is_banned() -> None:
    table = UsageTable(Limits(), 10)
    assert not any(table.take_strike(table.find(1), 0.0) for _ in range(100))


def exchanged(number: int) -> list[tuple[UsageTable, UsageTable, Exchange]]:
    workers = []
    for _ in range(number):
        addresses, networks = UsageTable(LIMITS, 100), UsageTable(LIMITS, 100)
        workers.append((addresses, networks, Exchange(os.urandom(ORIGIN_BYTES), addresses, networks)))
    return workers


def share(workers: list[tuple[UsageTable, UsageTable, Exchange]], now: float) -> None:
    messages = [data for _, _, exchange in workers for data in exchange.messages(len(workers))]
    for _, _, exchange in workers:
        for data in messages:
            exchange.apply(data, now)


@settings(max_examples=30)
@given(st.integers(1, 5), st.integers(0, 2**32), st.integers(1, 30))
def test_a_rate_over_all_workers_is_kept_but_for_a_known_error(count: int, seed: int, per_tick: int) -> None:
    workers, chance, admitted = exchanged(count), random.Random(seed), 0
    seconds, ticks = 60, 10
    for tick in range(seconds * ticks):
        now = 100.0 + tick / ticks
        for _ in range(per_tick):
            table = chance.choice(workers)[0]
            admitted += table.take_connect(table.find(7), now)
        if tick % ticks == 0:
            share(workers, now)
    rate, burst = 10.0, 20.0
    # What each of the others may give out until it knows: a burst, what comes in a second, and what is not shared yet.
    error = (count - 1) * (burst + rate + burst / 4)
    assert admitted <= burst + rate * seconds + error
    # Clients that ask for more all the time get what the rate allows.
    if per_tick * ticks > 2 * rate * count:
        assert admitted >= rate * seconds * 0.9


def test_counts_of_all_kinds_reach_the_same_meter_of_the_other_worker() -> None:
    (addresses, networks, exchange), (others, other_networks, other) = exchanged(2)
    usage, network = addresses.find(1 << 128 | 5), networks.find(6)
    addresses.hold(usage)
    addresses.take_strike(usage, 0.0)
    for _ in range(150):
        addresses.exceeded(usage, 10, 0.0)
    for _ in range(20):
        networks.take_connect(network, 0.0)
    (message,) = exchange.messages(2)
    other.apply(message, 0.0)
    found = others.find(1 << 128 | 5)
    messages, strikes = found.meter("messages", LIMITS), found.meter("strikes", LIMITS)
    assert messages
    assert strikes
    assert [messages.take(1, 0.0) for _ in range(51)] == [True] * 50 + [False]
    assert [strikes.take(1, 0.0) for _ in range(3)] == [True, True, False]
    assert not other_networks.take_connect(other_networks.find(6), 0.0)
    assert others.take_connect(found, 0.0)


@pytest.mark.parametrize(("workers", "unshared"), [(1, 4), (2, 2), (5, 0)])
def test_few_tokens_are_not_shared_until_they_are_more(workers: int, unshared: int) -> None:
    ((addresses, _, exchange),) = exchanged(1)
    for _ in range(unshared):
        addresses.take_connect(addresses.find(1), 0.0)
    assert not list(exchange.messages(workers))
    addresses.take_connect(addresses.find(1), 0.0)
    assert len(list(exchange.messages(workers))) == 1
    assert not list(exchange.messages(workers))


def test_many_addresses_are_shared_in_messages_of_a_bounded_size() -> None:
    addresses = UsageTable(LIMITS, 10_000)
    exchange = Exchange(os.urandom(ORIGIN_BYTES), addresses)
    for key in range(2500):
        addresses.find(key).meter("connects", LIMITS).take(20, 0.0)  # type: ignore[union-attr]  # it has the limit
        addresses.touch(addresses.find(key))
    assert [len(data) < 32_768 for data in exchange.messages(4)] == [True] * 3


@pytest.mark.parametrize("limits", [Limits(), Limits(messages=limit(1.0, 1.0))])
def test_a_count_for_which_there_is_no_limit_here_is_ignored(limits: Limits) -> None:
    (addresses, _, exchange), _ = exchanged(2)
    for _ in range(20):
        addresses.take_connect(addresses.find(1), 0.0)
    (message,) = exchange.messages(1)
    other = UsageTable(limits, 10)
    Exchange(os.urandom(ORIGIN_BYTES), other, UsageTable(limits, 10)).apply(message, 0.0)
    assert other.take_connect(other.find(1), 0.0)


def test_its_own_counts_and_those_of_another_version_change_nothing() -> None:
    (addresses, _, exchange), (others, _, other) = exchanged(2)
    for _ in range(19):
        addresses.take_connect(addresses.find(1), 0.0)
    (message,) = exchange.messages(1)
    exchange.apply(message, 0.0)
    assert addresses.take_connect(addresses.find(1), 0.0)
    other.apply(b"\x02" + message[1:], 0.0)
    assert all(others.take_connect(others.find(1), 0.0) for _ in range(20))
