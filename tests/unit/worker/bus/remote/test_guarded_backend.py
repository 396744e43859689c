"""A backend that raises."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from reactorhost.bus import Keep
from reactorhost.worker.bus.remote.guarded_backend import GuardedBackend

Failures = list[tuple[str, str, object, str]]


class Broken:
    """Raises in every method; `stored` answers first, and twice."""

    def __getattr__(self, method: str) -> Callable[..., None]:
        def call(*args: object) -> None:
            raise SystemExit(f"{method} {len(args)}")

        return call

    def stored(self, key: str, most: int, on_result: Callable[[Sequence[bytes] | None], object]) -> None:
        if key == "g:answered":
            on_result([b"1"])
            on_result([b"2"])
        raise RuntimeError(f"stored {key}")


@pytest.fixture
def failures() -> Failures:
    return []


@pytest.fixture
def guarded(failures: Failures) -> GuardedBackend:
    def hook_failed(plugin: str, hook: str, connection: object, error: Exception) -> None:
        failures.append((plugin, hook, connection, str(error)))

    return GuardedBackend(Broken(), "nats", hook_failed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("method", "args", "returned"),
    [
        ("start", (None,), None),
        ("publish", ("t:a", b"data", Keep(3)), False),
        ("subscribe", ("t:a",), None),
        ("unsubscribe", ("t:*",), None),
        ("stop", (), None),
    ],
)
def test_what_a_backend_raises_is_reported_and_the_call_has_failed(
    guarded: GuardedBackend, failures: Failures, method: str, args: tuple[object, ...], returned: object
) -> None:
    assert getattr(guarded, method)(*args) is returned
    assert failures == [("nats", method, None, f"the plugin called sys.exit('{method} {len(args)}')")]


@pytest.mark.parametrize(("key", "answers"), [("g:a", [None]), ("g:answered", [[b"1"]])])
def test_a_request_of_stored_payloads_is_answered_once(
    guarded: GuardedBackend, failures: Failures, key: str, answers: list[object]
) -> None:
    found: list[object] = []
    guarded.stored(key, 5, found.append)
    assert found == answers
    assert failures == [("nats", "stored", None, f"stored {key}")]
