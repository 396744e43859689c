"""Tests of what `keep_history` and `history` of a worker do."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from reactorhost import Connection, Worker, hookimpl
from reactorhost.bus.backend import Keep
from reactorhost.bus.refs import Origin
from reactorhost.reactor import Reactor
from reactorhost.testing import PluginBench, fakes
from reactorhost.testing.fakes import FakeClock, FakePoller
from reactorhost.worker.bus.local.history import MOST_KEPT_MESSAGES, STORED_SECONDS, History
from reactorhost.worker.bus.local.history_transfer import START_SECONDS
from reactorhost.worker.bus.local.interest import Interest
from reactorhost.worker.bus.no_peers import NoPeers

OWN = Origin(b"host----", b"worker-1")
SECOND = Origin(b"host----", b"worker-2")


class Bench:
    """The history of a worker, to which its reads, the answers and the failures are noted."""

    def __init__(self, *, introduced: bool = True) -> None:
        self.clock = FakeClock(100.0)
        self.poller = FakePoller(self.clock)
        self.reactor = Reactor(self.poller, self.clock)
        self.wanted: list[str] = []
        self.failed: list[tuple[str, str, Exception]] = []
        self.answers: list[list[bytes]] = []
        outbound = NoPeers()
        outbound.want = self.wanted.append  # type: ignore[assignment, method-assign]
        self.history = History(OWN, self.reactor, Interest(lambda: outbound), self.hook_failed)
        self.history.transfer.outbound = outbound
        if introduced:
            self.history.transfer.introduced()

    def hook_failed(self, plugin: str, hook: str, connection: object, error: Exception) -> None:
        self.failed.append((plugin, hook, error))

    def read(self, most: int = 100, on_result: Callable[[list[bytes]], object] | None = None) -> Any:
        return self.history.read("chat", "g:x", most, on_result or self.answers.append)

    def wait(self, seconds: float = 0.0) -> list[list[bytes]]:
        """Let time pass; returns the answers since the last time."""
        self.clock.now += seconds
        while fakes.turn(self.reactor, self.poller):
            pass
        answers = self.answers.copy()
        self.answers.clear()
        return answers


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.history.keep("g:x", 3, None)
    return made


def test_what_is_kept_is_wanted_of_other_workers(bench: Bench) -> None:
    bench.history.keep("g:x", 5, None)
    bench.history.keep("g:a*", 5, 1.0)
    assert bench.wanted == ["g:x", "g:a*"]
    assert bench.history.keep_of("g:x") == Keep(5)
    assert bench.history.keep_of("g:abc") == Keep(5, 1.0)


def test_the_messages_of_all_workers_are_kept(bench: Bench) -> None:
    assert [bench.history.published("g:x", b"one"), bench.history.published("g:y", b"other")] == [1, 0]
    assert bench.history.received(SECOND, "g:x", 1, b"two")
    assert bench.history.published("g:x", b"three") == 2
    bench.read()
    bench.read(most=2)
    assert bench.answers == []
    assert bench.wait() == [[b"one", b"two", b"three"], [b"two", b"three"]]


def test_a_message_that_was_received_before_is_neither_kept_nor_delivered(bench: Bench) -> None:
    assert [bench.history.received(SECOND, "g:x", number, b"%d" % number) for number in (1, 2, 1, 2, 3)] == [
        True,
        True,
        False,
        False,
        True,
    ]
    bench.read()
    assert bench.wait() == [[b"1", b"2", b"3"]]


def test_messages_without_a_number_are_delivered_and_not_kept(bench: Bench) -> None:
    assert bench.history.received(SECOND, "g:x", 0, b"one")
    assert bench.history.received(SECOND, "g:x", 0, b"two")
    bench.read()
    assert bench.wait() == [[]]


def test_own_messages_are_repeated(bench: Bench) -> None:
    bench.history.received(SECOND, "g:x", 2, b"not own")
    for data in (b"1", b"2", b"3", b"4"):
        bench.history.published("g:x", data)
    assert bench.history.since("g:x", 3) == [(3, b"3"), (4, b"4")]
    assert bench.history.since("g:x", 1) is None


def test_a_request_is_not_answered_before_other_workers_were_read() -> None:
    bench = Bench(introduced=False)
    bench.history.keep("g:x", 3, None)
    bench.history.published("g:x", b"one")
    bench.read()
    assert bench.wait(START_SECONDS - 0.1) == []
    bench.history.transfer.introduced()
    assert bench.wait() == [[b"one"]]


def test_a_request_does_not_wait_for_ever_for_other_workers() -> None:
    bench = Bench(introduced=False)
    bench.history.keep("g:x", 3, None)
    bench.read()
    assert bench.wait(START_SECONDS + 0.1) == [[]]


Answer = Callable[[Sequence[bytes] | None], object]


@pytest.mark.parametrize(
    ("stored", "answers"),
    [([b"stored 1", b"stored 2"], [[b"stored 2"]]), ([], [[]]), (None, [[b"kept"]])],
)
def test_the_backend_is_read_and_the_rings_if_it_cannot_be(
    bench: Bench, stored: Sequence[bytes] | None, answers: list[list[bytes]]
) -> None:
    reads: list[tuple[str, int, Answer]] = []
    bench.history.read_stored = lambda *read: reads.append(read)
    bench.history.published("g:x", b"kept")
    bench.read(most=1)
    [(key, most, answer)] = reads
    assert (key, most) == ("g:x", 1)
    assert bench.wait() == []
    answer(stored)
    assert bench.answers == []
    assert bench.wait() == answers


def test_a_backend_that_does_not_answer_is_not_waited_for(bench: Bench) -> None:
    reads: list[tuple[str, int, Answer]] = []
    bench.history.read_stored = lambda *read: reads.append(read)
    bench.history.published("g:x", b"kept")
    bench.read()
    assert bench.wait(STORED_SECONDS - 0.1) == []
    assert bench.wait(0.2) == [[b"kept"]]
    reads[0][2]([b"late"])
    assert bench.wait() == []


def test_a_cancelled_request_is_not_answered(bench: Bench) -> None:
    bench.read().cancel()
    assert bench.wait() == []


def test_an_exception_of_on_result_is_one_of_the_plugin(bench: Bench) -> None:
    def fail(messages: list[bytes]) -> None:
        raise SystemExit(str(messages))

    bench.read(on_result=fail)
    bench.read()
    assert bench.wait() == [[]]
    [(plugin, hook, error)] = bench.failed
    assert (plugin, hook, str(error)) == ("chat", "on_result", "the plugin called sys.exit('[]')")


def test_on_result_has_the_context_variables_of_the_request(bench: Bench) -> None:
    variable = contextvars.ContextVar("variable", default="none")
    seen: list[str] = []
    context = contextvars.copy_context()
    context.run(variable.set, "request")
    context.run(bench.read, 1, lambda messages: seen.append(variable.get()))
    bench.wait()
    assert seen == ["request"]


@pytest.mark.parametrize(
    ("messages", "seconds", "error", "says"),
    [
        (0, None, ValueError, f"keep_history needs 1 to {MOST_KEPT_MESSAGES} messages, not 0"),
        (MOST_KEPT_MESSAGES + 1, None, ValueError, "not 100001"),
        (1.5, None, TypeError, "not 1.5"),
        (True, None, TypeError, "not True"),
        (1, 0, ValueError, "keep_history needs positive seconds, or None for ever, not 0"),
        (1, float("nan"), ValueError, "not nan"),
        (1, float("inf"), ValueError, "not inf"),
        (1, "1", TypeError, "keep_history needs seconds as a number, not '1'"),
        (1, True, TypeError, "not True"),
    ],
)
def test_numbers_out_of_range_are_refused(
    bench: Bench, messages: Any, seconds: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error) as raised:
        bench.history.keep("g:new", messages, seconds)
    assert says in str(raised.value)
    assert bench.history.keep_of("g:new") is None
    assert "g:new" not in bench.wanted


@pytest.mark.parametrize(
    ("key", "most", "on_result", "error", "says"),
    [
        ("g:y", 1, print, ValueError, "no keep_history covers the group 'y'"),
        ("g:x", 0, print, ValueError, "history needs 1 to 100000 messages, not 0"),
        ("g:x", "1", print, TypeError, "not '1'"),
        ("g:x", 1, "print", TypeError, "on_result takes a function, not 'print'"),
    ],
)
def test_a_malformed_request_is_refused(
    bench: Bench, key: str, most: Any, on_result: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error) as raised:
        bench.history.read("chat", key, most, on_result)
    assert says in str(raised.value)


class Reader:
    """Answers each client with the history of a room; async."""

    @hookimpl
    def worker_start(self, worker: Worker) -> None:
        self.worker = worker
        worker.keep_history("room")

    @hookimpl
    async def receive(self, connection: Connection, data: bytes) -> None:
        self.worker.send_to("room", data)
        connection.send(b"|".join(await self.worker.history("room", 2)))


def test_an_async_hook_awaits_a_request(plugin_bench: Callable[..., PluginBench]) -> None:
    client = plugin_bench(Reader()).connect()
    for data in (b"one", b"two", b"three"):
        client.send(data)
    assert client.received == b"one" + b"one|two" + b"two|three"


def test_a_plain_on_result_is_required(bench: Bench) -> None:
    async def on_result(messages: list[bytes]) -> None:
        raise AssertionError

    with pytest.raises(TypeError, match="on_result takes a plain function"):
        bench.read(on_result=on_result)
