"""The failures an operator can meet, each with its sentence and its exit status.

An error is told in up to three lines: what happened, where (a file and a line, or an address), and what to do
next. `details` holds a traceback as text, shown only when somebody asked for it or when the code at fault is a
plugin's.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_MAX_TEXT = 4000
_MAX_DETAILS = 32_000
"""Characters that are told to another process; of a traceback its end."""


class ReactorhostError(Exception):
    """Failed at run time, in words for the operator."""

    exit_status = 1
    details_matter = False
    """Whether the details are shown without being asked for: where somebody else's code is to blame."""

    def __init__(
        self, what: str, *, where: str | None = None, hint: str | None = None, details: str | None = None
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint
        self.details = details

    def lines(self) -> list[str]:
        """Return what an operator reads: what, where, hint."""
        return list(Problem(self.what, self.where, self.hint).lines())

    def as_fields(self) -> dict[str, object]:
        """Return the error as values that another process can make it from again: see `error_from_fields`."""
        return {
            "status": self.exit_status,
            "what": self.what[:_MAX_TEXT],
            "where": self.where,
            "hint": self.hint,
            "details": self.details and self.details[-_MAX_DETAILS:],
        }


class UsageError(ReactorhostError):
    """The command was called in a way that cannot work."""

    exit_status = 2


class BootError(ReactorhostError):
    """A worker could not boot."""

    exit_status = 3
    details_matter = True


class PluginError(ReactorhostError):
    """A plugin could not be loaded."""

    exit_status = 4
    details_matter = True


class NotRunningError(ReactorhostError):
    """The host that the command is for does not run."""

    exit_status = 5


class AlreadyRunningError(ReactorhostError):
    """A host of that name runs already."""

    exit_status = 6


class NotPermittedError(ReactorhostError):
    """This user may not do that."""

    exit_status = 7


class StoppedEarlyError(ReactorhostError):
    """The host was told to stop before it was ready."""

    exit_status = 130


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a configuration."""

    what: str
    where: str | None = None
    hint: str | None = None

    def lines(self) -> Iterable[str]:
        """Yield what, where, hint."""
        yield self.what
        if self.where:
            yield f"  where: {self.where}"
        if self.hint:
            yield f"  hint: {self.hint}"


class ConfigError(ReactorhostError):
    """The configuration is wrong; every problem found is told at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.what for problem in problems))
        self.problems = tuple(problems)

    def lines(self) -> list[str]:
        """Return the lines of every problem, in the order found."""
        return [line for problem in self.problems for line in problem.lines()]

    def as_fields(self) -> dict[str, object]:
        """Return the error as one text: its problems need not be told apart any more."""
        return {**super().as_fields(), "what": "\n".join(self.lines())[:_MAX_TEXT]}


def error_of_system(error: OSError, what: str, *, hint: str) -> ReactorhostError:
    """Return the error for a system call that failed: its own kind where the user may not do it."""
    kind = NotPermittedError if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) else ReactorhostError
    return kind(f"{what}: {error.strerror or error}", hint=hint)


def error_from_fields(fields: Mapping[str, Any]) -> ReactorhostError:
    """Return the error that another process told by `as_fields`."""
    kinds = {kind.exit_status: kind for kind in ReactorhostError.__subclasses__() if kind is not ConfigError}
    kind = kinds.get(fields["status"], ReactorhostError)
    return kind(fields["what"], where=fields["where"], hint=fields["hint"], details=fields["details"])


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return `did you mean X?` for the nearest known word, or None when nothing is near."""
    import difflib  # a millisecond, which only mistakes pay

    near = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else None
