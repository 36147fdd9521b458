"""One release on the harness' node: what Helm renders for it, its pod, its volume, its client.

Plays the StatefulSet controller and the Service as far as one member needs them: a pod template that
changed means another pod on the same claim; the Service sends clients to the pod while it is ready.
"""

import time
from dataclasses import dataclass, field

import helm
from kubelet.client import Writer
from kubelet.node import Node
from kubelet.pod import Pod
from kubelet.setting import quantity

SMALL = {"persistence": {"size": "1Gi"}}


def merged(*layers: dict) -> dict:
    out: dict = {}
    for layer in layers:
        for key, value in layer.items():
            both = isinstance(value, dict) and isinstance(out.get(key), dict)
            out[key] = merged(out[key], value) if both else value
    return out


@dataclass
class Stage:
    node: Node
    name: str
    values: dict
    speed: float = 1
    pods: list[Pod] = field(default_factory=list)
    claims: dict = field(default_factory=dict)
    writer: Writer | None = None
    mark: float = 0

    def __post_init__(self):
        self.release = helm.release(self.values, name=self.name)
        self.set = self.release.one("StatefulSet")
        self.pod_name = f"{self.set['metadata']['name']}-0"

    @property
    def pod(self) -> Pod:
        return self.pods[-1]

    def install(self) -> Pod:
        for template in self.set["spec"]["volumeClaimTemplates"]:
            claim = f"{template['metadata']['name']}-{self.pod_name}"
            size = quantity(template["spec"]["resources"]["requests"]["storage"])
            self.claims[claim] = self.node.disk(claim, size)
        return self.start()

    def start(self) -> Pod:
        self.pods.append(Pod(self.node, helm.rendered(self.release), self.pod_name, self.claims, self.speed))
        return self.pod.start()

    def ready(self, seconds: float = 60) -> Pod:
        assert self.pod.wait(lambda it: it.is_endpoint, seconds), f"not ready after {seconds} s"
        return self.pod

    def serving(self) -> Pod:
        """Installed, ready, and with a client that has begun to write."""
        self.install()
        self.ready()
        self.writer = Writer(lambda: self.pod if self.pods else None, f"{self.pod_name}/")
        self.writer.start()
        self.until(lambda: len(self.writer.acknowledged) > 50, 20, "the client does not get on")
        self.mark = time.monotonic()
        return self.pod

    @staticmethod
    def until(holds, seconds: float, otherwise: str) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"{otherwise}, after {seconds} s"
            time.sleep(0.05)

    def upgrade(self, values: dict) -> bool:
        """`helm upgrade`; tells whether the pod rolled."""
        self.values, before = merged(self.values, values), self.set
        self.__post_init__()
        if self.set["spec"]["template"] == before["spec"]["template"]:
            self.pod.setting.update(self.release.objects())
            return False
        self.roll()
        return True

    def roll(self, grace: float | None = None) -> Pod:
        self.pod.delete(grace)
        return self.start()

    def endpoints(self) -> list[tuple[float, bool]]:
        """When the Service got and lost its one endpoint."""
        turns = {"ready": True, "not ready": False, "is deleted": False}
        said = [(it.at, it.what.split(",")[0]) for pod in self.pods for it in pod.events if it.who == "pod"]
        found: list[tuple[float, bool]] = []
        for at, what in said:
            if what in turns and (not found or found[-1][1] != turns[what]):
                found.append((at, turns[what]))
        return found

    def unready(self) -> float:
        """Seconds without an endpoint since the mark."""
        total, since = 0.0, None
        for at, is_endpoint in self.endpoints():
            if not is_endpoint:
                since = at
            elif since is not None and at > self.mark:
                total, since = total + at - max(since, self.mark), None
        return total + (time.monotonic() - max(since, self.mark) if since is not None else 0)

    def steady(self, seconds: float) -> None:
        """The client goes on for so long; then every promise is checked."""
        end = time.monotonic() + seconds
        self.until(lambda: self.writer.first_after(end), seconds + 10, "no acknowledged write any more")

    def settle(self) -> tuple[int, list[str]]:
        """Stops the client: acknowledged writes, and those that were lost."""
        self.writer.end()
        return len(self.writer.acknowledged), self.writer.lost(self.pod.address)

    def close(self) -> None:
        if self.writer:
            self.writer.end()
        for pod in self.pods:
            if not pod.is_ending:
                pod.delete(grace=0)
            pod.remove()
        for disk in self.claims.values():
            self.node.drop(disk)

    def table(self) -> str:
        since = self.pods[0].events[0].at if self.pods else 0
        return "\n".join(pod.table(since) for pod in self.pods)
