"""Values are read from TOML and from text by the same rules, and shown in a notation that can be read again."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorhost.address import Address
from reactorhost.config import values
from reactorhost.config.values import InvalidValueError, ValueKind

DURATION = values.duration(0, 1e6)
SIZE = values.size(0, 1 << 50)
WHOLE = values.whole(1, 256)
WORKERS = values.whole(1, 256, "auto")


def from_text(kind: ValueKind, text: str) -> object:
    return kind.read(kind.from_text(text))


@pytest.mark.parametrize(
    ("written", "seconds"),
    [(0, 0), (3, 3), (0.25, 0.25), ("30s", 30), ("500ms", 0.5), ("2m", 120), ("1h", 3600), ("1.5 m", 90), ("7", 7)],
    ids=repr,
)
def test_a_duration_is_seconds_or_a_number_with_a_unit(written: object, seconds: float) -> None:
    read = DURATION.read(written)
    assert read == pytest.approx(seconds)
    assert isinstance(read, float)


@pytest.mark.parametrize(
    "written", [True, "", "s", "1d", "1 2s", "-1s", "1e3", "30S", math.nan, math.inf, [1], {}, None], ids=repr
)
def test_an_invalid_duration_is_refused(written: object) -> None:
    with pytest.raises(InvalidValueError, match="must be a duration"):
        DURATION.read(written)


@pytest.mark.parametrize("written", [-1, 1e7, "278h"], ids=repr)
def test_a_duration_out_of_range_is_refused(written: object) -> None:
    with pytest.raises(InvalidValueError, match="must be from 0s to"):
        DURATION.read(written)


def test_zero_can_mean_none() -> None:
    kind = values.duration(0, 10, zero_is_none=True)
    assert kind.read(0) is None
    assert kind.read("0s") is None
    assert kind.read("1ms") == 0.001


@given(st.integers(0, 10**12).map(lambda microseconds: microseconds / 1e6))
def test_a_shown_duration_is_read_as_the_same_value(seconds: float) -> None:
    assert DURATION.read(DURATION.show(seconds)) == pytest.approx(seconds, abs=1e-9)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "0s"), (0.0, "0s"), (0.5, "500ms"), (65.0, "65s"), (600.0, "10m"), (3600.0, "1h")],
    ids=repr,
)
def test_a_duration_is_shown_in_its_largest_whole_unit(seconds: object, shown: str) -> None:
    assert DURATION.show(seconds) == shown


@pytest.mark.parametrize(
    ("written", "count"),
    [(5, 5), ("5", 5), ("5B", 5), ("64KiB", 65536), ("16MiB", 16 << 20), ("1 GiB", 1 << 30), (" 4KiB ", 4096)],
    ids=repr,
)
def test_a_size_is_bytes_or_a_number_with_a_unit(written: object, count: int) -> None:
    assert SIZE.read(written) == count


@pytest.mark.parametrize("written", [True, 1.0, "16MB", "16M", "kib", "", "-1", "1.5GiB", [], None], ids=repr)
def test_an_invalid_size_is_refused(written: object) -> None:
    with pytest.raises(InvalidValueError, match="must be a size") as caught:
        SIZE.read(written)
    assert "16MiB" in str(caught.value.hint)


def test_a_size_out_of_range_is_refused_in_readable_units() -> None:
    with pytest.raises(InvalidValueError, match="from 1KiB to 1MiB, not '2MiB'"):
        values.size(1024, 1 << 20).read("2MiB")


@pytest.mark.parametrize(("count", "shown"), [(0, "0B"), (1023, "1023B"), (1536, "1536B"), (16 << 20, "16MiB")])
def test_a_size_is_shown_in_the_largest_unit_that_divides_it(count: int, shown: str) -> None:
    assert SIZE.show(count) == shown


@given(st.integers(0, 1 << 50))
def test_a_shown_size_is_read_as_the_same_value(count: int) -> None:
    assert SIZE.read(SIZE.show(count)) == count


@given(st.integers(1, 256))
def test_whole_numbers_are_read_from_toml_and_text(number: int) -> None:
    assert WHOLE.read(number) == from_text(WHOLE, f" {number} ") == WORKERS.read(number) == number


@pytest.mark.parametrize("kind", [WHOLE, WORKERS], ids=["whole", "workers"])
@pytest.mark.parametrize("written", [0, 257, -1, True, False, 4.0, "4", "four", [4], None], ids=repr)
def test_an_invalid_whole_number_is_refused(kind: ValueKind, written: object) -> None:
    with pytest.raises(InvalidValueError, match="must be a whole number from 1 to 256"):
        kind.read(written)


@pytest.mark.parametrize("text", ["0", "257", "", "4.0", "four", "1_0", "0x4", "٣", "9" * 5000], ids=repr)
def test_text_that_is_not_a_whole_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match="must be a whole number"):
        from_text(WHOLE, text)


def test_workers_can_be_auto() -> None:
    assert WORKERS.read("auto") == from_text(WORKERS, "auto") == "auto"


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("yes", True), ("ON", True), ("false", False), ("0", False)], ids=repr
)
def test_a_switch_is_read_from_the_usual_words(text: str, value: bool) -> None:
    assert from_text(values.SWITCH, text) is value
    assert from_text(values.SWITCH, values.SWITCH.show(value)) is value


@pytest.mark.parametrize("written", [0, 1, "true", "maybe", None], ids=repr)
def test_in_toml_a_switch_is_true_or_false_only(written: object) -> None:
    with pytest.raises(InvalidValueError, match="must be true or false"):
        values.SWITCH.read(written)


def test_text_that_is_not_a_switch_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="not 'maybe'"):
        from_text(values.SWITCH, "maybe")


def test_a_choice_is_case_insensitive_and_suggests_a_similar_word() -> None:
    kind = values.choice("text", "json")
    assert kind.read("JSON") == "json"
    with pytest.raises(InvalidValueError, match="must be one of text, json, not 'jsn'") as caught:
        kind.read("jsn")
    assert caught.value.hint == "did you mean 'json'?"
    with pytest.raises(InvalidValueError, match="not 3"):
        kind.read(3)


@pytest.mark.parametrize("name", ["a", "default", "A-1_b.c", "-x", "a" * 64], ids=repr)
def test_valid_names_are_accepted(name: str) -> None:
    assert values.NAME.read(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", ".a", "a/b", "a b", "é", "a\n", "a" * 65, 3, None], ids=repr)
def test_invalid_names_are_refused(name: object) -> None:
    with pytest.raises(InvalidValueError, match="must be a name"):
        values.NAME.read(name)


def test_the_home_directory_in_a_path_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/op")
    assert values.PATH.read("~/run") == Path("/home/op/run")
    assert values.PATH.read("run") == Path("run")
    assert values.PATH.read("my run") == Path("my run")


@pytest.mark.parametrize("path", ["", " ", "a\0b", "a\nb", 3, True, ["a"], None], ids=repr)
def test_an_invalid_path_is_refused(path: object) -> None:
    with pytest.raises(InvalidValueError, match="must be a path"):
        values.PATH.read(path)


def test_a_path_in_an_unknown_home_directory_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="home directory in '~no-such-user/x'"):
        values.PATH.read("~no-such-user/x")


def test_a_dash_means_no_log_file_and_no_user() -> None:
    assert values.LOG_PATH.read("-") is None
    assert values.LOG_PATH.show(None) == "-"
    assert values.ACCOUNT.read("-") is None


@pytest.mark.parametrize(
    ("written", "account"), [("www-data", "www-data"), (1000, "1000"), ("1000", "1000"), (0, "0")], ids=repr
)
def test_an_account_is_a_name_or_a_number(written: object, account: str) -> None:
    assert values.ACCOUNT.read(written) == account


@pytest.mark.parametrize("written", [True, -1, 2**32 - 1, "", 1.5], ids=repr)
def test_invalid_accounts_are_refused(written: object) -> None:
    with pytest.raises(InvalidValueError, match="must be a name or a number"):
        values.ACCOUNT.read(written)


def test_an_address_is_parsed_and_the_hint_of_its_error_is_kept() -> None:
    assert values.ADDRESS.read("tcp://[::1]:9000") == Address("tcp", "::1", 9000)
    with pytest.raises(InvalidValueError, match="unknown scheme 'tpc'") as caught:
        values.ADDRESS.read("tpc://x:1")
    assert caught.value.hint == "did you mean 'tcp'?"
    with pytest.raises(InvalidValueError, match="must be an address, not 9000"):
        values.ADDRESS.read(9000)


def test_only_a_plugin_that_is_a_file_is_a_path() -> None:
    assert values.PLUGIN.read("./dir/my.py") == Path("dir/my.py")
    assert values.PLUGIN.read("my.py") == Path("my.py")
    assert values.PLUGIN.read("module:object") == "module:object"
    assert values.PLUGIN.read("module:object.py") == "module:object.py"
    assert values.PLUGIN.read("a:b/my.py") == Path("a:b/my.py")
    assert values.PLUGIN.read("echo") == "echo"


@pytest.mark.parametrize("name", ["", " ", " echo", "echo ", "a\0", 3, ["echo"]], ids=repr)
def test_an_invalid_plugin_name_is_refused(name: object) -> None:
    with pytest.raises(InvalidValueError, match="must be a plugin's name"):
        values.PLUGIN.read(name)


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), ([1], "a list"), ({}, "a table"), ("x", "'x'"), (1.5, "1.5")], ids=repr
)
def test_an_invalid_value_is_shown_in_toml_notation(value: object, text: str) -> None:
    assert values.written(value) == text


def test_a_long_invalid_value_is_truncated() -> None:
    assert len(values.written("x" * 1000)) == 60
