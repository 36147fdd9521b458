"""What kubelet does with one pod, on podman: start order, probes, restarts, hooks, grace.

The manifest is Helm's output as it is; what the StatefulSet controller adds (name, claim) is added
beside the spec. What happened stands in `events`, and `wait` waits for any of it.

Played as kubelet's source has it: the first restart comes at once, those after it 10, 20, 40 … 300 s after
the exit (`speed` divides that, and nothing else); a hook's time is part of the grace, of which at least two seconds are
left for SIGTERM; sidecars end after the others, last first. Kubelet may see an exit a second later than this does.
Not played: eviction, resize, CPU, postStart.
"""

import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

from kubelet.node import Node, Process
from kubelet.probe import KINDS, Prober
from kubelet.setting import Setting, known

GRACE_MIN = 2
LAST_SECONDS = 30  # nothing lives so long after SIGKILL
BACKOFF_FIRST, BACKOFF_MAX = 10, 300


@dataclass(frozen=True)
class Event:
    at: float
    who: str
    what: str


class Backoff:
    """How long after its exit a container starts again."""

    def __init__(self):
        self.seconds, self.last = 0, float("-inf")

    def next(self, exited: float) -> float:
        if exited - self.last > 2 * BACKOFF_MAX:
            self.seconds = 0
        now, self.last = self.seconds, exited
        self.seconds = min(now * 2, BACKOFF_MAX) if now else BACKOFF_FIRST
        return now


class Container:
    def __init__(self, pod: "Pod", spec: dict, is_init: bool):
        self.pod, self.spec, self.name = pod, spec, spec["name"]
        self.is_sidecar = is_init and spec.get("restartPolicy") == "Always"
        self.is_init = is_init and not self.is_sidecar
        self.policy = spec.get("restartPolicy") or pod.spec.get("restartPolicy", "Always")
        if self.is_init and self.policy == "Always":
            self.policy = "OnFailure"
        known("lifecycle", spec.get("lifecycle"), {"preStop"})
        known("preStop", spec.get("lifecycle", {}).get("preStop"), {"exec", "sleep"})
        self.log = pod.setting.directory / f"{self.name}.log"
        self.process: Process | None = None
        self.started = self.is_ready = self.is_launching = False
        self.exits: list[int] = []
        self.starts = 0
        self.backoff = Backoff()
        self.keeper = threading.Thread(target=self.keep, daemon=True, name=self.name)
        self.probers = [Prober(self, kind) for kind in KINDS if f"{kind}Probe" in spec]

    def record(self, what: str) -> None:
        self.pod.record(self.name, what)

    def has(self, kind: str) -> bool:
        return f"{kind}Probe" in self.spec

    def port(self, port: int | str) -> int:
        named = {it.get("name"): it["containerPort"] for it in self.spec.get("ports", [])}
        return named[port] if isinstance(port, str) and not port.isdigit() else int(port)

    def lets_the_next_start(self) -> bool:
        if self.is_sidecar:
            return self.started
        return 0 in self.exits if self.is_init else self.starts > 0

    def begin(self) -> None:
        self.keeper.start()
        for prober in self.probers:
            prober.start()

    def keep(self) -> None:
        while True:
            with self.pod.changed:
                if self.pod.is_ending:
                    return
                self.is_launching = True
            code = self.run_once()
            if self.policy == "Never" or self.policy == "OnFailure" and code == 0 or self.pod.is_ending:
                return
            delay = self.backoff.next(time.monotonic()) / self.pod.speed
            if delay:
                self.record(f"back-off {delay:g} s")
            if self.pod.ending.wait(delay):
                return

    def run_once(self) -> int:
        name = f"{self.pod.setting.name}-{self.name}-{self.starts}"
        process = Process(self.pod.node, name, self.pod.setting.arguments(self.spec), self.log)
        with self.pod.changed:
            self.starts += 1
            self.process, self.is_launching = process, False
            self.record("runs")
            if not self.has("startup"):
                self.has_started()
        code = process.wait()
        with self.pod.changed:
            self.process, self.started, self.is_ready = None, False, False
            self.exits.append(code)
            self.record(f"exits with {code}{' (' + signal.Signals(code - 128).name + ')' if 128 < code < 160 else ''}")
            self.pod.judge()
        process.remove()
        return code

    def has_started(self) -> None:
        with self.pod.changed:
            self.started = True
            self.is_ready = not self.has("readiness")
            if self.has("startup"):
                self.record("started")
            self.pod.judge()
        for prober in self.probers:
            prober.wake.set()  # kubelet asks for readiness at once

    def answered(self, is_ready: bool) -> None:
        with self.pod.changed:
            if self.process and self.started and self.is_ready != is_ready:
                self.is_ready = is_ready
                self.record("ready" if is_ready else "not ready")
                self.pod.judge()

    def kill(self, why: str, grace: float | None = None, turn: threading.Event | None = None) -> None:
        """Hook, turn, SIGTERM, SIGKILL, within the grace; returns when the process has ended."""
        self.pod.wait(lambda _: not self.is_launching, Process.START_SECONDS)
        process = self.process
        left = self.pod.grace if grace is None else grace
        if process is None:
            return
        self.record(f"is stopped: {why}, {left:g} s")
        begun = time.monotonic()
        hook = self.spec.get("lifecycle", {}).get("preStop") if left > 0 else None
        if hook and "sleep" in hook:
            process.wait(min(hook["sleep"]["seconds"], left))
        elif hook:
            succeeded, said = process.execute(hook["exec"]["command"], left)
            self.record(f"preStop {'ended' if succeeded else 'failed'} after {time.monotonic() - begun:.1f} s: {said}")
        if turn:
            turn.wait(max(0, left - (time.monotonic() - begun)))
        left = max(left - (time.monotonic() - begun), GRACE_MIN if left else 0)
        if process.wait(0) is None:
            self.record("SIGTERM")
            process.signal(signal.SIGTERM)
        if process.wait(left) is None:
            self.record("SIGKILL")
            process.signal(signal.SIGKILL)
            process.wait(LAST_SECONDS)


