"""The table of reloads is what its generator makes of the stored result, whatever a run lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from reload_load import ErrorAnswerError, failure_of
from reload_result import CAPTIONS, PAGES, STORED, ReloadResult, ServerRun, details, read, table, with_tables, write

ROOT = Path(__file__).parents[3]
SETTINGS = {"workers": 4, "reloads": 10, "runs": 2, "many": 200, "few": 8}


def run(server: str = "uvicorn", *, failed: str | None = None, **lost: dict[str, int]) -> ServerRun:
    spreads = {"at once": [1.0, 1.2, 3.0], "in turn": [1.1], "few": [1.5, 2.5, 2.0]}
    losses = {"new": {}, "persistent": {}, **lost}
    return ServerRun(server, {"new": 1000, "persistent": 500}, losses, [0.5, 1.5], spreads, failed)


def result(*runs: ServerRun) -> ReloadResult:
    machine = {"processor": "made up", "processors": 2, "kernel": "6.1", "system": "Linux"}
    versions = {"python": "3.11.7", "reactorhost": "0.1.0", "uvicorn": "1.0", "granian": None}
    return ReloadResult("2026-01-31T12:00:00+00:00", "abc1234", machine, versions, SETTINGS, list(runs))


def cells(text: str, caption: str) -> list[str]:
    """Return the cells of the first row with that caption."""
    found = next(line for line in text.splitlines() if line.startswith(f"| {caption} |"))
    return [cell.strip() for cell in found.strip("|").split(" | ")][1:]


@pytest.mark.parametrize("name", PAGES)
def test_the_pages_show_the_stored_result(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "<!-- reload " in text
    assert text == with_tables(text, read(ROOT / STORED)), "write it by: reload_table.py --pages"


def test_every_server_of_the_stored_result_was_measured_in_every_run() -> None:
    stored = read(ROOT / STORED)
    for name in CAPTIONS:
        runs = stored.of_server(name)
        assert [found.failed for found in runs] == [None] * stored.settings["runs"]
        assert all(len(found.reload_seconds) == stored.settings["reloads"] for found in runs)


def test_losses_of_all_runs_are_added_up_and_spreads_are_medians() -> None:
    found = result(run(new={"reset": 2, "refused": 1}), run(persistent={"unanswered": 4}))
    assert cells(table(found), CAPTIONS["uvicorn"]) == ["3", "4", "1.2 ×", "2.0 ×"]
    assert "in 20 reloads of each server" in table(found)


def test_the_own_row_is_set_off() -> None:
    own, other = table(result(run("reactorhost"), run("uvicorn"))).splitlines()[2:4]
    assert own.startswith("| **reactorhost** | **0** |")
    assert "**" not in other


def test_a_server_that_did_not_reload_has_a_reason_and_no_figures() -> None:
    found = result(run(), run(failed="SIGHUP did not replace the workers"))
    assert cells(table(found), CAPTIONS["uvicorn"])[0] == "not measured: SIGHUP did not replace the workers"
    assert cells(table(found), CAPTIONS["granian"])[0] == "not measured: left out"


def test_details_show_each_run_and_the_ranges() -> None:
    text = details(result(run(new={"reset": 2}), run(persistent={"reset": 1, "refused": 5}))).split("\n\n", 1)[1]
    assert cells(text, CAPTIONS["uvicorn"]) == [
        "2, 6",
        "5 refused, 3 reset",
        "1.2 (1.0-3.0)",
        "1.1 (1.1-1.1)",
        "2.0 (1.5-2.5)",
        "1.0 s",
        "750",
    ]
    assert "CPython 3.11.7, uvicorn 1.0." in text


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    stored = result(run(), run("granian", failed="it ended"))
    write(stored, tmp_path / "result.json")
    assert read(tmp_path / "result.json") == stored


def test_only_the_marked_places_of_a_page_are_written() -> None:
    page = "before\n\n<!-- reload table: by a program -->\n\nold\n\n<!-- end -->\n\nafter\n"
    found = result(run())
    made = with_tables(page, found)
    assert made == page.replace("old", table(found))
    assert with_tables(made, found) == made


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (ConnectionRefusedError(), "refused"),
        (ConnectionResetError(), "reset"),
        (BrokenPipeError(), "reset"),
        (TimeoutError(), "unanswered"),
        (ConnectionError("the server closed the connection"), "unanswered"),
        (ErrorAnswerError(b"HTTP/1.1 503"), "error answer"),
    ],
)
def test_failures_are_told_apart(error: Exception, failure: str) -> None:
    assert failure_of(error) == failure
