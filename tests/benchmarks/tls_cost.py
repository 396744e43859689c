"""Measure the cost of TLS: handshakes, bytes and small messages, reactorhost and asyncio in one run.

Both servers run at once on one processor, the load on another; rounds alternate between them. The
results are the server's CPU time per handshake, byte or message, and the rate, which the load limits too.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import trustme

from bench import Bench, Settings, column
from fleet import Fleet
from loading import Work, measured
from peer_catalog import Peer
from processors import places
from results import Figure, write_figures
from servers import Server, installed_host, program
from tables import figure_table

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Quantity:
    """The units of a job, and the factors from seconds per piece and pieces per second to them."""

    unit: str
    scale: float


JOBS = {
    "handshake": (Quantity("us of CPU a handshake", 1e6), Quantity("handshakes/s", 1.0)),
    "echo": (Quantity("us of CPU a 64-byte echo", 1e6), Quantity("echoes/s", 1.0)),
    "bulk": (Quantity("ms of CPU a MB there and back", 1e9), Quantity("MB/s each way", 1e-6)),
}


def main() -> None:
    """Run all rounds, print medians, spread and ratios, write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--seconds", type=float, default=2.0, help="measured time of one job of one server in one round"
    )
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reactorhost-bench-") as name:
        folder, where = Path(name), places()
        authority = make_certificate(folder)
        servers = {"asyncio": Peer(tls_asyncio), "reactorhost": Peer(tls_reactorhost)}
        fleet = Fleet(servers, where, folder, visited=False)
        bench = Bench(Settings(rounds=options.rounds), where, fleet, list(fleet.peers), folder, print)
        try:
            figures = [each for job in JOBS for each in measure(bench, authority, job, options.seconds)]
        finally:
            fleet.close()
    for figure in figures:
        print(f"\n{figure_table(figure, yardsticks=('asyncio',))}")
    if not where.apart:
        print("one processor only: servers and load shared it")
    if options.json:
        write_figures(figures, options.json)


def make_certificate(folder: Path) -> Path:
    """Write an ECDSA certificate and its key, and return the file of its authority."""
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


def measure(bench: Bench, authority: Path, job: str, seconds: float) -> list[Figure]:
    """Load the servers in turn with one job; return CPU time per piece, and the rate."""

    def once(name: str) -> Work:
        server = bench.fleet.server(name)
        command = [sys.executable, str(HERE / "loads" / "tls_load.py"), str(server.port), str(authority), job]
        return measured([*command, str(seconds)], server)

    works = bench.alternate(job, bench.names, bench.settings.rounds, once)
    cost, rate = JOBS[job]
    costs = column(works, lambda work: work.server_seconds / work.count * cost.scale)
    rates = column(works, lambda work: work.count / seconds * rate.scale)
    return [
        Figure(f"tls_{job}", cost.unit, {}, "lower", costs),
        Figure(f"tls_{job}_rate", rate.unit, {}, "higher", rates),
    ]


if __name__ == "__main__":
    main()
