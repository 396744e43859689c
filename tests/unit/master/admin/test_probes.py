"""What the routes of the HTTP endpoint respond."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import Mock

from planner_settings import host_settings
from reactorhost.master.admin.probes import Probes
from reactorhost.master.http.messages import Request, Response
from reactorhost.master.plan.planner import Planner


class Host:
    """A host with one worker, and its routes."""

    def __init__(self) -> None:
        self.planner = Planner(host_settings(1))
        self.status = Mock()
        self.routes = Probes(self.planner, self.status).routes()
        self.planner.decide(0.0)
        self.planner.forked(100, 0, 1, 0.0)

    def get(self, path: str, **query: str) -> Response:
        return self.routes[path](Request(path, {name: [value] for name, value in query.items()}))


def test_the_master_is_alive_before_a_worker_is_ready() -> None:
    response = Host().get("/livez")
    assert (response.status, response.body) == (200, b"the master is alive\n")


def test_readiness_has_a_line_for_each_reason() -> None:
    host = Host()
    response = host.get("/readyz")
    assert response.status == 503
    assert response.body.splitlines() == [
        b"the host is starting",
        b"0 of 1 worker serve, and 1 is needed (ready_min)",
    ]
    host.planner.ready(100, 0.0)
    response = host.get("/readyz")
    assert (response.status, response.body) == (200, b"the host is ready\n")


def test_verbose_has_a_line_for_each_condition() -> None:
    host = Host()
    host.planner.ready(100, 0.0)
    host.planner.leave(0.0)
    response = host.get("/readyz", verbose="")
    assert response.status == 503
    assert response.body.decode().splitlines() == [
        "[+]start: the host has started",
        "[-]stop: the host is being stopped",
        "[+]workers: 1 of 1 worker serves",
        "[+]room: a worker has room for clients",
        "[+]services: no service waits for a worker of its own",
    ]


def test_the_status_is_the_document() -> None:
    host = Host()
    document: dict[str, Any] = {"state": "running", "events": [{"fields": {"path": Path("/a")}}]}
    host.status.document.return_value = document
    response = host.get("/status", history="1")
    assert (response.status, response.content_type) == (200, "application/json")
    assert json.loads(response.body) == {"state": "running", "events": [{"fields": {"path": "/a"}}]}
    host.get("/status")
    assert [call.kwargs["history"] for call in host.status.document.call_args_list] == [True, False]
