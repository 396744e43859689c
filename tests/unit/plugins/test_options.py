"""A table is checked against the options that the plugin declares, and one error reports every problem."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorhost import Option, SetupError, hookimpl
from reactorhost.config.plugin_tables import OptionText
from reactorhost.config.settings import Layer, Origin
from reactorhost.errors import ConfigError, PluginError
from reactorhost.plugins.identity import LoadedPlugin
from reactorhost.plugins.options import configure, declared, fill

OPTIONS = (
    Option("verbose", bool, default=False),
    Option("limit", int, default=10, help="clients"),
    Option("rate", float, default=None),
    Option("path"),
    Option("names", list, default=["a"]),
)
VALUES = {
    bool: st.booleans(),
    int: st.integers(),
    float: st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**50), 2**50),
    str: st.text(),
    list: st.lists(st.text()),
}


def _append(seen: list[Any]) -> Callable[[object], None]:
    def configure(config: object) -> None:
        seen.append(config)

    return configure


def _where(key: str) -> str:
    return f"host.toml:{len(key)}"


def _problems(table: Mapping[str, object], options: tuple[Option, ...] = OPTIONS) -> list[list[str]]:
    with pytest.raises(ConfigError) as caught:
        fill("echo", options, table, _where)
    return [list(problem.lines()) for problem in caught.value.problems]


@given(
    st.fixed_dictionaries({"path": VALUES[str]}, optional={o.name: VALUES[o.type] for o in OPTIONS if not o.required})
)
def test_a_valid_table_is_read_with_defaults_for_the_rest(table: dict[str, object]) -> None:
    defaults = {option.name: option.default for option in OPTIONS if not option.required}
    filled = fill("echo", OPTIONS, table, _where)
    assert filled == defaults | table
    assert filled["rate"] is None or type(filled["rate"]) is float


@given(st.sampled_from(OPTIONS), st.one_of(*VALUES.values(), st.none(), st.lists(st.integers(), min_size=1)))
def test_a_value_of_another_type_is_refused_with_its_line(option: Option, value: object) -> None:
    table = {"path": "x", option.name: value}
    right = type(value) is option.type or (option.type is float and type(value) is int)
    if right and all(isinstance(item, str) for item in (value if isinstance(value, list) else ())):
        fill("echo", OPTIONS, table, _where)
    else:
        ((what, where, *_),) = _problems(table)
        shown = repr(value) if len(repr(value)) <= 200 else f"{repr(value)[:200]}..."
        assert what == f"{option.name!r} of plugin echo is {shown}, which is not {option.kind}"
        assert where == f"  where: {_where(option.name)}"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_must_be_finite(value: float) -> None:
    ((what, *_),) = _problems({"path": "x", "rate": value})
    assert what == f"'rate' of plugin echo is {value!r}, which is not a number"


def test_one_error_reports_every_problem() -> None:
    assert _problems({"verbos": True, "limit": "many", "zzz": 1}) == [
        ["plugin echo has no option 'verbos'", "  where: host.toml:6", "  hint: did you mean 'verbose'?"],
        [
            "plugin echo has no option 'zzz'",
            "  where: host.toml:3",
            "  hint: its options are verbose, limit, rate, path, names",
        ],
        ["'limit' of plugin echo is 'many', which is not a whole number", "  where: host.toml:5", "  hint: clients"],
        [
            "plugin echo needs the option 'path'",
            "  where: host.toml:4",
            "  hint: write path = a string under [plugin.echo]",
        ],
    ]


def test_a_table_for_a_plugin_without_options_is_refused() -> None:
    assert _problems({"colour": 1}, ()) == [
        ["plugin echo has no options, so 'colour' has no effect", "  where: host.toml:6", "  hint: remove colour"]
    ]
    assert fill("echo", (), {}, _where) == {}


def test_a_plugin_gets_a_copy_of_a_list() -> None:
    filled = fill("echo", OPTIONS, {"path": ""}, _where)
    filled["names"].append("b")  # type: ignore[attr-defined]  # the declared default is a list
    assert OPTIONS[-1].default == ["a"]


@pytest.mark.parametrize(
    ("kind", "default"), [(tuple, ...), (dict, []), (int, "5"), (int, True), (list, [1]), (bool, 0)]
)
def test_an_option_that_contradicts_itself_is_refused(kind: type, default: object) -> None:
    with pytest.raises(TypeError, match="option 'x'"):
        Option("x", kind, default)


def test_a_plugin_is_configured_with_a_read_only_mapping(loaded: Callable[..., LoadedPlugin]) -> None:
    seen: list[Any] = []
    plugin = loaded("echo", configure=hookimpl(_append(seen)))
    configure(plugin, {}, _where)
    assert seen == [{}]
    with pytest.raises(TypeError):
        seen[0]["x"] = 1


def test_a_plugin_gets_what_it_declared(loaded: Callable[..., LoadedPlugin]) -> None:
    seen: list[Any] = []

    class Plugin:
        @hookimpl
        def options(self) -> list[Option]:
            return [Option("limit", int, default=3), Option("rate", float)]

        @hookimpl
        def configure(self, config: Mapping[str, object]) -> None:
            seen.append(dict(config))

    plugin = loaded("echo", Plugin())
    assert [option.name for option in declared(plugin)] == ["limit", "rate"]
    plugin = LoadedPlugin(plugin.identity, plugin.object, plugin.hooks, None, declared(plugin))
    configure(plugin, {"rate": 2}, _where)
    assert seen == [{"limit": 3, "rate": 2.0}]
    with pytest.raises(ConfigError):
        configure(plugin, {"limit": "x"}, _where)
    assert len(seen) == 1


def test_objects_that_are_not_options_are_refused(loaded: Callable[..., LoadedPlugin]) -> None:
    with pytest.raises(PluginError, match="options returned 'limit'"):
        declared(loaded("echo", options=hookimpl(lambda: ["limit"])))
    with pytest.raises(PluginError, match="failed in options: TypeError"):
        declared(loaded("echo", options=hookimpl(lambda: 5)))


def test_an_option_declared_twice_is_refused(loaded: Callable[..., LoadedPlugin]) -> None:
    with pytest.raises(PluginError, match="declares option 'x' twice"):
        declared(loaded("echo", options=hookimpl(lambda: [Option("x"), Option("x", int)])))


def test_what_the_operator_has_to_change_is_one_sentence(loaded: Callable[..., LoadedPlugin]) -> None:
    def fail(config: object) -> None:
        raise SetupError("port must be\nabove 0", hint="write 1")

    with pytest.raises(PluginError) as caught:
        configure(loaded("echo", configure=hookimpl(fail)), {}, _where)
    assert caught.value.lines() == ["plugin echo failed in configure: port must be above 0", "  hint: write 1"]
    assert caught.value.details is None


def test_an_exception_in_configure_is_a_plugin_error(loaded: Callable[..., LoadedPlugin]) -> None:
    def fail(config: object) -> None:
        raise OSError("no such database")

    with pytest.raises(PluginError, match="plugin echo failed in configure: OSError: no such database") as caught:
        configure(loaded("echo", configure=hookimpl(fail)), {}, _where)
    assert caught.value.where == f"{__file__}:{fail.__code__.co_firstlineno + 1}"
    assert "no such database" in (caught.value.details or "")
    assert "pluggy" not in (caught.value.details or "")


def test_a_value_that_only_the_plugin_can_refuse_is_reported_where_it_was_set(
    loaded: Callable[..., LoadedPlugin],
) -> None:
    def refuse(config: object) -> None:
        raise SetupError("is above the rate", option="limit", hint="lower it")

    plugin = replace(loaded("echo", configure=hookimpl(refuse)), options=(Option("limit", int),))
    with pytest.raises(ConfigError) as caught:
        configure(plugin, {"limit": 5}, _where)
    (problem,) = caught.value.problems
    assert list(problem.lines()) == [
        "'limit' of plugin echo: is above the rate",
        f"  where: {_where('limit')}",
        "  hint: lower it",
    ]
    flag = OptionText("5", Origin(Layer.FLAG, "--set echo.limit"))
    with pytest.raises(ConfigError) as caught:
        configure(plugin, {"limit": flag}, _where)
    assert (caught.value.exit_status, caught.value.problems[0].where) == (2, "--set echo.limit")


def test_code_that_an_option_names_and_that_fails_is_reported_with_its_own_place(
    loaded: Callable[..., LoadedPlugin],
) -> None:
    def fails() -> None:
        raise OSError("no such database")

    def refuse(config: object) -> None:
        try:
            fails()
        except OSError as error:
            raise SetupError("cannot be used", option="limit") from error

    with pytest.raises(PluginError, match=r"^'limit' of plugin echo: cannot be used$") as caught:
        configure(loaded("echo", configure=hookimpl(refuse)), {}, _where)
    assert caught.value.where == f"{__file__}:{fails.__code__.co_firstlineno + 1}"
    details = caught.value.details or ""
    assert details.endswith("OSError: no such database\n")
    assert "SetupError" not in details


def test_several_values_that_only_the_plugin_can_refuse_are_reported_together(
    loaded: Callable[..., LoadedPlugin],
) -> None:
    def refuse(config: object) -> None:
        of_names = ExceptionGroup("names", [SetupError("are too many", option="names")])
        raise ExceptionGroup("options", [SetupError("is above the rate", option="limit"), of_names, SetupError("Why?")])

    plugin = replace(loaded("echo", configure=hookimpl(refuse)), options=OPTIONS)
    with pytest.raises(ConfigError) as caught:
        configure(plugin, {"path": "x", "limit": 5}, _where)
    assert [(problem.what, problem.where) for problem in caught.value.problems] == [
        ("'limit' of plugin echo: is above the rate", _where("limit")),
        ("'names' of plugin echo: are too many", _where("names")),
        ("plugin echo failed in configure: Why?", None),
    ]
    assert isinstance(caught.value.__cause__, ExceptionGroup)


def test_another_exception_in_a_group_is_a_fault_of_the_plugin(loaded: Callable[..., LoadedPlugin]) -> None:
    def fail(config: object) -> None:
        raise ExceptionGroup("options", [SetupError("is above the rate", option="limit"), KeyError("x")])

    with pytest.raises(PluginError, match=r"failed in configure: ExceptionGroup: options \(2 sub-exceptions\)"):
        configure(loaded("echo", configure=hookimpl(fail)), {}, _where)


def test_a_plugin_gets_the_names_of_its_services(loaded: Callable[..., LoadedPlugin]) -> None:
    seen: list[object] = []

    def store(services: object) -> None:
        seen.append(services)

    configure(loaded("echo", configure=hookimpl(store)), {}, _where, ["a", "b"])
    assert seen == [("a", "b")]
