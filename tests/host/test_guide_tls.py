"""The guide's page on TLS: its example on a real host, its recipe for a certificate, and curl as the client."""

from __future__ import annotations

import re
import select
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from reactorhost.testing import DEADLINE_SECONDS, LiveHost

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "guide" / "tls.md").read_text(encoding="utf-8")
EXAMPLE = DOCS / "examples" / "tls_whoami.py"

pytestmark = [
    pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not installed") for tool in ("openssl", "curl")
]


def test_the_example_is_the_one_in_the_guide() -> None:
    assert re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE) == [EXAMPLE.read_text()]


def make_certificate(folder: Path) -> None:
    recipe = re.search(r"^openssl req .*?\\\n.*?$", PAGE, re.MULTILINE)
    assert recipe is not None
    subprocess.run(recipe[0], shell=True, cwd=folder, capture_output=True, check=True, timeout=DEADLINE_SECONDS)


def test_the_command_behind_the_recipe_talks_to_the_echo(live_host: Callable[..., LiveHost], tmp_path: Path) -> None:
    make_certificate(tmp_path)
    host = live_host(
        *("--plugin", "echo", "--workers", "1", "--listen", "tls://127.0.0.1:0"),
        *("--certificate", str(tmp_path / "server.pem"), "--key", str(tmp_path / "server.key")),
    )
    _, recipe = PAGE.split("## A certificate for testing")[1].split("```")[:2]
    command = shlex.split(recipe.splitlines()[-1].replace(":9443", f":{host.address()[1]}"))
    with subprocess.Popen(
        command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        try:
            client.stdin.write(b"hello\n")
            client.stdin.flush()
            assert select.select([client.stdout], [], [], DEADLINE_SECONDS)[0]
            assert client.stdout.readline() == b"hello\n"
        finally:
            client.kill()


def test_curl_accepts_the_certificate_of_the_recipe(live_host: Callable[..., LiveHost], tmp_path: Path) -> None:
    make_certificate(tmp_path)
    host = live_host(
        *("--plugin", str(EXAMPLE), "--workers", "1", "--listen", "tls://127.0.0.1:0", "--alpn", "http/1.1"),
        *("--certificate", str(tmp_path / "server.pem"), "--key", str(tmp_path / "server.key")),
        *("--client-ca", str(tmp_path / "server.pem"), "--client-certificates", "optional"),
    )
    url = f"https://localhost:{host.address()[1]}/"
    mine = ["--cert", str(tmp_path / "server.pem"), "--key", str(tmp_path / "server.key")]
    for version, extra, ends in [("1.3", [], "no certificate"), ("1.2", mine, "localhost 127.0.0.1")]:
        curl = subprocess.run(
            ["curl", "-sS", "--cacert", str(tmp_path / "server.pem"), "--tls-max", version, *extra, url],
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE_SECONDS,
        )
        assert curl.returncode == 0, curl.stderr
        assert re.fullmatch(rf"TLSv{version} \S+ alpn=http/1.1 name=localhost {ends}\n", curl.stdout)
