"""The chat in one worker, on the bench; the texts are those that people read."""

from __future__ import annotations

import importlib.metadata
import re
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from reactorhost import CloseReason, Connection, LengthPrefixed, Member, SetupError, hookimpl
from reactorhost_chat import Chat
from reactorhost_chat.chat import BURST, MOST_BYTES, SETTLE_SECONDS
from reactorhost_chat.commands import HISTORY_SECONDS
from reactorhost_chat.text import HELP

if TYPE_CHECKING:
    from reactorhost.testing import BenchClient, LiveHost, PluginBench

FIRST_REF = "0" * 16 + "-" + "0" * 16 + "-1"
LAST_REF = "f" * 16 + "-" + "f" * 16 + "-1"


class Terminal:
    """A client, and the lines that it has not looked at yet."""

    def __init__(self, client: BenchClient) -> None:
        self.client = client
        self._seen = 0

    def types(self, line: str | bytes) -> list[str]:
        """Send a line, and return what is shown then."""
        self.client.send((line.encode() if isinstance(line, str) else line) + b"\n")
        return self.shown

    @property
    def shown(self) -> list[str]:
        """The lines since the last look."""
        lines = self.client.received[self._seen :].decode().splitlines()
        self._seen = len(self.client.received)
        return lines


@pytest.fixture
def chat(plugin_bench: Callable[..., PluginBench]) -> Callable[..., PluginBench]:
    """Return a function that starts a bench with the chat and its options."""
    return lambda **options: plugin_bench(Chat, options={"Chat": options})


def person(bench: PluginBench, name: str) -> Terminal:
    """Return a client with a name that has seen its greeting."""
    terminal = Terminal(bench.connect())
    assert terminal.types(f"/name {name}")[-1] == f"* You are {name} now."
    return terminal


def two(bench: PluginBench) -> tuple[Terminal, Terminal]:
    """Return ada and bob."""
    ada, bob = person(bench, "ada"), person(bench, "bob")
    assert ada.shown[-1].endswith("is now bob.")
    return ada, bob


def test_the_entry_point_is_the_class() -> None:
    (entry_point,) = importlib.metadata.entry_points(group="reactorhost", name="chat")
    assert entry_point.load() is Chat


def test_a_client_is_greeted_named_and_in_the_first_room(chat: Callable[..., PluginBench]) -> None:
    bench = chat(greeting="Hello!", room="Tea")
    first = Terminal(bench.connect())
    welcome, help_line, room = first.shown
    assert re.fullmatch(r"\* Hello! You are guest\d{1,6}\. Messages so far: 0\.", welcome)
    assert help_line == "* Type a line to talk, /name NAME to change your name, /help for more."
    assert room == "* You are alone in tea so far."
    guest = welcome.split()[4].rstrip(".")
    assert Terminal(bench.connect()).shown[2] == f"* You are in tea with {guest}."


def test_the_others_in_the_room_read_a_line_and_the_sender_does_not(chat: Callable[..., PluginBench]) -> None:
    bench = chat()
    ada, bob = two(bench)
    elsewhere = person(bench, "cy")
    elsewhere.types("/join garden")
    _ = ada.shown, bob.shown
    assert ada.types("hello  there ") == []
    assert bob.shown == ["ada: hello  there"]
    assert elsewhere.shown == []
    assert ada.types("") == ada.types("   ") == []
    assert bob.shown == []


def test_the_others_are_notified_of_clients_that_join_leave_and_change_the_name(
    chat: Callable[..., PluginBench],
) -> None:
    bench = chat()
    ada = person(bench, "ada")
    other = Terminal(bench.connect())
    guest = other.shown[0].split()[4].rstrip(".")
    assert ada.shown == [f"* {guest} has joined."]
    assert other.types("/name bob") == ["* You are bob now."]
    assert ada.shown == [f"* {guest} is now bob."]
    assert other.types("/join garden") == ["* You are alone in garden so far."]
    assert ada.shown == ["* bob has left."]
    assert other.types("/join lobby") == ["* You are in lobby with ada."]
    assert ada.shown == ["* bob has joined."]
    assert other.types("/leave") == ["* You have left lobby. To go to a room: /join ROOM"]
    assert ada.shown == ["* bob has left."]
    other.types("/join lobby")
    other.client.reset()
    assert ada.shown == ["* bob has joined.", "* bob has left."]


