"""A server of either kind, alone on free loopback ports, with a data directory that goes away with it."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

READY_S = 30
STOP_S = 10


def free_ports(count):
    """Ports that were free a moment ago; held together so that they differ."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


class Server:
    """Use as a context manager: entered, it answers; left, its process and its data are gone."""

    def __init__(self, binary):
        self.binary = Path(binary)
        self.label = self.binary.name

    def __enter__(self):
        self.root = Path(tempfile.mkdtemp(prefix=f"{self.label}-"))
        client, peer = free_ports(2)
        self.endpoint = f"http://127.0.0.1:{client}"
        self.log = self.root / "log"
        command, environment = self._command(f"http://127.0.0.1:{peer}")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.root
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.root, ignore_errors=True)

    def check_alive(self):
        if self.process.poll() is not None:
            raise SystemExit(f"{self.label} ended with {self.process.returncode}; its log ends:\n{self.log_tail()}")

    def log_tail(self, lines=30):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _command(self, peer_url):
        data = str(self.root / "data")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("METASTORE_", "ETCD"))}
        if self.label == "etcd":
            flags = {
                "name": "default",
                "data-dir": data,
                "listen-client-urls": self.endpoint,
                "advertise-client-urls": self.endpoint,
                "listen-peer-urls": peer_url,
                "initial-advertise-peer-urls": peer_url,
                "initial-cluster": f"default={peer_url}",
                "log-level": "warn",
            }
            return [str(self.binary), *(f"--{k}={v}" for k, v in flags.items())], inherited
        settings = {
            "METASTORE_NAME": "default",
            "METASTORE_DATA_DIR": data,
            "METASTORE_LISTEN_CLIENT_URLS": self.endpoint,
            "METASTORE_INITIAL_ADVERTISE_PEER_URLS": peer_url,
        }
        return [str(self.binary)], inherited | settings

    def _wait_until_ready(self):
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            self.check_alive()
            try:
                with urllib.request.urlopen(f"{self.endpoint}/readyz", timeout=1):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        raise SystemExit(f"{self.label} is not ready after {READY_S} s; its log ends:\n{self.log_tail()}")
