"""The context of every measurement: settings, servers, load, and alternating rounds."""

from __future__ import annotations

import functools
import resource
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from compiler import compiler
from fleet import Fleet
from loading import Loader, Work, loader
from peer_catalog import FRESH
from processors import Places, running_on
from results import Figure, Rounds
from servers import ServerError

# Descriptors of a server or its clients, in addition to one per client.
_OTHER_FILES = 200

Key = TypeVar("Key", bound=Hashable)
Found = TypeVar("Found")


class NotMeasuredError(Exception):
    """A figure cannot be measured on this machine; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Durations and sizes of a run.

    Attributes:
        seconds: measured time of one peer in one round; `warm_up` comes before.
        clients: number of busy clients.
        window: messages in flight on each client when it pipelines.
        idle: numbers of idle clients.
        starts: rounds of starts, reloads and `--help`.
    """

    # Many short rounds: a shared machine changes over time, and two peers of a round are measured close together.
    rounds: int = 12
    seconds: float = 0.4
    warm_up: float = 0.1
    clients: int = 64
    window: int = 16
    sizes: tuple[int, ...] = (64, 1024, 16384)
    idle: tuple[int, ...] = (1000, 10000)
    starts: int = 10


@dataclass
class Bench:
    """One run."""

    settings: Settings
    places: Places
    fleet: Fleet
    names: Sequence[str]
    folder: Path
    say: Callable[[str], object]
    not_measured: list[dict[str, str]] = field(default_factory=list)

    @functools.cached_property
    def loader(self) -> Loader:
        """The load written in C.

        Raises:
            NotMeasuredError: it cannot be compiled.
        """
        if not compiler():
            raise NotMeasuredError("the load is written in C, and there is no C compiler")
        return loader(self.folder, self.settings.warm_up, self.settings.seconds)

    @functools.cached_property
    def idle(self) -> tuple[int, ...]:
        """Numbers of idle clients, limited by the descriptors of one process."""
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        possible = []
        for wanted in self.settings.idle:
            possible.append(min(wanted, most - _OTHER_FILES))
            if possible[-1] < wanted:
                self.skip(f"{wanted:,} idle clients", f"a process may have {most:,} files: {possible[-1]:,} instead")
        return tuple(dict.fromkeys(count for count in possible if count > 0))

    @property
    def settled_names(self) -> list[str]:
        """The peers except for the unvisited asyncio server, which only one figure includes."""
        return [name for name in self.names if name != FRESH]

    def skip(self, what: str, why: str) -> None:
        """Record an omission, once."""
        note = {"what": what, "why": why}
        if note not in self.not_measured:
            self.not_measured.append(note)
            self.say(f"  {what}: {why}")

    def alternate(
        self, what: str, keys: Sequence[Key], rounds: int, measure: Callable[[Key], Found]
    ) -> dict[Key, list[Found | None]]:
        """Measure each in turn, round by round, each round starting with a different one.

        A peer that fails has no value in later rounds; the others continue.
        """
        found: dict[Key, list[Found | None]] = {key: [] for key in keys}
        failed: set[Key] = set()
        for number in range(rounds):
            first = number % len(keys) if keys else 0
            for key in (*keys[first:], *keys[:first]):
                found[key].append(None if key in failed else self._tried(what, key, number, measure, failed))
        return found

    def _tried(
        self, what: str, key: Key, number: int, measure: Callable[[Key], Found], failed: set[Key]
    ) -> Found | None:
        try:
            with running_on(self.places.load):
                return measure(key)
        except (ServerError, OSError) as error:
            failed.add(key)
            self.fleet.drop(str(key))
            self.skip(f"{key}: {what}", f"failed in round {number + 1}: {error}")
            return None


def column(found: dict[str, list[Work | None]], value: Callable[[Work], float]) -> Rounds:
    """Return one value of each piece of work."""
    return {name: [None if work is None else value(work) for work in works] for name, works in found.items()}


def figure_of(
    name: str, unit: str, case: dict[str, object], better: str, found: dict[str, list[Work | None]],
    value: Callable[[Work], float],
) -> Figure:  # fmt: skip
    """Return a figure with the utilisation of load and server."""
    busy = {"load_busy": column(found, lambda work: work.load_busy)}
    busy["server_busy"] = column(found, lambda work: work.server_busy)
    return Figure(name, unit, case, better, column(found, value), **busy)
