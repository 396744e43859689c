"""Addresses are read and written the same way."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies

from reactorhost.address import Address, Endpoint, parse, unix_endpoint
from reactorhost.errors import UsageError


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("tcp://127.0.0.1:9000", Address("tcp", "127.0.0.1", 9000)),
        ("127.0.0.1:9000", Address("tcp", "127.0.0.1", 9000)),
        ("tcp://[::1]:9000", Address("tcp", "::1", 9000)),
        ("tcp://localhost:0", Address("tcp", "localhost", 0)),
        ("tcp://*:80", Address("tcp", "", 80)),
        ("tcp://:80", Address("tcp", "", 80)),
        ("unix:///run/x.sock", Address("unix", path="/run/x.sock")),
        ("/run/x.sock", Address("unix", path="/run/x.sock")),
        ("unix://@chat", Address("unix", path="@chat")),
        ("@chat/admin/", Address("unix", path="@chat/admin/")),
        ("@" + "x" * 107, Address("unix", path="@" + "x" * 107)),
        ("fd://web.socket", Address("fd", path="web.socket")),
        ("fd://3", Address("fd", path="3")),
    ],
)
def test_every_form_of_an_address_is_read(uri: str, address: Address) -> None:
    assert parse(uri) == address
    assert parse(str(address)) == address


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("", "no port"),
        ("tcp://", "no port"),
        ("localhost", "no port"),
        ("tcp://localhost:", "no valid port"),
        ("tcp://localhost:http", "no valid port"),
        ("tcp://localhost:65536", "no valid port"),
        ("tcp://localhost:٣", "no valid port"),
        ("tcp://localhost:-1", "no valid port"),
        ("tcp://::1:9000", "in brackets"),
        ("tcp://[::1:9000", "no port"),
        ("tcp://a b:9000", "no valid host"),
        ("tcp://a/b:9000", "no valid host"),
        ("tpc://localhost:9000", "did you mean 'tcp'?"),
        ("http://localhost:9000", "unknown scheme"),
        ("unix://relative", "not an absolute path"),
        ("unix:///", "not an absolute path"),
        ("unix:///" + "x" * 107, "too long"),
        ("unix://@" + "x" * 108, "too long"),
        ("unix://@", "not an absolute path"),
        ("unix://a@b", "not an absolute path"),
        ("unix://@a\0b", "null byte"),
        ("fd://", "not the name of a socket"),
        ("fd://a:b", "not the name of a socket"),
        ("fd://" + "x" * 256, "not the name of a socket"),
    ],
)
def test_an_invalid_address_is_refused_with_the_right_form(uri: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(uri)
    assert words in "\n".join(caught.value.lines())
    assert caught.value.hint


@given(strategies.text(max_size=40))
def test_every_text_is_parsed_or_refused_with_a_usage_error(text: str) -> None:
    try:
        address = parse(text)
    except UsageError:
        return
    assert parse(str(address)) == address


@pytest.mark.parametrize(
    ("endpoint", "text"),
    [
        (Endpoint("127.0.0.1", 53422), "127.0.0.1:53422"),
        (Endpoint("::1", 5), "[::1]:5"),
        (Endpoint("fe80::1%eth0", 5), "[fe80::1%eth0]:5"),
        (Endpoint("unix", 0), "unix"),
        (Endpoint("unix:/tmp/client", 0), "unix:/tmp/client"),
    ],
)
def test_endpoints_as_text(endpoint: Endpoint, text: str) -> None:
    assert str(endpoint) == text


def test_a_path_that_cannot_be_a_file_name_is_refused() -> None:
    with pytest.raises(UsageError, match="is not a valid path"):
        parse("unix:///tmp/\ud800")


@pytest.mark.parametrize(("path", "name"), [("/run/x.sock", "/run/x.sock"), ("@chat", "\0chat"), ("@@a", "\0@a")])
def test_a_unix_address_as_the_socket_module_has_it(path: str, name: str) -> None:
    assert Address("unix", path=path).unix_name == name


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "unix"),
        ("/run/x.sock", "unix:/run/x.sock"),
        ("\0chat", "unix:@chat"),
        (b"\0chat".ljust(108, b"\0"), "unix:@chat"),
        (b"\0c\xff", "unix:@c\\xff"),
    ],
)
def test_the_end_of_a_unix_connection_as_text(name: str | bytes, text: str) -> None:
    assert str(unix_endpoint(name)) == text
