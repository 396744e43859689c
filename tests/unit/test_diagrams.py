"""The dark form of each diagram is the light one in other colours."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

IMAGES = Path(__file__).parents[2] / "docs" / "images"
_COLOUR = re.compile(r"#[0-9a-f]{6}")


@pytest.mark.parametrize("name", ["processes", "message"])
def test_a_diagram_differs_from_its_dark_form_only_in_colours(name: str) -> None:
    light, dark = ((IMAGES / f"{name}-{form}.svg").read_text(encoding="utf-8") for form in ("light", "dark"))
    assert _COLOUR.sub("", light) == _COLOUR.sub("", dark)
    pairs = set(zip(_COLOUR.findall(light), _COLOUR.findall(dark), strict=True))
    assert len(pairs) == len({one for one, _ in pairs}), "a colour has one counterpart"
    assert all(one != other for one, other in pairs)
