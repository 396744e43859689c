"""The route of the metrics: a scrape in the format that is accepted, or what to install."""

from __future__ import annotations

import sys

import pytest

from measured_host import STARTED_AT, MeasuredHost
from reactorhost.master.http.messages import Request
from reactorhost.master.metrics.route import metrics_route

MODULE = "reactorhost.master.metrics.exposition"


@pytest.mark.parametrize(
    ("headers", "content_type"),
    [
        ({}, "text/plain; version=0.0.4; charset=utf-8"),
        (
            {"accept": "application/openmetrics-text"},
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
    ],
)
def test_each_request_is_answered_with_the_values_of_its_moment(headers: dict[str, str], content_type: str) -> None:
    host = MeasuredHost(1)
    (only,) = host.start()
    route = metrics_route(host.context, STARTED_AT)
    for messages in (3, 4):
        host.count(only, messages=messages)
        response = route(Request("/metrics", headers=headers))
        assert (response.status, response.content_type) == (200, content_type)
        assert f'reactorhost_messages_total{{slot="0"}} {messages}.0\n'.encode() in response.body


def test_without_the_library_the_response_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    response = metrics_route(MeasuredHost(1).context, STARTED_AT)(Request("/metrics"))
    assert response.status == 501
    assert b"pip install prometheus-client" in response.body


def test_an_import_that_fails_for_another_reason_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    monkeypatch.setitem(sys.modules, "prometheus_client.registry", None)
    with pytest.raises(ModuleNotFoundError):
        metrics_route(MeasuredHost(1).context, STARTED_AT)
