"""Scrapes of a real host: every process in it, and counters that survive kills and reloads."""

from __future__ import annotations

import http.client
import itertools
import os
import signal
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

from prometheus_client import Metric, parser
from prometheus_client.openmetrics import parser as openmetrics_parser

from reactorhost.testing import DEADLINE_SECONDS, LiveHost

Hosts = Callable[..., LiveHost]
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]

COUNTS = """
@hookimpl
def worker_start(worker):
    global seen
    seen = worker.shared_counter("seen.bytes")

@hookimpl
def receive(connection, data):
    seen.add(len(data))
    connection.send(data)
"""

OPENMETRICS = "application/openmetrics-text"


def scrape(host: LiveHost, accept: str = "") -> tuple[str, str]:
    """Return content type and text of the metrics."""
    (address,) = host.status()["admin"]
    connection = http.client.HTTPConnection(address.partition("://")[2], timeout=DEADLINE_SECONDS)
    try:
        connection.request("GET", "/metrics", headers={"Accept": accept})
        response = connection.getresponse()
        assert response.status == 200
        return response.headers["Content-Type"], response.read().decode()
    finally:
        connection.close()


def counters(host: LiveHost) -> Series:
    """Return what may only grow: counters, and what histograms count."""
    families = parser.text_string_to_metric_families(scrape(host)[1])
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        if family.type in ("counter", "histogram")
        for sample in family.samples
    }


def total(series: Series, name: str, /, **labels: str) -> float:
    return sum(
        value for (each, found), value in series.items() if each == name and labels.items() <= dict(found).items()
    )


def exchange(host: LiveHost, count: int, service: str | None = None) -> None:
    for _ in range(count):
        with host.connect(service) as client:
            client.sendall(b"x" * 10)
            client.shutdown(socket.SHUT_WR)
            assert client.recv(100) == b"x" * 10


def test_counters_survive_kills_upgrades_and_scaling(
    live_host: Hosts, write_plugin: Callable[..., str], expected_errors: list[str]
) -> None:
    expected_errors.append("worker_crashed")
    host = live_host("--plugin", write_plugin(COUNTS), "--workers", "2", "--admin", "tcp://127.0.0.1:0")
    seen = [counters(host)]
    exchange(host, 20)
    host.until(lambda found: found["totals"]["messages"] == 20)
    seen.append(counters(host))
    for worker in host.workers():
        os.kill(worker["pid"], signal.SIGKILL)
    host.until(lambda found: found["workers_ready"] == 2 and all(each["restarts"] for each in found["workers"]))
    seen.append(counters(host))
    exchange(host, 5)
    host.until(lambda found: found["totals"]["messages"] == 25)
    upgraded = host.command("upgrade")
    assert upgraded.returncode == 0, upgraded.stderr
    seen.append(counters(host))
    host.ask("scale", workers=1)
    seen.append(counters(host))

    for before, after in itertools.pairwise(seen):
        # A slot that is gone has no listeners and no restarts of its own.
        lost = {name for name, _ in before.keys() - after.keys()}
        assert lost <= {"reactorhost_listener_dropped_total", "reactorhost_slot_restarts_total"}
        assert [key for key in before.keys() & after.keys() if after[key] < before[key]] == []
    assert [total(each, "reactorhost_messages_total") for each in seen] == [0, 20, 20, 25, 25]
    assert [total(each, "reactorhost_connections_accepted_total") for each in seen] == [0, 20, 20, 25, 25]
    assert [total(each, "reactorhost_plugin_counter_total", name="seen.bytes") for each in seen] == [
        0,
        200,
        200,
        250,
        250,
    ]
    # What a killed worker has timed in its last quarter of a second is lost; all of it was older.
    assert [total(each, "reactorhost_receive_duration_seconds_count") for each in seen] == [0, 20, 20, 25, 25]
    assert total(seen[-1], "reactorhost_worker_exits_total", reason="crashed") == 2
    assert total(seen[-1], "reactorhost_upgrades_total", result="succeeded") == 1
    assert total(seen[-1], "reactorhost_reloads_total", result="succeeded") == 1
    assert total(seen[-1], "reactorhost_worker_cpu_seconds_total") > 0


def test_services_are_counted_apart_and_their_counts_survive_an_upgrade(live_host: Hosts, tmp_path: Path) -> None:
    file = tmp_path / "two.toml"
    file.write_text(
        "[host]\nworkers = 2\nadmin = 'tcp://127.0.0.1:0'\n"
        + "".join(f"[service.{each}]\nlisten = 'tcp://127.0.0.1:0'\nplugins = 'echo'\n" for each in ("one", "two"))
    )
    host = live_host("--config", str(file))

    def accepted(service: str) -> float:
        return total(counters(host), "reactorhost_service_connections_accepted_total", service=service)

    exchange(host, 3, "one")
    exchange(host, 2, "two")
    host.ask("reload")
    exchange(host, 1, "two")
    host.until(lambda found: (accepted("one"), accepted("two")) == (3, 3), "counts of the services")
    assert host.command("upgrade").returncode == 0
    assert (accepted("one"), accepted("two")) == (3, 3)


def test_a_client_that_accepts_openmetrics_gets_it(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "1", "--admin", "tcp://127.0.0.1:0")
    content_type, text = scrape(host, f"{OPENMETRICS};version=1.0.0,text/plain;q=0.5")
    assert content_type.startswith(f"{OPENMETRICS}; version=1.0.0")
    parse: Callable[[str], Iterable[Metric]] = openmetrics_parser.text_string_to_metric_families
    found = {family.name: family for family in parse(text)}
    assert found["reactorhost_ready"].samples[0].value == 1
    assert found["reactorhost_worker_resident_memory_bytes"].samples[0].value > 1 << 20
    (queue,) = found["reactorhost_listener_queue_limit"].samples
    assert (queue.labels["slot"], queue.labels["address"]) == ("0", host.status()["services"][0]["addresses"][0])
