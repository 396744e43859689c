"""A step runner takes a socket through its steps, and releases everything however they end."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from reactorhost.reactor import READ, WRITE, Reactor
from reactorhost.reactor.steps import Step, StepError, StepRunner
from reactorhost.testing.fakes import FakeClock, FakePoller, FakeSocket

Begin = Callable[[Step[str]], "Stage"]


class Stage:
    """A step runner with everything around it."""

    def __init__(self, step: Step[str]) -> None:
        self.clock = FakeClock()
        self.poller = FakePoller(self.clock)
        self.reactor = Reactor(self.poller, self.clock)
        self.socket = FakeSocket()
        self.poller.open(self.socket)
        self.results: list[str] = []
        self.errors: list[Exception] = []
        self.runner = StepRunner(self.reactor, self.socket, step, self.results.append, self.errors.append)
        self.runner.begin(self.reactor.now + 10)

    @property
    def idle(self) -> bool:
        """Whether nothing is left in the reactor."""
        self.clock.now += 100.0
        self.reactor.turn(0)
        return self.reactor.wait_seconds(self.clock.now) == math.inf and not self.poller.watched


def reads_twice() -> Step[str]:
    yield READ
    yield READ
    return "done"


def names_what_it_waits_for() -> Step[str]:
    try:
        yield WRITE
    except TimeoutError:
        raise StepError("no room came") from None
    return "done"


def ignores_timeouts() -> Step[str]:
    for _ in range(3):
        try:
            yield READ
        except TimeoutError:
            continue
    return "done"


def refuses() -> Step[str]:
    yield from ()
    raise StepError("no")


def breaks() -> Step[str]:
    yield READ
    raise ConnectionResetError


def test_a_step_runs_further_whenever_its_socket_is_ready_and_done_gets_its_result() -> None:
    stage = Stage(reads_twice())
    stage.reactor.turn(0)
    assert not stage.poller.reported
    stage.socket.incoming.append(b"x")
    stage.reactor.turn(0)
    assert stage.results == []
    stage.reactor.turn(0)
    assert (stage.results, stage.errors, stage.idle, stage.socket.finished) == (["done"], [], True, False)


def test_a_step_that_refuses_at_once_closes_the_socket() -> None:
    stage = Stage(refuses())
    assert (stage.results, [str(error) for error in stage.errors]) == ([], ["no"])
    assert stage.idle
    assert stage.socket.finished


def test_a_broken_connection_closes_the_socket() -> None:
    stage = Stage(breaks())
    stage.socket.incoming.append(b"x")
    stage.reactor.turn(0)
    assert isinstance(stage.errors[0], ConnectionResetError)
    assert stage.idle
    assert stage.socket.finished


@pytest.mark.parametrize(
    ("step", "words"), [(names_what_it_waits_for, "no room came"), (ignores_timeouts, "it took too long")]
)
def test_a_step_past_its_deadline_may_say_what_it_waited_for(step: Callable[[], Step[str]], words: str) -> None:
    stage = Stage(step())
    stage.socket.reading = False
    stage.reactor.turn(stage.reactor.wait_seconds(stage.clock.now))
    assert stage.clock.now == 10.0
    assert [str(error) for error in stage.errors] == [words]
    assert stage.idle
    assert stage.socket.finished


def test_steps_that_are_ended_call_nothing_and_can_be_ended_twice() -> None:
    stage = Stage(reads_twice())
    stage.runner.end()
    stage.runner.end()
    assert (stage.results, stage.errors, stage.idle, stage.socket.finished) == ([], [], True, True)


def returns_at_its_deadline() -> Step[str]:
    try:
        yield READ
    except TimeoutError:
        return "too late"
    return "done"


def test_a_step_may_return_a_result_at_its_deadline() -> None:
    stage = Stage(returns_at_its_deadline())
    assert stage.idle
    # The socket belongs to `done`.
    assert (stage.results, stage.errors, stage.socket.finished) == (["too late"], [], False)


@pytest.mark.parametrize("outcome", ["returns", "raises", "waits"])
def test_a_step_may_end_its_own_runner(outcome: str) -> None:
    def ends_itself() -> Step[str]:
        yield READ
        stage.runner.end()
        if outcome == "raises":
            raise StepError("too late")
        if outcome == "waits":
            yield READ
        return "too late"

    stage = Stage(ends_itself())
    stage.socket.incoming.append(b"x")
    stage.reactor.turn(0)
    assert (stage.results, stage.errors, stage.idle, stage.socket.finished) == ([], [], True, True)
