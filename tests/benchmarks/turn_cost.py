"""Measure the cost of a message in a turn that answers many clients: C loop, bare Python loop, reactorhost.

Each runs in a separate process with its clients, all on one processor, and they alternate. With `--before` the
host of another interpreter's installation runs beside them.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from compiler import compiled
from processors import places, running_on
from results import Figure, Rounds, write_figures
from servers import PEERS, ServerError
from tables import figure_table

_BEFORE = "reactorhost-before"


def main() -> None:
    """Run all rounds, print a table for each number of clients, write the JSON."""
    options = arguments()
    interpreters = dict.fromkeys(("c", "bare", "reactorhost"), sys.executable)
    if options.before:
        interpreters[_BEFORE] = options.before
    with tempfile.TemporaryDirectory(prefix="reactorhost-bench-") as folder, running_on(places().server):
        c_turn = compiled(Path(folder), "epoll_turn.so", PEERS / "epoll_turn.c", shared=True)
        figures = [
            measured(interpreters, [str(clients), str(options.bytes), str(c_turn)], options.rounds)
            for clients in options.clients
        ]
    for figure in figures:
        print(figure_table(figure, yardsticks=("c", "bare")))
    if options.json:
        write_figures(figures, options.json)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100)
    # Upper limit: one turn must read all messages and answer all clients.
    clients, sizes = range(1, 65), range(1, 16384)
    parser.add_argument("--clients", type=within(clients), nargs="+", default=[1, 8, 60], help="answered in a turn")
    parser.add_argument("--bytes", type=within(sizes), default=64)
    parser.add_argument("--before", metavar="PYTHON", help="interpreter of another installation")
    parser.add_argument("--json", type=Path, help="file for the results")
    return parser.parse_args()


def within(numbers: range) -> Callable[[str], int]:
    """Return a parser for a number within limits."""

    def read(text: str) -> int:
        if int(text) not in numbers:
            raise argparse.ArgumentTypeError(f"{text} is not from {numbers[0]} to {numbers[-1]}")
        return int(text)

    return read


def measured(interpreters: Mapping[str, str], words: list[str], rounds: int) -> Figure:
    """Let each run a block of turns in every round, each round starting with a different one."""
    found: Rounds = {name: [] for name in interpreters}
    with contextlib.ExitStack() as stack:
        children = {name: stack.enter_context(child(python, name, words)) for name, python in interpreters.items()}
        names = list(children)
        for number in range(rounds):
            first = number % len(names)
            for name in (*names[first:], *names[:first]):
                found[name].append(float(answer(children[name])) / 1000)
    case: dict[str, object] = {"bytes": int(words[1]), "clients": int(words[0])}
    return Figure("turn", "us", case, "lower", found)


@contextlib.contextmanager
def child(python: str, name: str, words: list[str]) -> Iterator[subprocess.Popen[str]]:
    """Run one server with its clients; Python's own loops run where this program does."""
    kind = "reactorhost" if name == _BEFORE else name
    command = [python, str(PEERS / "turns.py"), kind, *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            if process.stdout.readline() != "ready\n":
                raise ServerError(f"{name} does not start")
            yield process
        finally:
            process.kill()


def answer(process: subprocess.Popen[str]) -> str:
    """Send one line, and return the answer."""
    assert process.stdin
    assert process.stdout
    process.stdin.write("\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise ServerError("a server has ended")
    return answer


if __name__ == "__main__":
    main()
