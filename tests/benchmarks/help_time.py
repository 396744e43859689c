"""Measure how long `reactorhost --help` takes, beside an interpreter that does nothing."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

COMMANDS = {
    "reactorhost --help": [str(Path(sys.executable).parent / "reactorhost"), "--help"],
    "python -c pass": [sys.executable, "-c", "pass"],
}


def main() -> None:
    """Run both in turn, print medians in milliseconds, write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    millis: dict[str, list[float]] = {name: [] for name in COMMANDS}
    # One round more: the first fills the page cache and writes the byte code.
    for number in range(options.rounds + 1):
        for name, command in COMMANDS.items():
            begin = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            if number:
                millis[name].append((time.perf_counter() - begin) * 1000)
    for name, values in millis.items():
        print(
            f"{name:20} {statistics.median(values):6.1f} ms ({min(values):.1f}-{max(values):.1f}, {len(values)} runs)"
        )
    if options.json:
        medians = {name: statistics.median(values) for name, values in millis.items()}
        options.json.write_text(json.dumps({"schema": 1, "milliseconds": millis, "medians": medians}, indent=2) + "\n")


if __name__ == "__main__":
    main()
