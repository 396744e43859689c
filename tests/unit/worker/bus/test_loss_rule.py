"""What is lost between workers, what is not, and that no loss is silent: by any sequence of events.

The loss rule: within a worker messages always arrive, in order; in others at most once, in order per publisher and
group. A loss is followed by `gap`, before any later message of the same publisher and group. That holds too for a
publisher that has ended, in whatever way.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bus_network import GROUPS, Network, SimWorker
from reactorhost import Connection

MOST_WORKERS = 4


def check_messages(publisher: SimWorker, receiver: SimWorker) -> None:
    """Check what a worker has received of another one, when nothing is on its way any more."""
    for group in GROUPS:
        first = 1 if publisher is receiver else publisher.first_for[receiver][group] + 1
        missing = check_order(publisher, receiver, group, first)
        if missing:
            assert publisher is not receiver
            last_gap = last(receiver.events, ("gap", group, False))
            assert last_gap > max(missing.values()), f"{receiver} has no call of gap for {missing}"


def check_order(publisher: SimWorker, receiver: SimWorker, group: str, first: int) -> dict[int, int]:
    """Check order and gaps; returns the numbers of messages that are missing, and after which event they were due."""
    missing: dict[int, int] = {}
    expected, reported, since = first, False, -1
    for at, event in enumerate(receiver.events):
        if event == ("missed", publisher.origin, group, False):
            reported = True
        elif event[:3] == ("message", publisher.name, group):
            number = event[3]
            assert isinstance(number, int)
            assert number >= expected, f"{receiver} got {number} of {publisher} twice, or too late"
            if number > expected:
                assert reported, (
                    f"{receiver} was not notified before {number} that {expected} of {publisher} is missing"
                )
                missing |= dict.fromkeys(range(expected, number), since)
            expected, reported, since = number + 1, False, at
    end = publisher.published[group] + 1
    if expected < end:
        assert reported, f"{receiver} was not notified that {expected} of {publisher} is missing"
        missing |= dict.fromkeys(range(expected, end), since)
    return missing


def last(events: list[tuple[object, ...]], wanted: tuple[object, ...]) -> int:
    return max((at for at, event in enumerate(events) if event == wanted), default=-1)


def check_all(network: Network) -> None:
    """Check everything that has to be true when nothing is on its way any more."""
    members = {key: info for worker in network.workers for key, info in worker.members.items()}
    for worker in network.workers:
        assert worker.presence() == members
        assert worker.known == members
        assert worker.received == [event for event in worker.events if event[0] == "message"]
        for other in network.workers:
            check_messages(other, worker)
        for ended in network.ended:
            # What was published before the two were introduced is lost with a worker that is killed then.
            if ended.origin in worker.has_known:
                check_messages(ended, worker)
        check_history(worker)


def check_history(worker: SimWorker) -> None:
    """Check that the history is in order, and has what was delivered."""
    history = worker.history()
    for name in {name for name, _ in history}:
        numbers = [number for each, number in history if each == name]
        assert numbers == sorted(set(numbers))
    delivered = {(event[1], event[3]) for event in worker.events if event[0] == "message" and event[2] == "kept"}
    assert delivered <= set(history)


class LossRule(RuleBasedStateMachine):
    """Any events, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.network = Network()
        self.connections: list[tuple[SimWorker, Connection]] = []

    def chosen(self, number: int) -> SimWorker:
        return self.network.workers[number % len(self.network.workers)]

    @initialize(
        count=st.integers(1, 3),
        socket_bytes=st.sampled_from([100, 1000, 20_000]),
        max_queue=st.sampled_from([500, 2000, 20_000]),
    )
    def start(self, count: int, socket_bytes: int, max_queue: int) -> None:
        self.network = Network(socket_bytes, max_queue)
        for _ in range(count):
            self.network.start()

    @precondition(lambda self: len(self.network.workers) < MOST_WORKERS)
    @rule()
    def start_worker(self) -> None:
        self.network.start()

    @precondition(lambda self: len(self.network.workers) > 1)
    @rule(number=st.integers(0, 3), is_killed=st.booleans(), messages=st.sampled_from([0, 1, 20]))
    def end_worker(self, number: int, is_killed: bool, messages: int) -> None:
        worker = self.chosen(number)
        self.connections = [each for each in self.connections if each[0] is not worker]
        for _ in range(0 if worker.stopped else messages):
            worker.publish("plain", 100)
        if is_killed or worker.stopped:
            worker.kill()
        else:
            worker.leave_host()

    @rule(number=st.integers(0, 3))
    def stop_or_continue(self, number: int) -> None:
        worker = self.chosen(number)
        worker.stopped = not worker.stopped

    @rule(
        number=st.integers(0, 3),
        group=st.sampled_from(GROUPS),
        sizes=st.lists(st.sampled_from([0, 0, 100, 100, 1500, 2500]), min_size=1, max_size=20),
    )
    def publish(self, number: int, group: str, sizes: Iterable[int]) -> None:
        worker = self.chosen(number)
        if not worker.stopped:
            for size in sizes:
                worker.publish(group, size)

    @rule(number=st.integers(0, 3), group=st.sampled_from(GROUPS), size=st.sampled_from([1, 500]))
    def join(self, number: int, group: str, size: int) -> None:
        worker = self.chosen(number)
        if not worker.stopped:
            self.connections.append((worker, worker.join(group, b"i" * size)))

    @precondition(lambda self: self.connections)
    @rule(number=st.integers(0, 9), group=st.sampled_from(GROUPS), info=st.sampled_from([None, b"other", b"i"]))
    def change(self, number: int, group: str, info: bytes | None) -> None:
        worker, connection = self.connections[number % len(self.connections)]
        if worker.stopped:
            return
        if info is None:
            worker.leave(connection, group)
        else:
            worker.rejoin(connection, group, info)

    @rule(numbers=st.lists(st.integers(0, 3), max_size=6))
    def make_turns(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self.chosen(number).turn()

    @rule()
    def run(self) -> None:
        self.network.run()

    @rule()
    def tick(self) -> None:
        self.network.tick()

    @invariant()
    def what_is_known_is_in_order(self) -> None:
        for worker in self.network.workers:
            for publisher in {event[1] for event in worker.events if event[0] == "message"}:
                for group in GROUPS:
                    numbers = [event[3] for event in worker.events if event[:3] == ("message", publisher, group)]
                    assert numbers == sorted(set(numbers))  # type: ignore[type-var]

    @rule(lacks=st.booleans())
    def lack_descriptors(self, lacks: bool) -> None:
        self.network.lacks_descriptors = True
        if not lacks:
            self.network.introduce_missing()

    @rule()
    def check(self) -> None:
        self.network.settle()
        check_all(self.network)

    def teardown(self) -> None:
        if self.network.workers:
            self.network.settle()
            check_all(self.network)


TestLossRule = pytest.mark.timeout(300)(LossRule.TestCase)
TestLossRule.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
