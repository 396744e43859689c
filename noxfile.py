"""Sessions for development; plain `nox` runs those that every change must pass."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nox
from nox.command import CommandFailed
from python_discovery import get_interpreter

# The first release that finds interpreters with python_discovery, which this file uses too.
nox.needs_version = ">=2026.8.10"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
# uv must not try to download interpreters either.
os.environ["UV_PYTHON_DOWNLOADS"] = "never"
# As pip does: otherwise every process that a test starts compiles all that it imports.
os.environ["UV_COMPILE_BYTECODE"] = "1"
# Quick sessions first; tests last, so that their summary ends the output.
nox.options.sessions = ["lint", "static", "tests"]

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
PLUGINS = tuple(f"./{path.parent.relative_to(ROOT)}" for path in sorted(ROOT.glob("plugins/*/pyproject.toml")))

# What needs one interpreter: examples that other programs run, or are, and the programs of the benchmarks.
TESTED_ONCE = (
    "tests/host/test_bench_suite.py",
    "tests/host/test_behind_proxies.py",
    "tests/host/test_benchmark_servers.py",
    "tests/host/test_how_to_scripts.py",
    "tests/host/test_migrations.py",
    "tests/host/test_reload_load.py",
    "tests/unit/benchmarks",
    "tests/unit/site",
)
# Where CI is set, this many failed tests of an interpreter run again, alone, to tell what is broken from what is flaky.
RUN_AGAIN_AT_MOST = 2
SUPPORTED = ("3.11", "3.12", "3.13")
NEWER = ("3.14", "3.15")


def enable_pyenv_versions() -> None:
    """Enable every version that pyenv has: its shim `python3.12` works only for enabled versions.

    Versions enabled before stay first. PYENV_VERSION may be set by pyenv's own shim for nox rather than by a user.
    """
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    if shutil.which("pyenv"):
        chosen = os.environ.get("PYENV_VERSION", "").split(":")
        names = [path.name for path in versions.glob("3.*") if re.fullmatch(r"3\.\d+\.\d+", path.name)]
        os.environ["PYENV_VERSION"] = ":".join(filter(None, dict.fromkeys([*chosen, *names, "system"])))


enable_pyenv_versions()
PYTHONS = [version for version in (*SUPPORTED, *NEWER) if get_interpreter(version)]


def group(*names: str) -> tuple[str, ...]:
    """Return the requirements of dependency groups."""
    return nox.project.dependency_groups(PROJECT, *names)


def install(session: nox.Session, *groups: str) -> None:
    """Install host and plugins, not editable, and dependency groups."""
    # One build environment for all of them.
    session.install(*PROJECT["build-system"]["requires"])
    session.install("--no-build-isolation", ".", *PLUGINS, *group(*groups))
    # From here on the checkout is not importable: the tests see only what was installed.
    session.env["PYTHONSAFEPATH"] = "1"


def rewrite_assertions(session: nox.Session, ignored: list[str]) -> None:
    """Cache the test files as pytest rewrites them, or each process of pytest-xdist would do it for all of them."""
    collect = shlex.join(["pytest", "--collect-only", "-qq", *ignored])
    # A file that fails here fails in the run itself, with its traceback.
    halves = f"{collect} tests/unit & {collect} tests/[!u]* plugins/*/tests; wait"
    # pytest reads the cache even where the environment forbids to write it.
    session.run("sh", "-c", halves, env={"PYTHONDONTWRITEBYTECODE": ""}, external=True, silent=True)


def tested_elsewhere() -> list[str]:
    """Return the options of pytest that leave out what the first interpreter runs for all."""
    # pytest accepts a path that does not exist: that of a file that was renamed must fail here.
    return [f"--ignore={(ROOT / path).resolve(strict=True)}" for path in TESTED_ONCE]


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests of host and plugins against the installed packages."""
    missing = [version for version in SUPPORTED if version not in PYTHONS]
    if missing:
        session.log(f"not on this machine, so not tested: Python {', '.join(missing)}")
    install(session, "test")
    first = session.python == PYTHONS[0]
    ignored = [] if first else tested_elsewhere()
    if first:
        session.install(*group("migrate"))
    if not session.posargs:
        rewrite_assertions(session, ignored)
    # The full number of hypothesis's examples once; on the other interpreters the same code has to run at all.
    environment = {"CHAOS_SECONDS": "30", "EXAMPLES": "100"} if first else {"CHAOS_SECONDS": "15", "EXAMPLES": "25"}
    # Tests mostly wait for processes, so more of them than processors run at once.
    command = ("pytest", *ignored, *session.posargs)
    try:
        session.run(*command, "--numprocesses=4", "--cache-clear", env=environment)
    except CommandFailed:
        failed = failed_tests()
        if not (os.environ.get("CI") and 1 <= len(failed) <= RUN_AGAIN_AT_MOST):
            raise
        session.warn(f"failed beside other tests, run again alone: {', '.join(failed)}")
        session.run(*command, "--last-failed", "--last-failed-no-failures=none", env=environment)


