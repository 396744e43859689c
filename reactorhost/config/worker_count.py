"""The setting `workers`: a number, `auto`, or a range within which the host adapts the number to its load."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from reactorhost.config import values
from reactorhost.config.values import InvalidValueError, ValueKind, written

_RANGE = re.compile(r"([0-9]{1,9}) ?- ?([0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class WorkerRange:
    """The fewest and the most workers of a host that adapts their number."""

    least: int
    most: int

    def __str__(self) -> str:
        return f"{self.least}-{self.most}"

    def nearest(self, workers: int) -> int:
        """Return the number in this range that is nearest to `workers`."""
        return min(max(workers, self.least), self.most)


def parse(text: str) -> WorkerRange | None:
    """Return the range that a text such as `2-16` stands for, or None."""
    match = _RANGE.fullmatch(text.strip())
    return WorkerRange(int(match[1]), int(match[2])) if match else None


def worker_count(most: int) -> ValueKind:
    """Return the kind of a number of workers up to `most`, of a range of such numbers, and of `auto`."""
    number = values.whole(1, most, "auto")

    def read(value: object) -> object:
        given = _range_of(value)
        if given is None:
            try:
                return number.read(value)
            except InvalidValueError as error:
                raise InvalidValueError(str(error), 'write 4, "2-16" or "auto"') from None
        if 1 <= given.least <= given.most <= most:
            return given
        hint = "write the smaller number first" if given.least > given.most else None
        raise InvalidValueError(f"must be a range of numbers from 1 to {most}, not {given}", hint)

    return ValueKind("N|MIN-MAX|auto", read, number.from_text)


def _range_of(value: object) -> WorkerRange | None:
    if isinstance(value, str):
        return parse(value)
    if not isinstance(value, Mapping):
        return None
    bounds = [value.get("min"), value.get("max")]
    if value.keys() != {"min", "max"} or not all(
        isinstance(each, int) and not isinstance(each, bool) for each in bounds
    ):
        keys = ", ".join(f"{key} = {written(each)}" for key, each in value.items()) or "nothing"
        raise InvalidValueError(f"must have min and max, both whole numbers, not {keys}", "write { min = 2, max = 16 }")
    return WorkerRange(value["min"], value["max"])
