"""The banner of a host."""

from __future__ import annotations

import os

import pytest

from documents import document, scaling
from reactorhost.dashboard.output.banner import banner


@pytest.fixture(autouse=True)
def is_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default run directory depends on the user."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def test_the_banner_shows_host_addresses_plugins_workers_and_the_stop_command() -> None:
    assert banner(document(daemon=False, workers_ready=7)) == (
        "reactorhost 0.1.0 · default · pid 4242\n"
        "  listening  tcp://0.0.0.0:9000  accesslog 0.2.1 > echo 0.1.0\n"
        "  workers    7 of 8 ready\n"
        "  stop       Ctrl-C, or: reactorhost stop"
    )


def test_the_banner_shows_the_range_of_workers() -> None:
    shown = banner(document(2, scaling=scaling()))
    assert "\n  workers    2 of 2 ready, 2 to 16 as the load requires\n" in shown


def test_the_banner_warns_of_a_service_that_discards_what_clients_send() -> None:
    shown = document()
    shown["services"][0]["receives"] = False
    warning = "\n  warning    no plugin of service 'default' has the hook receive: the data of clients is discarded\n"
    assert warning in banner(shown)
    shown["services"][0]["receives"] = None
    assert "warning" not in banner(shown)


def test_the_banner_names_a_service_that_a_plugin_limits_to_fewer_workers() -> None:
    shown = document()
    service, wanted = shown["services"][0], shown["workers_wanted"]
    service["workers"] = 1
    assert "limited" not in banner(shown), "the operator has limited it"
    service["limited_by"] = "chat"
    sentence = f"service 'default' is served by 1 of {wanted} workers: plugin chat allows no more"
    assert f"\n  limited    {sentence}\n" in banner(shown)
    service["workers"] = wanted
    assert "limited" not in banner(shown)


def test_the_stop_command_may_be_one_of_a_service_manager() -> None:
    assert banner(document(daemon=False), "systemctl stop chat").endswith("\n  stop       systemctl stop chat")


def test_the_stop_command_selects_the_instance() -> None:
    named = banner(document(name="chat", run_dir="/run/reactorhost/chat", daemon=True))
    assert named.endswith("  stop       reactorhost stop --name chat")
    elsewhere = banner(document(run_dir="/srv/here", daemon=True, log_file="/srv/here/log"))
    assert elsewhere.endswith("  log        /srv/here/log\n  stop       reactorhost stop --run-dir /srv/here")