def test_a_name_is_checked_and_unique_whatever_its_capitals(chat: Callable[..., PluginBench]) -> None:
    ada, bob = two(chat())
    assert bob.types("/name ADA") == ["* The name ADA is taken. Please choose another one."]
    assert bob.types("/name x y") == ["* A name has 1 to 20 letters, digits, - and _."]
    assert bob.types("/name") == ["* Your name is bob. To change it: /name NAME"]
    assert ada.types("/name ada") == ["* You are ada now."]
    assert ada.types("/NAME Ada") == ["* You are Ada now."]
    assert bob.shown == ["* ada is now Ada."]
    ada.client.end()
    assert bob.types("/name ada") == ["* Ada has left.", "* You are ada now."]


def test_without_a_room_there_is_no_talk(chat: Callable[..., PluginBench]) -> None:
    ada = person(chat(), "ada")
    ada.types("/leave")
    for line in ("hello", "/leave", "/history"):
        assert ada.types(line) == ["* You are in no room. To go to one: /join ROOM"]


def test_the_name_of_a_room_is_checked(chat: Callable[..., PluginBench]) -> None:
    ada = person(chat(), "ada")
    how = "* To go to a room: /join ROOM. The name of a room has 1 to 20 letters, digits, - and _."
    assert ada.types("/join") == ada.types("/join a room") == ada.types("/join *") == [how]
    assert ada.types("/join #Garden") == ["* You are alone in garden so far."]
    assert ada.types("/join garden") == ["* You are in garden already."]


def test_who_lists_the_room_and_the_people_elsewhere(chat: Callable[..., PluginBench]) -> None:
    bench = chat()
    ada, bob = two(bench)
    assert ada.types("/who") == ["* In lobby: ada and bob."]
    bob.types("/join garden")
    assert ada.types("/who") == ["* bob has left.", "* In lobby: ada.", "* Elsewhere: bob."]
    bob.types("/leave")
    assert bob.types("/who") == ["* Elsewhere: ada and bob."]


def test_a_private_line_reaches_one_person(chat: Callable[..., PluginBench]) -> None:
    bench = chat()
    ada, bob = two(bench)
    cy = person(bench, "cy")
    _ = ada.shown, bob.shown
    bob.types("/join garden")
    _ = ada.shown, cy.shown
    assert ada.types("/msg BOB see  you") == ["(private) to BOB: see  you"]
    assert bob.shown == ["(private) ada: see  you"]
    assert cy.shown == []
    assert ada.types("/msg dan hi") == ["* dan is not here. /who lists the people who are."]
    assert ada.types("/msg bob") == ["* To send a line to one person: /msg NAME TEXT"]


def test_the_last_messages_are_shown_to_a_client_that_joins(chat: Callable[..., PluginBench]) -> None:
    bench = chat(history=2)
    ada = person(bench, "ada")
    assert ada.types("/history") == ["* No messages in lobby so far."]
    for line in ("one", "two", "three"):
        ada.types(line)
    shown = ["* The last messages in lobby:", "| ada: two", "| ada: three"]
    assert ada.types("/history") == shown
    bob = Terminal(bench.connect())
    assert bob.shown[2:] == ["* You are in lobby with ada.", *shown]
    assert bob.types("/join garden") == ["* You are alone in garden so far."]


def test_the_messages_of_a_silent_room_are_kept_for_a_week(chat: Callable[..., PluginBench]) -> None:
    bench = chat()
    ada = person(bench, "ada")
    ada.types("one")
    bench.advance(HISTORY_SECONDS - 1)
    assert ada.types("/history")[-1] == "| ada: one"
    bench.advance(2)
    assert ada.types("/history") == ["* No messages in lobby so far."]


