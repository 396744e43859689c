"""Read the log back: lines of either format become records, which can be filtered and written in either format."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from reactorhost.errors import numbers
from reactorhost.ipc.event_identity import Identity, identity_of
from reactorhost.ipc.status import EventStatus
from reactorhost.logs import text_line, timestamp
from reactorhost.printable import printable_lines

if TYPE_CHECKING:
    from reactorhost.terminal_log import TerminalLines

_INDENT = "    "
_LINE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (\w+) (.*)")
# The fields that every line begins with. What is before them is the event, or a sentence of a plugin.
_CONTEXT = re.compile(r" (?:master=\d+|worker=\d+ slot=\d+)(?= |$)")
_PAIR = re.compile(r' ([^\s="\\]+)=("(?:[^"\\]|\\.)*"|[^\s"=\\]+)')
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,15})(?:\.\d+)?")
_LEVELS = {name.lower(): number for name, number in logging.getLevelNamesMapping().items()}
_PLUGIN_LOGGER = "reactorhost.plugin."


@dataclass(slots=True)
class LogRecord:
    """One event of the log, or a line that is none: `time`, `level` and `event` are empty then.

    A line of another program that begins with a time has no level.

    Attributes:
        lines: what is in the file.
        details: lines of a traceback or a stack.
        slots: slots of the workers that an event with repeats is about.
    """

    lines: list[str]
    time: str = ""
    level: str = ""
    event: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    details: list[str] = field(default_factory=list)
    is_json: bool = False
    slots: Collection[int] = ()
    _identity: Identity | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def identity(self) -> Identity:
        """What the record and its repeats have in common."""
        # Kept: a view compares all of its records each time that it is drawn.
        if self._identity is None:
            self._identity = identity_of(self.level, self.event, self.fields) if self.time else tuple(self.lines)
        return self._identity

    @property
    def seconds(self) -> float:
        """The time of an event, in seconds since the epoch."""
        return datetime.fromisoformat(self.time).timestamp()

    @classmethod
    def from_event(cls, event: EventStatus) -> LogRecord:
        """Return an event of the status document; of one with repeats the newest, with their number."""
        fields: dict[str, Any] = dict(event["fields"])
        if event["count"] > 1:
            fields["repeats"] = event["count"]
        if len(event["slots"]) > 1:
            fields["slots"] = numbers(event["slots"])
        time = timestamp(event["time"])
        return cls([], time, event["level"], event["event"], fields, is_json=True, slots=event["slots"])

    def as_text(self) -> str:
        """Return the lines as in the log format `text`."""
        if not self.is_json:
            return printable_lines("\n".join(self.lines))
        return text_line(self.time, self.level, self.event, self.fields, "\n".join(self.details))

    def for_terminal(self, made: TerminalLines) -> str:
        """Return the lines for people: in local time, and wrapped."""
        if not self.time:
            return self.as_text()
        return made.lines(self.seconds, self.level, self.event, self.fields, "\n".join(self.details))

    def as_json(self) -> str:
        """Return the line as in the log format `json`."""
        if not self.time:
            return json.dumps({"time": None, "level": None, "event": None, "text": self.lines[0]})
        document = {"time": self.time, "level": self.level or None, "event": self.event, **self.fields}
        if self.details:
            document["details"] = "\n".join(self.details)
        return json.dumps(document)


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which records are shown; a line that is no event only without any condition.

    Attributes:
        level: the lowest level.
        since: a time as in the log, or the beginning of one.
    """

    level: str | None = None
    plugin: str | None = None
    slot: int | None = None
    since: str | None = None

    def admits(self, record: LogRecord) -> bool:
        """Return whether a record is shown."""
        if not record.time:
            return self == LogFilter()
        if not self.may_admit(record.time, record.level, None):
            return False
        if self.plugin is not None and self.plugin not in _plugins_of(record):
            return False
        return self.slot is None or self.slot in (record.fields.get("slot"), *record.slots)

    def may_admit(self, time: str, level: str, line: str | None) -> bool:
        """Return False if an event cannot be shown, which is known before its fields are parsed."""
        if self.level is not None and level_number(level) < level_number(self.level):
            return False
        if self.since is not None and time < self.since:
            return False
        return line is None or ((self.plugin or "") in line and (self.slot is None or str(self.slot) in line))


ANY = LogFilter()


def level_number(level: str) -> int:
    """Return the number by which a level is compared; 0 for an unknown one."""
    return _LEVELS.get(level, 0)


def records(lines: Iterable[str | None], wanted: LogFilter = ANY) -> Iterator[LogRecord]:
    """Yield the records of lines without line ends; None stands for a moment in which no line follows.

    Of a record that `wanted` does not admit, the fields may be missing: to parse them takes most of the time.
    """
    record: LogRecord | None = None
    for line in lines:
        if record is not None and line is not None and line.startswith(_INDENT) and record.time and not record.is_json:
            record.lines.append(line)
            record.details.append(line.removeprefix(_INDENT))
            continue
        if record is not None:
            yield record
        record = None if line is None else _record(line, wanted)
    if record is not None:
        yield record


def _record(line: str, wanted: LogFilter) -> LogRecord:
    if line.startswith("{"):
        return _from_json(line)
    match = _LINE.fullmatch(line)
    if match is None or not _is_time(match[1]):
        return LogRecord([line])
    time, level, rest = match.groups()
    if not wanted.may_admit(time, level, line):
        return LogRecord([line], time, level, rest)
    # The last that is followed by fields only: text of a plugin may look like the context.
    for context in reversed(list(_CONTEXT.finditer(rest))):
        fields = _fields(rest, context.start())
        if fields is not None:
            return LogRecord([line], time, level, rest[: context.start()], fields)
    if level not in _LEVELS:
        # Not a line of the host: the access log, for one, has the service there.
        return LogRecord([line], time, "", f"{level} {rest}")
    return LogRecord([line], time, level, rest)


def _from_json(line: str) -> LogRecord:
    try:
        fields = json.loads(line)
        time, level, event = (fields.pop(key) for key in ("time", "level", "event"))
        details = fields.pop("details", "")
    except (ValueError, KeyError, RecursionError):
        return LogRecord([line])
    if not all(isinstance(text, str) for text in (time, level, event, details)) or not _is_time(time):
        return LogRecord([line])
    return LogRecord([line], time, level, event, fields, details.splitlines(), is_json=True)


def _is_time(text: str) -> bool:
    # A plugin may print what looks like an event into the log file.
    try:
        datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return False
    return True


def _fields(text: str, start: int) -> dict[str, Any] | None:
    """Return the fields in the rest of a line, or None if it has anything else."""
    found: dict[str, Any] = {}
    while start < len(text):
        match = _PAIR.match(text, start)
        if match is None:
            return None
        found[match[1]] = _value(match[2])
        start = match.end()
    return found


def _value(text: str) -> object:
    if text.startswith('"'):
        try:
            return json.loads(text)
        except ValueError:
            return text
    if text == "None":
        return None
    # A text of digits is written like a number, so it becomes one; `007` or `1.50` cannot have been a number.
    number = json.loads(text) if _NUMBER.fullmatch(text) else None
    return number if str(number) == text else text


def _plugins_of(record: LogRecord) -> set[object]:
    logger = str(record.fields.get("logger", ""))
    # A plugin may log to a logger below its own.
    own = logger.removeprefix(_PLUGIN_LOGGER) if logger.startswith(_PLUGIN_LOGGER) else ""
    return {record.fields.get("plugin"), own, own.partition(".")[0]} - {"", None}
