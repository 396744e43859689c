"""The options of the guard and their values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from reactorhost import SetupError
from reactorhost_guard import notation
from reactorhost_guard.settings import OPTIONS, settings


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"connects": "fast"}, "'connects': it must be a rate such as '10/s burst 50', not 'fast'"),
        (
            {"network_connects": "1/s slow"},
            "'network_connects': only messages and bytes can be slow, not connections as in '1/s slow': leave out",
        ),
        ({"messages": "1/s slow 0s"}, "'messages': one is allowed in 1s, so it must be 'slow 1s' or longer, in"),
        ({"bytes": "0/s"}, "'bytes': rate and burst must be above 0, in '0/s'"),
        (
            {"network_bytes": "x"},
            "'network_bytes': it must be a rate such as '1MiB/s burst 8MiB', not 'x'",
        ),
        ({"ban_time": "60"}, "'ban_time': it must be a duration above 0 such as"),
        ({"ban_time": "2d"}, "'ban_time': it must not be longer than ban_time_max"),
        ({"ban_after": -1}, "'ban_after': it must be between 0 and 1000000, not -1"),
        ({"ipv4_network": 33}, "'ipv4_network': it must be between 8 and 32, not 33"),
        ({"ipv6_network": 65}, "'ipv6_network': it must be between 16 and 64, not 65"),
        ({"max_addresses": 0}, "'max_addresses': it must be between 1 and"),
        ({"allow": ["10.0.0.1/8"]}, "'allow': '10.0.0.1/8' is not an address or a network"),
        ({"deny": ["me"]}, "'deny': 'me' is not an address or a network"),
        ({"state_dir": "bans"}, "'state_dir': it must be an absolute path, not 'bans'"),
    ],
)
def test_an_invalid_option_is_refused_with_its_name(option: dict[str, object], message: str) -> None:
    (refused,) = refusals(option)
    assert refused.startswith(message)


def refusals(options: Mapping[str, object]) -> list[str]:
    """Return what the guard says about its options."""
    with pytest.raises(ExceptionGroup) as raised:
        settings({each.name: each.default for each in OPTIONS} | dict(options))
    errors = raised.value.exceptions
    assert all(isinstance(error, SetupError) for error in errors)
    return [f"{getattr(error, 'option', None)!r}: {error}" for error in errors]


def test_all_invalid_options_are_refused_together() -> None:
    wrong = {each.name: ("?" if each.type is str else ["?"] if each.type is list else -1) for each in OPTIONS}
    del wrong["dry_run"]
    refused = {text.partition(":")[0].strip("'") for text in refusals(wrong)}
    assert refused == set(wrong)


@pytest.mark.parametrize("option", ["strike_memory", "ban_time", "ban_time_max", "ban_memory"])
def test_the_help_of_a_duration_has_an_example(option: str) -> None:
    # It is the hint for a number without a unit.
    (text,) = [each.help for each in OPTIONS if each.name == option]
    (example,) = re.findall(r"such as (\w+)", text)
    assert notation.duration(example)


def test_a_ban_time_is_compared_with_one_that_was_set() -> None:
    refused = refusals({"ban_time": "soon", "ban_time_max": "30s"})
    assert [text.partition(":")[0] for text in refused] == ["'ban_time'"]


@pytest.mark.parametrize("option", ["messages", "network_messages", "bytes", "network_bytes"])
def test_messages_and_bytes_may_be_slow(option: str) -> None:
    found = settings({each.name: each.default for each in OPTIONS} | {option: "10/s burst 5 slow 30s"})
    limits = found.of_network if option.startswith("network_") else found.of_address
    assert getattr(limits, option.removeprefix("network_")).slow_seconds == 30.0
    assert limits.slows("messages", "bytes")


def test_the_readme_lists_every_option_with_its_default() -> None:
    page = (Path(__file__).parents[1] / "README.md").read_text()
    table = page.partition("## Options")[2].partition("\n\nA rate is")[0]
    rows = re.findall(r"^\| (`.*?`) \| (.*?) \| .* \|$", table, re.MULTILINE)
    listed = {name: default.strip("`") for names, default in rows for name in re.findall(r"`(\w+)`", names)}
    nothing = {"None": "no limit", "[]": "none", "False": "false"}
    defaults = {each.name: nothing.get(str(each.default), str(each.default)) for each in OPTIONS}
    assert listed == defaults | {"state_dir": "none"}
