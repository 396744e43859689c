"""Measure what TLS costs a server: handshakes, bytes and small messages, reactorhost against asyncio in the same run.

Both servers run at once on one processor, the load on another; rounds alternate between them. What is told is the
server's CPU time for each piece of work, and the rate that the load, which works as hard as the server, came to.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import trustme

from echo_cpu import Server, pinned, printed_port, reactorhost_server, tree_cpu_seconds

HERE = Path(__file__).parent
JOBS = {
    "handshake": ("us of CPU a handshake", "handshakes/s", 1e6, 1.0),
    "echo": ("us of CPU a 64-byte echo", "echoes/s", 1e6, 1.0),
    "bulk": ("ms of CPU a MB there and back", "MB/s each way", 1e9, 1e-6),
}


def main() -> None:
    """Run all rounds, print medians and their spread."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--seconds", type=float, default=2.0, help="measured time of one job of one server in one round"
    )
    options = parser.parse_args()
    processors = sorted(os.sched_getaffinity(0))
    server_on, load_on = processors[0], processors[-1]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reactorhost-bench-")))
        authority = make_certificate(folder)
        starts = {"reactorhost": tls_reactorhost, "asyncio": tls_asyncio}
        servers = {
            name: stack.enter_context(pinned(start(folder), server_on, load_on)) for name, start in starts.items()
        }
        found: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for _ in range(options.rounds):
            for job in JOBS:
                for name, server in servers.items():
                    figures = measure(server, authority, job, options.seconds)
                    found.setdefault((job, name), []).append(figures)
    report(found)
    if server_on == load_on:
        print("one processor only: servers and load shared it")


def make_certificate(folder: Path) -> Path:
    """Write an ECDSA certificate and its key, and return the file of who signed it."""
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost")
    (folder / "server.pem").write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    leaf.private_key_pem.write_to_path(str(folder / "server.key"))
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    return folder / "ca.pem"


def tls_asyncio(folder: Path) -> contextlib.AbstractContextManager[Server]:
    """Run the asyncio protocol."""
    files = [str(folder / "server.pem"), str(folder / "server.key")]
    return printed_port([sys.executable, str(HERE / "echo_asyncio.py"), *files])


def tls_reactorhost(folder: Path) -> contextlib.AbstractContextManager[Server]:
    """Run the installed host with one worker."""
    files = ["--certificate", str(folder / "server.pem"), "--key", str(folder / "server.key")]
    return reactorhost_server(folder, settings=files)


def measure(server: Server, authority: Path, job: str, seconds: float) -> tuple[float, float]:
    """Load one server with one job; return its CPU time for a piece of it, and the rate."""
    command = [sys.executable, str(HERE / "tls_load.py"), str(server.port), str(authority), job, str(seconds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as load:
        assert load.stdin
        assert load.stdout
        said, spent = [], []
        for _ in range(2):
            said.append(load.stdout.readline())
            spent.append(tree_cpu_seconds(server.pid))
            load.stdin.write("\n")
            load.stdin.flush()
    word, _, count = said[1].partition(" ")
    if word != "end":
        raise SystemExit(f"the load said {said}")
    _, _, unit, scale = JOBS[job]
    return (spent[1] - spent[0]) / int(count) * unit, int(count) / seconds * scale


def report(found: dict[tuple[str, str], list[tuple[float, float]]]) -> None:
    """Print medians, smallest and largest, and the ratio of each round's cost."""
    for job, (cost, rate, _, _) in JOBS.items():
        print(f"\n{job}")
        for name in ("reactorhost", "asyncio"):
            costs, rates = zip(*found[job, name], strict=True)
            print(
                f"  {name:12} {statistics.median(costs):9.2f} {cost} ({min(costs):.2f}-{max(costs):.2f}),"
                f" {statistics.median(rates):9.1f} {rate} ({min(rates):.1f}-{max(rates):.1f})"
            )
        ratios = [
            ours[0] / theirs[0] for ours, theirs in zip(found[job, "reactorhost"], found[job, "asyncio"], strict=True)
        ]
        print(f"  {statistics.median(ratios):.2f} x the CPU of asyncio ({min(ratios):.2f}-{max(ratios):.2f})")


if __name__ == "__main__":
    main()
