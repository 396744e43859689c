"""Accounts by name and number, with and without an entry in the databases of users and groups."""

from __future__ import annotations

import grp
import os
import pwd

import pytest

from reactorhost.errors import UsageError
from reactorhost.system.account import Account, resolve_account

CHAT = pwd.struct_passwd(("chat", "x", 500, 501, "", "/srv/chat", "/bin/sh"))
WWW = grp.struct_group(("www", "x", 600, []))
ENVIRONMENT = {"HOME": "/srv/chat", "USER": "chat", "LOGNAME": "chat", "SHELL": "/bin/sh"}
NAMELESS = {"HOME": "/", "USER": "4711", "LOGNAME": "4711"}


@pytest.fixture(autouse=True)
def _databases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have one user and one group, and run as user 500."""
    monkeypatch.setattr(pwd, "getpwnam", {"chat": CHAT}.__getitem__)
    monkeypatch.setattr(pwd, "getpwuid", {500: CHAT}.__getitem__)
    monkeypatch.setattr(grp, "getgrnam", {"www": WWW}.__getitem__)
    monkeypatch.setattr(os, "geteuid", lambda: 500)


@pytest.mark.parametrize(
    ("user", "group", "account"),
    [
        (None, None, None),
        ("chat", None, Account(500, 501, "chat", ENVIRONMENT)),
        ("chat", "www", Account(500, 600, "chat", ENVIRONMENT)),
        ("500", "4712", Account(500, 4712, "chat", ENVIRONMENT)),
        ("4711", "www", Account(4711, 600, None, NAMELESS)),
        ("4711", "0", Account(4711, 0, None, NAMELESS)),
        (None, "www", Account(500, 600, "chat")),
        (None, "600", Account(500, 600, "chat")),
    ],
)
def test_names_and_numbers(user: str | None, group: str | None, account: Account | None) -> None:
    assert resolve_account(user, group) == account


def test_a_process_whose_user_has_no_entry_can_change_its_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    assert resolve_account(None, "www") == Account(4711, 600, None)


@pytest.mark.parametrize(
    ("user", "group", "what", "hint"),
    [
        ("chta", None, "there is no user 'chta'", "give the name or the number of a user"),
        ("4294967295", "0", "there is no user '4294967295'", "give the name or the number of a user"),
        ("-1", "0", "there is no user '-1'", "give the name or the number of a user"),
        ("٤", "0", "there is no user '٤'", "give the name or the number of a user"),
        (None, "wwww", "there is no group 'wwww'", "give the name or the number of a group"),
        ("4711", None, "user 4711 is not in the user database, so its group is unknown", "add --group"),
    ],
)
def test_what_does_not_exist_is_named(user: str | None, group: str | None, what: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve_account(user, group)
    assert (caught.value.what, caught.value.hint) == (what, hint)
