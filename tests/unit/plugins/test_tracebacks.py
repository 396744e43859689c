"""An exception is named as in its traceback."""

from __future__ import annotations

import struct
import zlib

import pytest

from reactorhost import SetupError
from reactorhost.plugins import tracebacks


class Unlucky(Exception):  # noqa: N818 - as a plugin may call it
    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no room"), "ValueError: no room"),
        (struct.error("too short"), "struct.error: too short"),
        (zlib.error("too long"), "zlib.error: too long"),
        (SetupError("no room"), "SetupError: no room"),
        (Unlucky(), f"{__name__}.Unlucky: <its __str__ raised>"),
    ],
)
def test_the_words_of_an_exception(error: Exception, text: str) -> None:
    assert tracebacks.words(error) == text
