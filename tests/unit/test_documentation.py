"""README and docs/ match the code: every public name is described, every example runs, every link resolves."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import tomllib
import types
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest

import commands_page
import reactorhost
from reactorhost import CloseReason, Connection, Worker, errors, framing
from reactorhost.api import hookspecs
from reactorhost.api.connection_protocols import Transport
from reactorhost.api.hookspecs import PROJECT
from reactorhost.api.option import OPTION_TYPES, Option
from reactorhost.cli.command_table import COMMANDS
from reactorhost.cli.commands.top import top
from reactorhost.config.settings import OVERRIDES, TABLE, Setting
from reactorhost.dashboard.tables import columns
from reactorhost.ipc import status
from reactorhost.ipc.host_row import HostRow
from reactorhost.master.admin.commands import AdminCommands
from reactorhost.master.admin.fixed_settings import FIXED_SETTINGS
from reactorhost.master.plan.slot import Slot, SlotState
from reactorhost.master.plan.worker_table import WorkerState
from reactorhost.plugins.contract import HOOKS
from reactorhost.plugins.loading import load_object
from reactorhost.testing import BenchBus, BenchClient, BenchMember, LiveHost, PluginBench
from reactorhost.tls import errors as tls_errors
from reactorhost.worker.stream.closing import CloseState
from websocket_frames import TEXT, frame, request

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
PAGES = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "plugins").glob("*/README.md")),
)
SOURCES = Path(reactorhost.__file__).parent

# Code may contain what looks like a link or a heading.
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_IMAGE = re.compile(r"""(?:!\[[^\]]*\]\(|(?<= src=")|(?<= srcset="))([^)\s"]+)""")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_PIP_INSTALL = re.compile(r"pip install (.*?)(?:`|#|&&|--group|$)", re.MULTILINE)
_LEVELS = ("debug", "info", "warning", "error", "critical")


def page(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def headings(name: str) -> list[str]:
    return _HEADING.findall(re.sub(r"```.*?```", "", page(name), flags=re.DOTALL))


def rows(name: str) -> dict[str, str]:
    """Return the rows of a page's tables by the names in the first cell, each a code span."""
    found: dict[str, str] = {}
    for line in page(name).splitlines():
        if line.startswith("| `"):
            first = line.split("|")[1]
            found |= dict.fromkeys(re.findall(r"`([^`]+)`", first), line)
    return found


def section(name: str, heading: str) -> str:
    """Return the text under a heading, up to the next one."""
    return page(name).partition(f"# {heading}\n")[2].partition("\n#")[0]


# Links and examples.


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_resolves(path: Path) -> None:
    text = _CODE.sub("", path.read_text(encoding="utf-8"))
    for link in _LINK.findall(text):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), f"{link} does not exist"
        if anchor:
            assert anchor in anchors(target), f"{link} has no such heading"


def anchors(path: Path) -> set[str]:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(text)}


def test_every_image_is_shown_by_a_page_and_every_shown_image_exists() -> None:
    shown = {
        (path.parent / image).resolve()
        for path in PAGES
        for image in _IMAGE.findall(_CODE.sub("", path.read_text(encoding="utf-8")))
    }
    assert shown == set((ROOT / "docs" / "images").iterdir())


# What `pip install` is proposed for.


