"""Hooks are called as pluggy calls them: the same order, arguments, results and exceptions."""

from __future__ import annotations

import functools
import itertools
import types
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import pluggy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorhost.api import hookspecs
from reactorhost.api.hookspecs import hookimpl
from reactorhost.plugins.chain import Chain, resolve
from reactorhost.plugins.contract import HOOKS
from reactorhost.plugins.identity import LoadedPlugin, PluginIdentity

VALUES = {"connection": "the connection", "data": b"the data", "reason": "the reason"}
Trace = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Behaviour:
    """One hook of one plugin: its options, its arguments, and its behaviour."""

    order: str
    wraps: bool
    arguments: tuple[str, ...]
    before: str
    after: str

    def function(self, name: str, trace: Trace) -> Callable[..., Any]:
        """Return the hook function, which records how it is called."""
        body = functools.partial(_wrapper_body if self.wraps else _plain_body, self, name, trace)
        call = "(yield from body(taken))" if self.wraps else "body(taken)"
        taken = ", ".join(f"{argument!r}: {argument}" for argument in self.arguments)
        source = f"def hook({', '.join(self.arguments)}):\n    taken = {{{taken}}}\n    return {call}\n"
        names: dict[str, Any] = {"body": body}
        exec(source, names)
        mark = hookimpl(tryfirst=self.order == "first", trylast=self.order == "last", wrapper=self.wraps)
        function: Callable[..., Any] = mark(names["hook"])
        return function


def _plain_body(behaviour: Behaviour, name: str, trace: Trace, taken: dict[str, Any]) -> object:
    trace.append((name, "called", taken))
    return _act(behaviour.before, name)


def _wrapper_body(behaviour: Behaviour, name: str, trace: Trace, taken: dict[str, Any]) -> Generator[None, Any, object]:
    trace.append((name, "starts", taken))
    _act(behaviour.before, name)
    if behaviour.before == "no yield":
        return None
    try:
        result = yield
    except BaseException as error:
        trace.append((name, "thrown", *_told(error)))
        if behaviour.after == "pass":
            raise
        result = "swallowed"
    else:
        trace.append((name, "sent", result))
    if behaviour.after.startswith("twice"):
        try:
            yield
        finally:
            _act(behaviour.after.removeprefix("twice, then "), name)
    return result if behaviour.after == "pass" else _act(behaviour.after, name)


def _act(action: str, name: str) -> object:
    match action:
        case "value":
            return f"value of {name}"
        case "falsy":
            return 0
        case "raise":
            raise ValueError(name)
        case "interrupt":
            raise KeyboardInterrupt(name)
        case "stop":
            raise StopIteration(name)
    return None


PLAIN = ("none", "value", "falsy")
PLAIN_RAISING = (*PLAIN, "raise", "stop", "interrupt")
AFTER = ("pass", "value", "falsy", "none")
AFTER_RAISING = (*AFTER, "raise", "interrupt")


def _behaviours(hook: str, *, raising: bool) -> st.SearchStrategy[list[Behaviour]]:
    names = HOOKS[hook]
    arguments = [
        order for size in range(len(names) + 1) for order in itertools.permutations(names, size)
    ]  # any of them, in any order
    behaviour = st.booleans().flatmap(
        lambda wraps: st.builds(
            Behaviour,
            order=st.sampled_from(["", "first", "last"]),
            wraps=st.just(wraps),
            arguments=st.sampled_from(arguments),
            before=st.sampled_from(_befores(wraps=wraps, raising=raising)),
            after=st.sampled_from(AFTER_RAISING if raising else AFTER),
        )
    )
    return st.lists(behaviour, max_size=6)


def _befores(*, wraps: bool, raising: bool) -> tuple[str, ...]:
    if wraps:
        return ("none", "none", "none", "raise", "no yield") if raising else ("none",)
    return PLAIN_RAISING if raising else PLAIN


def _modules(hook: str, behaviours: list[Behaviour], trace: Trace) -> list[types.ModuleType]:
    modules = []
    for number, behaviour in enumerate(behaviours):
        module = types.ModuleType(f"plugin{number}")
        setattr(module, hook, behaviour.function(module.__name__, trace))
        modules.append(module)
    return modules


