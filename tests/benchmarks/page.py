"""Make docs/benchmarks.md and its pictures of the stored runs, and of nothing else.

`page.py` makes them anew. `page.py --add FILE` stores the JSON of a run of the suite first.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
from pathlib import Path

from page_text import page
from panels import drawable
from pictures import draw
from results import read, read_all

ROOT = Path(__file__).parents[2]
TEMPLATE = Path(__file__).with_name("page.md")


def main() -> None:
    """Store a run if there is one to store; write the page and its pictures."""
    options = arguments()
    folder = options.docs / "benchmarks"
    if options.add:
        read(options.add)
        folder.mkdir(exist_ok=True)
        number = next(number for number in itertools.count(1) if not (folder / f"run-{number}.json").exists())
        shutil.copyfile(options.add, folder / f"run-{number}.json")
    runs = read_all(folder)
    if not runs:
        raise SystemExit(f"there is no run in {folder}: store one with --add FILE")
    (options.docs / "benchmarks.md").write_text(page(TEMPLATE.read_text(encoding="utf-8"), runs), encoding="utf-8")
    images = options.docs / "images"
    images.mkdir(exist_ok=True)
    for old in images.glob("bench-*.svg"):
        old.unlink()
    for picture, having in drawable(runs):
        draw(picture, having, images / picture.file)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--add", type=Path, metavar="FILE", help="JSON of a run, to be stored as the newest")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where the page and the stored runs are")
    return parser.parse_args()


if __name__ == "__main__":
    main()
