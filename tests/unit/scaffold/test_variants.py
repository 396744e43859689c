"""What the options of `new` choose."""

from __future__ import annotations

from typing import Any

import pytest

from reactorhost.errors import UsageError
from reactorhost.scaffold.variants import FRAMINGS, VARIANTS, Variant, chosen

NONE: dict[str, Any] = {"framing": None, "is_async": False, "protocol": False, "websocket": False}


@pytest.mark.parametrize(
    ("options", "variant"),
    [
        ({}, Variant("bytes")),
        ({"is_async": True}, Variant("bytes", is_async=True)),
        *(({"framing": framing}, Variant(framing)) for framing in FRAMINGS),
        ({"framing": "lines", "is_async": True}, Variant("lines", is_async=True)),
        ({"protocol": True}, Variant("protocol")),
        ({"websocket": True}, Variant("websocket")),
        ({"websocket": True, "is_async": True}, Variant("websocket", is_async=True)),
    ],
)
def test_options_choose_a_variant(options: dict[str, Any], variant: Variant) -> None:
    assert chosen(**{**NONE, **options}) == variant
    assert variant in VARIANTS


@pytest.mark.parametrize(
    "options",
    [
        {"protocol": True, "websocket": True},
        {"protocol": True, "framing": "lines"},
        {"protocol": True, "is_async": True},
        {"websocket": True, "framing": "fixed"},
    ],
)
def test_options_that_exclude_each_other_are_refused_by_their_names(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as raised:
        chosen(**{**NONE, **options})
    assert raised.value.hint is not None
    for option in options:
        assert f"--{option.removeprefix('is_')}" in " ".join(raised.value.lines())
