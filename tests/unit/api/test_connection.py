"""Connections as plugins use them: what a wrong use is answered with."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from reactorhost import Connection, Lines, Worker, hookimpl
from reactorhost.testing import PluginBench

Bench = Callable[..., PluginBench]


class Using:
    """Uses each connection in `receive`."""

    def __init__(self, use: Callable[[Any], object], framing: object = None) -> None:
        self.use = use
        self.made = framing

    @hookimpl
    def framing(self, service: str) -> object:
        return self.made

    @hookimpl
    def worker_start(self, worker: Worker) -> None:
        self.worker = worker

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        self.use(connection)


@pytest.mark.parametrize(
    "use", [lambda connection: setattr(connection, "user", 1), lambda connection: connection.user], ids=["set", "read"]
)
def test_an_attribute_that_a_connection_does_not_have_is_refused_with_a_hint(
    plugin_bench: Bench, use: Callable[[Any], object]
) -> None:
    client = plugin_bench(Using(use)).connect()
    with pytest.raises(
        AttributeError,
        match=r"^a connection has no attribute 'user'; a plugin keeps its own as connection\.state\.user\b",
    ):
        client.send(b"x")


def test_send_message_refuses_a_text_with_a_hint(plugin_bench: Bench) -> None:
    client = plugin_bench(Using(lambda connection: connection.send_message("text"), Lines())).connect()
    with pytest.raises(TypeError, match=r"^send_message takes .*, not str: encode the text, as in send_message\("):
        client.send(b"x\n")


METHODS: dict[str, Callable[[Any], object]] = {
    "connection.send": lambda connection: connection.send(b"x"),
    "connection.close": lambda connection: connection.close(),
    "connection.abort": lambda connection: connection.abort(),
    "connection.send_eof": lambda connection: connection.send_eof(),
    "connection.pause": lambda connection: connection.pause(),
    "connection.resume": lambda connection: connection.resume(),
    "connection.throttle": lambda connection: connection.throttle(1),
    "connection.call_later": lambda connection: connection.call_later(0, print),
    "connection.create_task": lambda connection: connection.create_task(None),
    "connection.send_file": lambda connection: connection.send_file(None),
    "connection.start_tls": lambda connection: connection.start_tls(),
    "connection.when_drained": lambda connection: connection.when_drained(print),
    "connection.framing": lambda connection: setattr(connection, "framing", None),
    "connection.idle_timeout": lambda connection: setattr(connection, "idle_timeout", 1),
}


def in_a_thread(function: Callable[[], object]) -> list[str]:
    """Call a function in a thread of its own; returns the texts of the RuntimeErrors that it raised."""
    errors: list[str] = []

    def run() -> None:
        try:
            function()
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=run, name="foreign")
    thread.start()
    thread.join()
    return errors


@pytest.mark.parametrize("method", METHODS)
def test_a_connection_refuses_another_thread(plugin_bench: Bench, method: str) -> None:
    client = plugin_bench(Using(lambda connection: None)).connect()
    (error,) = in_a_thread(lambda: METHODS[method](client.connection))
    assert error.startswith(f"{method} was called in the thread 'foreign', and works only in the event loop: ")
    assert (client.received, client.closed) == (b"", None)


@pytest.mark.parametrize(
    ("method", "use"),
    [
        ("worker.call_later", lambda worker: worker.call_later(1, print)),
        ("worker.call_every", lambda worker: worker.call_every(1, print)),
        ("worker.call_cron", lambda worker: worker.call_cron("* * * * *", print)),
        ("worker.connect", lambda worker: worker.connect("tcp://192.0.2.1:9", object())),
        ("worker.hold", lambda worker: worker.hold("saving")),
        ("worker.watch", lambda worker: worker.watch(0, on_readable=print)),
    ],
)
def test_a_worker_refuses_another_thread(plugin_bench: Bench, method: str, use: Callable[[Worker], object]) -> None:
    bench = plugin_bench(Using(lambda connection: None))
    (error,) = in_a_thread(lambda: use(bench.worker))
    assert error.startswith(f"{method} was called in the thread 'foreign'")


def test_a_datagram_refuses_to_be_answered_in_another_thread(plugin_bench: Bench) -> None:
    errors: list[str] = []
    bench = plugin_bench(Using(lambda connection: errors.extend(in_a_thread(lambda: connection.send(b"x")))))
    assert bench.datagram(b"?") == []
    assert errors[0].startswith("connection.send was called in the thread 'foreign'")


def test_a_send_in_a_function_of_run_in_thread_fails_with_that_sentence(plugin_bench: Bench) -> None:
    plugin = Using(lambda connection: plugin.worker.run_in_thread(connection.send, b"x"))
    client = plugin_bench(plugin).connect()
    with pytest.raises(RuntimeError, match=r"use it in the on_result of worker\.run_in_thread"):
        client.send(b"x")
    assert client.received == b""
