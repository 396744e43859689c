"""The other worker of a bench, as tests of plugins use it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reactorhost import Connection, Member, Worker, hookimpl
from reactorhost.testing import PluginBench

StartBench = Callable[..., PluginBench]


class Noting:
    """Notes what its worker is notified of; its clients join the group `room`."""

    def __init__(self) -> None:
        self.noted: list[str] = []

    @hookimpl
    def worker_start(self, worker: Worker) -> None:
        worker.subscribe("news", self.news)

    def news(self, topic: str, data: bytes) -> None:
        if data == b"bad":
            raise ValueError("no news")
        self.noted.append(f"{topic} {data.decode()}")

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        connection.join("room", data)

    @hookimpl
    def joined(self, worker: Worker, group: str, member: Member) -> None:
        self.noted.append(f"+{member.info.decode()}")
        worker.send_to_ref(member.ref, b"welcome to " + group.encode())

    @hookimpl
    def left(self, worker: Worker, group: str, member: Member) -> None:
        self.noted.append(f"-{member.info.decode()}")

    @hookimpl
    def gap(self, worker: Worker, group: str, recovered: bool) -> None:
        self.noted.append(f"{group} {recovered}")


class AsyncNoting(Noting):
    """The same with an async hook."""

    @hookimpl
    async def connect(self, connection: Connection) -> None:
        pass


@pytest.fixture(params=[Noting, AsyncNoting])
def plugin(request: pytest.FixtureRequest) -> Noting:
    made: Noting = request.param()
    return made


def test_what_another_worker_sends_reaches_functions_and_clients(plugin_bench: StartBench, plugin: Noting) -> None:
    bench = plugin_bench(plugin)
    client = bench.connect()
    bench.bus.send_to("room", b"early ")
    client.send(b"ann")
    bench.bus.send_to("room", b" late")
    bench.bus.publish("news", b"1")
    bench.bus.publish("weather", b"2")
    assert client.received == b"welcome to room late"
    assert plugin.noted == ["+ann", "news 1"]


def test_what_plugins_send_reaches_the_other_worker(plugin_bench: StartBench, plugin: Noting) -> None:
    bench = plugin_bench(plugin)
    bench.worker.publish("news", b"1")
    bench.worker.send_to("room", b"2")
    assert (bench.bus.published, bench.bus.sent) == ([("news", b"1")], [("room", b"2")])


def test_members_elsewhere_join_receive_and_leave(plugin_bench: StartBench, plugin: Noting) -> None:
    bench = plugin_bench(plugin)
    bob, cleo = bench.bus.join("room", b"bob"), bench.bus.join("room", b"cleo")
    assert bench.worker.presence("room") == [Member(bob.ref, b"bob"), Member(cleo.ref, b"cleo")]
    assert bob.received == [b"welcome to room"]
    bob.leave()
    bob.leave()
    assert plugin.noted == ["+bob", "+cleo", "-bob"]
    assert bench.worker.close_ref(cleo.ref)
    bench.settle()
    assert (cleo.closed, bob.closed, plugin.noted[3:]) == (True, False, ["-cleo"])
    assert not bench.worker.send_to_ref(bob.ref, b"gone")
    assert bench.worker.presence("room") == []


def test_the_members_of_a_worker_that_ends_leave(plugin_bench: StartBench, plugin: Noting) -> None:
    bench = plugin_bench(plugin)
    bench.bus.join("room", b"bob")
    bench.bus.join("room", b"cleo")
    bench.bus.end()
    assert plugin.noted == ["+bob", "+cleo", "-bob", "-cleo"]
    assert bench.worker.presence("room") == []


def test_a_gap_is_reported_for_what_is_wanted(plugin_bench: StartBench, plugin: Noting) -> None:
    bench = plugin_bench(plugin)
    bench.bus.gap("room")
    bench.bus.gap("news")
    bench.connect().send(b"ann")
    bench.bus.gap("room", recovered=True)
    assert plugin.noted == ["news False", "+ann", "room True"]


def test_what_a_function_raises_is_raised_by_the_bench(plugin_bench: StartBench, plugin: Noting) -> None:
    bench = plugin_bench(plugin)
    with pytest.raises(ValueError, match="no news"):
        bench.bus.publish("news", b"bad")
