"""The page, the alert rules and the dashboard name the metrics that a host has, with their labels and values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from reactorhost.master.metrics.catalog import CATALOG, Kind, Metric
from reactorhost.master.plan.recycle_limits import LIMITS
from reactorhost.master.stats.ended_workers import ExitReason

promql = pytest.importorskip("promql_parser", reason="has no wheel for this interpreter")

DOCS = Path(__file__).parents[4] / "docs"
DEPLOY = DOCS / "examples" / "deploy"
# What Prometheus adds to each series.
OF_THE_SCRAPE = {"instance", "job"}
VALUES: dict[str, set[str]] = {
    "reason": set(ExitReason),
    "limit": set(LIMITS),
    "result": {"succeeded", "failed"},
    "level": {"info", "warning", "error"},
    "job": {"reactorhost"},
}


class Query(NamedTuple):
    place: str
    text: str
    legend: str


def alerts() -> Iterator[dict[str, Any]]:
    for group in yaml.safe_load((DEPLOY / "prometheus-alerts.yml").read_text())["groups"]:
        yield from group["rules"]


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    return found


def queries() -> Iterator[Query]:
    for rule in alerts():
        yield Query(rule["alert"], rule["expr"], rule["annotations"]["summary"])
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield Query(panel["title"], target["expr"], target["legendFormat"])
    for annotation in dashboard()["annotations"]["list"]:
        yield Query(annotation["name"], annotation["expr"], "")
    for line in (DOCS / "how-to" / "monitoring.md").read_text().partition("\n### Queries\n")[2].splitlines():
        if (row := re.fullmatch(r"\| ([^|]*) \| `([^`]*)` \|", line)) is not None:
            yield Query(row[1], row[2], "")


QUERIES = list(queries())


def samples(metric: Metric) -> dict[str, set[str]]:
    """Return the labels of each name that a metric has in a scrape."""
    labels = set(metric.labels) | OF_THE_SCRAPE
    if metric.kind is not Kind.HISTOGRAM:
        return {metric.name: labels}
    return {f"{metric.name}_bucket": labels | {"le"}, f"{metric.name}_sum": labels, f"{metric.name}_count": labels}


SERIES = {"up": OF_THE_SCRAPE, **{name: labels for metric in CATALOG for name, labels in samples(metric).items()}}


def test_the_page_has_every_metric_with_kind_and_labels_and_no_other() -> None:
    described = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (DOCS / "reference" / "metrics.md").read_text().splitlines()
        if line.startswith("| `reactorhost_")
    ]
    assert [(name, kind, labels) for name, kind, labels, _ in described] == [
        (f"`{each.name}`", each.kind.value, ", ".join(f"`{label}`" for label in each.labels)) for each in CATALOG
    ]


def test_names_follow_the_conventions_of_prometheus() -> None:
    for metric in CATALOG:
        assert re.fullmatch(r"reactorhost_[a-z]+(_[a-z]+)*", metric.name)
        assert metric.name.endswith("_total") is (metric.kind is Kind.COUNTER)
        assert metric.name.endswith("_info") is (metric.kind is Kind.INFO)
        assert not re.search(r"(milli|micro|nano)seconds|kilo|mega|percent", metric.name)
    assert len({metric.name for metric in CATALOG}) == len(CATALOG)


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: f"{query.place}: {query.legend}")
def test_a_query_selects_series_and_labels_that_a_host_has(query: Query) -> None:
    kept: list[set[str]] = []

    def check(node: Any) -> None:
        if isinstance(node, promql.MatrixSelector):
            node = node.vector_selector
        if isinstance(node, promql.VectorSelector):
            kept.append(SERIES[node.name])
            for matcher in node.matchers.matchers:
                assert matcher.name in SERIES[node.name]
                values = VALUES.get(matcher.name)
                assert values is None or set(matcher.value.split("|")) <= values
        elif isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            assert set(node.modifier.labels) <= kept[-1]
            kept[-1] = set(node.modifier.labels)

    text = query.text.replace("$__rate_interval", "1m").replace('=~"$instance"', '=~".*"')
    promql.walk(promql.parse(text), post_visit=check)
    assert kept
    used = set(re.findall(r"\{\{ ?(?:\$labels\.)?(\w+) ?\}\}", query.legend))
    assert used <= set.intersection(*kept)


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    cells: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        x, y, width, height = (panel["gridPos"][key] for key in "xywh")
        covered = {(column, row) for column in range(x, x + width) for row in range(y, y + height)}
        assert cells.isdisjoint(covered)
        assert x + width <= 24
        cells |= covered
    ids = [panel["id"] for panel in dashboard()["panels"]]
    assert len(set(ids)) == len(ids)


def test_the_dashboard_shows_only_the_chosen_hosts() -> None:
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            selectors = re.findall(r"reactorhost_\w+(\{[^}]*\})?", target["expr"])
            assert all('instance=~"$instance"' in selector for selector in selectors)


def test_the_configuration_loads_the_alerts_of_its_job() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    assert config["rule_files"] == ["prometheus-alerts.yml"]
    assert {each["job_name"] for each in config["scrape_configs"]} == VALUES["job"]
    assert len({rule["alert"] for rule in alerts()}) == len(list(alerts()))
