"""Other installations of the host: environments with a copy of it, of another version, and with what it depends on."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import reactorhost
from reactorhost.testing import DEADLINE_SECONDS, LiveHost

_FOREVER = "import threading; threading.Event().wait()"


class Installation:
    """An environment with a host of this version; `interpreter` is its Python, `package` the folder of the host."""

    def __init__(self, directory: Path, version: str, python: str = sys.executable) -> None:
        self.version = version
        self.interpreter = directory / "bin" / "python"
        self.package = directory / "own" / "reactorhost"
        subprocess.run([python, "-m", "venv", "--without-pip", directory], check=True, timeout=DEADLINE_SECONDS)
        # With what is compiled, but without files that another process is writing.
        ignored = shutil.ignore_patterns("*.pyc.*")
        shutil.copytree(Path(reactorhost.__file__).parent, self.package, ignore=ignored)
        self.replace("__init__.py", f'__version__ = "{reactorhost.__version__}"', f'__version__ = "{version}"')
        facts = directory / "own" / f"reactorhost-{version}.dist-info"
        facts.mkdir()
        text = metadata.distribution("reactorhost").read_text("METADATA") or ""
        before = f"\nVersion: {reactorhost.__version__}\n"
        assert before in text
        (facts / "METADATA").write_text(text.replace(before, f"\nVersion: {version}\n", 1))
        (packages,) = directory.glob("lib/python*/site-packages")
        # First its own folder, then what is installed beside this interpreter, editable plugins included.
        lines = [str(self.package.parent)]
        lines += [f"import site; site.addsitedir({folder!r})" for folder in site.getsitepackages()]
        (packages / "host.pth").write_text("".join(f"{line}\n" for line in lines))

    def replace(self, file: str, before: str, after: str) -> None:
        """Replace a text that occurs once in a file of the package."""
        path = self.package / file
        text = path.read_text()
        assert text.count(before) == 1, f"{before!r} in {path}"
        path.write_text(text.replace(before, after))

    def begin_with(self, file: str, code: str) -> None:
        """Run code when a module of the package is imported."""
        self.replace(file, "from __future__ import annotations\n", f"from __future__ import annotations\n{code}\n")

    def hang_in(self, file: str) -> None:
        """Let the import of a module of the package never return."""
        self.begin_with(file, _FOREVER)

    def upgrade(self, host: LiveHost, *flags: str) -> subprocess.CompletedProcess[str]:
        """Run the command `upgrade` of this installation."""
        command = [str(self.interpreter), "-m", "reactorhost", "upgrade", "--run-dir", str(host.run_dir), *flags]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=3 * DEADLINE_SECONDS, check=False, env=dict(os.environ)
        )