def declared_dependencies() -> set[str]:
    """Return the names of all distributions that this project depends on, for its tests and tools too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lists = [
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
    ]
    return {re.split(r"[^\w.-]", each)[0] for each in itertools.chain(*lists) if isinstance(each, str)}


def proposed(text: str) -> list[str]:
    """Return what each `pip install` in a text is to install, without options and paths."""
    # The distributions of this project are not on the package index, where any user could register their names.
    words = [word.strip("'\"") for found in _PIP_INSTALL.findall(text) for word in found.split()]
    named = [word for word in words if not word.startswith(("-", ".")) and "/" not in word]
    return [word for word in named if word not in declared_dependencies() | {"pip"}]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_propose_to_install_only_paths_and_known_dependencies(path: Path) -> None:
    assert proposed(path.read_text(encoding="utf-8")) == []


def test_hints_propose_to_install_only_known_dependencies() -> None:
    for path in sorted(SOURCES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Constant(str(text)):
                    assert proposed(text) == [], path
                case ast.JoinedStr(parts):
                    # A name that is inserted is not a known one.
                    text = "".join(str(part.value) if isinstance(part, ast.Constant) else "NAME" for part in parts)
                    assert proposed(text) == [], path


def test_an_unknown_distribution_is_found() -> None:
    assert proposed("`pip install -q . ./plugins/x -e plugins/x nox uvloop`, `pip install reactorhost-x`") == [
        "reactorhost-x"
    ]


# The site.


def toctree(path: Path) -> list[Path]:
    """Return the pages in the tables of contents of a page."""
    entries = "".join(
        re.findall(r"^```{toctree}\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    )
    names = re.findall(r"^(?!:)(?:.*<)?([^\s<>]+)>?$", entries, re.MULTILINE)
    return [(path.parent / f"{name}.md").resolve() for name in names]


def contents() -> Mapping[Path, list[Path]]:
    """Return the table of contents of each page, from the first page on."""
    found: dict[Path, list[Path]] = {}
    waiting = [ROOT / "docs" / "index.md"]
    while waiting:
        path = waiting.pop()
        found[path] = toctree(path)
        waiting += found[path]
    return found


CONTENTS = contents()
INCLUDING = [path for path in CONTENTS if "```{include}" in path.read_text(encoding="utf-8")]


def test_every_page_is_in_the_table_of_contents_once() -> None:
    pages = Counter(itertools.chain(*CONTENTS.values()))
    assert set(pages) == set((ROOT / "docs").rglob("*.md")) - {ROOT / "docs" / "index.md"}
    assert set(pages.values()) == {1}


@pytest.mark.parametrize(
    "path",
    # The first page has the most important ones; what a page includes is not its own.
    [path for path, pages in CONTENTS.items() if pages and path not in (ROOT / "docs" / "index.md", *INCLUDING)],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_every_page_of_a_subject_is_linked_from_the_page_of_the_subject(path: Path) -> None:
    links = _LINK.findall(path.read_text(encoding="utf-8"))
    assert {(path.parent / link).resolve() for link in links} >= set(CONTENTS[path])


def test_every_plugin_has_a_page_that_shows_its_readme() -> None:
    shown = {
        path.name: re.findall(r"```{include} (\S+)", path.read_text(encoding="utf-8"))
        for path in (ROOT / "docs" / "plugins").glob("*.md")
        if path.name != "index.md"
    }
    names = [path.name.partition("-")[2] for path in (ROOT / "plugins").iterdir() if path.is_dir()]
    assert shown == {f"{name}.md": [f"../../plugins/reactorhost-{name}/README.md"] for name in names}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_prompt_is_one_that_the_copy_button_removes(path: Path) -> None:
    blocks = re.findall(r"^```console\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    # A prompt of root looks like a comment, so it would be removed from scripts too.
    assert not [block for block in blocks if block.startswith(("# ", "> ", "% "))]


def test_the_terms_of_the_glossary_are_in_order() -> None:
    terms = _HEADING.findall((ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"))[1:]
    assert terms == sorted(terms, key=str.lower)


def test_the_page_of_the_commands_is_the_present_one() -> None:
    assert commands_page.PAGE.read_text(encoding="utf-8") == commands_page.commands_page(), "make it by: nox -s manpage"


@pytest.mark.parametrize(
    "name",
    [
        *(name for name in reactorhost.__all__ if name not in framing.__all__),
        *("framing", "testing", "api.hookspecs"),
    ],
)
def test_every_public_name_is_in_the_python_api(name: str) -> None:
    assert re.search(rf"^\.\. [\w:]+:: (?:reactorhost\.)?{re.escape(name)}\b", page("api.md"), re.MULTILINE)


class Example(NamedTuple):
    path: Path
    line: int
    code: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"


def examples() -> Iterator[Example]:
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        for match in re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            yield Example(path, text.count("\n", 0, match.start()) + 2, match[1])


EXAMPLES = list(examples())


def module_of(example: Example) -> types.ModuleType:
    # Padded, so that a traceback has the line number of the page.
    code = compile("\n" * (example.line - 1) + example.code, str(example.path), "exec")
    module = types.ModuleType("example")
    exec(code, vars(module))
    return module


def plugins_in(module: types.ModuleType) -> list[object]:
    """Return the plugins of a module: the module itself, and its classes."""

    def marked(holder: object) -> bool:
        return any(hasattr(value, f"{PROJECT}_impl") for value in vars(holder).values())

    classes = [value for value in vars(module).values() if isinstance(value, type) and value.__module__ == "example"]
    return [*filter(marked, (module,)), *filter(marked, classes)]


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_every_python_example_runs_and_every_plugin_in_one_keeps_to_the_contract(example: Example) -> None:
    module = module_of(example)
    plugins = plugins_in(module)
    for plugin in plugins:
        load_object(plugin, "example")
    assert plugins or "hookimpl" not in example.code


@pytest.mark.parametrize(
    "example", [each for each in EXAMPLES if re.search(r"def test_\w+\(plugin_bench\)", each.code)], ids=str
)
def test_every_test_on_the_bench_in_an_example_passes(example: Example, request: pytest.FixtureRequest) -> None:
    for name, test in inspect.getmembers(module_of(example), inspect.isfunction):
        if name.startswith("test_"):
            test(**{fixture: request.getfixturevalue(fixture) for fixture in inspect.signature(test).parameters})


@pytest.mark.parametrize(
    "example",
    # The others have a test of their own, and may refuse this client.
    [each for each in EXAMPLES if "hookimpl" in each.code and "(plugin_bench)" not in each.code],
    ids=str,
)
def test_every_plugin_in_an_example_serves_a_client(
    example: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Some open a database in the working directory.
    monkeypatch.chdir(tmp_path)
    beside, opening, message = [], b"", b"hello"
    if "from reactorhost_websocket import" in example.code:
        beside, opening, message = ["websocket"], request("/rooms/blue"), frame(TEXT, b"hello")
    for plugin in plugins_in(module_of(example)):
        with PluginBench(*beside, plugin) as bench:
            bench.connect(opening=opening).send(message)
            bench.advance(1.0)


# README.md


def test_every_command_that_the_readme_names_exists() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^(?:\$ )?(?:\.venv/bin/)?reactorhost ([a-z][\w-]*)", text, re.MULTILINE))
    assert {"start", "reload"} <= named <= set(COMMANDS)


# tls.md and outbound.md


@pytest.mark.parametrize("reason", sorted(set(tls_errors._REASONS.values())))
def test_every_reason_of_a_failure_of_tls_is_described(reason: str) -> None:
    pages = (ROOT / "docs" / "guide" / f"{name}.md" for name in ("tls", "outbound"))
    assert reason in " ".join(" ".join(path.read_text(encoding="utf-8") for path in pages).split())


# udp.md


def test_every_member_of_a_datagrams_connection_is_described() -> None:
    text = (ROOT / "docs" / "guide" / "udp.md").read_text(encoding="utf-8")
    table = "".join(line for line in text.splitlines() if line.startswith("| `"))
    for name in members(Connection):
        # A word, so that `await drained()` and `when_drained(…)` are two.
        assert re.search(rf"\b{name}\b", table), name


# design.md


def test_every_package_is_listed_in_the_design() -> None:
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8").partition("\n## Packages\n")[2]
    listed = re.findall(r"^\| `([a-z.]+)` \|", text.partition("\n## ")[0], re.MULTILINE)
    folders = {path.parent.relative_to(SOURCES) for path in SOURCES.rglob("__init__.py")} - {Path()}
    assert sorted(listed) == sorted(".".join(folder.parts) for folder in folders)


# plugins.md


@pytest.mark.parametrize("name", reactorhost.__all__)
def test_every_public_name_is_listed_before_the_hooks(name: str) -> None:
    assert f"`{name}`" in page("plugins.md").partition("\n```python")[0]


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_heading_with_its_exact_signature(hook: str) -> None:
    arguments = ", ".join(inspect.signature(getattr(hookspecs, hook)).parameters)
    assert f"`{hook}({arguments})`" in headings("plugins.md")


def members(kind: type) -> list[str]:
    """Return the public names of a class: methods, properties, and the attributes that its docstring lists."""
    described = re.findall(r"^ +(\w+): ", (kind.__doc__ or "").partition("Attributes:")[2], re.MULTILINE)
    return [*described, *(name for name in vars(kind) if not name.startswith("_") and name not in described)]


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind in (Connection, Worker) for name in members(kind)],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_every_member_of_connection_and_worker_is_described(kind: type, name: str) -> None:
    member = inspect.getattr_static(kind, name, None)
    if isinstance(member, types.MemberDescriptorType):
        # `Connection.send` is the transport's own method, kept in a slot.
        member = vars(Transport).get(name)
    part = page("plugins.md").partition(f"\n## {kind.__name__}\n")[2].partition("\n## ")[0]
    if inspect.isfunction(member):
        assert f"\n### `{name}({written_arguments(member)})`\n" in part
    else:
        assert f"| `{name}` |" in part


def written_arguments(function: types.FunctionType) -> str:
    parameters = list(inspect.signature(function).parameters.values())[1:]
    return ", ".join("*args" if each.kind is each.VAR_POSITIONAL else each.name for each in parameters)


@pytest.mark.parametrize("kind", [PluginBench, BenchBus, BenchMember, BenchClient, LiveHost])
def test_every_member_of_the_test_fixtures_is_described(kind: type) -> None:
    # The fixtures start and end them, so these methods are not documented.
    part = page("plugins.md").partition("\n## Testing\n")[2]
    for name in members(kind):
        if name not in ("start", "begin", "end", "answer_close") or (kind in (BenchBus, BenchClient) and name == "end"):
            assert re.search(rf"`{name}[(`]", part), name


@pytest.mark.parametrize("reason", CloseReason)
def test_every_close_reason_is_described(reason: CloseReason) -> None:
    assert f"| `CloseReason.{reason.name}` | `{reason}` |" in page("plugins.md")


def test_the_declaration_of_an_option_is_described() -> None:
    assert set(inspect.signature(Option).parameters) <= rows("plugins.md").keys()
    for kind in OPTION_TYPES:
        assert f"`{kind.__name__}`" in section("plugins.md", "Option")


def refusals() -> Iterator[str]:
    """Yield the fixed parts of the messages with which the code rejects a plugin."""
    for path in sorted((SOURCES / "plugins").glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and called(node) in ("PluginError", "loading", "_Rule"):
                place = 0 if called(node) == "PluginError" else 1
                yield from fixed_words(node.args[place])
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "what" and path.name != "options.py":
                yield from fixed_words(node.value)


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)


def fixed_words(node: ast.expr) -> Iterator[str]:
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    for part in parts:
        if isinstance(part, ast.Constant) and len(str(part.value).strip(" :'")) > 3:
            yield str(part.value).strip(" :'")


@pytest.mark.parametrize("words", sorted(set(refusals())))
def test_every_refusal_of_a_plugin_is_quoted(words: str) -> None:
    assert words in page("plugins.md")


# settings.md


@pytest.mark.parametrize("setting", TABLE, ids=lambda setting: setting.name)
def test_every_setting_is_described_with_flags_and_default(setting: Setting) -> None:
    cells = [cell.strip() for cell in rows("settings.md")[setting.name].split(" | ")]
    flags = [*setting.flags, *([setting.off_flag] if setting.off_flag else [])]
    assert cells[1:3] == [", ".join(f"`{flag}`" for flag in flags), f"`{setting.shown_default}`"]
    assert setting.variable == f"REACTORHOST_{setting.name.upper()}"


def test_every_described_setting_exists() -> None:
    described = {name for name, line in rows("settings.md").items() if line.split("|")[2].startswith(" `--")}
    assert described == {setting.name for setting in TABLE}


@pytest.mark.parametrize("setting", [each for each in TABLE if each.kind.choices], ids=lambda setting: setting.name)
def test_every_choice_of_a_setting_is_described(setting: Setting) -> None:
    for choice in setting.kind.choices:
        assert f"`{choice}`" in rows("settings.md")[setting.name]


@pytest.mark.parametrize("setting", OVERRIDES, ids=lambda setting: setting.name)
def test_every_setting_that_a_service_can_override_is_named(setting: Setting) -> None:
    assert f"`{setting.name}`" in section("settings.md", "Services")


def test_every_setting_that_needs_a_restart_is_named() -> None:
    text = section("settings.md", "Changing settings of a running host")
    kept = re.search(r"use `restart`\.([^.]*)keep the values of the start", text)
    assert kept is not None
    assert set(re.findall(r"`(\w+)`", kept[1])) == set(FIXED_SETTINGS)


# top.md


@pytest.mark.parametrize("column", columns.ALL, ids=lambda column: column.name)
def test_every_column_of_top_is_described(column: columns.Column) -> None:
    names, headings = (re.findall(r"[^`, ]+", cell) for cell in rows("top.md")[column.name].split("|")[1:3])
    assert dict(zip(names, headings, strict=True))[column.name] == column.heading


@pytest.mark.parametrize(
    "option",
    [each for each in top.params if each.name not in ("traceback", "quiet", "verbose")],
    ids=lambda each: each.name,
)
def test_every_option_of_top_is_described(option: click.Parameter) -> None:
    assert any(re.search(rf"`{name}[ `]", page("top.md")) for name in option.opts)


# status.md


@pytest.mark.parametrize("heading", ["A slot", "A worker"])
def test_the_states_of_slots_and_workers_are_those_described(heading: str) -> None:
    slot_states = {Slot(0, state=state).status for state in SlotState}
    states = slot_states if heading == "A slot" else {state.value for state in WorkerState}
    [row] = [line for line in section("status.md", heading).splitlines() if line.startswith("| `state` ")]
    # Each state precedes its description; other names in that cell are of settings.
    assert set(re.findall(r"(?:\| |; )`(\w+)`", row)) - {"state"} == states


SHAPES: Mapping[str, Any] = {
    "The host": status.StatusDocument,
    "A service": status.ServiceStatus,
    "Totals": status.Totals,
    "Limits for clients": status.LimitTotals,
    "A slot": status.SlotStatus,
    "A worker": status.WorkerStatus,
    "A boot": status.BootStatus,
    "A hold": status.HoldStatus,
    "Rates": status.Rates,
    "Latency": status.Latency,
    "Scaling": status.ScalingStatus,
    "The bus": status.BusStatus,
    "A backend": status.BackendStatus,
    "The master": status.MasterStatus,
    "A listener": status.ListenerStatus,
    "The metrics of a plugin": status.PluginMetricsStatus,
    "The last error of a plugin": status.LastError,
    "A stall": status.StallStatus,
    "An event": status.EventStatus,
    "History": status.History,
}


@pytest.mark.parametrize("heading", SHAPES)
def test_every_field_of_the_status_document_is_described_in_its_place(heading: str) -> None:
    part = section("status.md", heading)
    for field in SHAPES[heading].__annotations__:
        assert f"`{field}`" in part


def test_every_shape_of_the_status_document_has_its_fields_described() -> None:
    shapes = {kind for kind in vars(status).values() if getattr(kind, "__module__", "") == status.__name__}
    assert shapes == {status.PluginStatus, status.ChainPluginStatus, status.QueueStatus, *SHAPES.values()}
    for field in status.QueueStatus.__annotations__:
        assert f"`{field}`" in section("status.md", "A service")
    for field in status.ChainPluginStatus.__annotations__:
        assert f"| `{field}` |" in section("status.md", "A service")


def test_the_schema_is_the_one_described() -> None:
    assert f"this is schema {status.SCHEMA}." in page("status.md")


def test_every_verb_is_described() -> None:
    # The verbs are known without what they act on: nothing is called.
    verbs = AdminCommands(None, None, _Anything(), None, None, None).verbs()  # type: ignore[arg-type]
    assert set(verbs) == set(re.findall(r"^\| `(\w+)` \|", section("status.md", "Verbs"), re.MULTILINE))


def test_every_field_of_a_listed_host_is_described() -> None:
    for field in HostRow.__annotations__:
        assert f"`{field}`" in section("status.md", "Other documents").partition("ls --json")[2]


def test_every_state_of_a_connection_is_described() -> None:
    for phase in CloseState:
        assert phase is CloseState.CLOSED or f"`{phase.value}`" in section("status.md", "Connections")


# operations.md


def test_every_exit_status_is_described() -> None:
    described = set(re.findall(r"^\| (\d+) \|", section("operations.md", "Exit statuses"), re.MULTILINE))
    kinds: list[type[errors.ReactorhostError]] = [errors.ReactorhostError, *errors.ReactorhostError.__subclasses__()]
    assert described == {"0", *(str(kind.exit_status) for kind in kinds)}


class Event(NamedTuple):
    name: str
    level: str
    fields: frozenset[str]


def events() -> list[Event]:
    """Return every `log.LEVEL("event", field=...)` of the host, with the union of its fields."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for path in sorted(SOURCES.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        # Every process of pytest-xdist collects these, and most modules log nothing.
        tree = ast.parse(source if "log." in source else "")
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or called(node) not in _LEVELS:
                continue
            if not ast.unparse(node.func).rpartition(".")[0].endswith("log"):
                continue
            assert isinstance(node.args[0], ast.Constant), f"{path}:{node.lineno}: an event has a fixed name"
            event = str(node.args[0].value), called(node)
            fields = frozenset(word.arg for word in node.keywords if word.arg) - {"details"}
            found[event] = found.get(event, frozenset()) | fields
    return [Event(*event, fields) for event, fields in found.items()]


