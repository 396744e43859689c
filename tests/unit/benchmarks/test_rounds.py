from __future__ import annotations

import os
from pathlib import Path

from bench import Bench, Settings
from fleet import Fleet
from processors import Places
from servers import ServerError


def bench() -> Bench:
    processor = min(os.sched_getaffinity(0))
    places = Places(processor, processor, (processor,))
    return Bench(Settings(), places, Fleet({}, places, Path()), [], Path(), list)


def test_every_round_begins_with_another_peer() -> None:
    asked: list[str] = []

    def measure(key: str) -> int:
        asked.append(key)
        return len(asked)

    found = bench().alternate("echo", ["a", "b", "c"], 4, measure)
    assert "".join(asked) == "abcbcacababc"
    assert found["b"] == [2, 4, 9, 11]


def test_a_peer_that_fails_has_no_value_afterwards_and_the_others_go_on() -> None:
    made, asked = bench(), {"a": 0, "b": 0}

    def measure(key: str) -> float:
        asked[key] += 1
        if key == "a" and asked["a"] == 2:
            raise ServerError("the server closed a connection")
        return 1.0

    found = made.alternate("echo", ["a", "b"], 4, measure)
    assert found == {"a": [1.0, None, None, None], "b": [1.0, 1.0, 1.0, 1.0]}
    assert made.not_measured == [{"what": "a: echo", "why": "failed in round 2: the server closed a connection"}]


def test_a_measurement_runs_on_the_processor_of_the_load_and_returns() -> None:
    before = os.sched_getaffinity(0)
    made = bench()
    assert made.alternate("echo", ["a"], 1, lambda _: os.sched_getaffinity(0)) == {"a": [{made.places.load}]}
    assert os.sched_getaffinity(0) == before


def test_no_peers_to_measure_is_not_an_error() -> None:
    assert bench().alternate("echo", list[str](), 3, lambda _: 1) == {}