def test_without_history_none_is_kept(chat: Callable[..., PluginBench]) -> None:
    bench = chat(history=0)
    ada = person(bench, "ada")
    ada.types("one")
    assert ada.types("/history") == ["* No history is kept here."]
    assert len(Terminal(bench.connect()).shown) == 3


def test_help_and_unknown_commands(chat: Callable[..., PluginBench]) -> None:
    ada, bob = two(chat())
    assert ada.types("/help") == [f"* {line}" for line in HELP]
    unknown = "* /etc/passwd is not a command. Try /help, or begin with a blank to send it as text."
    assert ada.types("/etc/passwd is a file") == [unknown]
    assert bob.shown == []
    assert ada.types(" /etc/passwd is a file") == []
    assert bob.shown == ["ada: /etc/passwd is a file"]


def test_every_command_of_the_help_exists(chat: Callable[..., PluginBench]) -> None:
    ada = person(chat(rate=1000.0), "ada")
    for line in HELP[1:]:
        assert "not a command" not in "".join(ada.types(line.split()[0]))


def test_quit_says_goodbye_and_closes(chat: Callable[..., PluginBench]) -> None:
    ada, bob = two(chat())
    assert bob.types("/quit") == ["* Goodbye."]
    assert bob.client.closed is CloseReason.LOCAL
    assert ada.shown == ["* bob has left."]


def test_the_name_of_a_client_that_quits_is_free_while_it_has_not_closed_its_side(
    chat: Callable[..., PluginBench],
) -> None:
    bench = chat()
    leaving, bob = Terminal(bench.connect(ends_too=False)), person(bench, "bob")
    leaving.types("/name ada")
    leaving.types("/quit")
    assert bob.types("/name ada")[-1] == "* You are ada now."
    assert bench.stats()["users"] == 1
    leaving.client.reset()
    assert leaving.client.closed is not None
    assert bench.stats()["users"] == 1
    assert bob.types("/msg ada me") == ["(private) ada: me", "(private) to ada: me"]


def test_a_drain_says_goodbye_and_closes(chat: Callable[..., PluginBench]) -> None:
    bench = chat()
    ada = person(bench, "ada")
    bench.drain()
    assert ada.shown == ["* The server restarts. Please connect again."]
    assert ada.client.closed is CloseReason.LOCAL


def test_control_characters_reach_no_terminal(chat: Callable[..., PluginBench]) -> None:
    ada, bob = two(chat())
    ada.types(b"\x1b]0;owned\x07 \xc2\x9b31m\rred")
    assert bob.shown == ["ada: ]0;owned   31m red"]
    assert ada.types(b"/msg bob \x1b[2Jx") == ["(private) to bob:  [2Jx"]
    assert bob.shown == ["(private) ada:  [2Jx"]
    assert ada.types(b"/\x1b[2J") == ["* / is not a command. Try /help, or begin with a blank to send it as text."]


def test_a_line_that_is_too_long_is_answered_and_a_huge_one_ends_the_connection(
    chat: Callable[..., PluginBench],
) -> None:
    ada, bob = two(chat(max_length=1000))
    assert ada.types("x" * 1000) == []
    assert ada.types("x" * 1001) == ["* Not sent: the line has 1,001 characters, more than 1,000."]
    assert bob.shown == ["ada: " + "x" * 1000]
    ada.types("x" * (MOST_BYTES + 1))
    assert ada.client.closed is CloseReason.FRAMING


def test_the_longest_line_fits_the_framing(chat: Callable[..., PluginBench]) -> None:
    ada, bob = two(chat(max_length=4000))
    ada.types("\U0001f47b" * 4000)
    (line,) = bob.shown
    assert line == "ada: " + "\U0001f47b" * 4000


