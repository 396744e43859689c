"""The services of a host: those of the file, or one from flags or environment, complete and on separate addresses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from reactorhost.address import parse as parse_address
from reactorhost.config.layers import SettingValue
from reactorhost.config.problems import Problems
from reactorhost.config.services import Draft, complete, from_file, merge
from reactorhost.config.settings import OVERRIDES, Layer, Origin
from reactorhost.config.toml_file import parse
from reactorhost.config.values import NETWORK, PROXY_NETWORK, InvalidValueError
from reactorhost.errors import Problem

FILE = Path("/etc/host.toml")
PLUGIN_FLAG = Origin(Layer.FLAG, "--plugin")
LISTEN_FLAG = Origin(Layer.FLAG, "--listen")
PLUGINS = SettingValue(("echo",), PLUGIN_FLAG)
HOST = {each.name: SettingValue(each.default, Origin(Layer.DEFAULT)) for each in OVERRIDES}
LISTEN = SettingValue((parse_address("tcp://0.0.0.0:7000"),), LISTEN_FLAG)


def service(name: str, listen: str | None, plugins: Sequence[str] | None = ("echo",)) -> Draft:
    origin = Origin(Layer.FILE, f"{FILE}:{name}")
    addresses = None if listen is None else SettingValue(tuple(map(parse_address, listen.split())), origin)
    chain = None if plugins is None else SettingValue(tuple(plugins), origin)
    return Draft(name, origin, given(addresses, chain))


def given(listen: SettingValue | None, plugins: SettingValue | None) -> dict[str, SettingValue]:
    return {key: values for key, values in (("listen", listen), ("plugins", plugins)) if values is not None}


def problems_of(*drafts: Draft) -> list[Problem]:
    problems = Problems()
    complete(list(drafts), HOST, problems)
    return problems.found


def read(text: str) -> tuple[list[Draft], list[Problem]]:
    problems = Problems()
    return from_file(parse(text, FILE), problems), problems.found


def test_listen_and_plugins_can_be_a_text_or_a_list() -> None:
    drafts, problems = read(
        "[service.a]\nlisten = 'tcp://*:1'\nplugins = 'echo'\n"
        "[service.b]\nlisten = ['tcp://*:2', 'unix:///s']\nplugins = ['x', 'y']\n"
    )
    a, b = complete(drafts, HOST, Problems())
    assert not problems
    assert (a.name, a.plugins, [str(each) for each in a.listen]) == ("a", ("echo",), ["tcp://*:1"])
    assert (b.name, b.plugins, [str(each) for each in b.listen]) == ("b", ("x", "y"), ["tcp://*:2", "unix:///s"])


def test_a_plugin_file_is_relative_to_the_folder_of_the_toml_file() -> None:
    drafts, _ = read("[service.a]\nlisten = 'tcp://*:1'\nplugins = ['./my.py', '/abs/x.py', 'mod:obj']\n")
    (a,) = complete(drafts, HOST, Problems())
    assert a.plugins == ("/etc/my.py", "/abs/x.py", "mod:obj")


def test_every_invalid_element_is_reported_with_the_line_of_its_key() -> None:
    _, problems = read("[service.a]\nlisten = ['tpc://x:1', 'tcp://x', 5]\n\nplugins = [3, '']\n")
    assert [problem.where for problem in problems] == ["/etc/host.toml:2"] * 3 + ["/etc/host.toml:4"] * 2
    assert problems[0].what.startswith("service 'a': listen 'tpc://x:1' has an unknown scheme")
    assert problems[0].hint == "did you mean 'tcp'?"


@pytest.mark.parametrize("key", ["listen", "plugins"])
def test_an_empty_list_is_reported_once(key: str) -> None:
    drafts, problems = read(f"[service.a]\nlisten = 'tcp://*:1'\nplugins = 'x'\n[service.b]\n{key} = []\n")
    assert [problem.what for problem in problems] == [f"service 'b': {key} must name at least one"]
    assert not any(key in problem.what for problem in problems_of(*drafts))


def test_an_unknown_key_of_a_service_is_reported() -> None:
    _, problems = read("[service.a]\nlisten = 'tcp://*:1'\nplugin = 'x'\nbacklog = 3\n")
    assert [(problem.what, problem.where, problem.hint) for problem in problems] == [
        ("unknown key 'plugin' in [service.a]", "/etc/host.toml:3", "did you mean 'plugins'?"),
        ("unknown key 'backlog' in [service.a]", "/etc/host.toml:4", "move backlog to [host]"),
    ]


def test_a_service_has_a_number_of_workers_of_its_own() -> None:
    drafts, problems = read(
        "[service.a]\nlisten = 'tcp://*:1'\nplugins = 'x'\nworkers = 3\n"
        "[service.b]\nlisten = 'tcp://*:2'\nplugins = 'x'\n"
        "[service.c]\nlisten = 'tcp://*:3'\nplugins = 'x'\nworkers = 0\n"
    )
    assert [each.workers for each in complete(drafts, HOST, Problems())] == [3, None, None]
    assert [(problem.what, problem.where) for problem in problems] == [
        ("service 'c': workers must be a whole number from 1 to 2147483647, not 0", "/etc/host.toml:11"),
    ]
    flag = SettingValue(2, Origin(Layer.FLAG, "--service-workers"))
    merged = merge(drafts[:1], {"service_workers": flag}, Problems())
    assert [each.workers for each in complete(merged, HOST, Problems())] == [2]
    refused = Problems()
    merge(drafts, {"service_workers": flag}, refused)
    assert refused.found[0].hint == "write workers under [service.NAME] in the file"


def test_a_service_with_an_invalid_name_is_reported() -> None:
    _, problems = read("\n[service.'a/b']\nlisten = 'tcp://*:1'\nplugins = 'x'\n")
    assert [problem.where for problem in problems] == ["/etc/host.toml:2"]
    assert "'a/b'" in problems[0].what


@pytest.mark.parametrize(
    ("text", "what", "line"),
    [
        ("service = 3", "service must be a table of tables, not 3", 1),
        ("[[service]]\nlisten = 'x'", "service must be a table of tables, not a list", 1),
        ("[service]\n\nlisten = 'tcp://*:1'", "service.listen must be a table, not 'tcp://*:1'", 3),
    ],
)
def test_services_that_are_not_tables_are_reported(text: str, what: str, line: int) -> None:
    drafts, (problem,) = read(text)
    assert drafts == []
    assert (problem.what, problem.where) == (what, f"/etc/host.toml:{line}")
    assert problem.hint == "write it under a header [service.NAME]"


def test_flags_for_both_replace_every_service() -> None:
    (draft,) = merge([service("a", "tcp://*:1"), service("b", "tcp://*:2")], given(LISTEN, PLUGINS), Problems())
    assert draft == Draft("default", PLUGIN_FLAG, given(LISTEN, PLUGINS))


def test_without_flags_the_services_of_the_file_are_used() -> None:
    drafts = [service("a", "tcp://*:1"), service("b", "tcp://*:2")]
    assert merge(drafts, given(None, None), Problems()) == drafts


def test_a_plugin_flag_alone_changes_the_only_service() -> None:
    (draft,) = merge([service("a", "tcp://*:1", None)], given(None, PLUGINS), Problems())
    assert draft.name == "a"
    assert draft.plugins == PLUGINS.value
    assert str(draft.listen[0]) == "tcp://*:1"


def test_an_address_flag_alone_changes_the_only_service() -> None:
    (draft,) = merge([service("a", None, ["x"])], given(LISTEN, None), Problems())
    assert (draft.name, draft.listen) == ("a", LISTEN.value)
    assert draft.plugins == ("x",)


@pytest.mark.parametrize(
    ("plugins", "listen", "flag", "other"),
    [(PLUGINS, None, "--plugin", "--listen"), (None, LISTEN, "--listen", "--plugin")],
    ids=["plugin", "listen"],
)
def test_a_flag_alone_is_a_problem_with_several_services(
    plugins: SettingValue | None, listen: SettingValue | None, flag: str, other: str
) -> None:
    problems = Problems()
    drafts = [service("a", "tcp://*:1"), service("b", "tcp://*:2")]
    assert merge(drafts, given(listen, plugins), problems) == drafts
    (problem,) = problems.found
    assert problem.what == f"{flag} does not say which service it is for; the file has 2: a, b"
    assert problem.where == flag
    assert other in str(problem.hint)


def test_a_plugin_flag_without_a_file_serves_the_default_address() -> None:
    (draft,) = merge([], given(None, PLUGINS), Problems())
    (ready,) = complete([draft], HOST, Problems())
    assert (ready.name, ready.plugins, str(*ready.listen)) == ("default", ("echo",), "tcp://127.0.0.1:9000")


def test_an_incomplete_service_is_reported_with_its_line() -> None:
    problems = problems_of(service("a", None, None))
    assert [problem.what for problem in problems] == ["service 'a' has no address", "service 'a' has no plugins"]
    assert {problem.where for problem in problems} == {"/etc/host.toml:a"}


def test_a_plugin_named_twice_in_one_service_is_reported_once() -> None:
    (problem,) = problems_of(service("a", "tcp://*:1", ["x", "y", "x", "x"]), service("b", "tcp://*:2", ["x"]))
    assert problem.what == "service 'a' names the plugin 'x' twice"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tcp://127.0.0.1:9000", "tcp://127.0.0.1:9000"),
        ("tcp://*:9000", "tcp://0.0.0.0:9000"),
        ("tcp://[::]:9000", "tcp://*:9000"),
        ("tcp://[::1]:9000", "tcp://[0:0:0:0:0:0:0:1]:9000"),
        ("tcp://localhost:9000", "tcp://LOCALHOST:9000"),
        ("unix:///run/a.sock", "unix:///run/a.sock"),
        ("unix://@a", "unix://@a"),
    ],
)
def test_two_services_on_one_address_are_reported(one: str, other: str) -> None:
    (problem,) = problems_of(service("a", one), service("b", other))
    assert problem.what.startswith("service 'b' listens on ")
    assert problem.what.endswith("which service 'a' already uses")
    assert problem.where == "/etc/host.toml:b"
    assert "/etc/host.toml:a" in str(problem.hint)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tcp://127.0.0.1:0", "tcp://127.0.0.1:0"),
        ("tcp://127.0.0.1:1", "tcp://127.0.0.1:2"),
        ("tcp://127.0.0.1:1", "tcp://127.0.0.2:1"),
        ("tcp://0.0.0.0:1", "tcp://[::]:1"),
        ("unix:///a", "unix:///b"),
        ("unix:///a", "unix://@/a"),
        ("tcp://[not-v6:x]:1", "tcp://[::1]:1"),
    ],
)
def test_different_addresses_are_accepted(one: str, other: str) -> None:
    assert problems_of(service("a", one), service("b", other)) == []


def test_an_address_named_twice_in_one_service_is_reported_once() -> None:
    (problem,) = problems_of(service("a", "tcp://*:1 tcp://*:1"))
    assert problem.what == "service 'a' names the address tcp://*:1 twice"


@pytest.mark.parametrize(
    ("listen", "problem"),
    [
        ("tcp://*:1", "no unix address"),
        ("unix://@a", "only abstract unix addresses, which have no file"),
        (["unix://@a", "unix:///a"], None),
    ],
)
def test_the_rights_of_a_file_need_a_file(listen: object, problem: str | None) -> None:
    drafts, _ = read(f"[service.a]\nplugins = 'x'\nunix_mode = '0600'\nlisten = {listen!r}\n")
    expected = [] if problem is None else [f"service 'a' has unix_mode but {problem}"]
    assert [each.what for each in problems_of(*drafts)] == expected


@pytest.mark.parametrize(
    ("setting", "listen", "problem"),
    [
        ("deny = '10.0.0.1'", "unix:///a", "only unix addresses, whose clients have no IP address"),
        ("allow = '10.0.0.1'", "unix:///a", "only unix addresses, whose clients have no IP address"),
        ("allow = '10.0.0.1'\nproxy_from = 'unix'", "unix:///a", None),
        ("allow = '10.0.0.1'", "udp://*:1", None),
        ("max_connections_per_address = 3", ["unix:///a", "udp://*:1"], "no TCP address"),
        ("max_connections_per_address = 3\nproxy_from = 'unix'", "unix:///a", None),
        ("max_connections_per_address = 3", ["fd://a", "udp://*:1"], None),
        ("accept_rate = 3", "udp://*:1", "only UDP addresses, which have no connections"),
        ("accept_rate = 3", ["udp://*:1", "unix:///a"], None),
    ],
)
def test_limits_for_clients_need_clients_that_they_concern(setting: str, listen: object, problem: str | None) -> None:
    drafts, _ = read(f"[service.a]\nplugins = 'x'\n{setting}\nlisten = {listen!r}\n")
    expected = [] if problem is None else [f"service 'a' has {setting.split(maxsplit=1)[0]} but {problem}"]
    assert [each.what for each in problems_of(*drafts)] == expected


def test_proxy_headers_over_unix_sockets_need_a_unix_address() -> None:
    text = "[service.a]\nplugins = 'x'\nproxy_from = 'unix'\nlisten = '{}'\n"
    drafts, _ = read(text.format("tcp://*:1"))
    (problem,) = problems_of(*drafts)
    assert problem.what == "service 'a' accepts PROXY headers over unix sockets only, but has no unix address"
    drafts, _ = read(text.format("unix:///s"))
    assert problems_of(*drafts) == []


@pytest.mark.parametrize(
    ("network", "hint"),
    [("nonsense", "write 10.0.0.7, 10.0.0.0/8,"), ("10.0.0.1/8", "for the network write 10.0.0.0/8")],
)
def test_a_network_that_is_invalid_is_reported_once_with_a_hint(network: str, hint: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        NETWORK.read(network)
    assert str(caught.value) == f"must be an IP address or a network, not '{network}'"
    assert str(caught.value.hint).startswith(hint)


def test_only_proxies_may_be_the_clients_of_a_unix_socket() -> None:
    assert PROXY_NETWORK.read("unix") == "unix"
    with pytest.raises(InvalidValueError) as caught:
        NETWORK.read("unix")
    assert caught.value.hint == "write 10.0.0.7, 10.0.0.0/8, ::1"


STARTTLS = "[service.a]\nplugins = 'x'\nstarttls = true\nlisten = {}\n"
CERTIFICATE = "certificate = 'c'\nkey = 'k'\n"


def test_the_tcp_addresses_of_a_service_with_starttls_begin_in_plain_text() -> None:
    drafts, problems = read(STARTTLS.format("['tcp://*:1', 'tls://*:2', 'unix:///s']") + CERTIFICATE)
    (a,) = complete(drafts, HOST, Problems())
    assert not problems
    assert [a.speaks_tls(each) for each in a.listen] == [False, True, False]
    drafts, _ = read(STARTTLS.replace("true", "false").format("'tcp://*:1'") + CERTIFICATE)
    (a,) = complete(drafts, HOST, Problems())
    assert a.speaks_tls(a.listen[0])


@pytest.mark.parametrize(
    ("listen", "certificate", "what"),
    [
        ("tcp://*:1", "", "has starttls but no certificate"),
        ("tls://*:1", CERTIFICATE, "has starttls but no tcp:// or unix:// address, whose clients could begin plain"),
        ("tcp://*:1", CERTIFICATE, None),
        ("unix:///s", CERTIFICATE, None),
    ],
)
def test_starttls_needs_a_certificate_and_an_address_that_begins_in_plain_text(
    listen: str, certificate: str, what: str | None
) -> None:
    drafts, _ = read(STARTTLS.format(repr(listen)) + certificate)
    assert [problem.what for problem in problems_of(*drafts)] == ([f"service 'a' {what}"] if what else [])


def test_a_certificate_for_a_unix_address_only_has_a_hint_about_starttls() -> None:
    drafts, _ = read(STARTTLS.replace("true", "false").format("'unix:///s'") + CERTIFICATE)
    (problem,) = problems_of(*drafts)
    assert (problem.what, problem.hint) == (
        "service 'a' has a certificate but no TCP address",
        "set starttls if a plugin begins TLS on the unix address",
    )
