"""The columns of clients and of their groups fit into every width from which they are shown."""

from __future__ import annotations

import pytest

from reactorhost.dashboard.tables.client_table import columns_of
from reactorhost.ipc.connection_query import Grouping


@pytest.mark.parametrize("group", [None, *Grouping])
def test_the_columns_of_a_width_fit_into_it(group: Grouping | None) -> None:
    fields = columns_of(group)
    for width in {field.from_width for field in fields} - {0}:
        shown = [field for field in fields if field.from_width <= width]
        assert sum(field.width + 2 for field in shown) - 2 <= width
