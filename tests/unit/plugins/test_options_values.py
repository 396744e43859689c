"""A value from any source is converted to the type of its option, and no error contains a secret."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorhost.api.option import OPTION_TYPES, Option
from reactorhost.config.plugin_tables import FromEnvironment, FromFile, OptionText
from reactorhost.config.problems import FlagError
from reactorhost.config.settings import Layer, Origin
from reactorhost.config.values import InvalidValueError
from reactorhost.errors import ConfigError
from reactorhost.plugins.options import fill, read

FLAG = Origin(Layer.FLAG, "--set")


def of_text(text: str, kind: type = str) -> object:
    return read(Option("x", kind), OptionText(text, FLAG))


def refusal(option: Option, given: object) -> InvalidValueError:
    with pytest.raises(InvalidValueError) as caught:
        read(option, given)
    return caught.value


# Texts


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (bool, "true", True),
        (bool, "Yes", True),
        (bool, " on ", True),
        (bool, "1", True),
        (bool, "false", False),
        (bool, "no", False),
        (bool, "OFF", False),
        (bool, "0", False),
        (int, "5", 5),
        (int, " -5 ", -5),
        (int, "+1_000", 1000),
        (float, "0.5", 0.5),
        (float, "1e3", 1000.0),
        (float, "7", 7.0),
        (str, "", ""),
        (str, " 5 ", " 5 "),
        (list, "a", ["a"]),
        (list, " a, b c ,,d,", ["a", "b c", "d"]),
        (list, "", []),
        (dict, "{}", {}),
        (dict, ' { a = { "*.b" = ["c"] }, d = 1 }', {"a": {"*.b": ["c"]}, "d": 1}),
    ],
)
def test_a_text_is_converted_to_the_type(kind: type, text: str, value: object) -> None:
    found = of_text(text, kind)
    assert found == value
    assert type(found) is kind


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (bool, ""),
        (bool, "2"),
        (bool, "maybe"),
        (int, ""),
        (int, "five"),
        (int, "5.0"),
        (int, "1__0"),
        (int, "٣"),
        (int, "9" * 5000),
        (float, ""),
        (float, "0,5"),
        (float, "٣"),
        (dict, ""),
        (dict, "5"),
        (dict, "{ a = }"),
        (dict, "{}\nb = 1"),
        (dict, "{ a = " * 2000),
    ],
)
def test_a_text_that_is_not_of_the_type_is_refused(kind: type, text: str) -> None:
    reported = str(refusal(Option("x", kind), OptionText(text, FLAG)))
    assert reported.startswith(f"is {text!r}"[:100])
    assert reported.endswith(f"which is not {OPTION_TYPES[kind]}")
    assert len(reported) < 300


@given(st.sampled_from(list(OPTION_TYPES)), st.text())
def test_every_text_is_read_or_refused(kind: type, text: str) -> None:
    option = Option("x", kind)
    try:
        assert option.accepts(read(option, OptionText(text, FLAG)))
    except InvalidValueError:
        assert kind is not str


# Variables and files


def test_a_variable_is_converted_to_the_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X_LIMIT", "12")
    assert read(Option("x", int), FromEnvironment("X_LIMIT")) == 12
    assert read(Option("x"), FromEnvironment("X_LIMIT")) == "12"


@pytest.mark.parametrize(("value", "state"), [(None, "not set"), ("", "empty")])
def test_a_missing_variable_is_reported(monkeypatch: pytest.MonkeyPatch, value: str | None, state: str) -> None:
    monkeypatch.delenv("X_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("X_KEY", value)
    error = refusal(Option("x"), FromEnvironment("X_KEY"))
    assert str(error) == f"is read from the environment variable X_KEY, which is {state}"
    assert error.hint == "set X_KEY in the environment of the host"


@pytest.mark.parametrize(
    ("content", "value"), [(b"s3cret", "s3cret"), (b"s3cret\n", "s3cret"), (b"a\nb\r\n", "a\nb"), (b" a \n\n", " a \n")]
)
def test_a_file_is_read_without_its_last_line_end(tmp_path: Path, content: bytes, value: str) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    assert read(Option("x"), FromFile(path)) == value


@pytest.mark.parametrize(
    ("content", "state"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"x" * (65536 + 1), "is longer than 64 KiB"),
        (b"hunter2 \xff", "is not UTF-8 text"),
    ],
)
def test_a_file_without_a_usable_value_is_reported(tmp_path: Path, content: bytes | None, state: str) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    error = refusal(Option("x"), FromFile(path))
    assert str(error) == f"is read from the file {path}, which {state}"
    assert error.__suppress_context__ or error.__context__ is None


def test_a_file_that_is_not_regular_is_reported_without_blocking(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        assert str(refusal(Option("x"), FromFile(path))).endswith("which is not a regular file")


def test_no_error_contains_a_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("X_KEY", "hunter2")
    (tmp_path / "key").write_text("hunter2")
    for kind in (int, float, bool):
        plain, secret = Option("x", kind, help="a key"), Option("x", kind, help="a key", secret=True)
        words = OPTION_TYPES[kind]
        reported = {
            str(refusal(plain, FromEnvironment("X_KEY"))): f"from the environment variable X_KEY is not {words}",
            str(refusal(plain, FromFile(tmp_path / "key"))): f"from the file {tmp_path / 'key'} is not {words}",
            str(refusal(secret, "hunter2")): f"is not {words}",
            str(refusal(secret, ["hunter2"])): f"is not {words}",
            str(refusal(secret, OptionText("hunter2", FLAG))): f"is not {words}",
        }
        assert list(reported) == list(reported.values())
    assert refusal(Option("x", choices=("hunter1",), secret=True), "hunter2").hint is None


# Choices


def test_a_value_that_is_not_a_choice_is_reported_with_a_similar_one() -> None:
    form = Option("x", str, "text", "form of a line", choices=["text", "json"])
    assert read(form, "json") == "json"
    error = refusal(form, OptionText("jsno", FLAG))
    assert str(error) == "is 'jsno', which is not one of text, json"
    assert error.hint == "did you mean 'json'?"
    assert refusal(form, "x").hint == "form of a line"
    assert refusal(form, 5).args == ("is 5, which is not one of text, json",)


def test_the_items_of_a_list_are_choices() -> None:
    rooms = Option("x", list, [], choices=("a", "b"))
    assert read(rooms, OptionText("b,a", FLAG)) == ["b", "a"]
    assert str(refusal(rooms, ["a", "c"])) == "is ['a', 'c'], which is not a list of a, b"


def test_booleans_do_not_match_choices_of_numbers() -> None:
    ratio = Option("x", float, choices=(0.5, 1))
    assert read(ratio, 1) == 1.0
    refusal(ratio, True)
    refusal(ratio, 2)


@pytest.mark.parametrize(
    "declared",
    [
        {"type": int, "choices": ("1",)},
        {"type": list, "choices": (["a"],)},
        {"default": "c", "choices": ("a", "b")},
        {"type": list, "default": ["c"], "choices": ("a",)},
    ],
)
def test_choices_that_contradict_the_option_are_refused(declared: dict[str, object]) -> None:
    with pytest.raises(TypeError, match="option 'x' has"):
        Option("x", **declared)  # type: ignore[arg-type]


# In a table


def test_only_a_problem_in_the_text_of_a_flag_is_a_usage_error() -> None:
    options = (Option("a", int), Option("b", int, 0))
    with pytest.raises(FlagError) as caught:
        fill("echo", options, {"a": OptionText("x", FLAG), "c": OptionText("y", FLAG)}, lambda key: None)
    assert caught.value.lines() == [
        "plugin echo has no option 'c'",
        "  where: --set",
        "  hint: its options are a, b",
        "'a' of plugin echo is 'x', which is not a whole number",
        "  where: --set",
    ]
    with pytest.raises(ConfigError) as caught_too:
        fill("echo", options, {"a": OptionText("1", FLAG), "b": "x"}, lambda key: None)
    assert not isinstance(caught_too.value, FlagError)


def test_a_missing_secret_is_reported_with_the_way_to_write_it() -> None:
    with pytest.raises(ConfigError) as caught:
        fill("echo", (Option("key", help="of the door", secret=True),), {}, lambda key: None)
    assert caught.value.lines() == [
        "plugin echo needs the option 'key'",
        '  hint: write key = { env = "NAME" } under [plugin.echo] (of the door)',
    ]


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ({}, "must not be a table with no key"),
        ({"evn": "X"}, "must not be a table with evn"),
        ({"env": "X", "default": "hunter2"}, "must not be a table with env, default"),
        ({"env": 5}, "must be the name of an environment variable, not 5"),
        ({"env": ""}, "must be the name of an environment variable, not ''"),
        ({"env": "A=B"}, "must be the name of an environment variable, not 'A=B'"),
        ({"env": ["X"]}, "must be the name of an environment variable, not a list"),
        ({"env": {}}, "must be the name of an environment variable, not a table"),
        ({"file": True}, "must be a path, not true"),
        ({"file": ""}, "must be a path, not ''"),
    ],
)
def test_a_table_is_a_value_of_a_table_option_only(value: dict[str, object], what: str) -> None:
    error = refusal(Option("password", secret=True), value)
    assert str(error) == what
    assert error.hint in ('write { env = "NAME" } or { file = "PATH" }', None)
    assert read(Option("table", dict), value) == value


def test_a_table_that_could_be_a_reference_is_a_value_of_a_table_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST", "elsewhere")
    assert read(Option("x"), FromEnvironment("HOST")) == "elsewhere"
    assert read(Option("x", dict), FromEnvironment("HOST")) == {"env": "HOST"}
    assert read(Option("x", dict), FromFile(Path("/etc/y"), "y")) == {"file": "y"}


def test_a_plugin_may_change_the_table_that_it_gets() -> None:
    default: dict[str, dict[str, list[str]]] = {"a": {"b": []}}
    option = Option("table", dict, default=default)
    values = fill("p", [option], {}, lambda key: None)
    values["table"]["a"]["b"].append("c")  # type: ignore[index]
    assert default == {"a": {"b": []}}
