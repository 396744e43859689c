"""The scripts of docs/examples/deploy, as an operator runs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from clients import answers
from daemons import without_progress
from installations import Installation
from pki import Pki
from programs import needs
from reactorhost import __version__
from reactorhost.testing import DEADLINE_SECONDS, LiveHost

Hosts = Callable[..., LiveHost]

DEPLOY = Path(__file__).parents[2] / "docs" / "examples" / "deploy"


def run(script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script, with the command `reactorhost` of this environment first on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [DEPLOY / script, *arguments],
        env={**os.environ, "PATH": path, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=3 * DEADLINE_SECONDS,
    )


# renew-certificate.sh


@needs("openssl")
def test_a_renewed_certificate_is_served_and_one_that_is_not_is_an_error(live_host: Hosts, tmp_path: Path) -> None:
    live, other = tmp_path / "live", tmp_path / "other"
    live.mkdir()
    other.mkdir()
    pki = Pki(tmp_path)

    def renew() -> bytes:
        certificate, key = pki.issue("renewed", "localhost")
        certificate.rename(live / "fullchain.pem")
        key.rename(live / "privkey.pem")
        return (live / "fullchain.pem").read_bytes()

    old = renew()
    files = ("--certificate", str(live / "fullchain.pem"), "--key", str(live / "privkey.pem"))
    host = live_host("--plugin", "echo", "--listen", "tls://127.0.0.1:0", *files, "--workers", "1")
    variables = {"REACTORHOST_RUN_DIR": str(host.run_dir), "ADDRESS": f"localhost:{host.address()[1]}"}
    with pki.connect(host) as client:
        renew()
        renewed = run("renew-certificate.sh", RENEWED_LINEAGE=str(live), **variables)
        assert (renewed.returncode, renewed.stdout, without_progress(renewed.stderr)) == (0, "", "")
        # Its worker serves the old one on, to this client only.
        assert answers(client)
    (other / "fullchain.pem").write_bytes(old)
    refused = run("renew-certificate.sh", RENEWED_LINEAGE=str(other), **variables)
    assert refused.returncode == 1
    expected = rf"localhost:\d+ does not serve {other}/fullchain.pem, but sha256 Fingerprint=[0-9A-F:]{{95}}\n"
    assert re.fullmatch(expected, refused.stderr)


# deploy.sh and verify.py

RELEASE = """
from reactorhost import Lines, hookimpl

class Chat:
    @hookimpl
    def framing(self):
        return Lines()

    @hookimpl
    def receive(self, connection, data):
        connection.send_message({answer})
"""


@pytest.fixture
def release(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that makes an environment with a host and a plugin, as pip would do in a virtual one."""

    def make(name: str, answer: str) -> Path:
        folder = tmp_path / "releases" / name
        installed = Installation(folder, __version__)
        (installed.package.parent / "chat_of_test.py").write_text(RELEASE.format(answer=answer))
        command = folder / "bin" / "reactorhost"
        command.write_text(f'#!/bin/sh\nexec {installed.interpreter} -P -m reactorhost "$@"\n')
        command.chmod(0o755)
        return folder

    return make


def test_a_release_that_serves_stays_and_any_other_one_is_left_again(
    live_host: Hosts, release: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first release is the environment of the tests, with the plugin in the directory of the start.
    (tmp_path / "chat_of_test.py").write_text(RELEASE.format(answer="data"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    current = tmp_path / "current"
    current.symlink_to(sys.prefix)
    config = tmp_path / "host.toml"
    config.write_text('[service.chat]\nplugins = "chat_of_test:Chat"\nlisten = "tcp://127.0.0.1:0"\n')
    host = live_host("--config", str(config), "--workers", "1")
    verify = (DEPLOY / "verify.py").read_text()
    assert '("127.0.0.1", 9000)' in verify
    (tmp_path / "verify.py").write_text(verify.replace("9000", str(host.address()[1])))

    def deploy(path: Path) -> subprocess.CompletedProcess[str]:
        return run("deploy.sh", str(path), REACTORHOST_RUN_DIR=str(host.run_dir))

    with host.connect() as client:
        assert answers(client, b"hello\n")
        good = release("good", "data")
        deployed = deploy(good)
        assert deployed.returncode == 0, deployed.stderr
        assert current.resolve() == good
        assert host.status()["generation"] == 2

        wrong = release("wrong", "data[::-1]")
        deployed = deploy(wrong)
        assert deployed.returncode == 1
        answered = f"('127.0.0.1', {host.address()[1]}) answered b'yfirev\\n'\n"
        assert answered in deployed.stderr
        assert f"deploy: {wrong} does not serve as it should, so {good} continues\n" in deployed.stderr
        assert current.resolve() == good
        # There and back.
        assert host.status()["generation"] == 4
        with host.connect() as other:
            assert answers(other, b"hello\n")

        deployed = deploy(release("broken", "1 +"))
        assert deployed.returncode == 4
        assert "SyntaxError" in deployed.stderr
        assert current.resolve() == good
        assert host.status()["generation"] == 4
        assert answers(client, b"hello\n")
