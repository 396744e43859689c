"""Tests of the wire format of histories."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorhost.bus.history import Entry, Part
from reactorhost.bus.history_pages import Page, PageRequest, decoded, encoded_page, encoded_request

SENDER = b"host----worker-1"

entries = st.builds(Entry, st.binary(min_size=16, max_size=16), st.integers(1, 2**63), st.binary(max_size=50))
parts = st.builds(
    Part, st.text(st.characters(codec="utf-8"), max_size=20), st.floats(0, 1e12), st.lists(entries, max_size=4)
)


@given(st.integers(0, 2**32 - 1), st.booleans(), st.booleans(), st.lists(parts, max_size=4))
def test_what_is_encoded_is_decoded(transfer: int, last: bool, complete: bool, found: list[Part]) -> None:
    page = Page(SENDER, transfer, last, complete, found)
    assert decoded(encoded_page(page)) == page
    request = PageRequest(SENDER, transfer, last, complete)
    assert decoded(encoded_request(request)) == request


PAGE = encoded_page(Page(SENDER, 1, True, True, [Part("g:x", 1.0, [Entry(SENDER, 1, b"data")])]))


@pytest.mark.parametrize("data", [b"", b"\x00", PAGE[:10], b"\x02" + PAGE[1:], PAGE[:1] + b"\x03" + PAGE[2:]])
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a page of a history"):
        decoded(data)


@pytest.mark.parametrize("cut", range(1, 4 + 28 + 3))
def test_a_page_that_ends_early_is_refused(cut: int) -> None:
    with pytest.raises(ValueError, match="not a page of a history"):
        decoded(PAGE[:-cut])


def test_a_key_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        decoded(PAGE.replace(b"g:x", b"g:\xff"))
