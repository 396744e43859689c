"""The framings that plugins bring, and the choice of the operator among them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reactorhost import Connection, hookimpl
from reactorhost.errors import ConfigError, PluginError
from reactorhost.framing import Fixed, Lines
from reactorhost.framing.named import may_be_brought
from reactorhost.plugins.contract import scan
from reactorhost.plugins.framings import ServiceKinds, brought_by, brought_by_all, factory, from_config
from reactorhost.plugins.identity import LoadedPlugin, PluginIdentity
from reactorhost.testing import PluginBench

Loaded = Callable[..., LoadedPlugin]


class Csv(Lines):
    """Lines, with parameters of their own."""

    def __init__(self, *, columns: int, max_size: int = 100) -> None:
        if columns < 1:
            raise ValueError(f"columns is {columns} and must be at least 1")
        super().__init__(max_size=max_size)
        self.columns, self.limit = columns, max_size

    def fresh(self) -> Csv:
        """Return one with the same parameters."""
        return Csv(columns=self.columns, max_size=self.limit)


def bringing(loaded: Loaded, name: str, returned: object) -> LoadedPlugin:
    """Return a plugin whose hook returns this."""

    @hookimpl
    def framings() -> object:
        return returned

    return loaded(name, framings=framings)


def brought(make: Callable[..., Any]) -> ServiceKinds:
    """Return the framings of a service that has a plugin with the framing `csv`."""
    return ServiceKinds({"csv": make}, {"csv": LoadedPlugin(PluginIdentity("csv", None, None, "csv"), None, (), None)})


def test_the_framings_of_a_plugin_are_those_of_its_hook(loaded: Loaded) -> None:
    assert brought_by(bringing(loaded, "csv", {"csv": Csv, "a9_": Fixed})) == {"csv": Csv, "a9_": Fixed}
    assert brought_by(loaded("other", framing=hookimpl(lambda: None))) == {}


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        ({"lines": Csv}, "framings: 'lines' is the name of a framing of the host"),
        ({"Csv": Csv}, "framings: the name 'Csv' does not begin with a letter, or has characters other than"),
        ({"1st": Csv}, "framings: the name '1st' does not begin"),
        ({"a" * 65: Csv}, f"framings: the name '{'a' * 65}' does not begin"),
        ({7: Csv}, "framings: the name 7 does not begin"),
        ({"csv": Csv(columns=1)}, r"framings: 'csv' is Lines\(.*\), which cannot be called"),
        (None, "failed in framings: TypeError"),
        ("csv", "failed in framings: ValueError"),
    ],
)
def test_what_the_hook_must_not_return(loaded: Loaded, returned: object, words: str) -> None:
    with pytest.raises(PluginError, match=f"^plugin csv:? {words}"):
        brought_by(bringing(loaded, "csv", returned))


def test_an_exception_of_the_hook_names_the_plugin(loaded: Loaded) -> None:
    with pytest.raises(PluginError, match="plugin csv failed in framings: ZeroDivisionError"):
        brought_by(loaded("csv", framings=hookimpl(lambda: 1 // 0)))


def test_a_wrapper_is_refused(loaded: Loaded) -> None:
    @hookimpl(wrapper=True)
    def framings() -> object:
        return (yield)

    with pytest.raises(PluginError, match="hook 'framings' cannot be a wrapper"):
        scan(PluginIdentity("csv", None, None, "csv"), loaded("csv", framings=framings).object)


def test_two_plugins_of_a_service_must_not_bring_one_name(loaded: Loaded) -> None:
    one, two, other = (loaded(name) for name in ("one", "two", "other"))
    kinds: dict[str, Any] = {"one": {"csv": Csv}, "two": {"csv": Lines, "tsv": Lines}, "other": {}}
    assert brought_by_all("feed", [one, other], kinds) == ServiceKinds({"csv": Csv}, {"csv": one})
    assert brought_by_all("feed", [other, two], kinds).kinds == {"csv": Lines, "tsv": Lines}
    with pytest.raises(PluginError, match="service 'feed': 'one' and 'two' both bring the framing 'csv'"):
        brought_by_all("feed", [one, other, two], kinds)


def test_the_parameters_of_a_table_are_passed_to_the_callable() -> None:
    new_framing = from_config("feed", {"kind": "csv", "columns": 3, "max_size": 10}, None, brought(Csv))
    first, second = new_framing(), new_framing()
    assert isinstance(first, Csv)
    assert isinstance(second, Csv)
    assert first is not second
    assert (first.columns, list(first.feed(b"a\nb")), second.rest()) == (3, [b"a"], b"")
    assert not new_framing.is_session


def test_a_callable_may_take_any_parameter() -> None:
    seen: list[object] = []

    def make(**given: object) -> Lines:
        seen.append(given)
        return Lines()

    from_config("feed", {"kind": "csv", "end": "x", "columns": 3}, None, brought(make))
    # Text is bytes for the host's own framings only.
    assert seen == [{"end": "x", "columns": 3}]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("csv", "framing 'csv' needs the parameter 'columns'"),
        ({"kind": "csv", "columns": 0}, "framing 'csv': columns is 0 and must be at least 1"),
        ({"kind": "csv", "colums": 1}, "framing 'csv' has no parameter 'colums'; did you mean 'columns'?"),
        ({"kind": "csv", "columns": 1, "max_size": "x"}, "framing 'csv': max_size is 'x', not a whole number of bytes"),
        ("cvs", "there is no framing 'cvs'; did you mean 'csv'?"),
        ("line", "there is no framing 'line'; did you mean 'lines'?"),
        ("xml", "there is no framing 'xml'; use one of lines, delimited, length_prefixed, fixed, csv"),
        ({}, "a framing table needs the key 'kind', one of lines, delimited, length_prefixed, fixed, csv"),
        ({"kind": ["csv"]}, "there is no framing ['csv']; use one of lines, delimited, length_prefixed, fixed, csv"),
    ],
)
def test_a_mistake_of_the_operator_is_one_of_the_configuration(spec: Any, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        from_config("feed", spec, "host.toml:3", brought(Csv))
    assert raised.value.lines() == [f"service 'feed': {words}", "  where: host.toml:3"]


def test_a_callable_without_parameters_says_so() -> None:
    with pytest.raises(ConfigError, match="framing 'csv' has no parameter 'columns'; it has none"):
        from_config("feed", {"kind": "csv", "columns": 1}, None, brought(lambda: Lines()))  # noqa: PLW0108


def test_an_installed_plugin_that_is_not_named_is_mentioned(install: Callable[..., object]) -> None:
    install("reactorhost-made-kind", "[reactorhost]\nmade-kind = made_kind\n")
    with pytest.raises(ConfigError, match="no framing 'made_kind'; add the plugin 'made-kind' to the plugins of"):
        from_config("feed", "made_kind", None)


def test_a_framing_that_resembles_the_name_of_an_installed_plugin_is_mentioned(install: Callable[..., object]) -> None:
    install("reactorhost-made-kind", "[reactorhost]\nmade-kind = made_kind\n")
    with pytest.raises(
        ConfigError, match="no framing 'made_knid'; did you mean 'made_kind', of the plugin 'made-kind'"
    ):
        from_config("feed", "made_knid", None)
    with pytest.raises(ConfigError, match="no framing 'csw'; did you mean 'csv'"):
        from_config("feed", "csw", None, brought(Csv))


def test_a_callable_that_fails_is_a_fault_of_its_plugin() -> None:
    with pytest.raises(PluginError, match="plugin csv failed in its framing: ZeroDivisionError"):
        from_config("feed", "csv", None, brought(lambda: 1 // 0))


def test_a_callable_must_return_a_framing() -> None:
    with pytest.raises(ConfigError, match="service 'feed': 7 has no method feed"):
        from_config("feed", "csv", None, brought(lambda: 7))


def test_the_bench_has_the_framings_of_its_plugins(plugin_bench: Callable[..., PluginBench]) -> None:
    class Brings:
        @hookimpl
        def framings(self) -> dict[str, Any]:
            return {"csv": Csv}

        @hookimpl
        def receive(self, connection: Connection, data: bytes) -> None:
            connection.send_message(data[::-1])

    client = plugin_bench(Brings(), framing={"kind": "csv", "columns": 2}).connect()
    client.send(b"ab\ncd\n")
    assert client.received == b"ba\ndc\n"


@pytest.mark.parametrize(
    ("spec", "brought"),
    [
        ("lines", False),
        ({"kind": "fixed", "size": 1}, False),
        ("websocket", True),
        ({"kind": "websocket"}, True),
        ("Web Socket", False),
        ({}, False),
        ({"kind": 7}, False),
    ],
)
def test_only_a_valid_name_may_be_that_of_a_plugin(spec: Any, *, brought: bool) -> None:
    assert may_be_brought(spec) is brought


def test_a_framing_is_no_session_without_outgoing() -> None:
    assert not factory(Lines()).is_session
