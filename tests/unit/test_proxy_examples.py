"""The configurations of HAProxy and nginx in docs/examples/deploy: their times and ports fit the host behind them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reactorhost.config.resolve import resolve
from reactorhost.config.settings import Settings
from reactorhost_asgi.settings import OPTIONS

DOCS = Path(__file__).parents[2] / "docs"
DEPLOY = DOCS / "examples" / "deploy"
CONFIGURATIONS = ["haproxy.cfg", "nginx.conf"]
_SECONDS = {"s": 1, "m": 60}
_MARGIN_SECONDS = 5


def text_of(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="utf-8")


def settings() -> Settings:
    return resolve({"config": str(DEPLOY / "behind-proxy.toml")}, {}, Path("/"), uid=10001)


def seconds(name: str, key: str) -> int:
    """Return the shortest time that a configuration has for a key."""
    found = re.findall(rf"\b{re.escape(key)} (\d+)([sm])\b", text_of(name))
    assert found, key
    return min(int(number) * _SECONDS[unit] for number, unit in found)


def default_of(name: str) -> float:
    (option,) = (option for option in OPTIONS if option.name == name)
    assert isinstance(option.default, float)
    return option.default


def test_haproxy_has_taken_out_a_host_when_its_listeners_close() -> None:
    fall = re.search(r"\bfall (\d+)", text_of("haproxy.cfg"))
    assert fall is not None
    assert settings().drain_delay >= seconds("haproxy.cfg", "inter") * int(fall[1]) + _MARGIN_SECONDS


@pytest.mark.parametrize(
    ("name", "key"),
    [("haproxy.cfg", "timeout client"), ("haproxy.cfg", "timeout server"), ("nginx.conf", "proxy_timeout")],
)
def test_the_host_and_not_the_proxy_disconnects_silent_clients(name: str, key: str) -> None:
    (chat,) = (service for service in settings().services if service.name == "chat")
    assert chat.idle_timeout is not None
    assert seconds(name, key) > chat.idle_timeout


def test_nginx_closes_an_idle_connection_before_the_application_does() -> None:
    assert seconds("nginx.conf", "keepalive_timeout") < default_of("keep_alive")


def test_nginx_does_not_end_websockets_between_two_pings() -> None:
    assert seconds("nginx.conf", "proxy_read_timeout") > default_of("ws_ping_interval") + default_of("ws_ping_timeout")


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_proxies_use_the_ports_of_the_host(name: str) -> None:
    used = {int(port) for port in re.findall(r"server .*\b10\.0\.0\.[56]:(\d+)", text_of(name))}
    assert used == {address.port for service in settings().services for address in service.listen}


def test_haproxy_checks_the_endpoint_of_the_host() -> None:
    admin = settings().admin
    assert admin is not None
    assert f"check port {admin.port} " in text_of("haproxy.cfg")
