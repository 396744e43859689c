"""The routes of the HTTP endpoint: whether the host is alive and ready, and its status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reactorhost.master.http.messages import Request, Response, Route, json_response, text_response
from reactorhost.master.plan.planner import Planner
from reactorhost.master.plan.readiness import checks, failed
from reactorhost.master.status_document import StatusBuilder

_OK = 200
_UNAVAILABLE = 503


@dataclass(frozen=True, slots=True)
class Probes:
    """What load balancers and monitors request."""

    planner: Planner
    status: StatusBuilder

    def routes(self) -> Mapping[str, Route]:
        """Return the routes by path."""
        return {"/livez": self._live, "/readyz": self._ready, "/status": self._status}

    def _live(self, request: Request) -> Response:
        # That the master answers is what the probe is for: its loop turns, so it replaces workers that fail.
        return text_response(_OK, "the master is alive")

    def _ready(self, request: Request) -> Response:
        found = checks(self.planner)
        not_ready = failed(found)
        lines = not_ready or ["the host is ready"]
        if "verbose" in request.query:
            # As the API server of Kubernetes writes it.
            lines = [f"[{'+' if each.holds else '-'}]{each.name}: {each.text}" for each in found]
        return text_response(_UNAVAILABLE if not_ready else _OK, "\n".join(lines))

    def _status(self, request: Request) -> Response:
        return json_response(_OK, self.status.document(history="history" in request.query))
