"""The image and the manifest of docs/examples/deploy: their numbers, ports and paths fit the host and each other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from unittest.mock import Mock

import click
import pytest
import yaml

from reactorhost.cli.app import reactorhost
from reactorhost.config.cpus import available_cpus
from reactorhost.config.default_paths import default_run_dir
from reactorhost.config.resolve import resolve
from reactorhost.config.settings import Settings
from reactorhost.master.admin.probes import Probes

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "docs" / "examples" / "deploy"
# A master with the endpoint and the metrics, as `status` shows it; the limit is of everything in the container.
_MASTER_BYTES = 100 << 20
_MARGIN_SECONDS = 5


def instructions() -> Iterator[tuple[str, str]]:
    """Yield name and argument of every instruction of the Dockerfile."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, argument = line.partition(" ")
            yield name, argument.strip()


def instruction(name: str) -> str:
    """Return the argument of the last instruction of this name, which is the one that counts."""
    return [argument for each, argument in instructions() if each == name][-1]


def settings() -> Settings:
    """Return the settings of a container, on a machine with many processors."""
    return resolve({"config": str(DEPLOY / "host.toml")}, {}, Path("/"), uid=10001)


def manifest(kind: str) -> dict[str, Any]:
    text = (DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8")
    (found,) = (each for each in yaml.safe_load_all(text) if each["kind"] == kind)
    return found  # type: ignore[no-any-return]  # YAML


def pod() -> dict[str, Any]:
    return manifest("Deployment")["spec"]["template"]["spec"]  # type: ignore[no-any-return]  # YAML


def container() -> dict[str, Any]:
    (found,) = pod()["containers"]
    return found  # type: ignore[no-any-return]  # YAML


def quantity(text: str) -> float:
    """Return a quantity of Kubernetes as a number of bytes, or of processors."""
    found = re.fullmatch(r"(\d+)(m|Mi|Gi|)", text)
    assert found is not None, text
    return int(found[1]) * {"m": 0.001, "Mi": 1 << 20, "Gi": 1 << 30, "": 1}[found[2]]


def workers(folder: Path) -> int:
    """Return the number of workers that `auto` means with the limit of the manifest, on a machine of 64 processors."""
    processors = quantity(container()["resources"]["limits"]["cpu"])
    # As the kubelet sets it, in a period of 100 ms.
    (folder / "cpu.max").write_text(f"{int(processors * 100_000)} 100000\n")
    (folder / "cgroup").write_text("0::/\n")
    return available_cpus(64, folder / "cgroup", folder)


# The time of a stop.


def test_a_stop_ends_before_the_kubelet_sends_kill() -> None:
    used = settings()
    assert used.drain_delay > 0
    longest = used.drain_delay + used.stop_seconds
    assert pod()["terminationGracePeriodSeconds"] >= longest + _MARGIN_SECONDS


def test_a_pod_that_leaves_gets_no_clients_when_its_listeners_close() -> None:
    probe = container()["readinessProbe"]
    noticed = probe["periodSeconds"] * probe["failureThreshold"] + probe["timeoutSeconds"]
    assert settings().drain_delay >= noticed + _MARGIN_SECONDS


def test_a_master_that_is_busy_for_a_moment_is_not_restarted() -> None:
    probe = container()["livenessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 30


# Ports and paths.


def test_every_probe_requests_a_path_of_the_endpoint() -> None:
    ports = {port["name"]: port["containerPort"] for port in container()["ports"]}
    admin = settings().admin
    assert admin is not None
    routes = Probes(Mock(), Mock()).routes()
    for name in ("readinessProbe", "livenessProbe"):
        request = container()[name]["httpGet"]
        assert request["path"] in routes, name
        assert ports[request["port"]] == admin.port, name
    assert container()["readinessProbe"]["httpGet"]["path"] == "/readyz"
    annotations = manifest("Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert int(annotations["prometheus.io/port"]) == admin.port


def test_the_addresses_of_the_host_are_those_of_image_and_manifest() -> None:
    ports = {address.port for address in settings().addresses()}
    # The kubelet and the clients come from other machines.
    assert all(address.host == "" for address in settings().addresses())
    assert {port["containerPort"] for port in container()["ports"]} == ports
    assert set(map(int, instruction("EXPOSE").split())) == ports


def test_clients_reach_the_services_and_not_the_endpoint() -> None:
    (port,) = manifest("Service")["spec"]["ports"]
    assert port["targetPort"] == "clients"
    labels = manifest("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert manifest("Service")["spec"]["selector"] == labels
    assert manifest("Deployment")["spec"]["selector"]["matchLabels"] == labels


def test_all_that_a_host_writes_is_on_a_volume() -> None:
    assert container()["securityContext"]["readOnlyRootFilesystem"]
    volumes = {volume["name"] for volume in pod()["volumes"]}
    mounts = [PurePosixPath(mount["mountPath"]) for mount in container()["volumeMounts"] if mount["name"] in volumes]
    used = settings()
    # In a container no variable of a login is set.
    assert used.run_dir == default_run_dir("default", {}, 10001)
    assert used.log_file is None
    for path in (used.run_dir, used.pid_file):
        assert any(path.is_relative_to(mount) for mount in mounts), path


def test_the_user_is_the_one_of_the_image() -> None:
    context = pod()["securityContext"]
    assert instruction("USER") == f"{context['runAsUser']}:{context['runAsGroup']}"
    assert context["runAsUser"] != 0


# Processors and memory.


def test_the_number_of_workers_follows_the_limit_of_processors(tmp_path: Path) -> None:
    assert workers(tmp_path) == 2


def test_workers_are_replaced_before_the_memory_limit_ends_the_container(tmp_path: Path) -> None:
    used = settings()
    assert used.max_rss is not None
    # One more, because the replacement of a worker runs beside it.
    most = _MASTER_BYTES + (workers(tmp_path) + 1) * used.max_rss
    assert most <= quantity(container()["resources"]["limits"]["memory"])


# The image.


def test_the_image_copies_what_the_checkout_has() -> None:
    copies = [argument.split() for name, argument in instructions() if name == "COPY" and "--from" not in argument]
    assert len(copies) >= 3
    for *sources, _ in copies:
        for source in sources:
            assert (ROOT / source).exists(), source


def test_the_image_uses_the_settings_that_it_copies() -> None:
    (config,) = re.findall(r"REACTORHOST_CONFIG=(\S+)", instruction("ENV"))
    copied = [argument.split() for name, argument in instructions() if name == "COPY"]
    assert ["docs/examples/deploy/host.toml", config] in copied


@pytest.mark.parametrize("name", ["CMD", "HEALTHCHECK"])
def test_the_image_calls_commands_that_exist(name: str) -> None:
    # In the exec form: a shell would be process 1, and would not pass on signals.
    words = json.loads(re.sub(r"^.*CMD ", "", instruction(name)))
    if name == "CMD":
        words = [*json.loads(instruction("ENTRYPOINT")), *words]
    program, command, *arguments = words
    assert program == "reactorhost"
    found = reactorhost.get_command(click.Context(reactorhost), command)
    assert found is not None
    found.make_context(command, arguments).close()


def test_the_interpreter_of_the_image_is_a_supported_one() -> None:
    version = re.fullmatch(r"python:(\d+\.\d+)-slim", instruction("FROM"))
    assert version is not None
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'"Programming Language :: Python :: {version[1]}"' in text
