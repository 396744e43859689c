"""Several workers of a host: members of a silent one, the history of a new one, the repetition of what was dropped."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bus_network import MAX_QUEUE, Network, SimWorker


def running(count: int) -> tuple[Network, list[SimWorker]]:
    network = Network()
    workers = [network.start() for _ in range(count)]
    network.run()
    return network, workers


def published(*workers: SimWorker) -> list[tuple[str, int]]:
    return [(worker.name, number) for worker in workers for number in range(1, worker.published["kept"] + 1)]


def gaps(worker: SimWorker) -> list[tuple[object, ...]]:
    return [event for event in worker.events if event[0] == "gap"]


@pytest.mark.parametrize(("ticks", "is_silent"), [(2, False), (3, True), (6, True)])
def test_the_members_of_a_stopped_worker_leave_after_the_down_period(ticks: int, is_silent: bool) -> None:
    network, (one, two, three) = running(3)
    for worker in (one, two, three):
        worker.join("plain", worker.name.encode())
    network.run()
    members = one.presence()
    two.stopped = True
    for _ in range(ticks):
        network.tick()
    for worker in (one, three):
        assert worker.presence() == {key: info for key, info in members.items() if info != b"worker2" or not is_silent}
        assert worker.known == worker.presence()
    two.stopped = False
    network.run()
    assert one.presence() == two.presence() == three.presence() == members
    assert one.known == two.known == three.known == members


@pytest.mark.parametrize("is_killed", [True, False])
def test_a_new_worker_has_the_history_of_publishers_that_have_ended(is_killed: bool) -> None:
    network, (one, two) = running(2)
    for _ in range(5):
        one.publish("kept")
        two.publish("kept")
    network.run()
    ended = published(one)
    if is_killed:
        one.kill()
    else:
        one.leave_host()
    new = network.start()
    network.run()
    assert sorted(new.history()) == sorted(ended + published(two))


@pytest.mark.parametrize("turns", [1, 2, 3, 5])
def test_a_new_worker_has_the_history_of_the_only_one_that_leaves_at_once(turns: int) -> None:
    network, (one,) = running(1)
    for _ in range(5):
        one.publish("kept")
    kept = published(one)
    new = network.start()
    for _ in range(turns):
        new.turn()
        one.turn()
    one.leave_host()
    network.run()
    assert new.history() == kept


def test_a_new_worker_has_what_was_published_before_its_introduction() -> None:
    network, (one, two) = running(2)
    one.publish("kept")
    network.run()
    new = network.start()
    # The publisher is late to be introduced, and the other worker is read before it has received the message.
    for _ in range(20):
        new.turn()
        two.turn()
    one.publish("kept")
    network.run()
    assert new.history() == published(one)


def test_workers_that_start_together_have_the_history_of_those_before() -> None:
    network, old = running(2)
    for worker in old:
        for _ in range(3):
            worker.publish("kept", 50)
    network.run()
    expected = published(*old)
    new = [network.start() for _ in range(2)]
    network.run()
    for worker in old:
        worker.leave_host()
    network.run()
    for worker in new:
        assert sorted(worker.history()) == sorted(expected)
    # Also of a generation that none of the workers has seen that is read.
    last = network.start()
    network.run()
    assert sorted(last.history()) == sorted(expected)


@pytest.mark.parametrize("killed", [0, 1])
def test_the_history_is_read_from_another_worker_when_one_ends(killed: int) -> None:
    network, old = running(2)
    for worker in old:
        worker.publish("kept")
    network.run()
    new = network.start()
    # One after the other is read, in these turns.
    for _ in range(killed + 1):
        for worker in (*old, new):
            worker.turn()
    old[killed].stopped = True
    network.run()
    old[killed].kill()
    network.run()
    # Its end is noticed: no time is needed.
    assert sorted(new.history()) == published(*old)


@pytest.mark.parametrize("messages", [1, 50])
@pytest.mark.parametrize("ends", [SimWorker.kill, SimWorker.leave_host])
def test_what_a_worker_had_not_sent_at_its_end_is_a_gap(ends: Callable[[SimWorker], object], messages: int) -> None:
    network, (one, two, three) = running(3)
    # The third one reads, but nothing is written before the end of the turn.
    two.stopped = True
    for _ in range(messages):
        one.publish("kept", 100)
    ends(one)
    two.stopped = False
    network.run()
    got_everything = ends is SimWorker.leave_host and messages == 1
    for worker in (two, three):
        delivered = [event for event in worker.events if event[0] == "message"]
        if got_everything:
            assert delivered == [("message", "worker1", "kept", 1)]
            assert gaps(worker) == []
        else:
            assert len(delivered) < messages
            assert sorted(gaps(worker)) == [("gap", "kept", False), ("gap", "plain", False)]


@pytest.mark.parametrize("stopped", [0, 1])
def test_the_history_is_read_from_another_worker_when_one_is_stopped(stopped: int) -> None:
    network, old = running(2)
    for worker in old:
        worker.publish("kept")
    network.run()
    new = network.start()
    # One after the other is read, in these turns.
    for _ in range(stopped + 1):
        for worker in (*old, new):
            worker.turn()
    old[stopped].stopped = True
    network.run()
    network.tick()
    assert sorted(new.history()) == published(*old)


@pytest.mark.parametrize(
    ("group", "size", "recovered"), [("kept", 30, True), ("kept", MAX_QUEUE, False), ("plain", 30, False)]
)
def test_what_was_dropped_is_repeated_if_it_is_kept_and_fits(group: str, size: int, recovered: bool) -> None:
    network, (one, two) = running(2)
    two.stopped = True
    # Until the first one is dropped: what the socket and the queue accept does not depend on the size alone.
    while not one.dropped:
        one.publish(group, size)
        one.turn()
    one.publish(group, size)
    two.stopped = False
    network.settle()
    numbers = [event[3] for event in two.events if event[0] == "message"]
    if recovered:
        assert numbers == list(range(1, one.published[group] + 1))
    else:
        assert numbers == list(range(1, one.published[group] - 1))
    assert gaps(two) == [("gap", group, recovered)]
    assert gaps(one) == []
    one.publish(group)
    network.run()
    assert two.events[-1] == ("message", "worker1", group, one.published[group])


def test_a_loss_in_too_many_groups_is_a_gap_of_everything_that_is_delivered() -> None:
    network, (one, two) = running(2)
    two.stopped = True
    for number in range(1200):
        one.worker.send_to(f"kept {number}", b"worker1 other 1 " + b"x" * 50)
    two.stopped = False
    network.settle()
    # `plain` as well: the publisher does not know any more which groups are concerned.
    assert sorted(gaps(two)) == [("gap", "kept", False), ("gap", "plain", False)]
