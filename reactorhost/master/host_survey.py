"""Request the status of many hosts at once, also of those of other users, as root.

Root acts on nothing that another user has prepared: a process with the rights of that user looks for its hosts and
requests their status. Only what it reports, as text and numbers, is shown.
"""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

from reactorhost.config.default_paths import base_dirs
from reactorhost.errors import ReactorhostError
from reactorhost.ipc.control_client import CONTROL_SOCKET, ControlClient
from reactorhost.ipc.host_row import HostRow
from reactorhost.master import host_search
from reactorhost.plugins import child
from reactorhost.plugins.child import Send
from reactorhost.system import procfs
from reactorhost.system.account import Account, resolve_account
from reactorhost.system.ownership import user_name
from reactorhost.system.process import drop_privileges

_ANSWER_SECONDS = 2.0
_CHILD_SECONDS = 5.0
_MOST_TEXT = 200
_LARGEST = 1e15


def survey(environ: Mapping[str, str]) -> tuple[list[HostRow], list[str]]:
    """Return all hosts of this user, for root all hosts of all users, and the users whose hosts cannot be listed."""
    others = host_search.users() if os.geteuid() == 0 else {}
    children = {uid: child.start(partial(_send_rows, uid, gid), _CHILD_SECONDS) for uid, gid in others.items()}
    rows = _rows(base_dirs(environ, os.geteuid()))
    deadline = time.monotonic() + _CHILD_SECONDS
    failed = []
    for uid, process in children.items():
        process.wait(deadline - time.monotonic())
        reports, status = process.end()
        rows += [_checked(uid, report) for report in reports]
        if status != 0:
            failed.append(_user(uid))
    return sorted(rows, key=lambda row: (row["user"], row["name"] or "", row["run_dir"])), failed


def _rows(bases: Iterable[Path]) -> list[HostRow]:
    bases = list(bases)
    found = host_search.hosts(bases)
    documents = _documents(found)
    user = _user(os.geteuid())
    return [_row(run_dir, pid, user, bases, documents.get(run_dir)) for run_dir, pid in found.items()]


def _row(run_dir: Path, pid: int, user: str, bases: Iterable[Path], document: Mapping[str, Any] | None) -> HostRow:
    known = document or {}
    return {
        "name": known["name"] if document else (run_dir.name if run_dir.parent in bases else None),
        "pid": pid,
        "user": user,
        "state": known.get("state"),
        "workers_ready": known.get("workers_ready"),
        "workers_wanted": known.get("workers_wanted"),
        "connections": known["totals"]["connections"] if document else None,
        "uptime_seconds": known["uptime_seconds"] if document else procfs.age_seconds(pid),
        "version": known.get("version"),
        "run_dir": str(run_dir),
    }


def _documents(run_dirs: Iterable[Path]) -> dict[Path, Mapping[str, Any]]:
    """Return the status documents of the hosts that send one in time."""
    found: dict[Path, Mapping[str, Any]] = {}
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for run_dir in run_dirs:
            # A host that starts has no socket yet, one that ends has none any more, and one that hangs may have a full
            # queue.
            with suppress(OSError):
                client = stack.enter_context(ControlClient(run_dir / CONTROL_SOCKET, timeout=0))
                client.send("status")
                selector.register(client.socket, selectors.EVENT_READ, (run_dir, client))
        deadline = time.monotonic() + _ANSWER_SECONDS
        while selector.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                run_dir, client = key.data
                try:
                    messages = client.receive()
                except OSError:
                    selector.unregister(key.fileobj)
                    continue
                for message in messages:
                    selector.unregister(key.fileobj)
                    if message.get("status") == 0:
                        found[run_dir] = message["document"]
                    break
    return found


def _user(uid: int) -> str:
    return user_name(uid).strip("'")


def _send_rows(uid: int, gid: int, send: Send) -> None:
    try:
        account = resolve_account(str(uid), None)
    except ReactorhostError:
        account = Account(uid, gid, None)
    assert account is not None, "a user was named"
    drop_privileges(account)
    for row in _rows(base_dirs({}, uid)):
        send(row)


def _checked(uid: int, row: Mapping[str, Any]) -> HostRow:
    """Return a row with values of the right kinds only: most are from a process of another user."""

    def text(key: str) -> str | None:
        return value[:_MOST_TEXT] if isinstance(value := row[key], str) else None

    def number(key: str) -> Any:
        # Not infinity, and not so many digits that they are refused as text.
        return value if isinstance(value := row[key], int | float) and abs(value) < _LARGEST else None

    return {
        "name": text("name"),
        "pid": row["pid"],
        "user": _user(uid),
        "state": text("state"),
        "workers_ready": number("workers_ready"),
        "workers_wanted": number("workers_wanted"),
        "connections": number("connections"),
        "uptime_seconds": number("uptime_seconds"),
        "version": text("version"),
        "run_dir": row["run_dir"],
    }
