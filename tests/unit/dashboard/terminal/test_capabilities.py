"""What the terminal and the locale can show."""

from __future__ import annotations

import os

import pytest

from reactorhost.dashboard.terminal.capabilities import can_draw, is_utf8_locale


@pytest.mark.parametrize(("term", "expected"), [("xterm", True), ("dumb", False), ("", False), (None, False)])
def test_only_a_terminal_with_a_known_type_can_draw(
    monkeypatch: pytest.MonkeyPatch, term: str | None, expected: bool
) -> None:
    terminals = {0, 1}
    monkeypatch.setattr(os, "isatty", lambda descriptor: descriptor in terminals)
    monkeypatch.delenv("TERM", raising=False)
    if term is not None:
        monkeypatch.setenv("TERM", term)
    assert can_draw(0, 1) is expected
    terminals.discard(1)
    assert not can_draw(0, 1)


def test_the_users_locale_decides_about_utf8() -> None:
    assert is_utf8_locale({"LANG": "en_US.UTF-8"})
    assert is_utf8_locale({"LANG": "C.utf8", "LC_ALL": ""})
    assert is_utf8_locale({"LC_CTYPE": "C.UTF-8"})
    assert not is_utf8_locale({"LC_CTYPE": "C.UTF-8", "LANG": "C"})
    assert not is_utf8_locale({"LC_ALL": "POSIX", "LANG": "en_US.UTF-8"})
    assert not is_utf8_locale({"LANG": "de_DE.ISO-8859-1"})
