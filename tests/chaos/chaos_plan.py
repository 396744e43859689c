"""What is done to a host and when: a sequence of steps that follows from a seed, and from nothing else.

A step has its moment, its action and three random numbers, from which the action takes its parameters when it is
carried out. So a seed gives the same steps however the host behaves, and steps that are left out do not change others.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

WEIGHTS: Mapping[str, int] = {
    "reload": 8,
    "usr1": 3,
    "hup": 3,
    "usr2": 2,
    "kill": 8,
    "terminate": 4,
    "quit_worker": 2,
    "stop_worker": 4,
    "stop_master": 3,
    "freeze": 2,
    "scale": 6,
    "ttin": 2,
    "ttou": 2,
    "recycle": 4,
    "block": 4,
    "crash": 4,
    "break_plugin": 3,
    "rotate_log": 2,
    "remove_files": 2,
    "few_descriptors": 3,
    "second_start": 1,
    "control_noise": 2,
}
"""How often each action is drawn, in proportion."""

_MEAN_PAUSE_SECONDS = 0.6
_DRAWS = 3


@dataclass(frozen=True, slots=True)
class Step:
    """An action `at` seconds after the start of its round, with the numbers that decide its parameters."""

    at: float
    action: str
    draws: tuple[float, ...]

    def number(self, draw: int, low: int, high: int) -> int:
        """Return an integer from `low` to `high`, both included, that follows from a draw."""
        return low + int(self.draws[draw] * (high - low + 1))

    def seconds(self, draw: int, low: float, high: float) -> float:
        """Return a duration that follows from a draw."""
        return low + self.draws[draw] * (high - low)


def steps(seed: int, number: int, seconds: float, weights: Mapping[str, int] = WEIGHTS) -> Iterator[Step]:
    """Yield the steps of one round: actions with random pauses, a burst of several at once now and then."""
    source = random.Random(f"{seed} {number}")
    names, proportions = list(weights), list(weights.values())
    at = 0.0
    while True:
        at += source.expovariate(1 / _MEAN_PAUSE_SECONDS)
        if at > seconds:
            return
        for _ in range(source.choice((1, 1, 1, 1, 2, 3))):
            (name,) = source.choices(names, proportions)
            yield Step(round(at, 3), name, tuple(round(source.random(), 6) for _ in range(_DRAWS)))


def recorded(path: Path) -> list[list[Step]]:
    """Read the rounds of a journal, which may have been shortened by hand.

    Raises:
        ValueError: a line is not one of a journal.
    """
    rounds: list[list[Step]] = []
    for line in path.read_text().splitlines():
        match json.loads(line):
            case {"round": _}:
                rounds.append([])
            case {"at": at, "action": action, "draws": draws}:
                rounds[-1].append(Step(at, action, tuple(draws)))
            case {"note": _}:
                continue
            case other:
                raise ValueError(f"not a line of a journal: {other}")
    return rounds
