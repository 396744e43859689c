"""The table of the services, and the details of one."""

from __future__ import annotations

from typing import Any

import pytest

from documents import LATENCY, document, listener, rates, service, worker
from reactorhost.dashboard.tables.listener_table import listener_table
from reactorhost.dashboard.tables.service_table import service_details, service_table
from reactorhost.dashboard.text.grid import Field, grid
from reactorhost.dashboard.text.line import Line, width_of
from reactorhost.dashboard.text.styles import ALARM, WARN
from reactorhost.ipc.status import WorkerStatus


def texts(lines: list[Line]) -> list[str]:
    return ["".join(text for text, _ in each).rstrip() for each in lines]


def test_a_wide_table_has_traffic_latency_errors_queue_and_chain() -> None:
    headings, row = texts(service_table([service("chat")], document(4), 200))
    for heading in ("CLIENTS", "ACC/s", "MSG/s", "RX/s", "TX/s", "P50", "P99", "ERR/s", "QUEUE", "ADDRESSES"):
        assert heading in headings
    assert "accesslog 12% > echo 88%" in row
    assert "tcp://0.0.0.0:9000" in row


@pytest.mark.parametrize("width", [200, 120, 80, 60, 40, 20, 1])
def test_no_line_is_wider_than_the_screen(width: int) -> None:
    shown = service("a service with a long name", plugins=service("x")["plugins"] * 9, limited_by="state")
    lines = [*service_table([shown], document(4), width), *service_details(shown, width)]
    assert max(map(width_of, lines)) <= max(width, 2)


@pytest.mark.parametrize(
    ("fields", "piece"),
    [
        ({"workers": 1}, ("1/4", WARN)),
        ({"workers": 4}, ("4", "")),
        ({"rates": {**rates(1.0), "hook_errors": 2.0}}, ("2", ALARM)),
        ({"queue": {"depth": 24, "limit": 100, "dropped": 0}}, ("24", "")),
        ({"queue": {"depth": 25, "limit": 100, "dropped": 0}}, ("25", WARN)),
        ({"queue": {"depth": 90, "limit": 100, "dropped": 0}}, ("90", ALARM)),
        ({"queue": {"depth": None, "limit": None, "dropped": None}}, ("-", "dim")),
        ({"latency": dict.fromkeys(LATENCY)}, ("-", "dim")),
    ],
)
def test_what_needs_an_eye_has_a_colour(fields: dict[str, Any], piece: tuple[str, str]) -> None:
    _, row = service_table([service("chat", **fields)], document(4), 120)
    assert piece in [(text.strip(), style) for text, style in row]


@pytest.mark.parametrize(
    ("workers", "of_two", "of_four"),
    [
        ([worker(slot, slot + 1) for slot in range(4)], ("2/4", WARN), ("4", "")),
        ([worker(slot, slot + 1) for slot in (0, 2, 3)], ("!1/2", WARN), ("!3/4", WARN)),
        ([worker(0, 1), worker(1, 2), worker(2, 3, silent_seconds=3.0)], ("2/4", WARN), ("!2/4", WARN)),
        ([worker(slot, slot + 1, "stuck") for slot in range(4)], ("!0/2", ALARM), ("!0/4", ALARM)),
        # While a slot is replaced, it has two workers.
        ([worker(0, 1), worker(0, 9), worker(1, 2), worker(1, 3, "draining")], ("2/4", WARN), ("!2/4", WARN)),
    ],
)
def test_the_workers_are_those_that_serve(
    workers: list[WorkerStatus], of_two: tuple[str, str], of_four: tuple[str, str]
) -> None:
    services = [service("two", workers=2), service("four")]
    _, *rows = service_table(services, document(4, workers=workers), 120)
    for row, piece in zip(rows, (of_two, of_four), strict=True):
        assert piece in [(text.strip(), style) for text, style in row]


LONG_CHAIN = ["accesslog", "raiser", "a plugin with a long name", "slow"]
LONG_ADDRESS = "unix:///run/a/directory/with/a/long/name/listener.socket"


@pytest.mark.parametrize("width", [100_000, 260])
def test_a_text_is_not_cut_where_there_is_room(width: int) -> None:
    plugins = [{**service("x")["plugins"][0], "name": name} for name in LONG_CHAIN]
    found = service("a service with a long name", plugins=plugins, addresses=[LONG_ADDRESS, "tcp://[::1]:9000"])
    headings, row = texts(service_table([found], document(4), width))
    listeners = texts(listener_table([listener(1, address=LONG_ADDRESS, service=found["name"])], width))
    for text in ("a service with a long name", " 12% > ".join(LONG_CHAIN), f"{LONG_ADDRESS}, tcp://[::1]:9000"):
        assert text in row
    assert listeners[1].split()[0] == LONG_ADDRESS
    assert "…" not in "".join([row, *listeners])
    # The headings stay above their columns.
    assert row.index("accesslog") == headings.index("CHAIN")


def test_the_room_is_divided_where_there_is_not_enough() -> None:
    fields: list[Field[str]] = [Field(name, 4, lambda row: row * 6, left=True) for name in "A"]
    fields += [Field(name, 4, lambda row: row * 30, left=True) for name in "BC"]
    _, row = texts(grid(fields, ["x"], 40))
    assert row == f"{'x' * 6}  {'x' * 14}…  {'x' * 14}…"


def test_the_details_have_what_the_table_has_no_room_for() -> None:
    queue = {"depth": 1, "limit": 2, "dropped": 7}
    name, *rows = texts(
        service_details(service("chat", bus_members=3, queue=queue, limited_by="state", workers=1), 200)
    )
    assert name == "chat"
    assert rows[0] == "addresses  tcp://0.0.0.0:9000"
    assert rows[1] == "chain      accesslog 12% > echo 88%"
    assert "3.0M accepted  12 refused" in rows[2]
    assert rows[2].endswith("3 errors  3 in groups  7 dropped by the kernel")
    assert rows[3] == "workers    1: plugin state allows no more"


def test_a_plugin_without_a_sample_has_no_share() -> None:
    plugins = [{**each, "time_share": None} for each in service("chat")["plugins"]]
    assert "chain      accesslog > echo" in texts(service_details(service("chat", plugins=plugins), 80))
