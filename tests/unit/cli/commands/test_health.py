"""The exit status and the words of `reactorhost health`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reactorhost.cli import client
from reactorhost.cli.app import _run
from reactorhost.errors import NotPermittedError, NotRunningError, ReactorhostError

LEAVES = "the host is being stopped"
FULL = "every worker is full"
ABSENT = "host 'default' is not running"
FOREIGN = "host 'default' belongs to user root"


@pytest.mark.parametrize(
    ("words", "reply", "status", "out", "err"),
    [
        ((), [], 0, "ready\n", ""),
        (("--ready",), [], 0, "ready\n", ""),
        (("--live",), [LEAVES], 0, "alive\n", ""),
        ((), [LEAVES, FULL], 1, "", f"reactorhost: {LEAVES}\nreactorhost: {FULL}\n"),
        ((), NotPermittedError(FOREIGN), 1, "", f"reactorhost: {FOREIGN}\n"),
        (("--live",), NotRunningError(ABSENT, hint="start it"), 1, "", f"reactorhost: {ABSENT}\n  hint: start it\n"),
        (("-q",), NotPermittedError(FOREIGN), 1, "", ""),
    ],
)
def test_the_status_is_0_or_1(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    reply: list[str] | ReactorhostError,
    status: int,
    out: str,
    err: str,
) -> None:
    def request(*of: object) -> dict[str, Any]:
        if isinstance(reply, ReactorhostError):
            raise reply
        return {"not_ready": reply}

    monkeypatch.setattr(client, "request", request)
    assert _run(["health", *words]) == status
    assert capsys.readouterr() == (out, err)
    assert _run(["health", "--json", *words]) == status
    document = json.loads(capsys.readouterr().out)
    alive = not isinstance(reply, ReactorhostError)
    assert document == {
        "schema": 1,
        "live": alive,
        "ready": reply == [],
        "not_ready": [reply.what] if isinstance(reply, ReactorhostError) else reply,
    }


def test_both_questions_at_once_are_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["health", "--live", "--ready"]) == 2
    assert "--live and --ready exclude each other" in capsys.readouterr().err
