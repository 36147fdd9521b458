"""A real kube-apiserver and kube-controller-manager, on loopback, for one run.

There is no scheduler and no kubelet: `cluster/agent.py` plays both.
"""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import yaml

from cluster.api import Api, Refused
from cluster.certificates import Certificates
from helm import Refused as RefusedByHelm

START_SECONDS = 60
STOP_SECONDS = 20
EVENT_TTL = 15
# A lease of the store serves events for so long, so that not each needs one of its own.
EVENT_LEASE_REUSE = 5
COMPACTION_SECONDS = 15


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class ControlPlane:
    """`store` is the URL of an etcd, or of what is said to be as good."""

    def __init__(self, directory: Path, programs: Path, store: str):
        self.directory, self.programs, self.store = directory, programs, store
        self.certificates = Certificates(directory / "keys")
        self.port = free_port()
        self.api = Api(self.port, self.certificates, "admin")
        self.running: dict[str, subprocess.Popen] = {}

    def start(self) -> float:
        """Seconds until the API server was ready."""
        begun = time.monotonic()
        self.run("kube-apiserver", self.of_api_server())
        self.until_ready("kube-apiserver", begun)
        took = time.monotonic() - begun
        self.run("kube-controller-manager", self.of_controller_manager())
        return took

    def of_api_server(self) -> dict:
        keys = self.certificates
        return {
            "etcd-servers": self.store,
            "bind-address": "127.0.0.1",
            "advertise-address": "127.0.0.1",
            "secure-port": self.port,
            "cert-dir": self.directory,
            "endpoint-reconciler-type": "none",
            "client-ca-file": keys / "ca.crt",
            "tls-cert-file": keys / "server.crt",
            "tls-private-key-file": keys / "server.key",
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": keys / "accounts.pub",
            "service-account-signing-key-file": keys / "accounts.key",
            "service-cluster-ip-range": "10.0.0.0/24",
            "authorization-mode": "RBAC",
            "etcd-compaction-interval": f"{COMPACTION_SECONDS}s",
            "event-ttl": f"{EVENT_TTL}s",
            "lease-reuse-duration-seconds": EVENT_LEASE_REUSE,
        }

    def of_controller_manager(self) -> dict:
        keys = self.certificates
        return {
            "kubeconfig": self.kubeconfig("controller-manager"),
            "bind-address": "127.0.0.1",
            "secure-port": free_port(),
            "cert-dir": self.directory,
            "use-service-account-credentials": "true",
            "service-account-private-key-file": keys / "accounts.key",
            "root-ca-file": keys / "ca.crt",
        }

    def run(self, program: str, flags: dict) -> None:
        words = [str(self.programs / program), *(f"--{name}={value}" for name, value in flags.items())]
        with open(self.directory / f"{program}.log", "ab") as log:
            self.running[program] = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def until_ready(self, program: str, begun: float) -> None:
        while True:
            try:
                return self.check("/readyz")
            except (OSError, Refused) as error:
                ended = self.running[program].poll() is not None
                if ended or time.monotonic() > begun + START_SECONDS:
                    raise AssertionError(f"{program} is not ready: {error}\n{self.log(program)}") from error
                time.sleep(0.1)

    def check(self, path: str) -> None:
        """Says nothing if all is well; the answer is a word, not JSON."""
        connection = self.api.connect(5)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            text = response.read().decode()
            if response.status != 200:
                raise Refused({"code": response.status, "message": text})
        finally:
            connection.close()

    def log(self, program: str) -> str:
        return (self.directory / f"{program}.log").read_text(errors="replace")[-6000:]

    def kubeconfig(self, user: str = "admin") -> Path:
        keys, at = self.certificates, self.directory / f"{user}.kubeconfig"
        server = {"server": f"https://127.0.0.1:{self.port}", "certificate-authority": str(keys / "ca.crt")}
        client = {"client-certificate": str(keys / f"{user}.crt"), "client-key": str(keys / f"{user}.key")}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "here", "cluster": server}],
            "users": [{"name": user, "user": client}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": user}}],
            "current-context": "here",
        }
        at.write_text(yaml.safe_dump(config))
        return at

    def kubectl(self, *words: object, stdin: str | None = None) -> str:
        return self.client("kubectl", *words, stdin=stdin)

    def client(self, program: str, *words: object, stdin: str | None = None, timeout: float = 180) -> str:
        """kubectl, helm3 or helm4, as a person runs them."""
        home = self.directory / "home"
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "KUBECONFIG": str(self.kubeconfig())}
        every = [program, *map(str, words)]
        done = subprocess.run(every, capture_output=True, text=True, timeout=timeout, env=environment, input=stdin or "")
        if done.returncode:
            raise RefusedByHelm(f"{' '.join(every[:3])}: {done.stderr or done.stdout}")
        return done.stdout

    def close(self) -> None:
        for process in reversed(self.running.values()):
            process.send_signal(signal.SIGTERM)
        for process in self.running.values():
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
