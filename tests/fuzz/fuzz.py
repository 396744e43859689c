"""Fuzz every target with atheris, guided by the coverage of the code; each in a process of its own.

An input that fails is printed and kept in `--folder`; `--input FILE` with `--target` runs it again, also without
atheris.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from fuzz_targets import TARGETS

_PROGRAM = Path(__file__).with_name("fuzz_one.py")


def main() -> int:
    """Run as the command line says; returns 1 if a target failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--target", choices=TARGETS, action="append", help="only this one; may be repeated")
    parser.add_argument("--folder", type=Path, help="of inputs that were found; default: a temporary one")
    parser.add_argument("--input", type=Path, help="run the targets on this file only")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="reactorhost-fuzz-"))
    names = options.target or list(TARGETS)
    if options.input:
        for name in names:
            TARGETS[name](options.input.read_bytes())
        return 0
    failed = []
    for name in names:
        command = [sys.executable, str(_PROGRAM), name, str(folder), str(options.seconds)]
        ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        output = ended.stdout.decode(errors="replace")
        runs = next((line.split()[-1] for line in output.splitlines() if "number_of_executed_units" in line), "?")
        print(f"{name}: {runs} inputs, {'passed' if ended.returncode == 0 else 'FAILED'}", flush=True)
        if ended.returncode:
            failed.append(name)
            print(output)
    print(f"inputs: {folder}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
