"""The heat map: one cell a worker from 32 on, of a fixed scale, with letters for states that need an eye."""

from __future__ import annotations

import pytest

from documents import document, slot
from reactorhost.dashboard.model.snapshot import Snapshot, following
from reactorhost.dashboard.model.view import Page, ProcessKey, View
from reactorhost.dashboard.pages.heat_map import HEAT, heat_map
from reactorhost.dashboard.text.line import Line, width_of
from reactorhost.dashboard.text.styles import WARN


def text(line: Line) -> str:
    return "".join(piece for piece, _ in line).rstrip()


def texts(snapshot: Snapshot, view: View | None = None, width: int = 80) -> list[str]:
    return [text(each) for each in heat_map(snapshot, view or View(), width)]


def many(count: int = 64) -> Snapshot:
    made = document(count, max_connections=1024 * count)
    for each in made["workers"]:
        each["cpu_percent"] = 3.0
    return following(None, made)


def test_it_is_shown_from_32_workers_on() -> None:
    assert heat_map(many(31), View(), 80) == []
    assert len(heat_map(many(32), View(), 80)) == 2
    before = View()
    view, _ = HEAT.act(before, many(31))
    assert (view.heat, view.notice) == ("cpu", "the heat map is shown from 32 workers on")


def test_every_worker_has_a_cell_at_its_place() -> None:
    snapshot = many()
    snapshot.body["workers"][0]["cpu_percent"] = 55.0
    snapshot.body["workers"][61]["cpu_percent"] = 100.0
    snapshot.body["workers"][62]["cpu_percent"] = None
    ten = "▁" * 10
    assert texts(snapshot) == [
        f"   0 ▅{ten[1:]} {' '.join([ten] * 5)}",
        "  60 ▁█·▁",
        "     cpu ▁▄█ 0 to 100 %  m lag",
    ]
    assert texts(snapshot, View.of(Page.WORKERS, sort="cpu")) == texts(snapshot)
    assert texts(snapshot, width=120)[0].endswith("▁█·▁")
    hot = [style for each in heat_map(snapshot, View(), 80) for piece, style in each if "█" in piece]
    assert hot[0] == WARN


@pytest.mark.parametrize(
    ("metric", "field", "levels", "legend"),
    [
        ("lag", "lag_max_seconds", {1e-5: "▁", 0.01: "▅", 0.2: "▇", 5.0: "█"}, "lag ▁▄█ 0.1 ms to 1 s  m p99"),
        ("clients", "connections", {0: "▁", 512: "▅", 1000: "█", 2000: "█"}, "clients ▁▄█ 0 to 1,024  m cpu"),
    ],
)
def test_the_scale_of_a_metric_is_fixed(metric: str, field: str, levels: dict[float, str], legend: str) -> None:
    snapshot = many()
    for each, value in zip(snapshot.body["workers"], levels, strict=False):
        each[field] = value  # type: ignore[literal-required]  # a parameter
    shown = texts(snapshot, View(heat=metric))
    assert shown[0][5 : 5 + len(levels)] == "".join(levels.values())
    assert shown[-1].strip() == legend


def test_the_key_goes_through_the_metrics() -> None:
    view, shown = View(), []
    for _ in range(4):
        view, _ = HEAT.act(view, many())
        shown.append(view.heat)
    assert shown == ["lag", "p99", "clients", "cpu"]


def test_states_that_need_an_eye_are_letters_and_counted() -> None:
    snapshot = many()
    snapshot.body["workers"][2]["state"] = "stuck"
    snapshot.body["workers"][3]["state"] = "draining"
    snapshot.body["slots"].append(slot(64, "backoff", retry_seconds=4.0))
    lines = heat_map(snapshot, View(), 80)
    assert text(lines[0]).startswith("   0 ▁▁!d▁")
    assert text(lines[1]) == "  60 ▁▁▁▁x"
    assert text(lines[2]).endswith("x 1 backoff  ! 1 stuck  d 1 draining  m lag")
    assert ("!", "bold red") in lines[0]


def test_the_selected_worker_stands_out() -> None:
    lines = heat_map(many(), View.of(Page.WORKERS, selected=ProcessKey(7, 4250)), 80)
    assert [piece for each in lines for piece, style in each if "reverse" in style] == ["▁"]


@pytest.mark.parametrize("width", [1, 8, 16, 17, 40, 80, 200])
def test_it_fits_any_width(width: int) -> None:
    assert all(width_of(each) <= width for each in heat_map(many(), View(), width))
