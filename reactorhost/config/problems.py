"""Collect the problems of a configuration, so that one error reports all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from reactorhost.config.settings import Layer, Origin
from reactorhost.errors import ConfigError, Problem, ReactorhostError


class FlagError(ConfigError):
    """At least one problem is in a flag, so the exit status is that of a usage error."""

    exit_status = 2


@dataclass(slots=True)
class Problems:
    """Problems in the order found.

    Attributes:
        in_flag: whether one is in a flag.
        details: the tracebacks of those that code of a plugin has raised.
    """

    found: list[Problem] = field(default_factory=list)
    in_flag: bool = False
    details: list[str] = field(default_factory=list)

    def add(self, what: str, origin: Origin, hint: str | None = None) -> None:
        """Add a problem of the value that came from `origin`."""
        self.found.append(Problem(what, origin.where or None, hint))
        self.in_flag = self.in_flag or origin.layer is Layer.FLAG

    def include(self, error: ReactorhostError) -> None:
        """Add another error, except the problems that were found already."""
        self.found.extend(problem for problem in error.problems if problem not in self.found)
        self.in_flag = self.in_flag or error.exit_status == FlagError.exit_status
        if error.details:
            self.details.append(error.details)

    def error(self) -> ConfigError:
        """Return the exception that reports all of them."""
        kind = FlagError if self.in_flag else ConfigError
        return kind(self.found, details="\n".join(self.details) or None)


@contextmanager
def collected(failures: list[ReactorhostError]) -> Iterator[None]:
    """Add the failure of what runs in the context to `failures`, and go on behind it."""
    try:
        yield
    except ReactorhostError as error:
        failures.append(error)


def raise_together(failures: Sequence[ReactorhostError]) -> None:
    """Raise one error that reports all failures; do nothing if there is none."""
    if failures:
        raise together(failures)


def together(failures: Sequence[ReactorhostError]) -> ReactorhostError:
    """Return a single failure as it is, and several as one ConfigError, with their exit status if they share it."""
    problems = Problems()
    for each in failures:
        problems.include(each)
    if len(problems.found) == 1 or len(failures) == 1:
        return failures[0]
    error = problems.error()
    if len(statuses := {each.exit_status for each in failures}) == 1:
        error.exit_status = statuses.pop()
    return error
