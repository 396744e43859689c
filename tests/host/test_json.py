"""What commands that act on a host print with `--json`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clients import answers
from daemons import Daemon, run
from schemas import check_printed


def test_every_command_prints_one_document(daemon: Callable[..., Daemon]) -> None:
    host = daemon("--plugin", "echo", "--workers", "2", "--json")

    def document(*words: str) -> dict[str, Any]:
        # Parsing fails if anything else is printed, progress for instance; `run` compares it with the schema.
        shown = run(*words, "--json", "--run-dir", str(host.run_dir))
        assert shown.returncode == 0, shown.stderr
        parsed: dict[str, Any] = json.loads(shown.stdout)
        return parsed

    check_printed(host.started.stdout, "start", "--json")
    started = json.loads(host.started.stdout)
    assert (started["pid"], started["workers_ready"]) == (host.pid, 2)
    assert document("health") == {"schema": 1, "live": True, "ready": True, "not_ready": []}
    with host.connect() as client:
        assert answers(client)
        [row] = document("connections")["connections"]
        assert (row["bytes_in"], row["tls"]) == (row["bytes_out"], None)
    assert document("config", "show", "--running")["changes"] == []
    assert document("top", "--once")["pid"] == document("status")["pid"] == host.pid
    assert document("reload") == {"schema": 1, "replaced": 2, "generation": 2, "warnings": []}
    scaled = document("scale", "3")
    # A worker that the reload has replaced may not have ended yet.
    assert scaled == {"schema": 1, "workers": 3, "draining": scaled["draining"]}
    assert 0 <= scaled["draining"] <= 2
    assert document("upgrade")["before"] == started["version"]
    assert document("reopen") == {"schema": 1, "log_file": str(host.log_path)}
    shown = run("restart", "--json", "--run-dir", str(host.run_dir))
    check_printed(shown.stdout, "restart", "--json")
    assert (json.loads(shown.stdout)["pid"] != host.pid, shown.stderr) == (True, "")
    host.find()
    # How the first start printed its result is not repeated.
    plain = run("restart", "--run-dir", str(host.run_dir))
    assert (plain.returncode, "has stopped, starting it again" in plain.stdout, "{" in plain.stdout) == (0, True, False)
    host.find()
    assert document("stop") == {"schema": 1, "name": "default", "run_dir": str(host.run_dir)}


def test_a_failed_restart_prints_the_document_of_the_check(daemon: Callable[..., Daemon], tmp_path: Path) -> None:
    config = tmp_path / "host.toml"
    config.write_text("[service.a]\nlisten = 'tcp://127.0.0.1:0'\nplugins = 'echo'\n")
    host = daemon("--config", str(config))
    config.write_text("[service.a]\nlisten = 'tcp://127.0.0.1:0'\nplugins = 'echo'\nframing = 'line'\n")
    shown = run("restart", "--json", "--run-dir", str(host.run_dir))
    assert shown.returncode == 1
    [problem] = json.loads(shown.stdout)["error"]["problems"]
    assert problem["where"] == f"{config}:4"
    assert "keeps serving" in shown.stderr
