"""Events as lines of the screen: time, level, sentence and repeats.

Times are local, as everywhere on a screen; the heading of a section names the zone once.
"""

from __future__ import annotations

from collections.abc import Sequence

from reactorhost.dashboard.text.event_sentences import sentence
from reactorhost.dashboard.text.line import EMPTY, Line, Piece, cut, line, width_of
from reactorhost.dashboard.text.local_time import moment, zone
from reactorhost.dashboard.text.quantities import whole_seconds
from reactorhost.dashboard.text.styles import ALARM, FAULT, WARN
from reactorhost.dashboard.text.wrapping import wrapped
from reactorhost.errors import numbers
from reactorhost.ipc.status import EventStatus

_AGE_FROM_WIDTH = 60
# As in the log on a terminal.
_LEVELS = {"debug": ("D", "dim"), "warning": ("W", WARN), "error": ("E", ALARM), "critical": ("C", ALARM)}
_TEXT_STYLES = {"error": FAULT, "critical": ALARM}


def event_section(events: Sequence[EventStatus], width: int, now: float, heading: str = "EVENTS") -> list[Line]:
    """Return an empty line, a heading and a line for every event; no lines without events."""
    if not events:
        return []
    return [EMPTY, line((f"{heading}  {zone(now)}", "dim")), *event_lines(events, width, now)]


def event_lines(events: Sequence[EventStatus], width: int, now: float) -> list[Line]:
    """Return a line for every event, cut to a width; those of other days have a date, and all are aligned."""
    prefixes = _prefixes(events, now)
    return [_event_line(each, prefix, width, now) for each, prefix in zip(events, prefixes, strict=True)]


def wrapped_event(event: EventStatus, width: int, now: float) -> list[Line]:
    """Return an event with its whole sentence and everything else that is known of it, on as many lines as needed."""
    [prefix] = _prefixes([event], now)
    suffix = _repeats(event, now)
    if event["count"] > 1:
        suffix += f", first {moment(event['first_time'], now)}"
    return wrapped(line(*prefix, (sentence(event), text_style(event["level"])), suffix), width, indent=width_of(prefix))


def level_mark(level: str) -> Piece:
    """Return the letter of a level, so that no colour is needed to see it; information has none."""
    return _LEVELS.get(level, (" ", ""))


def text_style(level: str) -> str:
    """Return the style of what is said of an event; a warning is not coloured beyond its letter."""
    return _TEXT_STYLES.get(level, "")


def _prefixes(events: Sequence[EventStatus], now: float) -> list[Line]:
    moments = [moment(each["time"], now) for each in events]
    longest = max(map(len, moments), default=0)
    return [
        line((f"{text:>{longest}}", "dim"), " ", level_mark(each["level"]), " ")
        for text, each in zip(moments, events, strict=True)
    ]


def _event_line(event: EventStatus, prefix: Line, width: int, now: float) -> Line:
    suffix = line(_repeats(event, now) if width >= _AGE_FROM_WIDTH else _count(event))
    # The sentence is cut and not what follows it: how often it happened is short.
    text = cut(line(*prefix, (sentence(event), text_style(event["level"]))), max(0, width - width_of(suffix)))
    return cut((*text, *suffix), width)


def _count(event: EventStatus) -> str:
    # Once for each worker needs no count: the workers are named.
    return f"  ×{event['count']:,}" if event["count"] > max(1, len(event["slots"])) else ""


def _repeats(event: EventStatus, now: float) -> str:
    if not _count(event):
        return ""
    where = numbers(event["slots"]) if len(event["slots"]) > 1 else ""
    workers = f", workers {where}" if where and where not in sentence(event) else ""
    return f"{_count(event)}{workers}, last {whole_seconds(max(0.0, now - event['time']))} ago"
