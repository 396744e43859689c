"""The pages of quickstart and tutorial are read as a person reads them, and another output than theirs is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from reactorhost.scaffold import rendering, variants
from reactorhost.scaffold.names import package_name
from tutorial_pages import EditFile, Entry, SaveFile, Session, Typed, shown_after, steps_of, steps_of_page

DOCS = Path(__file__).parents[2] / "docs"
FOLDERS = ("quickstart", "tutorial")


def session(block: str, before: str = "Type:") -> Session:
    [step] = steps_of_page("docs/tutorial/page.md", f"{before}\n\n```console\n{block}```\n")
    assert isinstance(step, Session)
    return step


def is_expected(block: str, shown: str, before: str = "Type:") -> bool:
    step = session(block, before)
    return shown_after(step, len(step.entries)).fullmatch(shown) is not None


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_page_is_in_the_list_of_the_index_and_has_steps(folder: str) -> None:
    places = [step.place.partition(":")[0] for step in steps_of(DOCS / folder)]
    assert set(places) == {f"docs/{folder}/{path.name}" for path in (DOCS / folder).glob("*.md")}


def test_every_edit_of_the_tutorial_changes_a_file_of_the_pages_before_it_in_one_place() -> None:
    # The package has the plugin as its module.
    texts: dict[str, str] = {}
    for step in steps_of(DOCS / "tutorial"):
        match step:
            case SaveFile(_, path, text):
                texts[path] = text
            case EditFile(place, _, old, new):
                assert texts["poll.py"].count(old) == 1, place
                texts["poll.py"] = texts["poll.py"].replace(old, new)
    compile(texts["poll.py"], "poll.py", "exec")


def test_the_edit_of_the_quickstart_changes_the_package_that_is_made() -> None:
    made = rendering.files(
        package_name("words", ()), variants.chosen("lines", is_async=False, protocol=False, websocket=False), "0.1.0"
    )
    [edit] = [step for step in steps_of(DOCS / "quickstart") if isinstance(step, EditFile)]
    text = made[edit.path]
    assert text.count(edit.old) == 1
    compile(text.replace(edit.old, edit.new), edit.path, "exec")


def test_a_file_is_named_by_the_paragraph_before_it() -> None:
    [step] = steps_of_page("docs/tutorial/page.md", "See `other.py`.\n\nSave `a/b.py`:\n\n```python\nimport os\n```\n")
    assert step == SaveFile("docs/tutorial/page.md:6", "a/b.py", "import os\n")


@pytest.mark.parametrize("text", ["See `other.py`.\n\nSave it:\n\n```python\n```\n", "Run:\n\n```sh\nls\n```\n"])
def test_a_block_that_a_reader_cannot_use_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"docs/tutorial/page\.md:\d"):
        list(steps_of_page("docs/tutorial/page.md", text))


def test_a_session_is_split_into_what_is_typed_and_what_is_printed() -> None:
    assert session("$ ls\na b\nc\n$ nc ::1 9000\ntea\ntea 1\n^C\nbye\n").entries == [
        Entry(Typed.COMMAND, "ls", stays=False, printed=["a b", "c"]),
        Entry(Typed.COMMAND, "nc ::1 9000", stays=True),
        Entry(Typed.WORD, "tea", stays=True, printed=["tea 1"]),
        Entry(Typed.CONTROL_C, "", stays=False, printed=["bye"]),
    ]


def test_a_block_continues_the_program_that_its_terminal_runs() -> None:
    pages = (
        "In a second terminal:\n\n```console\n$ nc ::1 9000\n```\n\nIn the first terminal:\n\n"
        "```console\n$ true\n```\n\nBack in the second terminal:\n\n```console\nred 1\nred\n```\n"
    )
    steps = [step for step in steps_of_page("docs/tutorial/page.md", pages) if isinstance(step, Session)]
    assert [step.terminal for step in steps] == ["second", "first", "second"]
    assert steps[2].entries == [
        Entry(Typed.NOTHING, "", stays=True, printed=["red 1"]),
        Entry(Typed.WORD, "red", stays=True),
    ]


@pytest.mark.parametrize(
    ("block", "shown"),
    [
        ("$ x\nstarted, pid 12\n", "$ x\nstarted, pid 3456\n"),
        ("$ x\n2 passed in 0.05s\n", "$ x\n2 passed in 12.3s\n"),
        ("$ x\na   b\n", "$ x\na      b\n"),
        ("$ x\n...\nlast\n", "$ x\n1\n2\nlast\n"),
        ("$ x\n...\nlast\n", "$ x\nlast\n"),
        ("$ x\n2026-01-02T03:04:05.678Z info e pid=1\n", "$ x\n2030-12-24T18:00:00.000Z info e pid=22\n"),
        ("^C\n...\n", "printed before\n^Cprinted now\n"),
    ],
)
def test_what_differs_from_run_to_run_is_expected(block: str, shown: str) -> None:
    assert is_expected(block, shown)


@pytest.mark.parametrize(
    ("block", "shown"),
    [
        ("$ x\ntea 1\n", "$ x\ntea 2\n"),
        ("$ x\ntea 1\n", "$ x\n"),
        ("$ x\ntea 1\n", "$ x\ntea 1\nmore\n"),
        ("$ x\na b\n", "$ x\na  b\n"),
        ("$ x\n2 passed in 0.05s\n", "$ x\n1 passed in 0.05s\n"),
        ("$ x\n...\nlast\n", "$ x\nlast\nmore\n"),
        ("$ x\n", "$ y\n"),
    ],
)
def test_another_output_is_noticed(block: str, shown: str) -> None:
    assert not is_expected(block, shown)


@pytest.mark.parametrize("expected", [True, False])
def test_numbers_may_differ_where_the_page_says_so(expected: bool) -> None:
    before = "Type:\n\n<!-- numbers vary -->" if expected else "Type:"
    assert is_expected("$ x\ntea 3 of 8\n", "$ x\ntea 12 of 8\n", before) == expected
