"""What `status` and `top --once` print."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from documents import document, event, on_bus, scaling, troubled
from reactorhost.dashboard.model.view import View
from reactorhost.dashboard.output.status_page import brief, full
from reactorhost.dashboard.text.line import Line
from reactorhost.ipc.status import StatusDocument


def plain(lines: list[Line]) -> list[str]:
    return ["".join(text for text, _ in line) for line in lines]


def test_status_without_errors_is_head_and_worker_table() -> None:
    lines = plain(brief(document(2), View(), 120))
    assert lines[0].startswith("default  reactorhost 0.1.0  pid 4242  running  up 3d04h  generation 7  2/2 ready")
    assert lines[1] == "tcp://0.0.0.0:9000  accesslog 0.2.1 > echo 0.1.0"
    assert lines[2].startswith("3,101 of 65,536 clients  3.0M accepted  148K msgs/s")
    assert lines[4].split()[0] == "PID"
    assert [line.split()[1] for line in lines[7:]] == ["4243", "4244"]


def test_status_ends_with_the_errors_of_the_last_hour() -> None:
    lines = plain(brief(troubled(), View(), 120))
    assert "worker 6 (pid 4249) crashed: signal 11 (SIGSEGV)" in lines[-1]
    old = document(1, events=[event(4000.0, "worker_crashed", "error")])
    assert "└─" in plain(brief(old, View(), 120))[-1]


def test_crashes_are_shown_before_other_errors_and_the_rest_is_counted() -> None:
    crash = event(1500.0, "worker_crashed", "error", slot=6, pid=4249, exit="signal 11 (SIGSEGV)", connections=3)
    others = [event(1000.0 - ago, "log_lost", "warning", lines=ago) for ago in range(9)]
    page = plain(brief(document(2, events=others, crashes=[crash]), View(), 120))
    at = next(number for number, line in enumerate(page) if line.startswith("WARNINGS AND ERRORS"))
    assert len(page[at:]) == 8
    assert "worker_crashed" in page[at + 1]
    assert page[-1] == "   … 4 more of the last hour"
    # As many as fit have no line about more.
    assert "more" not in plain(brief(document(2, events=others[:5], crashes=[crash]), View(), 120))[-1]


@pytest.mark.parametrize(("count", "words"), [(1, "  1 hook error"), (1204, "  1,204 hook errors")])
def test_hook_errors_are_counted(count: int, words: str) -> None:
    made = document(2)
    made["totals"]["hook_errors"] = count
    assert plain(brief(made, View(), 200))[2].endswith(words)


def test_the_head_is_broken_between_words() -> None:
    made = document(2)
    made["totals"]["hook_errors"] = 1204
    whole, narrow = plain(brief(made, View(), 200)), plain(brief(made, View(), 40))
    head = narrow[: narrow.index("")]
    assert max(map(len, head)) <= 40
    assert " ".join(" ".join(head).split()) == " ".join(" ".join(whole[: whole.index("")]).split())


def test_every_service_has_a_line() -> None:
    two = document(2)
    addresses = ["unix:///a", "tcp://[::1]:1"]
    two["services"].append({**two["services"][0], "name": "admin", "addresses": addresses, "plugins": [], "workers": 1})
    assert plain(brief(two, View(), 120))[1:3] == [
        "default: tcp://0.0.0.0:9000  accesslog 0.2.1 > echo 0.1.0",
        "admin: unix:///a, tcp://[::1]:1    1 of 2 workers",
    ]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "workers by load: 2-16, use 61%"),
        ({"use": None, "lag_seconds": None, "queued": None}, "workers by load: 2-16"),
        ({"lag_seconds": 0.12, "queued": 7}, "workers by load: 2-16, use 61%, lag 120ms, 7 waiting"),
        (
            {"reason": "use 91%", "changed_seconds": 75.2},
            "workers by load: 2-16, use 61%; changed 1m15s ago: use 91%",
        ),
        ({"automatic": False, "use": None}, "workers by load: 2-16 off"),
    ],
)
def test_a_range_of_workers_has_a_line(fields: dict[str, Any], words: str) -> None:
    assert plain(brief(document(2, scaling=scaling(**fields)), View(), 120))[1] == words
    assert "by load" not in "".join(plain(brief(document(2), View(), 120)))


def test_workers_that_were_replaced_because_of_limits_are_counted() -> None:
    recycled = document(2, recycled={"max_age": 3, "max_rss": 4})
    assert "  7 recycled" in plain(brief(recycled, View(), 120))[2]
    assert "recycled" not in plain(brief(document(2), View(), 120))[2]


@pytest.mark.parametrize(("state", "shown"), [("running", True), ("leaving", False)])
def test_a_host_that_runs_and_is_not_ready_says_why(state: str, shown: bool) -> None:
    made = document(2, state=state, ready=False, not_ready=["every worker is full"])
    assert ("not ready: every worker is full" in plain(brief(made, View(), 120))) is shown


def test_the_limits_for_clients_are_shown_once_they_took_effect() -> None:
    limited = document(2, limited={"denied": 3, "over_address_limit": 0, "late_messages": 1, "rate_pauses": 2})
    assert "  3 denied  1 late in a message  2 pauses by accept_rate" in plain(brief(limited, View(), 160))[2]
    assert "denied" not in plain(brief(document(2), View(), 160))[2]


def test_the_bus_has_a_line_once_it_is_used() -> None:
    assert not any(line.startswith("bus") for line in plain(full(document(2), View(), 120)))
    shown = plain(brief(on_bus(document(2)), View(), 120))
    assert shown[3] == "bus: 62 groups  2,480 members  in 3.0K/s  out 1.0K/s"
    broken = on_bus(document(2), "down", "connection refused")
    assert broken["bus"] is not None
    broken["bus"]["dropped"] = 7
    assert plain(full(broken, View(), 120))[3].endswith("out 1.0K/s  7 dropped  redis down: connection refused")


def test_the_full_page_shows_plugins_listeners_and_events() -> None:
    shown = "\n".join(plain(full(troubled(), View(), 120)))
    for heading in ("HOOK CHAIN", "LISTENER", "EVENTS"):
        assert heading in shown
    assert "\n".join(plain(full(troubled(), View(ascii=True), 120))).isascii()


def hostile(value: Any) -> Any:
    """Return a copy of a document with control characters in every text."""
    if isinstance(value, dict):
        return {key: hostile(each) for key, each in value.items()}
    if isinstance(value, list):
        return [hostile(each) for each in value]
    return f"\x1b[2J\n{value}\u202e\x9b" if isinstance(value, str) else value


@pytest.mark.parametrize("page", [brief, full])
def test_no_text_of_the_host_controls_the_terminal(page: Callable[[StatusDocument, View, int], list[Line]]) -> None:
    lines = plain(page(hostile(troubled()), View(), 240))
    assert any("\\u001b[2J" in each for each in lines)
    assert all(each.isprintable() for each in lines)
