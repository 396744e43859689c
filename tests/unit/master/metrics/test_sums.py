"""No sum ever falls, whatever happens to workers in whatever order."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from measured_host import MeasuredHost
from reactorhost.ipc.counters import TOTALS
from reactorhost.master.metrics import catalog
from reactorhost.master.metrics.catalog import CATALOG, Kind
from reactorhost.master.metrics.values import Values

# Slots that are gone have no number of restarts, and their sockets are closed.
ENDS_WITH_ITS_SLOT = {catalog.SLOT_RESTARTS, catalog.LISTENER_DROPPED}

EVENTS = st.sampled_from(["count", "crash", "leave", "ready", "reload", "grow", "shrink"])


def sums(values: Values) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return everything that may only grow."""
    found: dict[tuple[str, tuple[str, ...]], float] = {}
    for metric in CATALOG:
        if metric.kind is Kind.COUNTER and metric not in ENDS_WITH_ITS_SLOT:
            found |= {(metric.name, labels): value for labels, value in values.numbers.get(metric, {}).items()}
        for labels, timings in values.histograms.get(metric, {}).items():
            counts = enumerate([*timings.receive, timings.receive_nanoseconds])
            found |= {(f"{metric.name} {number}", labels): count for number, count in counts}
    return found


def happen(host: MeasuredHost, event: str, which: int) -> None:
    pids = sorted(host.planner.workers)
    pid = pids[which % len(pids)]
    if event == "count":
        counters = host.pool.pages[pid].counters
        host.count(pid, **{name: getattr(counters, name) + which for name in TOTALS})
        host.received(pid, which / 1000)
        host.received(pid, which / 1000, plugin=which % 2, errors=1)
        host.monitor.metrics.update(pid, {"counters": {"echo": {"accepted": counters.accepted}}, "gauges": {}})
    elif event in ("crash", "leave"):
        host.end(pid, "signal 9 (SIGKILL)" if event == "crash" else "exit status 0")
    elif event == "ready":
        host.planner.ready(pid, host.now)
        host.settle()
    elif event == "reload":
        host.planner.reload.request()
        host.settle()
        host.planner.begin_reload()
        host.settle()
    else:
        target = host.planner.scaling.target + (1 if event == "grow" else -1)
        host.planner.scaling.request(max(1, min(4, target)))
        host.settle()


@given(st.lists(st.tuples(EVENTS, st.integers(0, 7)), max_size=25))
@settings(max_examples=60, deadline=None)
def test_no_sum_falls_whatever_happens_to_workers(events: list[tuple[str, int]]) -> None:
    host = MeasuredHost(2, ("echo", "log"))
    host.start()
    before = sums(host.collect())
    for event, which in events:
        if not host.planner.workers:
            # All wait in back-off.
            return
        happen(host, event, which)
        after = sums(host.collect())
        assert before.keys() <= after.keys()
        assert [key for key in before if after[key] < before[key]] == []
        before = after
