"""What people see: banner, tree, tables and figures, from a status document."""

from __future__ import annotations

import pytest
from rich.console import Console, RenderableType

from reactorhost.dashboard.banner import banner
from reactorhost.dashboard.figures import duration, size
from reactorhost.dashboard.tables import connection_table, plugin_table, setting_table
from reactorhost.dashboard.tree import tree
from reactorhost.status import SlotStatus, StatusDocument, WorkerStatus


def worker(slot: int, pid: int, state: str = "ready", **fields: object) -> WorkerStatus:
    made: WorkerStatus = {
        "slot": slot,
        "pid": pid,
        "generation": 2,
        "state": state,
        "uptime_seconds": 61.0,
        "state_seconds": 60.0,
        "deadline_seconds": None,
        "tick_age_seconds": 0.1,
        "rss_bytes": 20 * 1024 * 1024,
        "adopted_slots": [],
        "connections": 3,
        "accepted": 40,
        "messages": 50,
        "bytes_in": 2048,
        "bytes_out": 4096,
        "hook_errors": 0,
    }
    made.update(fields)  # type: ignore[typeddict-item]  # a test's own fields
    return made


def slot(number: int, state: str = "ready", **fields: object) -> SlotStatus:
    made: SlotStatus = {
        "slot": number,
        "state": state,
        "restarts": 0,
        "retry_seconds": None,
        "adopted_by": None,
        "last_exit": None,
    }
    made.update(fields)  # type: ignore[typeddict-item]  # a test's own fields
    return made


def document(**fields: object) -> StatusDocument:
    made: StatusDocument = {
        "schema": 1,
        "version": "0.1.0",
        "name": "default",
        "pid": 4242,
        "state": "running",
        "generation": 2,
        "started_at": 0.0,
        "uptime_seconds": 11_000.0,
        "daemon": False,
        "run_dir": "/run/reactorhost/default",
        "pid_file": "/run/reactorhost/default/master.pid",
        "log_file": None,
        "config_file": None,
        "backlog": 4096,
        "workers_wanted": 2,
        "workers_ready": 1,
        "reloading": False,
        "services": [
            {
                "name": "default",
                "addresses": ["tcp://127.0.0.1:9000"],
                "plugins": [
                    {"name": "accesslog", "distribution": "reactorhost-accesslog", "version": "0.2.0"},
                    {"name": "mine", "distribution": None, "version": None},
                ],
            }
        ],
        "totals": {
            "connections": 3,
            "accepted": 40,
            "messages": 50,
            "bytes_in": 2048,
            "bytes_out": 4096,
            "hook_errors": 0,
        },
        "slots": [slot(0), slot(1, "backoff", retry_seconds=4.0, adopted_by=4243, last_exit="signal 11 (SIGSEGV)")],
        "workers": [worker(0, 4243, adopted_slots=[1]), worker(1, 4250, "draining", deadline_seconds=9.0)],
    }
    made.update(fields)  # type: ignore[typeddict-item]  # a test's own fields
    return made


def text_of(renderable: RenderableType, width: int = 200) -> str:
    console = Console(width=width, highlight=False, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def test_the_banner_says_who_where_with_what_and_how_to_stop() -> None:
    assert banner(document()) == (
        "reactorhost 0.1.0 · default · pid 4242\n"
        "  listening  tcp://127.0.0.1:9000  accesslog 0.2.0 > mine\n"
        "  workers    1 of 2 ready\n"
        "  stop       Ctrl-C, or: reactorhost stop"
    )


def test_the_banner_of_another_instance_says_how_to_stop_that_one() -> None:
    named = banner(document(name="chat", run_dir="/run/reactorhost/chat", daemon=True))
    assert named.endswith("  stop       reactorhost stop --name chat")
    elsewhere = banner(document(run_dir="/srv/here", daemon=True, log_file="/srv/here/log"))
    assert elsewhere.endswith("  log        /srv/here/log\n  stop       reactorhost stop --run-dir /srv/here")


def test_the_tree_shows_every_worker_and_every_slot_without_one() -> None:
    lines = text_of(tree(document())).splitlines()
    assert lines[0].startswith("default  reactorhost 0.1.0  pid 4242  running  up 3h03m  generation 2  1/2 ready")
    assert "service default  tcp://127.0.0.1:9000  accesslog 0.2.0 > mine" in lines[1]
    assert "worker 0  pid 4243  ready" in lines[2]
    assert "serves slot 1 too" in lines[2]
    assert "worker 1  pid 4250  draining" in lines[3]
    assert "at most 9.0s more" in lines[3]
    assert "slot 1  backoff  next try in 4.0s  served by pid 4243  last: signal 11 (SIGSEGV)" in lines[4]


def test_hook_errors_are_shown_only_when_there_are_any() -> None:
    quiet = document()
    assert "hook error" not in text_of(tree(quiet))
    quiet["totals"]["hook_errors"] = 7
    assert "7 hook errors" in text_of(tree(quiet))


def test_a_narrow_terminal_loses_nothing_of_a_table() -> None:
    row = {
        "slot": 0,
        "pid": 4243,
        "id": 17,
        "service": "default",
        "peer": "127.0.0.1:53422",
        "age_seconds": 3.0,
        "idle_seconds": 0.5,
        "bytes_in": 10,
        "bytes_out": 2048,
        "queued_bytes": 0,
        "state": "open",
    }
    wide = text_of(connection_table([row]))
    assert wide.split()[11:] == [
        "0",
        "4243",
        "17",
        "default",
        "127.0.0.1:53422",
        "3.0s",
        "0.5s",
        "10",
        "2.0K",
        "0",
        "open",
    ]
    narrow = "".join(text_of(connection_table([row]), width=60).split())
    assert "…" not in narrow


def test_markup_in_values_is_shown_as_it_is() -> None:
    assert "[red]x" in text_of(setting_table([("log_file", "[red]x", "default")]))
    row: dict[str, object] = {
        "name": "[b]n",
        "version": None,
        "distribution": None,
        "active": True,
        "hooks": [],
        "error": "[x] broke\nmore",
    }
    shown = text_of(plugin_table([row]))
    assert "[b]n" in shown
    assert "[x] broke" in shown
    assert "more" not in shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0s"), (9.94, "9.9s"), (12.3, "12s"), (59.4, "59s"), (65, "1m05s"), (7620, "2h07m"), (273_600, "3d04h")],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (1023, "1023"), (1536, "1.5K"), (26_004_685, "24.8M"), (3 << 30, "3.0G"), (5 << 50, "5120.0T")],
)
def test_sizes_are_short(count: int, text: str) -> None:
    assert size(count) == text
