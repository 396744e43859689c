"""Chaos: random actions on a host under load, in rounds.

Run as a program it works for `--minutes` and prints what happened; `--seed` repeats the steps of a run, and `--replay`
carries out a journal, which may have been shortened by hand.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

from chaos_plan import WEIGHTS, recorded, steps
from chaos_report import Report
from chaotic_host import ChaoticHost, ViolationError
from started import TOKEN

ROUND_SECONDS = 12.0


def run(
    folder: Path, seed: int, seconds: float, weights: Mapping[str, int] = WEIGHTS, replay: Path | None = None
) -> Report:
    """Run rounds for a time, or those of a journal; the new journal is `journal` in the folder.

    Raises:
        ViolationError: something is not as it should be.
    """
    end = time.monotonic() + seconds
    with ChaoticHost(folder, seed, folder / "journal") as chaos:
        if replay is not None:
            for plan in recorded(replay):
                chaos.round(plan)
        else:
            while time.monotonic() < end:
                chaos.round(steps(seed, chaos.report.rounds, ROUND_SECONDS, weights))
        return chaos.finish()


def main() -> int:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), help="default: a new one")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--actions", default=",".join(WEIGHTS), help="only these, by commas")
    parser.add_argument("--replay", type=Path, metavar="JOURNAL", help="carry out the steps of a journal")
    parser.add_argument("--folder", type=Path, help="where log and journal stay; default: a temporary one")
    options = parser.parse_args()
    # So that the host and the clients are ended too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    os.environ[TOKEN] = uuid.uuid4().hex
    folder = options.folder or Path(tempfile.mkdtemp(prefix="reactorhost-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: WEIGHTS[name] for name in options.actions.split(",")}
    print(f"seed {options.seed}, journal {folder / 'journal'}", flush=True)
    try:
        print(run(folder, options.seed, options.minutes * 60, weights, options.replay))
    except ViolationError as violation:
        print(f"violated: {violation}\nrepeat with --seed {options.seed}, or --replay {folder / 'journal'}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