def failed_tests() -> list[str]:
    """Return the node ids of what failed in pytest's last run."""
    try:
        return sorted(json.loads((ROOT / ".pytest_cache" / "v" / "cache" / "lastfailed").read_text()))
    except FileNotFoundError:
        return []


@nox.session
def soak(session: nox.Session) -> None:
    """Run the tests under load for minutes: hundreds of reloads and kills, a gigabyte, 5,000 idle clients."""
    install(session, "test")
    files = [
        f"tests/host/test_{name}.py" for name in ("zero_loss", "crashes", "connections", "asgi", "foreign_protocols")
    ]
    files += [f"plugins/reactorhost-redis/tests/test_{name}.py" for name in ("outages", "namespaces")]
    files += ["tests/cpython"]
    session.run("pytest", *files, "--soak", "--timeout", "1800", *session.posargs)


@nox.session
def chaos(session: nox.Session) -> None:
    """Carry out random actions on a host under load; `-- --minutes 60`, `--seed`, `--actions`, `--replay JOURNAL`."""
    install(session, "test")
    folders = [str(ROOT / "tests" / name) for name in ("chaos", "host/support")]
    session.env["PYTHONPATH"] = os.pathsep.join(folders)
    session.run("python", "tests/chaos/chaos.py", *session.posargs)


@nox.session(python=PYTHONS[0])
def fuzz(session: nox.Session) -> None:
    """Fuzz what clients send, with hypothesis and then atheris; `-- --examples 5000`, `--seconds 600`, `--target`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--examples", default="5000", help="of each property; 0: none")
    options, of_atheris = parser.parse_known_args(session.posargs)
    install(session, "test")
    if options.examples != "0":
        paths = sorted([*ROOT.glob("tests/**/test_*.py"), *ROOT.glob("plugins/*/tests/**/test_*.py")])
        files = [str(path) for path in paths if "@given" in path.read_text()]
        arguments = ("--hypothesis-profile=fuzz", "-m", "hypothesis", "--timeout=3600", "--numprocesses=auto")
        session.run("pytest", *files, *arguments, env={"FUZZ_EXAMPLES": options.examples})
    # It has wheels for Linux and some versions of Python.
    session.install("atheris>=3", silent=True)
    folders = [str(ROOT / "tests" / name) for name in ("fuzz", "host/support")]
    session.run("python", "tests/fuzz/fuzz.py", *of_atheris, env={"PYTHONPATH": os.pathsep.join(folders)})


@nox.session
def mqtt(session: nox.Session) -> None:
    """Serve an MQTT broker from PyPI, which pins versions that the other tests need newer."""
    install(session, "test")
    session.install("amqtt")
    session.run("pytest", "tests/host/test_foreign_protocols.py", "-k", "amqtt", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Measure the coverage of the tests, in every process that they start."""
    install(session, "test", "coverage")
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", "--numprocesses=4", *session.posargs)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session
def lint(session: nox.Session) -> None:
    """Check format, style and the direction of imports."""
    session.install(*group("lint"))
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    sources = os.pathsep.join(str(ROOT / folder) for folder in (".", *PLUGINS))
    session.run("lint-imports", "--no-logo", env={"PYTHONPATH": sources})


