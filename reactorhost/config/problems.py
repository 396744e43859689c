"""Collect the problems of a configuration, so that one error reports all of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from reactorhost.config.settings import Layer, Origin
from reactorhost.errors import ConfigError, Problem, ReactorhostError


class FlagError(ConfigError):
    """At least one problem is in a flag, so the exit status is that of a usage error."""

    exit_status = 2


@dataclass(slots=True)
class Problems:
    """Problems in the order found, and whether one is in a flag."""

    found: list[Problem] = field(default_factory=list)
    in_flag: bool = False

    def add(self, what: str, origin: Origin, hint: str | None = None) -> None:
        """Add a problem of the value that came from `origin`."""
        self.found.append(Problem(what, origin.where or None, hint))
        self.in_flag = self.in_flag or origin.layer is Layer.FLAG

    def include(self, error: ReactorhostError) -> None:
        """Add another error, except the problems that were found already."""
        self.found.extend(problem for problem in error.problems if problem not in self.found)
        self.in_flag = self.in_flag or error.exit_status == FlagError.exit_status

    def error(self) -> ConfigError:
        """Return the exception that reports all of them."""
        return FlagError(self.found) if self.in_flag else ConfigError(self.found)
