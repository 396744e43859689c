"""Users and groups by name or number: those that workers run as, and the owners of files."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass, field

from reactorhost.errors import UsageError

# As (uid_t)-1 the next number means "unchanged" in setresuid(2).
_MAX_ID = 2**32 - 2


@dataclass(frozen=True, slots=True)
class Account:
    """A user and a group to change to.

    Attributes:
        user: name of the user; None for a user id without an entry in the user database.
        environment: the variables of this user; empty if only the group changes.
    """

    uid: int
    gid: int
    user: str | None
    environment: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"user {self.user or self.uid}, group {self.gid}"


def resolve_account(user: str | None, group: str | None) -> Account | None:
    """Return the account of a user and a group, each by name or number, or None to keep the current ones.

    Raises:
        UsageError: the user or the group does not exist, or the user has no group.
    """
    if user is None and group is None:
        return None
    uid, entry = _user(user)
    if group is not None:
        gid = group_id(group)
    elif entry is not None:
        gid = entry.pw_gid
    else:
        raise UsageError(f"user {uid} is not in the user database, so its group is unknown", hint="add --group")
    return Account(uid, gid, entry.pw_name if entry else None, _environment(uid, entry) if user is not None else {})


def user_id(user: str) -> int:
    """Return the id of a user.

    Raises:
        UsageError: the user does not exist.
    """
    return _user(user)[0]


def group_id(group: str) -> int:
    """Return the id of a group.

    Raises:
        UsageError: the group does not exist.
    """
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        gid = _number(group)
    if gid is None:
        raise UsageError(f"there is no group {group!r}", hint="give the name or the number of a group")
    return gid


def _user(user: str | None) -> tuple[int, pwd.struct_passwd | None]:
    """Return the id of a user and its entry; a number needs none, as in a container."""
    if user is not None:
        try:
            entry = pwd.getpwnam(user)
        except KeyError:
            pass
        else:
            return entry.pw_uid, entry
    uid = os.geteuid() if user is None else _number(user)
    if uid is None:
        raise UsageError(f"there is no user {user!r}", hint="give the name or the number of a user")
    try:
        return uid, pwd.getpwuid(uid)
    except KeyError:
        return uid, None


def _number(text: str) -> int | None:
    # isdecimal() alone accepts the digits of all scripts.
    number = int(text) if text.isascii() and text.isdecimal() else None
    return number if number is None or number <= _MAX_ID else None


def _environment(uid: int, entry: pwd.struct_passwd | None) -> Mapping[str, str]:
    # The variables that su(1) sets.
    if entry is None:
        return {"HOME": "/", "USER": str(uid), "LOGNAME": str(uid)}
    return {"HOME": entry.pw_dir, "USER": entry.pw_name, "LOGNAME": entry.pw_name, "SHELL": entry.pw_shell}
