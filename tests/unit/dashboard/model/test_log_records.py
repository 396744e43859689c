"""Lines of the log become the records that they were written from, whatever clients and plugins put into them."""

from __future__ import annotations

import json
import logging
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies

from documents import event as status_event
from documents import repeated
from reactorhost.dashboard.model.log_records import LogFilter, LogRecord, records
from reactorhost.logs import ContextFormatter, JsonFormatter, TextFormatter
from reactorhost.terminal_log import SharedDay, TerminalLines

Formatter = type[ContextFormatter]

CONTEXT = {"worker": 7, "slot": 1}


def written(formatter: Formatter, message: str, fields: dict[str, Any], details: str | None = None) -> str:
    record = logging.LogRecord("reactorhost.plugin.chat", logging.WARNING, "", 0, message, (), None)
    record.created = 1_795_000_000.25
    record.reactorhost_fields = fields
    record.reactorhost_details = details
    return formatter(CONTEXT).format(record)


def read(text: str) -> LogRecord:
    [record] = records(text.split("\n"))
    return record


TEXTS = strategies.text() | strategies.sampled_from(
    ["", "a worker=1 slot=2", 'x="y', "12", "-0", "1.50", "None", "\\", " worker=1 slot=2 k=v", "é\u202e"]
)


@pytest.mark.parametrize("formatter", [TextFormatter, JsonFormatter])
@hypothesis.given(TEXTS, strategies.dictionaries(strategies.sampled_from(["peer", "error", "where"]), TEXTS), TEXTS)
def test_a_record_is_read_as_it_was_written(
    formatter: Formatter, message: str, fields: dict[str, Any], details: str
) -> None:
    text = written(formatter, message, fields, details)
    record = read(text)
    assert (record.time, record.level) == ("2026-11-18T11:06:40.250Z", "warning")
    context = {"worker": 7, "slot": 1, "logger": "reactorhost.plugin.chat"}
    # A text like a number, or like None, cannot be told from one in the format `text`.
    assert {key: str(value) for key, value in record.fields.items()} == {
        **{key: str(value) for key, value in context.items()},
        **fields,
    }
    again = read(json.dumps(json.loads(record.as_json())))
    assert again.fields == record.fields
    assert read(record.as_text()).fields.keys() == record.fields.keys()


def test_a_line_of_the_access_log_keeps_its_service() -> None:
    text = "2026-11-23T06:52:53.123Z plain 127.0.0.1:53422 0.004s in=32 out=32 reason=peer id=17 pid=4243"
    record = read(text)
    assert (record.level, record.event) == ("", text.split(" ", 1)[1])
    assert record.as_text() == text
    assert json.loads(record.as_json()) == {"time": record.time, "level": None, "event": record.event}
    shown = record.for_terminal(TerminalLines(None, colour=False, day=SharedDay())).splitlines()[-1]
    assert shown[12:].split() == record.event.split()


def test_a_sentence_that_looks_like_fields_stays_a_sentence() -> None:
    record = read(written(TextFormatter, "evil worker=1 slot=9 pid=3", {}))
    assert (record.event, record.fields["worker"], record.fields["slot"]) == ("evil worker=1 slot=9 pid=3", 7, 1)


def test_a_traceback_belongs_to_its_event_in_both_formats() -> None:
    text = written(TextFormatter, "hook_failed", {}, "Traceback\n  File x\n")
    record = read(text)
    assert record.details == ["Traceback", "  File x"]
    assert record.as_text() == text
    document = json.loads(record.as_json())
    assert document["details"] == "Traceback\n  File x"
    # The two differ only in what a text cannot express.
    assert document == json.loads(written(JsonFormatter, "hook_failed", {}, "Traceback\n  File x"))
    assert read(json.dumps(document)).as_text() == text


def test_values_have_the_types_that_the_json_format_has() -> None:
    fields = {"pid": 12, "seconds": 0.5, "path": None, "version": "1.0.3", "at": "007"}
    assert read(written(TextFormatter, "x", fields)).fields == {
        **CONTEXT,
        "logger": "reactorhost.plugin.chat",
        **fields,
    }


@pytest.mark.parametrize(
    "line",
    [
        *(
            "127.0.0.1 - - GET /",
            "{",
            '{"time": 1, "level": "info", "event": "x"}',
            '{"a": 1}',
            "[" * 5000,
            "{[" * 9000,
        ),
        # Printed by a plugin, and of no time.
        '{"time": "nonsense", "level": "info", "event": "x"}',
        "2026-99-27T10:00:00.000Z INFO worker_ready master=1",
    ],
)
def test_a_line_that_is_no_event_stays_as_it_is(line: str) -> None:
    record = read(line)
    assert not record.time
    assert record.as_text() == line
    assert json.loads(record.as_json()) == {"time": None, "level": None, "event": None, "text": line}


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert read("\x1b[2Jraw").as_text() == "\\u001b[2Jraw"


def test_an_event_is_complete_when_nothing_follows() -> None:
    first, second = written(TextFormatter, "a", {}, "trace").split("\n")
    assert [record.details for record in records([first, second, None, "    more"])] == [["trace"], []]


def event(text: str, level: str = "info") -> LogRecord:
    return read(f"2026-11-28T07:30:00.000Z {level} {text}")


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        (LogFilter(), "abcdefr"),
        (LogFilter(level="warning"), "b"),
        (LogFilter(plugin="chat"), "cde"),
        (LogFilter(slot=3), "f"),
        (LogFilter(since="2026-11-28T07:30"), "abcdef"),
        (LogFilter(since="2026-11-28T07:30:00.001Z"), ""),
        (LogFilter(plugin="chat", level="error"), ""),
    ],
)
def test_a_filter_admits_only_what_it_selects(wanted: LogFilter, shown: str) -> None:
    log = {
        "a": event("host_ready master=1 workers=2"),
        "b": event("worker_crashed master=1 slot=2", "error"),
        "c": event("hook_failed worker=7 slot=1 plugin=chat"),
        "d": event("joined the room worker=7 slot=1 logger=reactorhost.plugin.chat"),
        "e": event("joined the room worker=7 slot=1 logger=reactorhost.plugin.chat.rooms"),
        "f": event("worker_ready master=1 slot=3 plugin=chatty"),
        "r": read("printed by a library"),
    }
    assert "".join(key for key, record in log.items() if wanted.admits(record)) == shown


def test_an_event_with_repeats_says_how_many_and_is_one_of_each_of_its_workers() -> None:
    newest = status_event(0.0, "worker_blocked", "warning", slot=2, pid=7)
    record = LogRecord.from_event(repeated(newest, 5, [0, 1, 2], 30.0))
    assert record.as_text().endswith("warning worker_blocked slot=2 pid=7 repeats=5 slots=0-2")
    assert [LogFilter(slot=slot).admits(record) for slot in (0, 2, 3)] == [True, True, False]
    assert LogRecord.from_event(newest).as_text().endswith("warning worker_blocked slot=2 pid=7")
