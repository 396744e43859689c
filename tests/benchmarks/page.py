"""Write docs/benchmarks.md and its pictures from the stored runs.

`page.py` regenerates them. `page.py --add FILE` stores a run of the suite first, in the compact form, and removes all
but the newest two.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from page_text import page
from panels import drawable
from pictures import draw
from summaries import add, read_all

ROOT = Path(__file__).parents[2]
TEMPLATE = Path(__file__).with_name("page.md")


def main() -> None:
    """Store a run if one is given, then write the page and its pictures."""
    options = arguments()
    folder = options.docs / "benchmarks"
    if options.add:
        add(options.add, folder)
    runs = read_all(folder)
    if not runs:
        raise SystemExit(f"no stored run in {folder}: store one with --add FILE")
    (options.docs / "benchmarks.md").write_text(page(TEMPLATE.read_text(encoding="utf-8"), runs), encoding="utf-8")
    images = options.docs / "images"
    images.mkdir(exist_ok=True)
    for old in images.glob("bench-*.svg"):
        old.unlink()
    for picture, having in drawable(runs):
        (images / picture.file).write_text(draw(picture, having), encoding="utf-8")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--add", type=Path, metavar="FILE", help="JSON of a suite run, stored as the newest")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="folder of the page and the stored runs")
    return parser.parse_args()


if __name__ == "__main__":
    main()
