"""What is wrong with a configuration, collected so that all of it is told at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from reactorhost.config.settings import Origin, Source
from reactorhost.errors import ConfigError, Problem


class FlagError(ConfigError):
    """At least one problem lies in a flag: the command was called in a way that cannot work."""

    exit_status = 2


@dataclass(slots=True)
class Problems:
    """Problems in the order found, and whether a flag is to blame for one."""

    found: list[Problem] = field(default_factory=list)
    flag_to_blame: bool = False

    def add(self, what: str, origin: Origin, hint: str | None = None) -> None:
        """Note that the value which came from `origin` is wrong."""
        self.found.append(Problem(what, origin.where or None, hint))
        self.flag_to_blame = self.flag_to_blame or origin.source is Source.FLAG

    def error(self) -> ConfigError:
        """Return the exception that tells all of them."""
        return FlagError(self.found) if self.flag_to_blame else ConfigError(self.found)
