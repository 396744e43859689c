"""Handlers: which methods of an object are called, with which arguments, and which objects are refused."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from reactorhost.api.close_reason import CloseReason
from reactorhost.framing import Lines
from reactorhost.plugins.handlers import METHODS, Handler, check


def failing(*arguments: object) -> None:
    raise AssertionError(arguments)


def only(**methods: Any) -> types.SimpleNamespace:
    return types.SimpleNamespace(**methods)


def test_methods_get_the_arguments_that_they_name_in_any_order() -> None:
    seen: list[object] = []

    class SettingValue:
        def connect(self) -> None:
            seen.append("connect")

        def receive(self, data: object, connection: object) -> None:
            seen.append((data, connection))

        def close(self, reason: object) -> None:
            seen.append(reason)

    chain = check("p", SettingValue()).chain(failing)
    chain.connect(1)  # type: ignore[arg-type]
    chain.receive(1, b"data")  # type: ignore[arg-type]
    chain.close(1, CloseReason.PEER)  # type: ignore[arg-type]
    chain.drain(1)  # type: ignore[arg-type]
    assert seen == ["connect", (b"data", 1), CloseReason.PEER]
    assert not chain.has_drain


def test_a_receive_with_all_arguments_is_called_directly() -> None:
    def receive(connection: object, data: object) -> None:
        pass

    assert check("p", only(receive=receive)).chain(failing).receive is receive


def test_an_exception_of_a_method_is_reported_with_plugin_and_method() -> None:
    reported: list[object] = []

    def connect() -> None:
        raise ZeroDivisionError

    def receive() -> None:
        raise KeyError

    chain = check("p", only(connect=connect, receive=receive)).chain(lambda *arguments: reported.append(arguments[:2]))
    chain.connect(1)  # type: ignore[arg-type]
    assert reported == [("p", "connect")]
    with pytest.raises(KeyError) as raised:
        chain.receive(1, b"")  # type: ignore[arg-type]
    assert chain.plugin_of(raised.value) == "p"


def test_one_coroutine_function_makes_the_whole_chain_async() -> None:
    async def close() -> None:
        pass

    found = check("p", only(close=close))
    assert found.awaits
    assert found.chain(failing).awaits
    assert not check("p", only(failed=close)).awaits
    assert check("p", only(failed=close)).failed_awaits


def test_attributes_that_are_not_callable_are_ignored() -> None:
    found = check("p", only(failed=3, connect=None, receive=lambda data: None))
    assert found.failed is None
    assert list(found.methods) == ["receive"]


@pytest.mark.parametrize("said", [Lines(), Lines], ids=["a pattern", "what makes one"])
def test_a_framing_is_made_for_each_connection(said: object) -> None:
    found = check("p", only(framing=lambda service: said))
    first, second = found.new_framing("tcp://h:1"), found.new_framing("tcp://h:1")
    assert isinstance(first, Lines)
    assert first is not second


def test_a_handler_without_framing_has_none() -> None:
    def none(found: Handler) -> bool:
        return found.new_framing("tcp://h:1") is None

    assert none(check("p", only(framing=lambda: None)))
    assert none(check("p", only(receive=lambda data: None)))


class AsClass:
    def receive(self, data: bytes) -> None: ...


class WithoutSelf:
    def receive(connection, data: bytes) -> None: ...  # noqa: N805


class WithoutArguments:
    def connect() -> None: ...  # type: ignore[misc]


async def _framing() -> None: ...


def _generator(connection: object) -> Any:
    yield


def _with(default: Callable[..., object]) -> object:
    return only(receive=default)


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        (AsClass, "is the class AsClass: pass an instance of it"),
        (object(), "has none of the methods connect, receive, eof, close, drain, framing, failed"),
        (_with(lambda connection, dat: None), r"receive of .* has an unknown argument 'dat'; did you mean 'data'\?"),
        (_with(lambda zzz: None), "has an unknown argument 'zzz'; they are connection, data"),
        (_with(lambda worker: None), r"unknown argument 'worker'; keep the worker in a worker_start\(worker\) hook"),
        (_with(lambda data=1: None), "has the argument data=1: use plain arguments without a default"),
        (_with(lambda *data: None), r"has the argument \*data: use plain arguments"),
        (_with(partial(lambda connection, data: None, data=1)), "has the argument data=1: use plain"),
        (_with(_generator), "receive of the handler SimpleNamespace yields, so calling it does nothing"),
        (WithoutSelf(), "receive of the handler WithoutSelf has no self: add it as the first argument"),
        (WithoutArguments(), "connect of the handler WithoutArguments has no self"),
        (only(framing=_framing), "framing of .* is async, but its result is needed immediately"),
        (only(eof=_framing), "eof of .* is async, but its result is needed immediately"),
        (only(failed=lambda reason: None), "failed of .* unknown argument 'reason'; they are error"),
    ],
)
def test_a_method_that_cannot_be_called_as_a_hook_is_refused(handler: object, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        check("p", handler)


def test_an_object_that_is_not_a_framing_is_refused() -> None:
    with pytest.raises(TypeError, match="has no method feed"):
        check("p", only(framing=lambda: "lines")).new_framing("tcp://h:1")


def test_the_arguments_are_those_of_the_hooks() -> None:
    assert METHODS["receive"] == ("connection", "data")
    assert METHODS["close"] == ("connection", "reason")


def test_the_methods_of_a_class_are_examined_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class ForEachClient:
        def __init__(self, number: int) -> None:
            self.number = number

        def failed(self) -> int:
            return self.number

    def unexpected(function: object) -> None:
        raise AssertionError

    assert check("p", ForEachClient(1)).failed is not None
    monkeypatch.setattr(inspect, "signature", unexpected)
    failed = check("p", ForEachClient(2)).failed
    assert failed is not None
    assert failed(ValueError()) == 2