def test_a_client_that_is_too_fast_is_read_more_slowly(chat: Callable[..., PluginBench]) -> None:
    bench = chat(rate=2.0)
    ada, bob = two(bench)
    bench.advance(60.0)
    ada.client.send(b"".join(b"%d\n" % number for number in range(BURST + 4)))
    assert len(bob.shown) == BURST
    for _ in range(4):
        bench.advance(0.49)
        assert bob.shown == []
        bench.advance(0.01)
        assert len(bob.shown) == 1
    # Other clients are not slowed down, and tokens come back.
    bench.advance(60.0)
    ada.client.send(b"x\n" * BURST)
    assert bob.shown == ["ada: x"] * BURST


def test_a_client_that_is_too_fast_stays_paused_by_another_plugin(chat: Callable[..., PluginBench]) -> None:
    bench = chat(rate=2.0)
    ada, bob = two(bench)
    bench.advance(60.0)
    ada.client.send(b"x\n" * (BURST + 1))
    ada.client.connection.pause()
    bench.advance(60.0)
    assert len(bob.shown) == BURST
    ada.client.connection.resume()
    bench.settle()
    assert len(bob.shown) == 1


def test_messages_of_another_framing_may_have_line_ends(chat: Callable[..., PluginBench]) -> None:
    bench = chat()
    ada, bob = two(bench)
    ada.client.connection.framing = LengthPrefixed(">H")
    ada.client.send(b"\0\x08one\ntwo\n")
    assert bob.shown == ["ada: one two"]
    bob.types("hi")
    assert ada.client.received.endswith(b"\0\x07bob: hi")


# Clients of other workers.


def test_lost_messages_are_shown_to_the_room_unless_nothing_is_missing(chat: Callable[..., PluginBench]) -> None:
    bench = chat()
    ada = person(bench, "ada")
    bench.bus.gap("chat:lobby", recovered=True)
    bench.bus.gap("chat")
    assert ada.shown == []
    bench.bus.gap("chat:lobby")
    assert ada.shown == ["* Some messages were lost."]


def test_a_client_of_another_worker_is_like_one_of_this(chat: Callable[..., PluginBench]) -> None:
    bench = chat()
    ada = person(bench, "ada")
    zoe = bench.bus.join("chat", b"zoe")
    assert ada.types("/who") == ["* In lobby: ada.", "* Elsewhere: zoe."]
    bench.bus.join("chat:lobby", b"zoe")
    assert ada.shown == ["* zoe has joined."]
    bench.bus.send_to("chat:lobby", b"zoe: hello")
    assert ada.shown == ["zoe: hello"]
    assert ada.types("/name Zoe") == ["* The name Zoe is taken. Please choose another one."]
    ada.types("hi")
    assert bench.bus.sent == [("chat:lobby", b"ada: hi")]
    assert ada.types("/msg zoe psst") == ["(private) to zoe: psst"]
    assert zoe.received == [b"(private) ada: psst"]
    bench.bus.end()
    assert ada.types("/who") == ["* zoe has left.", "* In lobby: ada."]


def test_a_person_that_leaves_and_is_back_at_once_is_not_announced(plugin_bench: Callable[..., PluginBench]) -> None:
    plugin = Chat()
    bench = plugin_bench(plugin)
    ada = person(bench, "ada")
    member = Member(LAST_REF, b"zoe")
    plugin.left("chat:lobby", member)
    plugin.joined("chat:lobby", member)
    bench.settle()
    assert ada.shown == []


def test_groups_of_other_plugins_are_ignored(chat: Callable[..., PluginBench]) -> None:
    bench = chat()
    ada = person(bench, "ada")
    ada.client.connection.join("other")
    bench.bus.join("other", b"zoe").leave()
    bench.bus.gap("other")
    assert ada.shown == []


def test_of_two_clients_with_one_name_the_one_with_the_larger_ref_is_renamed(
    plugin_bench: Callable[..., PluginBench],
) -> None:
    plugin = Chat()
    bench = plugin_bench(plugin)
    ada, bob = two(bench)
    plugin.joined("chat", Member(LAST_REF, b"Ada"))
    bench.settle()
    assert ada.shown == []
    plugin.joined("chat", Member(FIRST_REF, b"Ada"))
    bench.settle()
    (line,) = ada.shown
    found = re.fullmatch(r"\* Two people took the name Ada at once\. You are (guest\d+) now\.", line)
    assert found is not None
    assert bob.types("/who") == [f"* ada is now {found[1]}.", f"* In lobby: bob and {found[1]}."]


