"""The text of a scrape is read by the parsers of prometheus-client as what was collected."""

from __future__ import annotations

import math
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import metrics_core, parser
from prometheus_client.openmetrics import parser as openmetrics_parser

from measured_host import MeasuredHost
from reactorhost import histogram
from reactorhost.config.worker_count import WorkerRange
from reactorhost.ipc.counters import Timings
from reactorhost.master.listen.slot_socket import Queue
from reactorhost.master.metrics import catalog
from reactorhost.master.metrics.catalog import CATALOG, Kind
from reactorhost.master.metrics.exposition import exposition
from reactorhost.master.metrics.values import Values
from reactorhost.master.plan.autoscale import Load
from reactorhost.system import procfs

OPENMETRICS = "application/openmetrics-text"
# As Prometheus 3 sends it.
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)


def parsed(values: Values, accept: str = "") -> dict[str, metrics_core.Metric]:
    content_type, text = exposition(values, accept)
    parse = openmetrics_parser if content_type.startswith(OPENMETRICS) else parser
    return {family.name: family for family in parse.text_string_to_metric_families(text.decode())}


def family_name(name: str, kind: Kind, accept: str) -> str:
    """Return the name of a metric's family; that of the parser for Prometheus's own format knows no infos."""
    if kind is Kind.COUNTER:
        return name.removesuffix("_total")
    return name.removesuffix("_info") if kind is Kind.INFO and accept else name


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain;version=1e9", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-textual", "text/plain; version=0.0.4; charset=utf-8"),
        (PROMETHEUS, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("text/html, Application/OpenMetrics-Text", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        # The version of a client is not repeated as if it were the one that is sent.
        (f"{OPENMETRICS};version=abc", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
    ],
)
def test_the_format_is_the_one_that_the_client_accepts(accept: str, content_type: str) -> None:
    found, text = exposition(MeasuredHost(1).collect(), accept)
    assert found == content_type
    assert text.endswith(b"# EOF\n") is content_type.startswith(OPENMETRICS)


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_a_scrape_has_every_metric_with_kind_text_and_labels(accept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("resident_bytes", "descriptors_of"):
        monkeypatch.setattr(procfs, name, lambda pid: 12)
    host = MeasuredHost(2, bus_url="redis://cache")
    first, _ = host.start()
    host.count(first, bus_groups=1, tick=host.now)
    host.context.bus.backend_changed(first, {"state": "up", "reason": ""})
    host.log.info("reload_finished")
    host.planner.autoscale.range = WorkerRange(2, 4)
    host.planner.autoscale.load = Load(2, busy=0.5, connections=0.5, lag_seconds=0.1, queued=0, cpus=1.0, cpus_usable=2)
    host.listening = [("default", "tcp://*:1", Queue(slot=0, depth=0, limit=1, dropped=0))]
    host.monitor.metrics.update(first, {"counters": {"echo": {"hits": 1}}, "gauges": {"echo": {"size": 1}}})
    found = parsed(host.collect(), accept)
    assert [family_name(each.name, each.kind, accept) for each in CATALOG] == list(found)
    for metric in CATALOG:
        family = found[family_name(metric.name, metric.kind, accept)]
        assert family.type == (metric.kind.value if accept or metric.kind is not Kind.INFO else "gauge")
        assert family.documentation == metric.text
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(metric.labels)


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_a_histogram_counts_the_calls_up_to_each_bound(accept: str) -> None:
    host = MeasuredHost(1)
    (only,) = host.start()
    host.received(only, 3e-7, 1.1e-6, 1.9e-6, 1.0, 100.0)
    samples = parsed(host.collect(), accept)["reactorhost_receive_duration_seconds"].samples
    buckets = {float(each.labels["le"]): each.value for each in samples if each.name.endswith("_bucket")}
    assert list(buckets) == sorted(buckets)
    assert (buckets[1.024e-6], buckets[2.048e-6], buckets[math.inf]) == (1, 3, 5)
    assert max(bound for bound, count in buckets.items() if count == 3) < 1.0
    assert [count for bound, count in buckets.items() if 2 < bound < math.inf] == [4.0] * 4
    count, total = (next(each.value for each in samples if each.name.endswith(end)) for end in ("_count", "_sum"))
    assert count == 5
    assert total == pytest.approx(101.0000033)


def test_every_bound_is_the_end_of_a_bucket() -> None:
    values = Values()
    values.set_histogram(catalog.RECEIVE_DURATION, Timings())
    samples = parsed(values)["reactorhost_receive_duration_seconds"].samples
    bounds = [float(each.labels["le"]) for each in samples if each.name.endswith("_bucket")]
    for bound in bounds[:-1]:
        nanoseconds = round(bound * 1e9)
        assert histogram.bucket(nanoseconds) == histogram.bucket(nanoseconds - 1) + 1
    assert bounds[-1] == math.inf


HOSTILE = st.text(st.characters() | st.sampled_from('\\"\n\r\x00\udc80{},=# '), max_size=30)
NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False)


@given(st.dictionaries(st.tuples(HOSTILE, HOSTILE), NUMBERS, max_size=5), st.sampled_from(["", OPENMETRICS]))
def test_any_name_and_number_of_a_plugin_makes_a_valid_scrape(
    numbers: dict[tuple[str, str], float], accept: str
) -> None:
    values = Values()
    for labels, number in numbers.items():
        values.set(catalog.PLUGIN_COUNTER, number, *labels)
        values.set(catalog.PLUGIN_GAUGE, number, *labels)
    found = parsed(values, accept)
    if numbers:
        gauges = {
            (each.labels["plugin"], each.labels["name"]): each.value
            for each in found["reactorhost_plugin_gauge"].samples
        }
        assert gauges == {labels: float(value) for labels, value in values.numbers[catalog.PLUGIN_GAUGE].items()}
        counters = found["reactorhost_plugin_counter"].samples
        assert all(each.value >= 0 for each in counters)


@given(st.binary(max_size=20).map(lambda data: data.decode("latin-1")) | st.text(string.printable, max_size=40))
def test_no_accept_header_makes_a_scrape_fail(accept: str) -> None:
    values = Values()
    values.set(catalog.GENERATION, 1)
    assert b"reactorhost_generation 1.0\n" in exposition(values, accept)[1]
