"""How many workers serve, and how many are silent."""

from __future__ import annotations

from typing import Any, cast

import pytest

from documents import document, worker
from reactorhost.dashboard.text.line import as_text
from reactorhost.dashboard.text.silence_words import ready


@pytest.mark.parametrize(
    ("workers", "words"),
    [
        ([{}, {}], "1/2 ready"),
        ([{}, {"silent_seconds": 2.0}], "1/2 ready, 1 silent"),
        ([{}, {"state": "draining", "silent_seconds": 2.0}], "1/2 ready, 1 silent"),
        # Not silent but stuck.
        ([{}, {"state": "stuck", "silent_seconds": 40.0}], "1/2 ready"),
    ],
)
def test_silent_workers_are_counted_beside_the_ready_ones(workers: list[dict[str, Any]], words: str) -> None:
    rows = [worker(at, 10 + at, **cast("Any", fields)) for at, fields in enumerate(workers)]
    assert as_text(ready(document(2, workers=rows, workers_ready=1))).plain == words
