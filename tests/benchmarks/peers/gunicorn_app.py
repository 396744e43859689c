"""A trivial application for gunicorn, and its settings: each worker prints `ready` when it has loaded this."""

from __future__ import annotations

import os
from collections.abc import Callable


def application(
    _environ: dict[str, object], start_response: Callable[[str, list[tuple[str, str]]], object]
) -> list[bytes]:
    """Answer every request."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok\n"]


def post_worker_init(_worker: object) -> None:
    """Print `ready`; gunicorn calls this in a worker after it has loaded the application."""
    os.write(1, b"ready\n")
