"""Columns: which fit, and which names select them."""

from __future__ import annotations

import pytest

from reactorhost.dashboard.tables.columns import ALL, columns_named, fitting
from reactorhost.errors import UsageError


def test_columns_are_dropped_by_rank() -> None:
    names = {width: [column.name for column in fitting(columns_named(()), width)[0]] for width in (120, 80, 60, 40, 10)}
    assert set(names[120]) - set(names[80]) == {"slot", "gen", "acc", "p50"}
    assert set(names[80]) - set(names[60]) == {"restarts", "rx", "tx", "lag"}
    assert names[40] == ["pid", "state", "clients", "msg", "cpu"]
    assert names[10] == ["pid"]


@pytest.mark.parametrize("width", range(1, 301))
def test_columns_fit_any_width(width: int) -> None:
    columns, gap = fitting(columns_named([column.name for column in ALL]), width)
    assert len(columns) == 1 or sum(column.width for column in columns) + gap * (len(columns) - 1) <= width


def test_the_bus_has_a_column_only_while_it_is_used() -> None:
    with_bus = [column.name for column in columns_named((), bus=True)]
    assert "bus" in with_bus
    assert [column.name for column in columns_named(())] == [name for name in with_bus if name != "bus"]
    assert [column.name for column in columns_named(["bus", "dropped"])] == ["pid", "bus", "dropped"]


def test_columns_are_selected_by_name() -> None:
    assert [column.name for column in columns_named(["cpu", "p999", "cpu"])] == ["pid", "cpu", "p999"]
    with pytest.raises(UsageError) as failure:
        columns_named(["cpuu"])
    assert failure.value.hint == "did you mean 'cpu'?"