@nox.session(python=False)
def static(session: nox.Session) -> None:
    """Run `types`, `docs` and `tutorial` beside `wheels`: each of them uses one processor, or waits."""
    run = (sys.executable, "-m", "nox", "--noxfile", __file__, "--sessions")
    # A file, because a pipe that is not read while `wheels` runs would fill.
    with tempfile.TemporaryFile() as output:
        beside = subprocess.Popen([*run, "types", "docs", "tutorial"], stdout=output, stderr=subprocess.STDOUT)
        try:
            session.run(*run, "wheels", external=True)
        finally:
            status = beside.wait()
            output.seek(0)
            shutil.copyfileobj(output, sys.stdout.buffer)
            sys.stdout.flush()
    if status:
        session.error("types, docs or tutorial failed")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of everything."""
    install(session, "types")
    session.run("mypy")


@nox.session(python=PYTHONS[0])
def docs(session: nox.Session) -> None:
    """Build the documentation site into .docs/, and check what its pages refer to."""
    session.install(".", *group("docs"))
    site = ROOT / ".docs"
    # A page that was removed must not stay.
    shutil.rmtree(site, ignore_errors=True)
    session.run("python", "tests/site/check_plain_markdown.py")
    options = ("--builder=html", "--jobs=auto", "--fail-on-warning", "--keep-going", "--quiet")
    session.run("sphinx-build", *options, "docs", str(site))
    session.run("python", "tests/site/check_site.py", str(site))
    browser = ROOT / "plugins" / "reactorhost-websocket" / "tests" / "support"
    session.run("python", "tests/site/check_in_browser.py", str(site), env={"PYTHONPATH": str(browser)})


@nox.session(python=PYTHONS[0])
def wheels(session: nox.Session) -> None:
    """Build all distributions and use them as a new user would, with the newest and the oldest dependencies."""
    session.install(*group("wheels"))
    # Outside the tree, so that nothing of the checkout is imported by accident.
    with tempfile.TemporaryDirectory(prefix="reactorhost-wheels-") as folder:
        dist = Path(folder) / "dist"
        for source in (".", *PLUGINS):
            session.run("python", "-m", "build", "--no-isolation", "--outdir", str(dist), source, silent=True)
        session.run("python", "tests/wheels/check_archives.py", str(dist))
        session.run("twine", "check", "--strict", *map(str, dist.iterdir()), silent=True)
        built = sorted(dist.glob("*.whl"))
        checks = ["check_installed", "check_new"]
        use_wheels(session, Path(folder) / "newest", dist, everything(built, Path(folder)), checks)
        oldest = Path(folder) / "oldest.txt"
        oldest.write_text("".join(f"{pin}\n" for pin in oldest_dependencies()))
        requirements = ["--constraint", str(oldest), *map(str, built)]
        use_wheels(session, Path(folder) / "oldest", dist, requirements, ["check_installed"])


@nox.session(python=PYTHONS[0])
def tutorial(session: nox.Session) -> None:
    """Type what quickstart and tutorial say into two terminals."""
    session.install(*group("wheels"))
    with tempfile.TemporaryDirectory(prefix="reactorhost-archive-") as folder:
        session.run("python", "-m", "build", "--no-isolation", "--sdist", "--outdir", folder, ".", silent=True)
        [archive] = Path(folder).glob("reactorhost-*.tar.gz")
        session.run("python", "tests/wheels/check_tutorial.py", str(archive))


def everything(built: list[Path], folder: Path) -> list[str]:
    """Return the arguments of pip that install `reactorhost[all]` from wheels."""
    # As constraints, so that a plugin is installed only if the extra names it, and never from the package index, where
    # its name could be another project's.
    local = folder / "local.txt"
    names = {wheel: wheel.name.partition("-")[0].replace("_", "-") for wheel in built}
    local.write_text("".join(f"{name} @ {wheel.as_uri()}\n" for wheel, name in names.items()))
    host = next(wheel for wheel, name in names.items() if name == "reactorhost")
    return ["--constraint", str(local), f"reactorhost[all] @ {host.as_uri()}"]


def use_wheels(session: nox.Session, venv: Path, dist: Path, requirements: list[str], checks: list[str]) -> None:
    """Install the built wheels into a new environment and run checks there."""
    session.run("python", "-m", "venv", str(venv))
    python = str(venv / "bin" / "python")
    session.run(python, "-m", "pip", "install", "--quiet", *requirements, external=True)
    with session.chdir(venv):
        for check in checks:
            session.run(python, "-P", str(ROOT / "tests" / "wheels" / f"{check}.py"), str(dist), external=True)


def oldest_dependencies() -> list[str]:
    """Return each dependency pinned to the lowest version that the project and its plugins allow."""
    lowest = re.compile(r"(?!reactorhost)([A-Za-z0-9._-]+)\s*>=\s*([0-9.]+)")
    projects = [PROJECT, *(nox.project.load_toml(ROOT / plugin / "pyproject.toml") for plugin in PLUGINS)]
    lines = [line for project in projects for line in project["project"].get("dependencies", ())]
    return ["{}=={}".format(*found.groups()) for line in lines if (found := lowest.match(line))]


@nox.session
def bench(session: nox.Session) -> None:
    """Measure beside asyncio, uvloop, Twisted, gevent, threads, gunicorn, C; `-- --all`: the parts, TLS, `top` too."""
    install(session, "test")
    install_peers(session)
    results = ROOT / ".bench"
    results.mkdir(exist_ok=True)
    words = [word for word in session.posargs if word != "--all"]
    command = " ".join(["nox -s bench", *(["--", *words] if words else [])])
    # The programs import modules of their own folder, which PYTHONSAFEPATH would forbid.
    session.env["PYTHONSAFEPATH"] = ""
    suite = ["tests/benchmarks/suite.py", "--json", str(results / "suite.json"), "--command", command, *words]
    # After Ctrl-C the suite needs time to end its servers.
    session.run("python", *suite, interrupt_timeout=30.0, terminate_timeout=30.0)
    if "--all" in session.posargs:
        parts = (
            "turn_cost",
            "toolkit_cost",
            "tls_cost",
            "file_cost",
            "bus_cost",
            "web_cost",
            "proxy_cost",
            "guard_cost",
            "reload_table",
            "top_cost",
        )
        for name in parts:
            session.run("python", f"tests/benchmarks/{name}.py", "--json", str(results / f"{name}.json"))


def install_peers(session: nox.Session) -> None:
    """Install the servers to compare with, as far as possible; the suite reports what is missing."""
    for requirement in group("bench"):
        session.install(requirement, success_codes=[0, 1, 2], silent=True)


@nox.session
def benchpage(session: nox.Session) -> None:
    """Generate docs/benchmarks.md from the stored runs; `-- --add .bench/suite.json` stores a run first."""
    session.run("python", "tests/benchmarks/page.py", *session.posargs)


@nox.session(python=PYTHONS[0])
def manpage(session: nox.Session) -> None:
    """Generate man/reactorhost.1, which the wheel installs, and docs/reference/commands.md from the help."""
    session.install(".")
    page = session.run("reactorhost", "help", "--man", silent=True)
    (ROOT / "man" / "reactorhost.1").write_text(str(page), encoding="utf-8")
    session.run("python", "docs/_ext/commands_page.py")


@nox.session
def screenshots(session: nox.Session) -> None:
    """Make the pictures in docs/images from real hosts: `top` under load, and the chat page in Chromium."""
    install(session, "test")
    # The programs import modules of their own folder, which PYTHONSAFEPATH would forbid.
    session.env["PYTHONSAFEPATH"] = ""
    images = str(ROOT / "docs" / "images")
    session.run("python", "tests/benchmarks/top_pictures.py", images, *session.posargs)
    session.run("python", "plugins/reactorhost-websocket/tests/support/chat_picture.py", images)
