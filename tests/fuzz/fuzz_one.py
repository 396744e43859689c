"""Fuzz one target with atheris until its time is over: NAME FOLDER SECONDS."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

_LONGEST_INPUT = 2048


def main(name: str, folder: Path, seconds: str) -> None:
    """Fuzz, and end this process."""
    # Coverage is that of the modules that are imported here.
    with atheris.instrument_imports(include=["reactorhost", "h11"]):
        from fuzz_targets import SEEDS, TARGETS
    corpus = folder / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS[name]):
        (corpus / f"seed{number}").write_bytes(seed)
    options = [f"-max_total_time={seconds}", f"-max_len={_LONGEST_INPUT}", f"-artifact_prefix={folder}/{name}-"]
    atheris.Setup([name, *options, "-print_final_stats=1", str(corpus)], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
