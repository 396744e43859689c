"""Lines of batch mode."""

from __future__ import annotations

import pytest

from documents import document, listener, troubled
from reactorhost.dashboard.output.batch import BatchLines
from reactorhost.errors import UsageError


def test_headings_stand_above_every_twentieth_line() -> None:
    batch = BatchLines(())
    written = [line for _ in range(21) for line in batch.lines(troubled()).splitlines()]
    assert [at for at, text in enumerate(written) if text.startswith("TIME")] == [0, 21]
    assert len({len(text) for text in written}) == 1
    assert written[1].split()[:4] == ["12:04:37", "6/8", "12,428", "238"]
    assert written[1].split()[-1] == "400"


@pytest.mark.parametrize(("width", "columns"), [(200, 16), (115, 16), (80, 10), (40, 5), (1, 4)])
def test_a_line_fits_a_narrow_terminal(width: int, columns: int) -> None:
    headings, line = BatchLines((), width).lines(troubled()).splitlines()
    assert len(headings.split()) == len(line.split()) == columns
    assert len(line) <= max(width, 33)
    assert {"CLIENTS", "READY", "QUEUE"} <= set(headings.split())
    # Columns that were chosen stay.
    assert BatchLines(["cpu", "p50"], 10).lines(troubled()).split()[:4] == ["TIME", "READY", "CPU%", "P50"]


def test_columns_can_be_chosen_if_they_have_a_total() -> None:
    written = BatchLines(["cpu", "p999"]).lines(document(1, listeners=[listener(1, fullest_depth=None)])).splitlines()
    assert written[0].split() == ["TIME", "READY", "CPU%", "P99.9", "QUEUE"]
    assert written[1].split() == ["12:04:37", "1/1", "73", "1.2ms", "-"]
    with pytest.raises(UsageError, match="about all workers"):
        BatchLines(["pid"])