class Pod:
    """`manifest` is Helm's output, `name` the pod's: `store-0` of the StatefulSet `store`, or a Pod's own."""

    def __init__(self, node: Node, manifest: str, name: str, claims: dict[str, Path] | None = None, speed: float = 1):
        self.node, self.manifest, self.name, self.speed = node, manifest, name, speed
        self.objects = [it for it in yaml.load_all(manifest, yaml.CSafeLoader) if it]
        by_name = {(it["kind"], it["metadata"]["name"]): it for it in self.objects}
        owner = None if ("Pod", name) in by_name else by_name["StatefulSet", name.rpartition("-")[0]]
        template = owner["spec"]["template"] if owner else by_name["Pod", name]
        self.spec = template["spec"]
        of_owner = (owner or template)["metadata"]
        metadata = {**template["metadata"], "name": name, "namespace": of_owner.get("namespace", "default")}
        named = [it["metadata"]["name"] for it in owner["spec"].get("volumeClaimTemplates", [])] if owner else []
        claimed = [{"name": it, "persistentVolumeClaim": {"claimName": f"{it}-{name}"}} for it in named]
        with_claims = {**self.spec, "volumes": self.spec.get("volumes", []) + claimed}
        self.events: list[Event] = []
        self.changed = threading.Condition(threading.RLock())
        self.ending = threading.Event()
        self.is_ready = False
        self.grace = self.spec.get("terminationGracePeriodSeconds", 30)
        self.setting = Setting(node, {"metadata": metadata, "spec": with_claims}, self.objects, claims or {})
        self.address = self.setting.address
        inits = [Container(self, it, True) for it in self.spec.get("initContainers", [])]
        self.containers = {it.name: it for it in inits + [Container(self, it, False) for it in self.spec["containers"]]}

    def __getitem__(self, name: str) -> Container:
        return self.containers[name]

    @property
    def is_ending(self) -> bool:
        return self.ending.is_set()

    @property
    def is_endpoint(self) -> bool:
        """Whether the Service sends clients here: a pod that is being deleted gets none."""
        return self.is_ready and not self.is_ending

    def record(self, who: str, what: str) -> None:
        with self.changed:
            self.events.append(Event(time.monotonic(), who, what))
            self.changed.notify_all()

    def judge(self) -> None:
        lasting = [it for it in self.containers.values() if not it.is_init]
        is_ready = all(it.process and it.started and it.is_ready for it in lasting)
        if is_ready != self.is_ready:
            self.is_ready = is_ready
            self.record("pod", "ready" if is_ready else "not ready")
        self.changed.notify_all()

    def wait(self, holds, seconds: float) -> bool:
        """Waits until `holds(pod)`; tells whether it does."""
        with self.changed:
            return self.changed.wait_for(lambda: holds(self), seconds)

    def find(self, who: str, what: str, after: float = 0) -> float | None:
        """When this was first recorded."""
        return next((it.at for it in list(self.events) if it.at >= after and it.who == who and it.what.startswith(what)), None)

    def logs(self, container: str) -> str:
        log = self[container].log
        return log.read_text(errors="replace") if log.exists() else ""

    def start(self) -> "Pod":
        self.record("pod", f"on the node at {self.address}" + (f", back-off {self.speed:g} times faster" if self.speed != 1 else ""))
        threading.Thread(target=self.start_all, daemon=True, name=self.name).start()
        return self

    def start_all(self) -> None:
        for container in self.containers.values():
            if self.is_ending:
                return
            container.begin()
            with self.changed:
                self.changed.wait_for(lambda it=container: self.is_ending or it.lets_the_next_start())

    def delete(self, grace: float | None = None) -> None:
        """What a drain, a roll and `kubectl delete` do; returns when all have ended."""
        self.record("pod", f"is deleted, grace {self.grace if grace is None else grace:g} s: no endpoint any more")
        with self.changed:
            self.ending.set()
            self.changed.notify_all()
        last_first = [it for it in reversed(self.containers.values()) if it.is_sidecar]
        turns = {it.name: threading.Event() for it in last_first}
        stop = lambda it: threading.Thread(target=it.kill, args=("deletion", grace, turns.get(it.name)), daemon=True)
        stops = {it.name: stop(it) for it in self.containers.values() if it.keeper.ident}
        for thread in stops.values():
            thread.start()
        for name, thread in stops.items():
            if name not in turns:
                thread.join()
        for sidecar in [it for it in last_first if it.name in stops]:
            turns[sidecar.name].set()
            stops[sidecar.name].join()
        for container in [it for it in self.containers.values() if it.keeper.ident]:
            container.keeper.join(LAST_SECONDS)
            for prober in container.probers:
                prober.end()
        self.record("pod", "gone")

    def remove(self) -> None:
        """Its volumes and its network; not its claims. Logs go too."""
        self.setting.remove()

    def table(self, since: float | None = None) -> str:
        """The events, a line each, in seconds since the first or since then."""
        begun = self.events[0].at if since is None else since
        return "\n".join(f"{it.at - begun:9.3f}  {it.who:8}  {it.what}" for it in self.events)
