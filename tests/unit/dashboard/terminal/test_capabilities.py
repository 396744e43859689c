"""What the locale can show."""

from __future__ import annotations

from reactorhost.dashboard.terminal.capabilities import is_utf8_locale


def test_the_users_locale_decides_about_utf8() -> None:
    assert is_utf8_locale({"LANG": "en_US.UTF-8"})
    assert is_utf8_locale({"LANG": "C.utf8", "LC_ALL": ""})
    assert is_utf8_locale({"LC_CTYPE": "C.UTF-8"})
    assert not is_utf8_locale({"LC_CTYPE": "C.UTF-8", "LANG": "C"})
    assert not is_utf8_locale({"LC_ALL": "POSIX", "LANG": "en_US.UTF-8"})
    assert not is_utf8_locale({"LANG": "de_DE.ISO-8859-1"})
