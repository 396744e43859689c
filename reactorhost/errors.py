"""The errors that an operator may see, each with an exit status.

An error has up to three lines: what happened, where (a file and a line, or an address), and a hint what to do next.
`details` is a traceback as text; it is shown with `--traceback`, or if the error comes from a plugin's code.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

_MAX_TEXT = 4000
_MAX_DETAILS = 32_000
_MAX_PROBLEMS = 100
"""Limits of what is sent to another process, in characters; of a traceback the end is sent."""


class ReactorhostError(Exception):
    """An operation failed; the text is for the operator."""

    exit_status = 1
    shows_details = False
    """Whether the details are shown without `--traceback`, because they are about a plugin's code."""

    def __init__(
        self, what: str, *, where: str | None = None, hint: str | None = None, details: str | None = None
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint
        self.details = details

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong: one problem, of a `ConfigError` one or several."""
        return (Problem(self.what, self.where, self.hint),)

    def lines(self) -> list[str]:
        """Return the lines for the operator: what, where, hint of every problem."""
        return [line for problem in self.problems for line in problem.lines()]

    def as_fields(self) -> dict[str, object]:
        """Return the error as JSON values, from which `error_from_fields` makes it again in another process."""
        return {
            "status": self.exit_status,
            "what": self.what[:_MAX_TEXT],
            "where": self.where,
            "hint": self.hint,
            "details": self.details and self.details[-_MAX_DETAILS:],
        }


class UsageError(ReactorhostError):
    """The command line is invalid."""

    exit_status = 2


class BootError(ReactorhostError):
    """A worker failed to boot."""

    exit_status = 3
    shows_details = True


class PluginError(ReactorhostError):
    """A plugin cannot be loaded."""

    exit_status = 4
    shows_details = True


class NotRunningError(ReactorhostError):
    """No host of that name is running."""

    exit_status = 5


class AlreadyRunningError(ReactorhostError):
    """A host of that name is running already."""

    exit_status = 6


class NotPermittedError(ReactorhostError):
    """The user does not have the permission."""

    exit_status = 7


class IncompleteStopError(ReactorhostError):
    """The host has stopped, but before a plugin had saved its state."""

    exit_status = 8


class StoppedEarlyError(ReactorhostError):
    """The host was stopped before it was ready, or the command before the host was done."""

    exit_status = 130


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of a configuration."""

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
    """The configuration is invalid; contains every problem found."""

    def __init__(self, problems: Sequence[Problem], *, details: str | None = None) -> None:
        super().__init__("; ".join(problem.what for problem in problems), details=details)
        self._problems = tuple(problems)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Every problem, in the order found."""
        return self._problems

    def as_fields(self) -> dict[str, object]:
        """Return the error with all problems in one text, and each with its place and hint."""
        problems = [asdict(problem) for problem in self._problems[:_MAX_PROBLEMS]]
        return {**super().as_fields(), "what": "\n".join(self.lines())[:_MAX_TEXT], "problems": problems}


_LEAST_BEGINNING = 3
"""The letters that a beginning of a word needs to be completed in a hint."""

_LIMITS = {
    errno.EMFILE: "raise the limit of open files: ulimit -n, LimitNOFILE of systemd",
    errno.ENFILE: "the limit of open files of the whole system is reached: sysctl fs.file-max",
    errno.EAGAIN: "raise the limit of processes: ulimit -u, TasksMax of systemd, pids.max of the control group",
    errno.ENOMEM: "the system has no memory for it",
    errno.ENOSYS: "the kernel or a sandbox does not allow this system call",
}


def limit_hint(error: OSError) -> str | None:
    """Return what to do about a limit of the system that an operation reached, or None if it reached none."""
    return _LIMITS.get(error.errno or 0)


def error_from_os(error: OSError, what: str, *, hint: str | None) -> ReactorhostError:
    """Return the error for a system call that failed: a `NotPermittedError` if permissions are the reason."""
    kind = NotPermittedError if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) else ReactorhostError
    return kind(f"{what}: {error.strerror or error}", hint=hint)


def boot_error(error: OSError) -> BootError:
    """Return the error of a worker that cannot boot for a limit of the system.

    Raises:
        OSError: the error itself, if it has another reason; that is a bug, and its traceback is needed.
    """
    hint = limit_hint(error)
    if hint is None:
        raise error
    return BootError(f"a worker cannot boot: {error.strerror}", hint=hint)


def error_from_fields(fields: Mapping[str, Any]) -> ReactorhostError:
    """Return the error that another process sent by `as_fields`."""
    if fields.get("problems"):
        error = ConfigError([Problem(**each) for each in fields["problems"]], details=fields["details"])
        error.exit_status, error.what = fields["status"], fields["what"]
        return error
    # An older host sends a ConfigError as one text; its status means ReactorhostError.
    kinds = {kind.exit_status: kind for kind in ReactorhostError.__subclasses__() if kind is not ConfigError}
    kind = kinds.get(fields["status"], ReactorhostError)
    return kind(fields["what"], where=fields["where"], hint=fields["hint"], details=fields["details"])


def failure_of(operation: str, error: ReactorhostError) -> ReactorhostError:
    """Return an error as the failure of the operation that it has ended, which is named first."""
    first, *others = error.problems
    first = replace(first, what=f"{operation}: {first.what}")
    fields = {**error.as_fields(), "what": first.what}
    if isinstance(error, ConfigError):
        fields["problems"] = [asdict(problem) for problem in (first, *others)]
    return error_from_fields(fields)


def counted(count: int, noun: str) -> str:
    """Return a count with its noun: `1 worker`, `2 workers`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def numbers(values: Sequence[int]) -> str:
    """Return numbers in ascending order as `3`, `0-3` or `0-3, 7, 9`."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def joined_hints(*hints: str) -> str:
    """Return several hints as one text; a hint that is a question ends with its question mark."""
    return "; ".join(hints).replace("?; ", "? ")


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return `did you mean X?` for the most similar known word, or None if none is similar."""
    similar = most_similar(word, known)
    return None if similar is None else f"did you mean {similar!r}?"


def most_similar(word: str, known: Iterable[str]) -> str | None:
    """Return the most similar known word, or else one that begins with this word, or None if none is similar."""
    import difflib  # takes a millisecond, and only errors need it

    words = sorted(known)
    # Two letters of three that are the same, as in `tpo`; with the default, 0.6, `nope` resembles `reopen`.
    similar = difflib.get_close_matches(word, words, n=1, cutoff=0.66)
    beginning = (each for each in words if each.startswith(word) and len(word) >= _LEAST_BEGINNING)
    return similar[0] if similar else next(beginning, None)
