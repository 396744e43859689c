"""The route of the HTTP endpoint that returns the metrics."""

from __future__ import annotations

import time

from reactorhost.master.context import MasterContext
from reactorhost.master.http.messages import Request, Response, Route, text_response
from reactorhost.master.metrics import library
from reactorhost.master.metrics.collect import collect

_NOT_INSTALLED = (
    "the metrics need prometheus-client, which was not installed when the host started\n"
    "upgrade or restart the host after: pip install prometheus-client"
)


def metrics_route(context: MasterContext, started_at: float) -> Route:
    """Return the route of `/metrics`; without prometheus-client its responses say what to install.

    `started_at` is Unix time.
    """
    # Now, and not at the first scrape: the import takes longer than a loop of the master may stand, and what is loaded
    # before the first fork is memory that all processes share.
    try:
        from reactorhost.master.metrics.exposition import exposition
    except ModuleNotFoundError as error:
        if error.name != library.LIBRARY:
            raise
        return _not_installed

    def metrics(request: Request) -> Response:
        values = collect(context, started_at, time.monotonic())
        content_type, text = exposition(values, request.headers.get("accept", ""))
        return Response(200, text, content_type)

    return metrics


def _not_installed(request: Request) -> Response:
    return text_response(501, _NOT_INSTALLED)
