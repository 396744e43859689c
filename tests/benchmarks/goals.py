"""The goals, as bounds for values and ratios within one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from results import Run, median_ratio


@dataclass(frozen=True, slots=True)
class Spot:
    """One peer's rounds of one figure in one case."""

    figure: str
    case: Mapping[str, Any] = field(default_factory=dict)
    peer: str = "reactorhost"


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound for one value, or for its ratio to another.

    Attributes:
        text: what is compared, in words.
        to: the divisor; None when the value itself is bounded, then in `unit`.
        at_most: whether the limit is the largest value allowed; the smallest otherwise.
    """

    text: str
    value: Spot
    to: Spot | None
    limit: float
    at_most: bool
    unit: str = ""

    @property
    def bound(self) -> str:
        """The limit in words."""
        unit = f" {self.unit}" if self.unit else ""
        return f"{'≤' if self.at_most else '≥'} {self.limit:.2f}{unit}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The value that a run reached for a goal, None where it was not measured."""

    goal: Goal
    value: float | None

    @property
    def met(self) -> bool | None:
        """Whether the goal is met, None where it was not measured."""
        if self.value is None:
            return None
        return self.value <= self.goal.limit if self.goal.at_most else self.value >= self.goal.limit

    @property
    def word(self) -> str:
        """The same in words."""
        return {True: "met", False: "not met", None: "not measured"}[self.met]


_SMALL = {"bytes": 64, "mode": "closed"}
_LARGE = {"bytes": 1048576}

GOALS = (
    Goal(
        "server CPU per 64-byte echo, against C",
        Spot("cpu_per_message", _SMALL),
        Spot("cpu_per_message", _SMALL, "c"),
        1.20,
        at_most=True,
    ),
    Goal(
        "64-byte echoes a second, against uvloop protocol",
        Spot("messages", _SMALL),
        Spot("messages", _SMALL, "uvloop-protocol"),
        1.0,
        at_most=False,
    ),
    Goal(
        "64-byte echoes a second, against asyncio protocol",
        Spot("messages", _SMALL),
        Spot("messages", _SMALL, "asyncio-protocol"),
        3.5,
        at_most=False,
    ),
    Goal(
        "server CPU per connection, against C",
        Spot("cpu_per_connection"),
        Spot("cpu_per_connection", peer="c"),
        1.6,
        at_most=True,
    ),
    Goal(
        "memory per idle connection, 10,000", Spot("pss_per_idle", {"idle": 10000}), None, 1.3, at_most=True, unit="KiB"
    ),
    Goal(
        "1 MiB messages, bytes a second, against uvloop protocol",
        Spot("bytes", _LARGE),
        Spot("bytes", _LARGE, "uvloop-protocol"),
        1.0,
        at_most=False,
    ),
    Goal(
        "server CPU per message, 10,000 idle clients against 10",
        Spot("cpu_beside_idle", {"idle": 10000}),
        Spot("cpu_beside_idle", {"idle": 10}),
        1.1,
        at_most=True,
    ),
    Goal(
        "server CPU per message, statistics on against off",
        Spot("statistics", {"statistics": "on"}),
        Spot("statistics", {"statistics": "off"}),
        1.03,
        at_most=True,
    ),
    Goal(
        "messages a second, two workers against one",
        Spot("workers", {"workers": 2}),
        Spot("workers", {"workers": 1}),
        1.8,
        at_most=False,
    ),
    Goal(
        "start until ready, 4 workers, against gunicorn",
        Spot("start_to_ready", {"workers": 4}),
        Spot("start_to_ready", {"workers": 4}, "gunicorn"),
        1.0,
        at_most=True,
    ),
)


def verdicts(run: Run) -> list[Verdict]:
    """Return the value of a run for each goal."""
    return [Verdict(goal, _value(run, goal)) for goal in GOALS]


def _value(run: Run, goal: Goal) -> float | None:
    figure = run.figure(goal.value.figure, **goal.value.case)
    if figure is None:
        return None
    if goal.to is None:
        return figure.median(goal.value.peer)
    other = run.figure(goal.to.figure, **goal.to.case)
    if other is None:
        return None
    return median_ratio(figure.rounds.get(goal.value.peer, ()), other.rounds.get(goal.to.peer, ()))
