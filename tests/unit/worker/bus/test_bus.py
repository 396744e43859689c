"""The bus of a worker without others, through what plugins call."""

from __future__ import annotations

from collections.abc import Callable

from reactorhost import CloseReason, Connection, Member, Worker, hookimpl
from reactorhost.framing import Lines
from reactorhost.testing import PluginBench


class Chat:
    """Rooms, and topics, by commands of its clients."""

    def __init__(self) -> None:
        self.published: list[tuple[str, bytes]] = []

    @hookimpl
    def framing(self, service: str) -> Lines:
        return Lines()

    @hookimpl
    def worker_start(self, worker: Worker) -> None:
        self.worker = worker
        worker.subscribe("news.*", lambda topic, data: self.published.append((topic, data)))
        worker.keep_history("*")

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        command, _, rest = data.partition(b" ")
        match command:
            case b"join":
                connection.join(rest.decode(), b"info")
            case b"say":
                self.worker.send_to("room", rest, exclude=connection)
            case b"publish":
                self.worker.publish("news.x", rest)

    @hookimpl
    def joined(self, worker: Worker, group: str, member: Member) -> None:
        worker.send_to(group, b"+" + member.info, local=True)


def test_a_worker_without_others_has_the_whole_bus(plugin_bench: Callable[..., PluginBench]) -> None:
    bench = plugin_bench(chat := Chat())
    one, two = bench.connect(), bench.connect()
    one.send(b"join room\n")
    two.send(b"join room\n")
    one.send(b"say hi\npublish 7\n")
    assert two.received == b"+info\nhi\n"
    assert chat.published == [("news.x", b"7")]
    assert bench.worker.send_to_ref(one.connection.ref, b"one")
    assert one.received == b"+info\n+info\none\n"
    assert [member.ref for member in bench.worker.presence("room")] == [one.connection.ref, two.connection.ref]
    kept: list[list[bytes]] = []
    bench.worker.history("room", on_result=kept.append)
    bench.settle()
    assert kept == [[b"hi"]]
    assert bench.worker.close_ref(two.connection.ref)
    bench.settle()
    assert (two.closed, two.connection.groups) == (CloseReason.LOCAL, ())
    assert len(bench.worker.presence("room")) == 1
