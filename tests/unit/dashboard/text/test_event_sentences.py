"""Sentences for events."""

from __future__ import annotations

import ast
import functools
from pathlib import Path
from typing import Any

import pytest

import reactorhost.master
from documents import event
from reactorhost.dashboard.text.event_sentences import _SENTENCES, sentence


@pytest.mark.parametrize(
    ("name", "fields", "words"),
    [
        (
            "workers_file_not_written",
            {"error": "cannot write /run/a/workers.pid: No space left on device"},
            "cannot write /run/a/workers.pid: No space left on device",
        ),
        ("worker_starting", {"slot": 7, "pid": 4311, "generation": 7}, "worker 7 (pid 4311) starting, generation 7"),
        (
            "worker_blocked",
            {"slot": 1, "seconds": 1.2, "plugin": "made", "hook": "receive", "where": "made.py:3"},
            "worker 1 blocked for 1.2 s in made.receive at made.py:3",
        ),
        (
            "worker_blocked",
            {"slot": 1, "seconds": 1.2, "plugin": "made", "hook": "receive", "where": "made.py:3", "peer": "[::1]:5"},
            "worker 1 blocked for 1.2 s in made.receive at made.py:3 for [::1]:5",
        ),
        (
            "slow_hook",
            {"slot": 1, "plugin": "made", "hook": "receive", "where": "made.py:3", "seconds": 0.104},
            "worker 1 held by made.receive at made.py:3, for 0.1s so far",
        ),
        (
            "slow_hook_ended",
            {"slot": 1, "plugin": "made", "hook": "?", "peer": "[::1]:5", "seconds": 18.2},
            "worker 1 held by made for 18s, client [::1]:5",
        ),
        (
            "slow_hook_ended",
            {
                "slot": 1,
                "plugin": "made",
                "hook": "receive",
                "peer": "[::1]:5",
                "seconds": 0.2,
                "longest_seconds": 25.1,
            },
            "worker 1 held by made.receive for up to 25s",
        ),
        (
            "slow_hook",
            {"slot": 1, "plugin": "made", "hook": "?", "where": "made.py:3", "seconds": 0.1, "longest_seconds": 0.3},
            "worker 1 held by made at made.py:3, for up to 0.3s",
        ),
        (
            "clients_refused",
            {"slot": 1, "reason": "max_connections", "suppressed": 3},
            "worker 1 refuses clients: max_connections",
        ),
        (
            "hook_cancel_ignored",
            {"slot": 1, "service": "one", "peer": "10.0.0.1:9", "connection": 4},
            "worker 1: an async hook for 10.0.0.1:9 did not end when it was cancelled",
        ),
        (
            "stats_invalid",
            {"slot": 1, "plugin": "made", "reason": "not a mapping"},
            "worker 1: stats of plugin made cannot be used: not a mapping",
        ),
        (
            "worker_crashed",
            {
                "slot": 7,
                "pid": 4249,
                "how": "signal 11 (SIGSEGV)",
                "connections": 1,
                "rss_peak_bytes": 0,
                "restarts": 3,
            },
            "worker 7 (pid 4249) crashed: signal 11 (SIGSEGV), 1 connection open; restart 3",
        ),
        (
            "worker_crashed",
            {
                "slot": 1,
                "how": "signal 9 (SIGKILL)",
                "plugin": "made",
                "hook": "get",
                "where": "made.py:3",
                "reason": "no turn for 9.2 s, in made.get at made.py:3",
            },
            "worker 1 crashed: signal 9 (SIGKILL), ended by the master: no turn for 9.2 s, in made.get at made.py:3",
        ),
        (
            "worker_draining",
            {"slot": 6, "pid": 4248, "generation": 6, "connections": 308, "seconds": 3600.0},
            "worker 6 (pid 4248) draining, generation 6: 308 connections open, at most 1h00m",
        ),
        (
            "worker_draining",
            {"connections": 2, "seconds": "10.0"},
            "a worker draining: 2 connections open, at most 10s",
        ),
        (
            "worker_recycled",
            {"slot": 1, "pid": 4244, "reason": "max_age", "value": 3500.2, "limit": 3499.7},
            "worker 1 (pid 4244) replaced: max_age, 58m20s of 58m19s",
        ),
        (
            "worker_recycled",
            {"slot": 1, "pid": 4244, "reason": "max_messages_per_worker", "value": 1234, "limit": 950.1},
            "worker 1 (pid 4244) replaced: max_messages_per_worker, 1,234 of 950",
        ),
        ("host_stopping", {"connections": 0}, "stopping"),
        (
            "reload_failed",
            {"slot": 3, "serving": "generation 3 in slots 0-2, no worker in slot 3", "error": "no"},
            "reload failed at slot 3 (generation 3 in slots 0-2, no worker in slot 3): no",
        ),
        ("reload_failed", {"slot": 3, "error": "no"}, "reload failed at slot 3: no"),
        ("host_stopping", {"connections": 3, "seconds": "10"}, "stopping: 3 connections open, at most 10 s"),
        ("host_ready", {"workers": 1}, "host ready, 1 worker"),
        (
            "hook_failed",
            {"plugin": "echo", "hook": "receive", "peer": "127.0.0.1:9", "connection": 3, "error": "ValueError: no"},
            "plugin echo, receive for 127.0.0.1:9: ValueError: no",
        ),
    ],
)
def test_an_event_has_a_sentence(name: str, fields: dict[str, Any], words: str) -> None:
    assert sentence(event(0.0, name, **fields)) == words


def test_an_unknown_event_is_shown_in_the_form_of_the_log() -> None:
    assert sentence(event(0.0, "comet_seen", size=3, where="north")) == "comet_seen size=3 where=north"


def test_an_event_with_other_fields_is_shown_in_the_form_of_the_log() -> None:
    assert sentence(event(0.0, "worker_starting", slot=1, number=2)) == "worker_starting slot=1 number=2"


@functools.cache
def events_of_the_master() -> dict[str, set[str]]:
    """Return the events that the master logs, and the fields that every call of each has."""
    found: dict[str, set[str]] = {}
    for path in Path(reactorhost.master.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
                continue
            owner, name = ast.unparse(node.func.value), node.args[node.func.attr == "remember"]
            if owner.endswith("log") and isinstance(name, ast.Constant) and isinstance(name.value, str):
                fields = {keyword.arg for keyword in node.keywords if keyword.arg}
                found[name.value] = found.get(name.value, fields) & fields
    return found


def test_every_event_of_the_master_has_a_sentence() -> None:
    assert len(events_of_the_master()) > 20
    assert set(events_of_the_master()) - set(_SENTENCES) == set()


@pytest.mark.parametrize(("name", "fields"), sorted(events_of_the_master().items()))
def test_a_sentence_needs_only_fields_that_the_master_logs(name: str, fields: set[str]) -> None:
    # The fields of this event come from a dictionary, which the search above does not see.
    if name == "worker_draining":
        fields = fields | {"slot", "pid", "generation", "connections"}
    logged = event(0.0, name, **dict.fromkeys(fields - {"details"}, "5"))
    assert "=5" not in sentence(logged)
