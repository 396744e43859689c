"""Banner, tables and what `status` prints."""

from __future__ import annotations

from typing import Any

from rich.console import Console, RenderableType

from documents import document, event, troubled
from reactorhost.dashboard.model.view import View
from reactorhost.dashboard.terminal.screen import speaks_utf8
from reactorhost.dashboard.output.banner import banner
from reactorhost.dashboard.text.line import Line
from reactorhost.dashboard.output.status_page import brief, full
from reactorhost.dashboard.output.rich_tables import connection_lines, plugin_table, setting_table


def text_of(renderable: RenderableType, width: int = 200) -> str:
    console = Console(width=width, highlight=False, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def plain(lines: list[Line]) -> list[str]:
    return ["".join(text for text, _ in line) for line in lines]


def test_the_banner_says_who_where_with_what_and_how_to_stop() -> None:
    assert banner(document(daemon=False, workers_ready=7)) == (
        "reactorhost 0.1.0 · default · pid 4242\n"
        "  listening  tcp://0.0.0.0:9000  accesslog 0.2.1 > echo 0.1.0\n"
        "  workers    7 of 8 ready\n"
        "  stop       Ctrl-C, or: reactorhost stop"
    )


def test_the_banner_of_another_instance_says_how_to_stop_that_one() -> None:
    named = banner(document(name="chat", run_dir="/run/reactorhost/chat", daemon=True))
    assert named.endswith("  stop       reactorhost stop --name chat")
    elsewhere = banner(document(run_dir="/srv/here", daemon=True, log_file="/srv/here/log"))
    assert elsewhere.endswith("  log        /srv/here/log\n  stop       reactorhost stop --run-dir /srv/here")


def test_status_is_head_and_tree_and_nothing_more_while_all_is_well() -> None:
    lines = plain(brief(document(2), View(), 120))
    assert lines[0].startswith("default  reactorhost 0.1.0  pid 4242  running  up 3d04h  generation 7  2/2 ready")
    assert lines[1] == "tcp://0.0.0.0:9000  accesslog 0.2.1 > echo 0.1.0"
    assert lines[2].startswith("3,101 of 65,536 connections  3.0M accepted  148K msgs/s")
    assert lines[4].split()[0] == "PID"
    assert [line.split()[1] for line in lines[7:]] == ["4243", "4244"]


def test_status_ends_with_what_went_wrong_within_the_hour() -> None:
    lines = plain(brief(troubled(), View(), 120))
    assert "worker 6 (pid 4249) crashed: signal 11 (SIGSEGV)" in lines[-1]
    old = document(1, events=[event(4000.0, "worker_crashed", "error")])
    assert "└─" in plain(brief(old, View(), 120))[-1]


def test_every_service_has_its_line() -> None:
    two = document(1)
    two["services"].append({"name": "admin", "addresses": ["unix:///a", "tcp://[::1]:1"], "plugins": []})
    assert plain(brief(two, View(), 120))[1:3] == [
        "default: tcp://0.0.0.0:9000  accesslog 0.2.1 > echo 0.1.0",
        "admin: unix:///a, tcp://[::1]:1  ",
    ]


def test_once_has_plugins_listeners_and_events_too() -> None:
    shown = "\n".join(plain(full(troubled(), View(), 120)))
    for heading in ("HOOK CHAIN", "LISTENER", "EVENTS"):
        assert heading in shown
    assert "\n".join(plain(full(troubled(), View(ascii=True), 120))).isascii()


def test_clients_stand_in_columns() -> None:
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
    lines = list(connection_lines([row, {**row, "id": 12345, "peer": "[::1]:5"}]))
    shown = ["0", "4243", "17", "default", "127.0.0.1:53422", "3.0s", "0.5s", "10", "2.0K", "0", "open"]
    assert lines[1].split() == shown
    assert [line.index(word) + len(word) for line, word in zip(lines, ("   ID", "   17", "12345"), strict=True)] == [
        17
    ] * 3
    assert [line.index(word) for line, word in zip(lines, ("PEER", "127", "[::1]"), strict=True)] == [28] * 3


def test_a_list_of_nobody_is_its_heading() -> None:
    assert list(connection_lines([])) == ["SLOT  PID  ID  SERVICE  PEER  AGE  IDLE  IN  OUT  QUEUED  STATE"]


def test_markup_in_values_is_shown_as_it_is() -> None:
    assert "[red]x" in text_of(setting_table([("log_file", "[red]x", "default")]))
    row: dict[str, Any] = {
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


def test_the_locale_says_whether_there_is_utf8() -> None:
    assert speaks_utf8({"LANG": "en_US.UTF-8"})
    assert speaks_utf8({"LANG": "C.utf8", "LC_ALL": ""})
    assert speaks_utf8({"LC_CTYPE": "C.UTF-8"})
    assert not speaks_utf8({"LC_CTYPE": "C.UTF-8", "LANG": "C"})
    assert not speaks_utf8({"LC_ALL": "POSIX", "LANG": "en_US.UTF-8"})
    assert not speaks_utf8({"LANG": "de_DE.ISO-8859-1"})
