"""The machine under a pod: podman, pods' networks, and what is cleaned up at the end.

Everything made here is called ms-test-…, or stands in one directory with a storage of its own.
Nothing of the machine's podman is touched. One run at a time: a lock says so.
"""

import fcntl
import itertools
import json
import os
import resource
import signal
import subprocess
import time
from pathlib import Path

# Benchmarks' addresses (RFC 2544): nobody's pods or services.
SUBNET = "198.18.77"
BRIDGE = "ms-test-br"
NAMESPACE = "ms-test-pod"

STORAGE_DRIVER = Path(__file__).parent.parent / "storage-driver"
CONTAINERS_CONF = """[containers]
default_ulimits = ["nofile={files}:{files}", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "runc"
"""


def command(*words: object, timeout: float = 120) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=timeout)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.stderr.strip() or done.returncode}")
    return done.stdout


class Node:
    def __init__(self, directory: Path):
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.lock = open(directory / "lock", "w")
        fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails beside another run
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        (directory / "containers.conf").write_text(CONTAINERS_CONF.format(files=min(files, 1 << 20)))
        self.environment = {**os.environ, "CONTAINERS_CONF": str(directory / "containers.conf")}
        driver = command(STORAGE_DRIVER, directory).strip()
        self.base = ["podman", "--root", str(directory / driver), "--runroot", str(directory / f"run-{driver}")]
        self.base += ["--storage-driver", driver, "--cgroup-manager", "cgroupfs", "--runtime", "runc"]
        self.numbers = itertools.count(2)
        self.clean()
        command("ip", "link", "add", BRIDGE, "type", "bridge")
        command("ip", "address", "add", f"{SUBNET}.1/24", "dev", BRIDGE)
        command("ip", "link", "set", BRIDGE, "up")

    def close(self) -> None:
        self.clean()
        self.lock.close()

    def clean(self) -> None:
        """What this run or one before it left behind."""
        self.podman("rm", "--all", "--force", "--time", "0")
        for line in command("ip", "netns", "list").splitlines():
            if line.startswith(NAMESPACE):
                command("ip", "netns", "delete", line.split()[0])
        if BRIDGE in command("ip", "-brief", "link"):
            command("ip", "link", "delete", BRIDGE)
        ours = f"{self.directory}/pods/"
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in reversed([mount for mount in mounts if mount.startswith(ours)]):
            command("umount", "--lazy", mount)
        # Loop devices go with their mounts: `mount -o loop` asks the kernel for that.
        command("rm", "--recursive", "--force", self.directory / "pods")

    def podman(self, *words: object, timeout: float = 120) -> str:
        every = [*self.base, *map(str, words)]
        done = subprocess.run(every, capture_output=True, text=True, timeout=timeout, env=self.environment)
        if done.returncode:
            raise RuntimeError(f"podman {words[0]}: {done.stderr.strip()}")
        return done.stdout

    def load(self, archive: Path, name: str) -> None:
        """Gives the image of an archive this name, and takes the name from the one before."""
        loaded = self.podman("load", "--quiet", "--input", archive).strip().rpartition(" ")[2]
        self.podman("tag", loaded, self.full(name))

    @staticmethod
    def full(image: str) -> str:
        first = image.split("/")[0]
        return image if "/" in image and ("." in first or ":" in first or first == "localhost") else f"localhost/{image}"

    def has(self, image: str) -> bool:
        done = subprocess.run([*self.base, "image", "exists", self.full(image)], env=self.environment, timeout=60)
        return done.returncode == 0

    def inspect(self, container: str) -> dict:
        return json.loads(self.podman("inspect", container))[0]

    def network(self, number: int) -> tuple[str, str]:
        """A network namespace with an address that this machine and other pods reach: its name and the address."""
        name, address = f"{NAMESPACE}-{number}", f"{SUBNET}.{number}"
        command("ip", "netns", "add", name)
        command("ip", "link", "add", f"ms-test-{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
        command("ip", "link", "set", f"ms-test-{number}", "master", BRIDGE, "up")
        command("ip", "-n", name, "address", "add", f"{address}/24", "dev", "eth0")
        for link in ("lo", "eth0"):
            command("ip", "-n", name, "link", "set", link, "up")
        return name, address

    def disk(self, name: str, size: int) -> Path:
        """A volume of its own: ext4 in a file, mounted. The caller unmounts it, or `clean` does."""
        at = self.directory / "pods" / f"claim-{next(self.numbers)}" / name
        at.mkdir(parents=True)
        image = at.with_suffix(".img")
        command("truncate", "--size", size, image)
        command("mkfs.ext4", "-q", "-m", "0", "-E", "nodiscard", image)
        command("mount", "-o", "loop", image, at)
        return at

    def drop(self, disk: Path) -> None:
        command("umount", disk)
        disk.with_suffix(".img").unlink()
        disk.rmdir()


class Process:
    """One start of a container: `podman run` in the foreground, whose end is the container's."""

    START_SECONDS = 60

    def __init__(self, node: Node, name: str, arguments: list[str], log: Path):
        self.node, self.name = node, name
        pidfile = node.directory / "pods" / f"{name}.pid"
        pidfile.unlink(missing_ok=True)
        words = [*node.base, "run", "--name", name, "--pull", "never", "--sig-proxy=false", "--log-driver", "none"]
        words += ["--pidfile", str(pidfile), *arguments]
        with open(log, "ab") as out:
            self.client = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=node.environment, start_new_session=True
            )
        self.handle = self.pid = None
        deadline = time.monotonic() + self.START_SECONDS
        while self.client.poll() is None and not self.pid and time.monotonic() < deadline:
            text = pidfile.read_text() if pidfile.exists() else ""
            self.pid = int(text) if text else None
            time.sleep(0.01)
        self.begun = time.monotonic()
        if self.pid:
            try:
                self.handle = os.pidfd_open(self.pid)
            except ProcessLookupError:
                pass  # it has ended already

    def wait(self, timeout: float | None = None) -> int | None:
        """The exit code; `None`: it still runs."""
        try:
            return self.client.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def signal(self, number: signal.Signals) -> None:
        try:
            if self.handle is not None:
                signal.pidfd_send_signal(self.handle, number)
        except ProcessLookupError:
            pass

    def execute(self, words: list[str], timeout: float) -> tuple[bool, str]:
        """Runs a command inside: whether it succeeded, and what it said."""
        every = [*self.node.base, "exec", self.name, *words]
        try:
            done = subprocess.run(every, capture_output=True, text=True, timeout=timeout, env=self.node.environment)
        except subprocess.TimeoutExpired:
            return False, f"timeout after {timeout:g} s"
        said = (done.stdout + done.stderr).strip().splitlines()
        return done.returncode == 0, said[-1] if said else f"exit {done.returncode}"

    def remove(self) -> None:
        self.node.podman("rm", "--force", "--time", "0", self.name)
        if self.handle is not None:
            os.close(self.handle)
            self.handle = None
