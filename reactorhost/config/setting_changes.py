"""What differs between the settings of a running host and those that it would read now, and what applies it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from reactorhost.config.setting_rows import SettingRow

UNSET = "-"
BY_HUP = "HUP"
BY_RESTART = "restart"
# The files of a running host exist already.
_OF_FILES = ("unix_mode", "unix_owner")


class SettingChange(NamedTuple):
    """The value that a setting would have now; `-` if it is not set any more."""

    setting: str
    value: str
    origin: str
    applied_by: str


def changes(
    running: Iterable[SettingRow], fresh: Iterable[SettingRow], fixed: Collection[str]
) -> Iterator[SettingChange]:
    """Yield what differs; `fixed` are the settings that a process keeps for its whole life."""
    before, after = ({row.setting: row for row in rows} for rows in (running, fresh))
    changed = [name for name in {**before, **after} if _differs(name, before, after, fixed)]
    # Where addresses or TLS differ, HUP refuses the whole configuration.
    refused = any(_is_bound(name, before, after) for name in changed)
    for name in changed:
        row = after.get(name) or SettingRow(name, UNSET, UNSET)
        kept = refused or name in fixed or name.rpartition(".")[2] in _OF_FILES
        yield SettingChange(name, row.value, row.origin, BY_RESTART if kept else BY_HUP)


def _differs(name: str, before: dict[str, SettingRow], after: dict[str, SettingRow], fixed: Collection[str]) -> bool:
    if name not in before or name not in after:
        return True
    # A host in the background without a log file has one all the same.
    return before[name].value != after[name].value and not (name in fixed and after[name].value == UNSET)


def _is_bound(name: str, before: dict[str, SettingRow], after: dict[str, SettingRow]) -> bool:
    # The rows of TLS exist only where it is used.
    return name.startswith("service.") and (name.endswith(".listen") or name not in before or name not in after)
