"""Framings process short streams of these tests as long ones."""

from __future__ import annotations

from collections.abc import Iterator
from unittest.mock import patch

import pytest

from reactorhost.framing import splitter


@pytest.fixture(autouse=True, scope="module")
def _few_pieces_at_once() -> Iterator[None]:
    """Process short streams in batches, as long ones are."""
    with patch.object(splitter, "_FIRST_BATCH", 2), patch.object(splitter, "_UNBATCHED_SIZE", 20):
        yield