EVENTS = events()


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_every_event_of_the_log_is_described_with_level_and_fields(event: Event) -> None:
    cells = [cell.strip() for cell in rows("operations.md")[event.name].split(" | ")]
    assert cells[1] == event.level
    assert event.fields <= set(re.findall(r"`(\w+)`", cells[2]))


def test_every_described_event_is_logged() -> None:
    described = set(re.findall(r"^\| `(\w+)` \|", section("operations.md", "Events"), re.MULTILINE))
    assert described == {event.name for event in EVENTS}


def test_every_command_has_a_heading() -> None:
    commands = {
        heading.strip("`").partition(" ")[0] for heading in headings("operations.md") if heading.startswith("`")
    }
    assert commands == set(COMMANDS)


def test_every_signal_of_the_master_is_described() -> None:
    signals = AdminCommands(None, None, _Anything(), None, None, None).signals()  # type: ignore[arg-type]
    described = set(itertools.chain(*(re.findall(r"`([A-Z0-9]+)`", line.split("|")[1]) for line in signal_lines())))
    assert {number.name.removeprefix("SIG") for number in signals} - {"CHLD"} <= described


def signal_lines() -> list[str]:
    return [line for line in section("operations.md", "Signals").splitlines() if line.startswith("| `")]


class _Anything:
    """Has every attribute: the requests are listed and not made."""

    def __getattr__(self, name: str) -> None:
        return None
