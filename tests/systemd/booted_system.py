"""A second system on this machine, with a real systemd as its process 1, in namespaces of its own.

Its root is that of the machine, and what it writes is kept in memory: this needs root, the program of systemd, and
overlayfs, and no container manager. Its network has nothing but a loopback interface.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SECONDS = 60
_SYSTEMD = "/lib/systemd/systemd"
_TARGET = "checked.target"
# These would change settings of the kernel, or devices, that are those of the machine too; or remove files in /tmp.
_MASKED = (
    "systemd-sysctl.service",
    "systemd-modules-load.service",
    "systemd-udevd.service",
    "systemd-udev-trigger.service",
    "systemd-tmpfiles-setup.service",
    "systemd-tmpfiles-setup-dev.service",
    "systemd-networkd.service",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
    "systemd-binfmt.service",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "sys-fs-fuse-connections.mount",
    "dev-hugepages.mount",
)
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_MOUNTS = """
mount -t tmpfs tmpfs {work}
mkdir {work}/upper {work}/work {work}/root
mount -t overlay overlay -o lowerdir=/,upperdir={work}/upper,workdir={work}/work {work}/root
cd {work}/root
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/shm dev/pts dev/mqueue
mount -t tmpfs tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ip link set lo up
: > etc/fstab
rm -rf etc/systemd/system
mkdir -p etc/systemd/system .machine
printf '[Unit]\\nRequires=basic.target\\nAfter=basic.target\\nWants=dbus.service\\n' > etc/systemd/system/{target}
"""


class System:
    """The system; `pid` is its process 1 as this machine numbers it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def run(self, *words: str, check: bool = True) -> str:
        """Run a command in the system, and return what it has printed.

        Raises:
            SystemExit: it failed.
        """
        path = f"{Path(sys.prefix, 'bin')}:/usr/sbin:/usr/bin:/sbin:/bin"
        environment = {"PATH": path, "HOME": "/root", "LANG": "C.UTF-8", "SYSTEMD_PAGER": ""}
        enter = ("nsenter", "--target", str(self.pid), "--all", "--root", "--wd")
        done = subprocess.run(
            [*enter, *words], env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        if check and done.returncode != 0:
            raise SystemExit(f"{' '.join(words)} failed: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def write(self, path: str, text: str) -> None:
        """Write a file of the system."""
        target = Path(f"/proc/{self.pid}/root{path}")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def shown(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.run("systemctl", "show", unit, "-p", name, "--value").strip()

    def wait_for(self, unit: str, name: str, expected: str) -> None:
        """Wait until a property of a unit begins with a text.

        Raises:
            SystemExit: it does not, in time.
        """
        deadline = time.monotonic() + SECONDS
        while not (found := self.shown(unit, name)).startswith(expected):
            if time.monotonic() > deadline:
                raise SystemExit(
                    f"{name} of {unit} is {found!r}, not {expected!r}:\n{self.run('journalctl', '-u', unit)}"
                )
            time.sleep(0.05)


@contextmanager
def boot() -> Iterator[System]:
    """Boot a system, and end it and all of its processes at the end."""
    if os.geteuid() != 0 or not os.access(_SYSTEMD, os.X_OK) or shutil.which("unshare") is None:
        raise SystemExit("this check needs root, systemd and unshare")
    with tempfile.TemporaryDirectory(prefix="reactorhost-systemd-") as work:
        script = ["set -e", _MOUNTS.format(work=work, target=_TARGET)]
        script += [f"touch dev/{each}; mount --bind /dev/{each} dev/{each}" for each in _DEVICES]
        script += [f"ln -s /dev/null etc/systemd/system/{each}" for each in _MASKED]
        script += ["pivot_root . .machine", "umount -l /.machine"]
        arguments = f"--system --show-status=no --log-level=warning --unit={_TARGET}"
        script += [f"exec env -i container=checked PATH=/usr/sbin:/usr/bin:/sbin:/bin {_SYSTEMD} {arguments}"]
        namespaces = ["--mount", "--pid", "--fork", "--uts", "--ipc", "--net", "--cgroup", "--kill-child"]
        group = _control_group()
        # First its control group, which becomes the root of those of the system.
        enter = f'echo $$ > {group}/cgroup.procs && exec unshare "$@"'
        with open(Path(work).with_suffix(".log"), "w+") as log:
            unshare = subprocess.Popen(
                ["sh", "-c", enter, "sh", *namespaces, "--propagation", "private", "sh", "-c", "\n".join(script)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            try:
                yield _booted(unshare, Path(log.name))
            finally:
                unshare.send_signal(signal.SIGKILL)
                unshare.wait()
                _remove(group)
                os.unlink(log.name)


def _control_group() -> Path:
    """Return a new control group of version 2, which is at another place where both versions are mounted."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    root = next((words[1] for words in mounts if words[2] == "cgroup2"), None)
    if root is None:
        raise SystemExit("this check needs version 2 of control groups")
    group = Path(root, f"reactorhost-systemd-{os.getpid()}")
    group.mkdir()
    return group


def _remove(group: Path) -> None:
    deadline = time.monotonic() + SECONDS
    # The kernel ends the processes of a namespace after its process 1.
    while "populated 1" in (group / "cgroup.events").read_text() and time.monotonic() < deadline:
        time.sleep(0.02)
    for folder, _, _ in os.walk(group, topdown=False):
        os.rmdir(folder)


def _booted(unshare: subprocess.Popen[bytes], log: Path) -> System:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and unshare.poll() is None:
        children = Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children").read_text().split()
        if children and Path(f"/proc/{children[0]}/comm").read_text().strip() == "systemd":
            system = System(int(children[0]))
            if system.run("systemctl", "is-active", _TARGET, check=False).strip() == "active":
                return system
        time.sleep(0.1)
    raise SystemExit(f"the system does not boot:\n{log.read_text()}")
