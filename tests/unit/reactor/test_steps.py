"""A prelude takes a socket through its steps, and lets go of everything however it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest

from reactorhost.reactor import READ, WRITE, Reactor
from reactorhost.reactor.steps import Step, StepError, StepRunner
from reactorhost.testing.fakes import FakeReactor, FakeSocket

Begin = Callable[[Step[str]], "Stage"]


class Stage:
    """A prelude with everything around it."""

    def __init__(self, step: Step[str]) -> None:
        self.reactor = FakeReactor()
        self.socket = FakeSocket()
        self.reactor.sockets[self.socket.fileno()] = self.socket
        self.results: list[str] = []
        self.errors: list[Exception] = []
        self.runner = StepRunner(
            cast("Reactor", self.reactor), self.socket, step, self.results.append, self.errors.append
        )
        self.runner.begin(self.reactor.now + 10)

    @property
    def idle(self) -> bool:
        """Whether nothing is left in the reactor."""
        return self.reactor.next_at() is None and not self.reactor.watched


def reads_twice() -> Step[str]:
    yield READ
    yield READ
    return "done"


def says_what_it_waits_for() -> Step[str]:
    try:
        yield WRITE
    except TimeoutError:
        raise StepError("no room came") from None
    return "done"


def does_not_care() -> Step[str]:
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


def test_a_step_goes_on_whenever_its_socket_is_ready_and_its_result_is_handed_over() -> None:
    stage = Stage(reads_twice())
    assert not stage.reactor.turn()
    stage.socket.incoming.append(b"x")
    stage.reactor.turn()
    assert stage.results == []
    stage.reactor.turn()
    assert (stage.results, stage.errors, stage.idle, stage.socket.finished) == (["done"], [], True, False)


def test_a_step_that_refuses_at_once_closes_the_socket() -> None:
    stage = Stage(refuses())
    assert (stage.results, [str(error) for error in stage.errors]) == ([], ["no"])
    assert stage.idle
    assert stage.socket.finished


def test_a_line_that_breaks_closes_the_socket() -> None:
    stage = Stage(breaks())
    stage.socket.incoming.append(b"x")
    stage.reactor.turn()
    assert isinstance(stage.errors[0], ConnectionResetError)
    assert stage.idle
    assert stage.socket.finished


@pytest.mark.parametrize(
    ("step", "words"), [(says_what_it_waits_for, "no room came"), (does_not_care, "it took too long")]
)
def test_a_step_that_is_late_ends_and_may_say_what_it_waited_for(step: Callable[[], Step[str]], words: str) -> None:
    stage = Stage(step())
    stage.socket.reading = False
    stage.reactor.call_due(stage.reactor.now + 10)
    assert [str(error) for error in stage.errors] == [words]
    assert stage.idle
    assert stage.socket.finished


def test_a_prelude_that_is_ended_calls_nobody_and_can_be_ended_twice() -> None:
    stage = Stage(reads_twice())
    stage.runner.end()
    stage.runner.end()
    assert (stage.results, stage.errors, stage.idle, stage.socket.finished) == ([], [], True, True)
