"""What an operator may write, and what is reported."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reactorhost import SetupError
from reactorhost_proxy.names import NameTable
from reactorhost_proxy.pool import Pool
from reactorhost_proxy.server import Server
from reactorhost_proxy.settings import OPTIONS, ProxySettings, parse

TCP = "tcp://a:1"


def parsed(*services: str, **values: object) -> ProxySettings:
    return parse({option.name: option.default for option in OPTIONS} | values, services)


def refused(*services: str, **values: object) -> SetupError:
    (error,) = all_refused(*services, **values)
    return error


def all_refused(*services: str, **values: object) -> list[SetupError]:
    with pytest.raises(ExceptionGroup) as caught:
        parsed(*services, **values)
    return [each for each in caught.value.exceptions if isinstance(each, SetupError)]


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("tcp://10.0.0.5:80", Server("tcp://10.0.0.5:80")),
        ("tls://db.example:5432  weight=1000", Server("tls://db.example:5432", 1000)),
        ("tcp://[::1]:65535 backup drain", Server("tcp://[::1]:65535", is_backup=True, is_draining=True)),
        ("tcp://[fe80::1%eth0]:1", Server("tcp://[fe80::1%eth0]:1")),
        ("unix:///run/a.sock weight=2 max_connections=50", Server("unix:///run/a.sock", 2, 50)),
        ("unix://@name", Server("unix://@name")),
    ],
)
def test_a_server_is_an_address_and_words(text: str, server: Server) -> None:
    assert parsed(servers=[text, "tcp://other:1"]).pools["default"].servers[0] == server


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "'' is not the address of a server: write tcp://HOST:PORT or tls://HOST:PORT"),
        ("tcp://a:99999", "'tcp://a:99999' is not .* with a port from 1 to 65535, or unix:///PATH"),
        ("10.0.0.5:80", "'10.0.0.5:80' is not the address of a server"),
        ("tcp://a", "'tcp://a' is not"),
        ("tcp://a:0", "'tcp://a:0' is not"),
        ("tcp://a:65536", "'tcp://a:65536' is not"),
        ("tcp://*:1", "'tcp://.:1' is not"),
        ("tcp://::1:1", "'tcp://::1:1' is not"),
        ("udp://a:1", "'udp://a:1' is not"),
        ("unix://run", "'unix://run' is not"),
        ("unix:///run/", "'unix:///run/' is not"),
        (
            "tcp://a:1 weight=0",
            r"'weight=0' behind tcp://a:1 is not valid: write weight=N \(1 to 1000\), max_connections=N",
        ),
        ("tcp://a:1 weight=1001", "'weight=1001' behind"),
        ("unix:///" + "a" * 107, "unix:///" + "a" * 107 + " is longer than the 107 bytes of a unix socket's address"),
        ("tcp://a:1 x", ".* backup or drain$"),
        ("tcp://a:1 weight=2 backup weight=3", "weight is there twice behind tcp://a:1$"),
        ("tcp://a:1 max_connections=0", "'max_connections=0' behind"),
        ("tcp://a:1 drain", "every server is on drain, so none gets a client"),
        ("tcp://a:1 bakup", "'bakup' behind"),
    ],
)
def test_a_wrong_server_is_reported(text: str, what: str) -> None:
    error = refused(servers=[text])
    assert (error.option, bool(re.match(what, str(error)))) == ("servers", True), error


def test_the_values_of_a_pool_default_to_those_of_the_plugin() -> None:
    found = parsed(
        servers=[TCP], balance="hash", rise=5, pools={"api": {"servers": ["tcp://b:1"], "rise": 1, "slow_start": 3}}
    )
    api, default = found.pools["api"], found.pools["default"]
    assert (default.balance, default.rise, default.slow_start) == ("hash", 5, 0.0)
    assert (api.balance, api.rise, api.slow_start) == ("hash", 1, 3.0)
    assert [each.address for each in api.servers] == ["tcp://b:1"]


@pytest.mark.parametrize(
    ("values", "option", "what"),
    [
        ({"rise": 0}, "rise", "it is 0 and must be 1 or more"),
        ({"retries": -1}, "retries", "it is -1 and must be 0 or more"),
        ({"connect_timeout": 0.0}, "connect_timeout", "it is 0 and must be more than 0"),
        ({"hello_timeout": 0.0}, "hello_timeout", "it must be more than 0"),
        ({"servers": [TCP, f"{TCP} backup"]}, "servers", "tcp://a:1 is there twice"),
        ({"max_connections": -1}, "max_connections", "it is -1 and must be 0 or more"),
        ({"queue_timeout": -1.0}, "queue_timeout", "it is -1 and must be 0 or more"),
        ({"pools": {"web": {"servers": [f"{TCP} drain"]}}}, "pools", "servers of pool 'web': every server is on drain"),
        (
            {"pools": {"Web": {}}},
            "pools",
            "the name 'Web' of a pool must have up to 32 characters of a-z, 0-9 and _",
        ),
        ({"pools": {"web": 5}}, "pools", "pool 'web' must be a table"),
        ({"pools": {"web": {}}}, "pools", "pool 'web' has no servers"),
        ({"servers": [TCP], "pools": {"web": {"rise": 1}}}, "pools", "pool 'web' has no servers"),
        ({"pools": {"default": {"servers": [TCP]}}}, "pools", "the pool 'default' is that of [plugin.proxy] itself"),
        ({"pools": {"web": {"server": [TCP]}}}, "pools", "pool 'web' has no option 'server'"),
        ({"pools": {"web": {"servers": TCP}}}, "pools", "servers of pool 'web' is 'tcp://a:1', which is not a list of"),
        ({"pools": {"web": {"servers": ["x"]}}}, "pools", "servers of pool 'web': 'x' is not the address"),
        (
            {"pools": {"web": {"servers": [TCP], "fall": 0}}},
            "pools",
            "fall of pool 'web': it is 0 and must be 1 or more",
        ),
        ({"pools": {"web": {"servers": [TCP], "balance": "x"}}}, "pools", "balance of pool 'web' is 'x', which is not"),
        ({"routes": {"a": "b"}}, "routes", "the route of service 'a' leads to 'b', which is not a pool"),
        ({"routes": {"a": {"*": 5}}}, "routes", "the route of service 'a' leads to 5, which is not a pool"),
        ({"routes": {"a": {}}}, "routes", "the route of service 'a' must be the name of a pool or a table"),
        (
            {"servers": [TCP], "routes": {"a": {"*x": "default"}}},
            "routes",
            "the route of service 'a': '*x' is not a name",
        ),
        (
            {"servers": [TCP], "routes": {"a": {"x.org": "default", "X.org": "default"}}},
            "routes",
            "the route of service 'a' has 'X.org' twice",
        ),
    ],
)
def test_a_wrong_value_is_reported(values: dict[str, object], option: str, what: str) -> None:
    error = refused(**values)
    assert error.option == option
    assert what in str(error)


def test_everything_that_is_invalid_is_reported_at_once() -> None:
    pools = {"web": {"fall": 0, "balance": "x", "servers": ["x", "tcp://a"]}, "Big": {}, "api": {"servers": [TCP]}}
    errors = all_refused(rise=0, retries=-1, servers=[f"{TCP} x"], pools=pools, routes={"a": "b"}, hello_timeout=0.0)
    options = ["rise", "retries", "servers", *["pools"] * 5, "routes", "hello_timeout"]
    assert sorted(str(each.option) for each in errors) == sorted(options)


def test_a_service_has_its_route_or_the_pool_of_its_name_or_the_default_one() -> None:
    services = "other", "web", "third"
    found = parsed(*services, servers=[TCP], pools={"web": {"servers": [TCP]}}, routes={"other": "web"})
    assert found.routes == {"other": "web", "web": "web", "third": "default"}


def test_a_service_without_servers_is_reported() -> None:
    error = refused("web", "api", pools={"web": {"servers": [TCP]}})
    assert (error.option, str(error)) == ("servers", "service 'api' has no servers")


def test_a_route_of_a_service_that_does_not_use_the_plugin_is_reported() -> None:
    error = refused("web", servers=[TCP], routes={"web": "default", "wbe": "default"})
    assert (error.option, str(error), error.hint) == ("routes", "no service 'wbe' uses the plugin", "those are web")
    both = all_refused("web", servers=[TCP], routes={"wbe": "default"}, rise=0)
    assert [each.option for each in both] == ["rise", "routes"]


@pytest.mark.parametrize(
    ("name", "pool"),
    [
        ("api.example.com", "exact"),
        ("www.example.com", "star"),
        ("a.b.example.com", "star"),
        ("x.deep.example.com", "deep"),
        ("deep.example.com", "star"),
        ("example.com", "any"),
        ("example.org", "any"),
        (None, "any"),
    ],
)
def test_the_most_exact_name_leads(name: str | None, pool: str) -> None:
    names = {"API.example.com": "exact", "*.Example.com": "star", "*.deep.example.com": "deep", "*": "any"}
    assert NameTable(names).pool_of(name) == pool


@pytest.mark.parametrize("name", ["b.example", None])
def test_without_a_star_other_names_lead_nowhere(name: str | None) -> None:
    assert NameTable({"a.example": "a"}).pool_of(name) is None


@pytest.mark.parametrize("option", ["tls_ca", "tls_certificate"])
def test_a_file_that_cannot_be_used_is_reported(tmp_path: Path, option: str) -> None:
    path = tmp_path / "some.pem"
    for content in (None, "no certificate"):
        if content is not None:
            path.write_text(content)
        with pytest.raises(SetupError, match=r"some\.pem' of pool 'default' cannot be used: ") as caught:
            Pool(parsed(servers=["tls://a:1"], **{option: str(path)}).pools["default"])
        assert caught.value.option == option
