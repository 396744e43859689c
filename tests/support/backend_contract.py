"""What every backend does, whatever its transport; a subclass has a fixture `network`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import pytest

from reactorhost.bus import Backend, BackendState, Keep
from recorded_link import RecordedLink


class Network(Protocol):
    """Workers and a server between them."""

    def join(self) -> tuple[Backend, RecordedLink]:
        """Return the backend of a new worker, which was started."""

    def until(self, holds: Callable[[], object]) -> None:
        """Run until something holds; fails if it does not in time."""

    def cut(self) -> None:
        """Take the server away."""

    def restore(self) -> None:
        """Bring it back, with what it has stored."""


def up(network: Network) -> tuple[Backend, RecordedLink]:
    """Return the backend of a worker that is connected."""
    backend, link = network.join()
    network.until(lambda: link.state is BackendState.UP)
    return backend, link


class BackendContract:
    """The tests."""

    def test_it_connects_and_says_so(self, network: Network) -> None:
        _, link = up(network)
        assert [state for state, _ in link.states] == [BackendState.CONNECTING, BackendState.UP]

    def test_every_subscriber_of_a_key_receives_and_no_other(self, network: Network) -> None:
        (one, of_one), (other, of_other), (publisher, of_publisher) = up(network), up(network), up(network)
        one.subscribe("t:a")
        publisher.subscribe("t:a")
        other.subscribe("t:end")
        one.subscribe("t:end")
        self.subscribed(network, (one, of_one), (other, of_other))
        assert publisher.publish("t:a", b"1", None)
        assert publisher.publish("t:ab", b"2", None)
        assert publisher.publish("t:end", b"3", None)
        network.until(lambda: ("t:end", b"3") in of_one.messages and ("t:end", b"3") in of_other.messages)
        assert of_one.messages == [("t:a", b"1"), ("t:end", b"3")]
        assert of_other.messages == [("t:end", b"3")]
        network.until(lambda: of_publisher.messages == [("t:a", b"1")])

    def subscribed(self, network: Network, *workers: tuple[Backend, RecordedLink]) -> None:
        """Wait until workers that subscribe to `t:end` receive, and forget what they have received."""
        for number, (backend, link) in enumerate(workers):
            own = ("t:end", b"%d" % number)
            assert backend.publish(*own, None)
            network.until(lambda: own in link.messages)  # noqa: B023  called in this pass
        # What was published before arrives before this.
        workers[0][0].publish("t:end", b"last", None)
        network.until(lambda: all(("t:end", b"last") in link.messages for _, link in workers))
        for _, link in workers:
            link.messages.clear()

    @pytest.mark.parametrize(
        ("pattern", "wanted", "others"),
        [
            ("t:*", ["t:a", "t:a:b"], ["g:a"]),
            ("t:room*", ["t:room", "t:room.1", "t:room*"], ["t:roo", "t:Room"]),
            ("t:a?[b]*", ["t:a?[b]", "t:a?[b]c"], ["t:axb", "t:ax[b]", "t:a?b"]),
            ("t:a\\*", ["t:a\\", "t:a\\b"], ["t:a", "t:a*"]),
            ("t:[^a-z]*", ["t:[^a-z]1"], ["t:A1", "t:^"]),
            ("t:größe €*", ["t:größe €1"], ["t:größe"]),
        ],
    )
    def test_a_pattern_is_the_beginning_of_keys(
        self, pattern: str, wanted: list[str], others: list[str], network: Network
    ) -> None:
        (one, link), (publisher, _) = up(network), up(network)
        one.subscribe(pattern)
        one.subscribe("t:end")
        self.subscribed(network, (one, link))
        for key in (*others, *wanted):
            publisher.publish(key, key.encode(), None)
        publisher.publish("t:end", b"", None)
        network.until(lambda: ("t:end", b"") in link.messages)
        assert link.messages == [*((key, key.encode()) for key in wanted), ("t:end", b"")]

    def test_what_several_subscriptions_match_is_received_once(self, network: Network) -> None:
        (one, link), (publisher, _) = up(network), up(network)
        patterns = ["t:ab", "t:*", "t:a*", "t:ab*", "t:abc*"]
        for pattern in (*patterns, "t:end"):
            one.subscribe(pattern)
        self.subscribed(network, (one, link))
        # Each subscription that ends leaves another one that matches.
        for number, gone in enumerate(["t:*", "t:ab", "t:a*"]):
            publisher.publish("t:ab", b"%d" % number, None)
            network.until(lambda: len(link.messages) > number)  # noqa: B023  called in this pass
            one.unsubscribe(gone)
            one.publish("t:end", b"%d" % number, None)
            network.until(lambda: ("t:end", b"%d" % number) in link.messages)  # noqa: B023
            link.messages[:] = [each for each in link.messages if each[0] != "t:end"]
        publisher.publish("t:ab", b"last", None)
        network.until(lambda: ("t:ab", b"last") in link.messages)
        assert [data for key, data in link.messages if key == "t:ab"] == [b"0", b"1", b"2", b"last"]

    def test_the_last_of_subscribe_and_unsubscribe_counts(self, network: Network) -> None:
        (one, link), (publisher, _) = up(network), up(network)
        for key in ("t:off", "t:on", "t:end"):
            one.subscribe(key)
        one.unsubscribe("t:on")
        one.unsubscribe("t:off")
        one.subscribe("t:on")
        self.subscribed(network, (one, link))
        for key in ("t:off", "t:on", "t:end"):
            publisher.publish(key, b"", None)
        network.until(lambda: len(link.messages) == 2)
        assert [key for key, _ in link.messages] == ["t:on", "t:end"]

    def test_order_is_kept_for_each_key(self, network: Network) -> None:
        (one, link), (publisher, _) = up(network), up(network)
        one.subscribe("t:*")
        one.subscribe("t:3")
        one.subscribe("t:end")
        self.subscribed(network, (one, link))
        sent = [(f"t:{number % 5}", b"%d" % number) for number in range(1000)]
        for key, payload in sent:
            assert publisher.publish(key, payload, None)
        network.until(lambda: len(link.messages) == len(sent))
        for key in {key for key, _ in sent}:
            assert [each for each in link.messages if each[0] == key] == [each for each in sent if each[0] == key]

    @pytest.mark.parametrize("pattern", ["t:answer", "t:ans*"])
    def test_a_subscription_is_in_effect_before_what_is_published_after_it(
        self, pattern: str, network: Network
    ) -> None:
        (one, link), (other, of_other) = up(network), up(network)
        other.subscribe("t:end")
        self.subscribed(network, (other, of_other))
        of_other.on_received = lambda key, payload: other.publish("t:answer", payload, None)
        for number in range(50):
            payload = b"%d" % number
            one.subscribe(pattern)
            assert one.publish("t:end", payload, None)
            network.until(lambda: ("t:answer", payload) in link.messages)  # noqa: B023  called in this pass
            one.unsubscribe(pattern)

    @pytest.mark.parametrize("payload", [b"", bytes(range(256)), b"\r\n" * 3, bytes(1 << 20)], ids=len)
    def test_payloads_are_any_bytes(self, payload: bytes, network: Network) -> None:
        (one, link), (publisher, _) = up(network), up(network)
        one.subscribe("t:end")
        self.subscribed(network, (one, link))
        assert publisher.publish("t:end", payload, None)
        network.until(lambda: link.messages)
        assert link.messages == [("t:end", payload)]

    def test_stored_payloads_are_the_newest_in_order(self, network: Network) -> None:
        (publisher, _), (reader, _) = up(network), up(network)
        for number in range(20):
            assert publisher.publish("g:kept", b"%d" % number, Keep(10))
        publisher.publish("g:other", b"", None)
        read = self.read(network, reader, "g:kept", 5)
        assert read == [b"15", b"16", b"17", b"18", b"19"]
        assert self.read(network, reader, "g:other", 5) == []

    def read(self, network: Network, reader: Backend, key: str, most: int) -> object:
        results: list[object] = []
        reader.stored(key, most, results.append)
        assert not results, "called from within the call"
        network.until(lambda: results)
        return results[0]

    def test_a_server_that_is_away_is_noticed_and_everything_is_subscribed_again(self, network: Network) -> None:
        (one, link), (publisher, of_publisher) = up(network), up(network)
        for key in ("t:before", "t:dropped", "t:end"):
            one.subscribe(key)
        self.subscribed(network, (one, link))
        network.cut()
        network.until(lambda: link.state is of_publisher.state is BackendState.DOWN)
        assert link.reason
        assert not publisher.publish("t:before", b"lost", None)
        assert self.read(network, publisher, "t:before", 1) is None
        one.unsubscribe("t:dropped")
        one.subscribe("t:since")
        network.restore()
        network.until(lambda: link.state is of_publisher.state is BackendState.UP)
        assert link.reason == ""
        for key in ("t:before", "t:dropped", "t:since"):
            assert publisher.publish(key, b"", None)
        network.until(lambda: len(link.messages) == 2)
        assert [key for key, _ in link.messages] == ["t:before", "t:since"]

    def test_a_worker_that_starts_while_the_server_is_away_waits_for_it(self, network: Network) -> None:
        network.cut()
        backend, link = network.join()
        backend.subscribe("t:a")
        network.until(lambda: link.state is BackendState.DOWN)
        network.restore()
        network.until(lambda: link.state is BackendState.UP)
        backend.publish("t:a", b"1", None)
        network.until(lambda: link.messages == [("t:a", b"1")])

    def test_after_a_stop_nothing_is_called(self, network: Network) -> None:
        (one, link), (other, of_other) = up(network), up(network)
        one.subscribe("t:end")
        other.subscribe("t:end")
        self.subscribed(network, (one, link), (other, of_other))
        states = list(link.states)
        one.publish("t:end", b"last words", None)
        one.stop()
        network.until(lambda: ("t:end", b"last words") in of_other.messages)
        network.cut()
        network.until(lambda: of_other.state is BackendState.DOWN)
        assert link.states == states
        assert ("t:end", b"last words") not in link.messages

    def test_thousands_of_subscriptions_are_made_again_before_up(self, network: Network) -> None:
        (one, link), (publisher, _) = up(network), up(network)
        for number in range(3000):
            one.subscribe(f"g:{number}")
            one.subscribe(f"t:{number}:*")
        one.subscribe("t:end")
        self.subscribed(network, (one, link))
        network.cut()
        network.until(lambda: link.state is BackendState.DOWN)
        network.restore()
        network.until(lambda: link.state is BackendState.UP and publisher.publish("g:2999", b"", None))
        publisher.publish("t:2999:x", b"", None)
        network.until(lambda: len(link.messages) >= 2)
        assert {key for key, _ in link.messages} == {"g:2999", "t:2999:x"}
