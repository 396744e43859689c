"""The program that the check of the tutorial uses on a machine without OpenBSD's nc."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from pathlib import Path

PROGRAM = Path(__file__).with_name("netcat.py")


def test_its_input_and_the_end_of_it_are_sent_and_the_answer_is_printed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)

        def answer_at_the_end() -> None:
            client, _ = listener.accept()
            with client, client.makefile("rb") as lines:
                client.sendall(lines.read().upper())

        server = threading.Thread(target=answer_at_the_end)
        server.start()
        command = [sys.executable, str(PROGRAM), "-N", "127.0.0.1", str(listener.getsockname()[1])]
        done = subprocess.run(command, input=b"tea\n", capture_output=True, check=False, timeout=60)
        server.join()
    assert (done.returncode, done.stdout, done.stderr) == (0, b"TEA\n", b"")
