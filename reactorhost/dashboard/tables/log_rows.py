"""The rows of the log page: records of the host's log file, or events of its status document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from reactorhost.dashboard.model.log_records import LogRecord, level_number
from reactorhost.dashboard.model.snapshot import Snapshot
from reactorhost.dashboard.model.view import Key, TableState
from reactorhost.dashboard.text.event_lines import event_lines, level_mark, text_style, wrapped_event
from reactorhost.dashboard.text.event_sentences import sentence
from reactorhost.dashboard.text.line import Line, cut, line, width_of
from reactorhost.dashboard.text.local_time import moment
from reactorhost.dashboard.text.wrapping import wrapped
from reactorhost.ipc.event_identity import REPEAT_SECONDS
from reactorhost.ipc.status import EventStatus

_PLUGIN_LOGGER = "reactorhost.plugin."
_INDENT = "    "
_FIRST_FROM_WIDTH = 60
# Of the records that a row stands for, as many are shown before the newest one when it is opened.
_MOST_EARLIER = 100


class LogRow(Protocol):
    """A record or an event."""

    @property
    def key(self) -> Key:
        """What identifies the row from one document to the next."""

    @property
    def level(self) -> str:
        """The level, empty if it is not known."""

    @property
    def text(self) -> str:
        """What a filter searches."""

    def brief(self, width: int, now: float) -> Line:
        """Return the row on one line."""

    def whole(self, width: int, now: float) -> list[Line]:
        """Return the row on as many lines as needed."""

    def details(self, width: int) -> list[Line]:
        """Return the lines of its traceback."""


_R = TypeVar("_R", bound=LogRow)


def log_rows(snapshot: Snapshot, table: TableState) -> Sequence[LogRow]:
    """Return the rows from the lowest level and with the text that were chosen, the newest last."""
    log = snapshot.log
    if log is not None and not log.instead:
        file_rows = [_FileRow(number, (record,)) for number, record in log.records]
        return _without_repeats(_selected(file_rows, table))
    return _selected([_EventRow(event) for event in snapshot.body["events"]], table)


def _selected(rows: Sequence[_R], table: TableState) -> Sequence[_R]:
    if table.level:
        least = level_number(table.level)
        rows = [row for row in rows if level_number(row.level) >= least]
    wanted = table.filter.casefold()
    return [row for row in rows if wanted in row.text.casefold()] if wanted else rows


def _without_repeats(rows: Iterable[_FileRow]) -> list[_FileRow]:
    """Return one row for records that follow each other and repeat the first one."""
    runs: list[list[_FileRow]] = []
    for row in rows:
        if runs and _is_repeat(row.newest, runs[-1][-1].newest):
            runs[-1].append(row)
        else:
            runs.append([row])
    return [_FileRow(run[0].key, tuple(row.newest for row in run)) for run in runs]


def _is_repeat(record: LogRecord, before: LogRecord) -> bool:
    if record.identity != before.identity:
        return False
    return not record.time or record.seconds - before.seconds <= REPEAT_SECONDS


@dataclass(frozen=True, slots=True)
class _FileRow:
    """A record, or several of which each repeats the one before; the newest is shown.

    The key is that of the first one, so that the selection stays while there are more of them.
    """

    key: Key
    records: tuple[LogRecord, ...]

    @property
    def newest(self) -> LogRecord:
        return self.records[-1]

    @property
    def level(self) -> str:
        return self.newest.level

    @property
    def text(self) -> str:
        record = self.newest
        if not record.time:
            return record.lines[0]
        fields = dict(record.fields)
        process = "master" if fields.pop("master", None) else ""
        if fields.pop("worker", None):
            process = f"worker {fields.pop('slot', '?')}"
        logger = str(fields.pop("logger", "")).removeprefix(_PLUGIN_LOGGER)
        said = f"{logger}: {record.event}" if logger else record.event
        return " ".join([f"{process:<9}", said, *(f"{key}={value}" for key, value in fields.items())])

    def brief(self, width: int, now: float) -> Line:
        repeats = self._repeats(now, with_first=width >= _FIRST_FROM_WIDTH)
        # How often it happened is short, and what is said of it is cut.
        text = cut(self._line(now), max(0, width - width_of(repeats)))
        return cut((*text, *repeats), width)

    def whole(self, width: int, now: float) -> list[Line]:
        shown = (*self._line(now), *self._repeats(now, with_first=True))
        return wrapped(shown, width, indent=width_of(self._prefix(now)))

    def details(self, width: int) -> list[Line]:
        # The repeats differ in their clients or workers.
        earlier = (text for each in self.records[-1 - _MOST_EARLIER : -1] for text in each.lines[:1])
        details = (line(f"{_INDENT}{each}") for each in (*earlier, *self.newest.details))
        return [each for detail in details for each in wrapped(detail, width, indent=len(_INDENT))]

    def _repeats(self, now: float, *, with_first: bool) -> Line:
        count, first = len(self.records), self.records[0]
        if count == 1:
            return ()
        since = f" since {moment(first.seconds, now)}" if with_first and first.time else ""
        return line(f"  ×{count:,}{since}")

    def _prefix(self, now: float) -> Line:
        if not self.newest.time:
            return ()
        return line((moment(self.newest.seconds, now), "dim"), " ", level_mark(self.level), " ")

    def _line(self, now: float) -> Line:
        count = len(self.newest.details)
        folded = f"  (+{count} lines)" if count else ""
        return (*self._prefix(now), *line((self.text, text_style(self.level)), (folded, "dim")))


@dataclass(frozen=True, slots=True)
class _EventRow:
    _event: EventStatus

    @property
    def key(self) -> Key:
        return self._event["entry"]

    @property
    def level(self) -> str:
        return self._event["level"]

    @property
    def text(self) -> str:
        return sentence(self._event)

    def brief(self, width: int, now: float) -> Line:
        [shown] = event_lines([self._event], width, now)
        return shown

    def whole(self, width: int, now: float) -> list[Line]:
        return wrapped_event(self._event, width, now)

    def details(self, width: int) -> list[Line]:
        return []
