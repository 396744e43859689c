"""Measure what TLS costs a server: handshakes, bytes and small messages, reactorhost against asyncio in the same run.

Both servers run at once on one processor, the load on another; rounds alternate between them. What is told is the
server's CPU time for each piece of work, and the rate that the load, which works as hard as the server, came to.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import trustme

from loading import measured
from processors import places, running_on
from servers import Server, installed_host, program

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
    where = places()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reactorhost-bench-")))
        authority = make_certificate(folder)
        starts = {"reactorhost": tls_reactorhost, "asyncio": tls_asyncio}
        with running_on(where.server):
            servers = {name: stack.enter_context(start(folder)) for name, start in starts.items()}
        stack.enter_context(running_on(where.load))
        found: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for _ in range(options.rounds):
            for job in JOBS:
                for name, server in servers.items():
                    figures = measure(server, authority, job, options.seconds)
                    found.setdefault((job, name), []).append(figures)
    report(found)
    if not where.apart:
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
    return program("asyncio_echo.py", "tls", folder / "server.pem", folder / "server.key")


def tls_reactorhost(folder: Path) -> contextlib.AbstractContextManager[Server]:
    """Run the installed host with one worker."""
    return installed_host(folder, settings=["--certificate", folder / "server.pem", "--key", folder / "server.key"])


def measure(server: Server, authority: Path, job: str, seconds: float) -> tuple[float, float]:
    """Load one server with one job; return its CPU time for a piece of it, and the rate."""
    command = [sys.executable, str(HERE / "loads" / "tls_load.py"), str(server.port), str(authority), job, str(seconds)]
    work = measured(command, server)
    _, _, unit, scale = JOBS[job]
    return work.server_seconds / work.count * unit, work.count / seconds * scale


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