def test_a_name_that_was_taken_before_a_worker_knew_the_others_is_settled(
    plugin_bench: Callable[..., PluginBench], monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = Chat()
    bench = plugin_bench(plugin)
    ada, bob = two(bench)
    own = plugin.people.members
    # Members of a worker that was there before: `joined` is not called for them.
    found = [Member(FIRST_REF, b"Ada"), Member(LAST_REF, b"bob")]
    monkeypatch.setattr(plugin.people, "members", lambda room: own(room) + (found if room is None else []))
    bench.advance(SETTLE_SECONDS)
    (line,) = ada.shown
    renamed = re.fullmatch(r"\* Two people took the name Ada at once\. You are (guest\d+) now\.", line)
    assert renamed is not None
    assert bob.shown == [f"* ada is now {renamed[1]}."]
    bench.advance(2 * SETTLE_SECONDS)
    assert ada.shown == bob.shown == []


# Options and metrics.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"room": "a room"}, "the name of a room has 1 to 20 letters, digits, - and _, which 'a room' has not"),
        ({"history": -1}, "it must be between 0 and 1000, not -1"),
        ({"history": 1001}, "it must be between 0 and 1000, not 1001"),
        ({"max_length": 0}, "it must be between 1 and 4000, not 0"),
        ({"rate": 0.0}, "it must be above 0, not 0"),
    ],
)
def test_invalid_options_are_refused(
    chat: Callable[..., PluginBench], options: dict[str, object], message: str
) -> None:
    with pytest.raises(ExceptionGroup) as raised:
        chat(**options)
    assert [str(each) for each in raised.value.exceptions] == [message]


def test_all_invalid_options_are_reported_together(chat: Callable[..., PluginBench]) -> None:
    options = {"room": "", "history": -1, "max_length": 0, "rate": 0.0}
    with pytest.raises(ExceptionGroup) as raised:
        chat(**options)
    assert [each.option for each in raised.value.exceptions if isinstance(each, SetupError)] == list(options)


def test_people_rooms_and_messages_are_counted(chat: Callable[..., PluginBench]) -> None:
    bench = chat()
    assert bench.stats() == {"users": 0, "rooms": 0, "messages": 0}
    ada, bob = two(bench)
    ada.types("hello")
    bob.types("/join garden")
    bob.types("/who")
    assert bench.stats() == {"users": 2, "rooms": 2, "messages": 1}
    bob.types("/leave")
    assert bench.stats() == {"users": 2, "rooms": 1, "messages": 1}
    bob.client.end()
    assert bench.stats() == {"users": 1, "rooms": 1, "messages": 1}
    assert "Messages so far: 1." in Terminal(bench.connect()).shown[0]


def test_a_client_that_another_plugin_refuses_is_in_no_list(plugin_bench: Callable[..., PluginBench]) -> None:
    class Refusal:
        @hookimpl(tryfirst=True)
        def connect(self, connection: Connection) -> None:
            connection.close()

    bench = plugin_bench(Chat, Refusal)
    client = bench.connect()
    assert client.closed is CloseReason.LOCAL
    assert bench.stats() == {"users": 0, "rooms": 0, "messages": 0}


# A real host.


def test_two_people_talk_over_tcp(live_host: Callable[..., LiveHost]) -> None:
    def until(client: socket.socket, text: str) -> None:
        received = b""
        while text.encode() not in received:
            more = client.recv(4096)
            assert more, received
            received += more

    host = live_host("--plugin", "chat", "--workers", "1")
    with host.connect() as ada, host.connect() as bob:
        for client, name in ((ada, "ada"), (bob, "bob")):
            client.sendall(f"/name {name}\r\n".encode())
            until(client, f"\n* You are {name} now.\n")
        ada.sendall("grüß dich\n".encode())
        until(bob, "ada: grüß dich\n")
