"""The page of the services: its order, the details of the selected one, and where its keys lead."""

from __future__ import annotations

from typing import Any

import pytest

from documents import document, rates, service, worker
from reactorhost.dashboard.model.snapshot import Snapshot, following
from reactorhost.dashboard.model.view import Page, View
from reactorhost.dashboard.pages import workers
from reactorhost.dashboard.pages.services import PARTS


def snapshot(**services: dict[str, Any]) -> Snapshot:
    made = document(4)
    made["services"] = [service(name, **fields) for name, fields in services.items()]
    return following(None, made)


THREE = snapshot(
    a={"connections": 5, "rates": rates(1.0)},
    b={"connections": 9, "rates": rates(3.0)},
    c={"connections": 1, "rates": {**rates(2.0), "hook_errors": 4.0}},
)


def shown(found: Snapshot, view: View, width: int = 120, height: int = 20) -> list[str]:
    return ["".join(text for text, _ in each).rstrip() for each in PARTS.lines(found, view, width, height)]


@pytest.mark.parametrize(
    ("sort", "inverted", "order"),
    [
        ("", False, "abc"),
        ("clients", False, "bac"),
        ("clients", True, "cab"),
        ("msg", False, "bca"),
        ("errors", False, "cab"),
        ("service", False, "abc"),
        ("service", True, "cba"),
    ],
)
def test_services_are_sorted_by_a_column(sort: str, inverted: bool, order: str) -> None:
    view = View.of(Page.SERVICES, sort=sort, inverted=inverted)
    assert "".join(map(str, PARTS.rows(THREE, view))) == order
    assert "".join(each[0] for each in shown(THREE, view)[1:4]) == order


def test_every_column_sorts_and_has_a_mark_then() -> None:
    plain, *_ = shown(THREE, View.of(Page.SERVICES), width=200)
    for column in PARTS.columns(THREE, View()):
        for inverted, mark in ((False, "▼"), (True, "▲")):
            view = View.of(Page.SERVICES, sort=column.name, inverted=inverted)
            assert sorted(map(str, PARTS.rows(THREE, view))) == ["a", "b", "c"]
            headings, *_ = shown(THREE, view, width=200)
            # The mark takes a cell of the gap: everything stays in its place.
            assert headings.replace(mark, " ") == plain
            assert column.heading + mark in headings


def test_the_selected_service_has_details_if_there_is_room() -> None:
    view = View.of(Page.SERVICES, selected="b")
    assert shown(THREE, view)[5:7] == ["b", "addresses  tcp://0.0.0.0:9000"]
    assert len(shown(THREE, view, height=6)) == 4
    assert "addresses  tcp://0.0.0.0:9000" not in shown(THREE, View.of(Page.SERVICES))
    assert "addresses  tcp://0.0.0.0:9000" in shown(snapshot(only={}), View.of(Page.SERVICES))


@pytest.mark.parametrize(("width", "height"), [(200, 50), (80, 24), (40, 10), (20, 5), (1, 1), (20, 0)])
def test_the_page_fits_any_screen(width: int, height: int) -> None:
    many = snapshot(**{f"service{number}": {} for number in range(30)})
    lines = shown(many, View.of(Page.SERVICES, selected="service20"), width, height)
    assert len(lines) <= height
    if height >= 5:
        assert any("service20" in each for each in lines)


def test_services_that_fewer_workers_serve_than_should_are_in_sight() -> None:
    made = document(4, workers=[worker(slot, slot + 1) for slot in (0, 1)])
    made["services"] = [service(f"s{number:02}", workers=4 if number in (7, 25) else 2) for number in range(30)]
    lines = shown(following(None, made), View(page=Page.SERVICES), height=8)
    assert [each.split()[0] for each in lines[1:-1]] == ["s00", "s01", "s02", "s03", "s07", "s25"]
    assert lines[-1] == "   … 24 more"


def text_of_workers(*names: str) -> str:
    made = document(4)
    made["services"] = [
        service(name, workers=2, connections=80, rates={**rates(0.0), "messages": 8.0}) for name in names
    ]
    view = View.of(Page.SERVICES, selected="a").enter(Page.WORKERS, "a", service="a")
    return "\n".join(
        "".join(text for text, _ in each) for each in workers.PARTS.lines(following(None, made), view, 120, 30)
    )


def test_the_workers_of_a_service_have_its_totals() -> None:
    shown = text_of_workers("a", "b")
    (total,) = (each.split() for each in shown.splitlines() if each.startswith("service"))
    assert total[:6] == ["service", "80", "0", "0", "0", "8"]
    # Of one service the processor time and the memory are not known.
    assert total[-3:] == ["-", "-", "0"]
    assert "total " not in shown
    assert "4242" not in shown
    assert "the workers below, with all services that they serve" in shown
    assert "HOOK CHAIN" not in shown
    assert "chain      accesslog 12% > echo 88%" in shown


def test_the_workers_of_the_only_service_have_the_totals_of_the_host() -> None:
    shown = text_of_workers("a")
    assert "total" in shown
    assert "with all services" not in shown


def test_enter_leads_to_the_workers_and_c_to_the_clients_of_a_service() -> None:
    view = View.of(Page.SERVICES, selected="b")
    assert PARTS.enter is not None
    workers = PARTS.enter(THREE, view, "b")
    assert (workers.page, workers.focus.service) == (Page.WORKERS, "b")
    (clients,) = (each for each in PARTS.bindings if each.key == "c")
    entered, request = clients.act(view, THREE)
    assert (entered.page, entered.focus.service, request) == (Page.CLIENTS, "b", None)
    unchanged, _ = clients.act(View.of(Page.SERVICES), THREE)
    assert (unchanged.page, unchanged.notice) == (Page.SERVICES, "select a service first")
    only, _ = clients.act(View.of(Page.SERVICES), snapshot(only={}))
    assert only.focus.service == "only"
