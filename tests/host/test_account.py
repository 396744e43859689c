"""A process that changes to an account has its ids and its variables, and nothing of the old ones."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from typing import Any

import pytest

from users import NOBODY

CHANGE = """
import json, os, sys
from reactorhost.errors import ReactorhostError
from reactorhost.system.account import resolve_account
from reactorhost.system.process import drop_privileges
try:
    drop_privileges(resolve_account(*json.loads(sys.argv[1])))
    names = ("HOME", "USER", "LOGNAME")
    now = {name: os.environ.get(name) for name in names}
    print(json.dumps({**now, "uids": os.getresuid(), "gids": os.getresgid(), "groups": os.getgroups()}))
except ReactorhostError as error:
    print(json.dumps({"error": error.lines()}))
"""
ROOTS = {"HOME": "/root", "USER": "root", "LOGNAME": "root"}


def changed(user: str | None, group: str | None) -> dict[str, Any]:
    """Return what a process with root's variables has after the change."""
    done = subprocess.run(
        [sys.executable, "-c", CHANGE, json.dumps([user, group])],
        check=True,
        capture_output=True,
        env={**os.environ, **ROOTS},
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the user")


def test_a_user_by_name_or_number_gets_its_ids_and_variables() -> None:
    entry = pwd.getpwuid(NOBODY)
    for user in (entry.pw_name, str(NOBODY)):
        assert changed(user, None) == {
            "HOME": entry.pw_dir,
            "USER": entry.pw_name,
            "LOGNAME": entry.pw_name,
            "uids": [NOBODY] * 3,
            "gids": [entry.pw_gid] * 3,
            "groups": os.getgrouplist(entry.pw_name, entry.pw_gid),
        }


def test_a_number_without_an_entry_gets_only_its_group() -> None:
    assert changed("47110", "47120") == {
        "HOME": "/",
        "USER": "47110",
        "LOGNAME": "47110",
        "uids": [47110] * 3,
        "gids": [47120] * 3,
        "groups": [47120],
    }


def test_a_change_of_the_group_alone_keeps_the_variables() -> None:
    assert changed(None, "47120").items() >= {**ROOTS, "uids": [0] * 3, "gids": [47120] * 3}.items()
