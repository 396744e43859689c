"""The counts of ended workers add up, also of plugins that have no timings of their own."""

from __future__ import annotations

from reactorhost.ipc.counters import Counters, Timings
from reactorhost.ipc.scoreboard import MOST_PLUGINS
from reactorhost.master.stats.ended_workers import EndedWorkers
from reactorhost.master.workers.exit_report import Sample


def sample(messages: int, *plugins: str) -> Sample:
    timings = [Timings(calls=messages, receive_nanoseconds=10 * messages) for _ in range(1 + len(plugins))]
    return Sample(1.0, Counters(messages=messages, connections=3), timings[: 1 + MOST_PLUGINS], plugins)


def test_counters_add_up_in_their_slot_and_what_was_open_is_not_kept() -> None:
    ended = EndedWorkers()
    for slot, messages in ((0, 5), (0, 6), (3, 7)):
        ended.add(slot, sample(messages))
    assert ended.slots == {0: Counters(messages=11), 3: Counters(messages=7)}
    assert (ended.receive.calls, ended.receive.receive_nanoseconds) == (18, 180)


def test_a_plugin_keeps_its_timings_wherever_it_stands_in_the_order() -> None:
    ended = EndedWorkers()
    ended.add(0, sample(5, "log", "echo"))
    ended.add(0, sample(6, "echo"))
    assert {name: timings.calls for name, timings in ended.plugins.items()} == {"log": 5, "echo": 11}


def test_plugins_beyond_those_that_a_page_has_room_for_are_left_out() -> None:
    ended = EndedWorkers()
    ended.add(0, sample(1, *(f"p{number}" for number in range(MOST_PLUGINS + 3))))
    assert list(ended.plugins) == [f"p{number}" for number in range(MOST_PLUGINS)]
