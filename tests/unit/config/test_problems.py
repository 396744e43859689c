"""Several failures are reported by one error."""

from __future__ import annotations

import pytest

from reactorhost.config.problems import collected, raise_together
from reactorhost.errors import BootError, ConfigError, PluginError, Problem, ReactorhostError, error_from_fields


def broken() -> None:
    raise PluginError("broken", details="trace")


def test_a_single_failure_is_raised_as_it_is() -> None:
    raise_together([])
    failures: list[ReactorhostError] = []
    with collected(failures):
        broken()
    with pytest.raises(PluginError) as caught:
        raise_together(failures)
    assert [caught.value] == failures


@pytest.mark.parametrize(
    ("other", "status"),
    [(PluginError("other"), 4), (BootError("other"), 1), (ConfigError([Problem("a"), Problem("b")]), 1)],
)
def test_several_failures_are_one_error_with_the_status_that_they_share(other: ReactorhostError, status: int) -> None:
    with pytest.raises(ConfigError) as caught:
        raise_together([PluginError("broken", hint="mend it"), other])
    assert caught.value.exit_status == status
    assert [each.what for each in caught.value.problems] == ["broken", *(each.what for each in other.problems)]


def test_the_tracebacks_of_several_failures_are_kept() -> None:
    with pytest.raises(ConfigError) as caught:
        raise_together([PluginError("one", details="first trace"), PluginError("two", details="second trace")])
    assert caught.value.details == "first trace\nsecond trace"
    assert error_from_fields(caught.value.as_fields()).details == caught.value.details