def _outcome(call: Callable[[], object]) -> tuple[object, ...]:
    try:
        return ("returned", call())
    except BaseException as error:  # noqa: BLE001 - it is what is compared
        return ("raised", *_told(error))


def _told(error: BaseException) -> tuple[object, ...]:
    # The error of a wrapper that does not yield exactly once has its own class and text here.
    if isinstance(error, RuntimeError):
        return RuntimeError, type(error.__cause__)
    return type(error), str(error)


def _with_pluggy(hook: str, behaviours: list[Behaviour]) -> tuple[tuple[object, ...], Trace]:
    trace: Trace = []
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    for module in reversed(_modules(hook, behaviours, trace)):
        manager.register(module)
    caller = getattr(manager.hook, hook)
    arguments = {name: VALUES[name] for name in HOOKS[hook]}
    return _outcome(lambda: caller(**arguments)), trace


def _with_chain(hook: str, behaviours: list[Behaviour], on_error: Any) -> tuple[tuple[object, ...], Trace]:
    trace: Trace = []
    plugins = [
        LoadedPlugin(PluginIdentity(module.__name__, None, None, ""), module, (hook,), None)
        for module in _modules(hook, behaviours, trace)
    ]
    chain: Chain = resolve(plugins, on_error)
    arguments = [VALUES[name] for name in HOOKS[hook]]
    return _outcome(lambda: getattr(chain, hook)(*arguments)), trace


def _never(plugin: str, hook: str, connection: object, error: Exception) -> None:
    raise AssertionError((plugin, hook)) from error


@given(_behaviours("receive", raising=True))
def test_receive_behaves_as_under_pluggy(behaviours: list[Behaviour]) -> None:
    assert _with_chain("receive", behaviours, _never) == _with_pluggy("receive", behaviours)


@given(_behaviours("receive", raising=True), st.sampled_from(["twice", "twice, then raise"]))
def test_a_wrapper_that_yields_twice_behaves_as_under_pluggy(behaviours: list[Behaviour], after: str) -> None:
    # Outermost: pluggy does not resume the wrappers around one that yields twice, here they see its exception.
    twice = Behaviour("first", True, (), "none", after)
    plain = [behaviour for behaviour in behaviours if behaviour.order != "first" or not behaviour.wraps]
    assert _with_chain("receive", [twice, *plain], _never) == _with_pluggy("receive", [twice, *plain])


@pytest.mark.parametrize("hook", ["connect", "close", "drain"])
@given(data=st.data())
def test_a_guarded_hook_without_an_exception_behaves_as_under_pluggy(hook: str, data: st.DataObject) -> None:
    behaviours = data.draw(_behaviours(hook, raising=False))
    _, trace = _with_chain(hook, behaviours, _never)
    assert trace == _with_pluggy(hook, behaviours)[1]


@pytest.mark.parametrize("hook", ["connect", "close", "drain"])
@given(data=st.data())
def test_a_guarded_hook_calls_all_in_pluggys_order_and_reports_each_exception(hook: str, data: st.DataObject) -> None:
    behaviours = [
        behaviour
        for behaviour in data.draw(_behaviours(hook, raising=True))
        if "interrupt" not in (behaviour.before, behaviour.after)
    ]
    reported: list[str] = []
    outcome, trace = _with_chain(hook, behaviours, lambda plugin, *_: reported.append(plugin))
    calm = [Behaviour(b.order, b.wraps, b.arguments, "none", "none") for b in behaviours]
    expected = [entry[:3] for entry in _with_pluggy(hook, calm)[1] if entry[1] != "sent"]
    assert [entry for entry in trace if entry[1] in ("called", "starts")] == expected
    assert outcome[0] == "returned"
    failing = [f"plugin{number}" for number, behaviour in enumerate(behaviours) if _fails(behaviour)]
    assert sorted(reported) == sorted(failing)
    assert not [entry for entry in trace if entry[1] == "thrown"]


def _fails(behaviour: Behaviour) -> bool:
    if behaviour.wraps:
        return behaviour.before in ("raise", "no yield") or behaviour.after == "raise"
    return behaviour.before in ("raise", "stop")
