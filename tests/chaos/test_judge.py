"""Which losses the judge of chaos explains: it must not explain those that a host is to blame for."""

from __future__ import annotations

from typing import Any

import pytest

from judge import Causes, Kill, excuse

LOST: dict[str, Any] = {
    "target": "plain",
    "step": "open",
    "error": "ECONNRESET",
    "begun": 100.0,
    "ended": 102.0,
    "port": 5000,
    "pid": 7,
}


@pytest.mark.parametrize(
    ("failure", "kill", "reason"),
    [
        pytest.param({}, Kill(7, 101.0), "killed", id="its worker was killed"),
        pytest.param({}, Kill(8, 101.0), None, id="another worker was killed"),
        pytest.param({}, Kill(7, 101.0, frozenset({5000})), "killed", id="its worker had accepted it"),
        pytest.param({}, Kill(7, 101.0, frozenset({5001})), None, id="its worker had closed it before"),
        pytest.param({"pid": None}, Kill(7, 101.0), "killed before its greeting", id="it was connecting at a kill"),
        pytest.param({"pid": None}, Kill(7, 90.0, ended=90.1), None, id="it connected long after a kill"),
        pytest.param({"pid": None}, Kill(7, 90.0, ended=101.0), "killed before its greeting", id="the signal waited"),
        pytest.param({"pid": None}, Kill(7, 101.0, frozenset({5001})), None, id="it waited in the queue"),
        pytest.param({"pid": None, "port": None}, Kill(7, 101.0), "killed before its greeting", id="of a unix socket"),
        pytest.param({"error": "wrong b'x'"}, Kill(7, 101.0), None, id="a wrong answer is never explained"),
        pytest.param({"error": "hang"}, Kill(7, 101.0), None, id="a client that hangs is never explained"),
        pytest.param({"error": "ECONNREFUSED", "pid": None}, Kill(7, 101.0), None, id="a refusal is never explained"),
    ],
)
def test_a_kill_explains_only_what_its_worker_had_accepted(
    failure: dict[str, Any], kill: Kill, reason: str | None
) -> None:
    causes = Causes(kills={kill.pid: kill})
    assert excuse(LOST | failure, causes) == reason


@pytest.mark.parametrize(
    ("moment", "target", "reason"), [(99.0, "unix", "file removed"), (80.0, "unix", None), (99.0, "plain", None)]
)
def test_a_missing_file_explains_refusals_of_its_socket_for_a_while(
    moment: float, target: str, reason: str | None
) -> None:
    failure = LOST | {"error": "ENOENT", "step": "connecting", "target": target, "pid": None}
    assert excuse(failure, Causes(unlinked=[moment])) == reason
