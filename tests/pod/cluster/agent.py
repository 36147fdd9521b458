"""The rest of a cluster of one node: it binds pods, makes volumes, and runs pods as kubelet does.

Scheduler: every pod fits. Provisioner: a claim gets an ext4 volume of its own, and the controller manager binds the
two. Kubelet: a pod bound here is run by the harness from what the API server holds, its status is
posted, and after its deletion and its grace the object goes. What a Service's name means inside a pod is written to its hosts file.
"""

import http.client
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import yaml

from cluster import logs
from cluster.api import Api, Refused
from cluster.certificates import Certificates
from kubelet.node import Node
from kubelet.pod import Container, Pod
from kubelet.setting import Absent, quantity

NAME = "node"
TURN_SECONDS = 0.2
# Kubelet's own: the lease says that the node is there, for four of these.
HEARTBEAT_SECONDS = 10


def now(fraction: str = "") -> str:
    return datetime.now(UTC).strftime(f"%Y-%m-%dT%H:%M:%S{fraction}Z")


class Running:
    """A pod that the harness runs, and what was last said of it."""

    def __init__(self, stored: dict, pod: Pod, versions: set[str]):
        self.stored, self.pod, self.versions = stored, pod, versions
        self.begun = now()
        self.posted: dict = {}
        self.ending: threading.Thread | None = None

    def status(self) -> dict:
        pod = self.pod
        codes = [it.exits[-1] if it.exits and it.policy == "Never" else None for it in pod.containers.values() if not it.is_sidecar]
        phase = "Pending" if not any(it.starts for it in pod.containers.values()) else "Running"
        if None not in codes:
            phase = "Failed" if any(codes) else "Succeeded"
        inits, mains = (self.containers(flag) for flag in (True, False))
        return {
            "phase": phase,
            "startTime": self.begun,
            "hostIP": "127.0.0.1",
            "podIP": pod.address,
            "podIPs": [{"ip": pod.address}],
            "conditions": self.conditions(phase),
            "initContainerStatuses": inits,
            "containerStatuses": mains,
        }

    def containers(self, is_init: bool) -> list[dict]:
        chosen = [it for it in self.pod.containers.values() if (it.is_init or it.is_sidecar) == is_init]
        return [container_status(it) for it in chosen]

    def conditions(self, phase: str) -> list[dict]:
        is_ready = self.pod.is_ready and phase == "Running"
        facts = {"PodScheduled": True, "Initialized": phase != "Pending", "ContainersReady": is_ready, "Ready": is_ready}
        before = {it["type"]: it for it in self.posted.get("conditions", [])}
        found = []
        for kind, fact in facts.items():
            status = str(bool(fact))
            since = before[kind]["lastTransitionTime"] if before.get(kind, {}).get("status") == status else now()
            found.append({"type": kind, "status": status, "lastTransitionTime": since})
        return found


def container_status(it: Container) -> dict:
    if it.process:
        state = {"running": {}}
    elif it.exits and it.policy == "Never":
        code = it.exits[-1]
        state = {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed"}}
    else:
        state = {"waiting": {"reason": "CrashLoopBackOff" if it.exits else "PodInitializing"}}
    return {
        "name": it.name,
        "image": it.spec["image"],
        "imageID": "",
        "ready": bool(it.process and it.started and it.is_ready),
        "started": bool(it.process and it.started),
        "restartCount": max(0, it.starts - 1),
        "state": state,
    }


class Agent(threading.Thread):
    """While the API cannot be reached, pods go on as they are."""

    def __init__(self, api: Api, node: Node, certificates: Certificates):
        super().__init__(daemon=True, name="agent")
        self.api, self.node = api, node
        self.logs = logs.serve(certificates, self.log_of)
        self.running: dict[str, Running] = {}
        self.past: list[Running] = []
        self.disks: dict[str, Path] = {}
        self.faults: list[str] = []
        self.is_done = False
        self.heartbeat_due = 0.0

    def run(self) -> None:
        while not self.is_done:
            try:
                self.heartbeat()
                self.turn()
            except (OSError, http.client.HTTPException, Refused):
                pass  # the next turn asks again
            except Exception as error:  # a fault of the harness must not look like one of the cluster
                self.faults.append(repr(error))
            time.sleep(TURN_SECONDS)

    def close(self) -> None:
        self.is_done = True
        self.join(30)
        self.logs.shutdown()
        for it in [*self.running.values(), *self.past]:
            if not it.pod.is_ending:
                it.pod.delete(grace=0)
            it.pod.remove()
        for disk in self.disks.values():
            self.node.drop(disk)

    def heartbeat(self) -> None:
        if time.monotonic() < self.heartbeat_due:
            return
        path = f"/api/v1/nodes/{NAME}"
        try:
            self.api.get(path)
        except Refused as refused:
            if refused.code != 404:
                raise
            self.api.post("/api/v1/nodes", {"metadata": {"name": NAME}})
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": now(), "lastTransitionTime": now()}
        room = {"cpu": "64", "memory": "64Gi", "pods": "99"}
        status = {
            "conditions": [ready],
            "capacity": room,
            "allocatable": room,
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self.logs.server_address[1]}},
        }
        self.api.patch(f"{path}/status", {"status": status})
        self.renew()
        self.heartbeat_due = time.monotonic() + HEARTBEAT_SECONDS

    def renew(self) -> None:
        leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        spec = {"holderIdentity": NAME, "leaseDurationSeconds": 4 * HEARTBEAT_SECONDS, "renewTime": now(".%f")}
        try:
            self.api.patch(f"{leases}/{NAME}", {"spec": spec})
        except Refused as refused:
            if refused.code != 404:
                raise
            self.api.post(leases, {"metadata": {"name": NAME}, "spec": spec})

    def turn(self) -> None:
        self.provide()
        pods = self.api.get("/api/v1/pods")["items"]
        for stored in pods:
            if "nodeName" in stored["spec"]:
                self.keep(stored)
            elif not stored["metadata"].get("deletionTimestamp"):
                self.bind(stored)
        there = {it["metadata"]["uid"] for it in pods}
        for uid in [uid for uid, it in self.running.items() if uid not in there and it.ending is None]:
            it = self.running[uid]
            self.end(it, 0)

    def provide(self) -> None:
        for claim in self.api.get("/api/v1/persistentvolumeclaims")["items"]:
            about, spec = claim["metadata"], claim["spec"]
            key = f"{about['namespace']}/{about['name']}"
            if key in self.disks or claim["status"].get("phase") != "Pending":
                continue
            size = spec["resources"]["requests"]["storage"]
            disk = self.node.disk(about["name"], quantity(size))
            reference = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": about["namespace"], "name": about["name"]}
            volume = {
                "capacity": {"storage": size},
                "accessModes": spec["accessModes"],
                "storageClassName": spec.get("storageClassName", ""),
                "claimRef": {**reference, "uid": about["uid"]},
                "hostPath": {"path": str(disk)},
            }
            self.disks[key] = disk
            self.api.post("/api/v1/persistentvolumes", {"metadata": {"name": f"{about['namespace']}-{about['name']}"}, "spec": volume})

    def bind(self, stored: dict) -> None:
        about = stored["metadata"]
        for name in claims_of(stored):
            claim = self.api.get(f"/api/v1/namespaces/{about['namespace']}/persistentvolumeclaims/{name}")
            if claim["status"].get("phase") != "Bound":
                return
        target = {"apiVersion": "v1", "kind": "Node", "name": NAME}
        self.api.post(f"/api/v1/namespaces/{about['namespace']}/pods/{about['name']}/binding", {"metadata": {"name": about["name"]}, "target": target})

    def keep(self, stored: dict) -> None:
        """One pod of this node, as it should be and as it is."""
        about = stored["metadata"]
        it = self.running.get(about["uid"])
        if it is None:
            if not about.get("deletionTimestamp"):
                self.running[about["uid"]] = self.begin(stored)
            elif not any(past.stored["metadata"]["uid"] == about["uid"] for past in self.past):
                self.forget(stored)
            return
        if about.get("deletionTimestamp") and it.ending is None:
            self.end(it, about.get("deletionGracePeriodSeconds", 30))
        self.project(it)
        status = it.status()
        if status != it.posted and it.ending is None:
            self.api.patch(f"{path_of(stored)}/status", {"status": status})
            it.posted = status

    def begin(self, stored: dict) -> Running:
        namespace = stored["metadata"]["namespace"]
        others, versions = self.surroundings(namespace)
        disks = {name: self.disks[f"{namespace}/{name}"] for name in claims_of(stored)}
        manifest = yaml.safe_dump_all([{**stored, "kind": "Pod"}, *others])
        pod = Pod(self.node, manifest, stored["metadata"]["name"], disks)
        pod.setting.hosts |= self.names(namespace)
        pod.start()
        return Running(stored, pod, versions)

    def surroundings(self, namespace: str) -> tuple[list[dict], set[str]]:
        """What a pod may refer to."""
        found = []
        for kind, plural in [("ConfigMap", "configmaps"), ("Secret", "secrets"), ("Service", "services")]:
            found += [{**it, "kind": kind} for it in self.api.get(f"/api/v1/namespaces/{namespace}/{plural}")["items"]]
        return found, {it["metadata"]["resourceVersion"] for it in found}

    def names(self, namespace: str) -> dict[str, str]:
        """The first ready address of each Service, from the EndpointSlices that the controller keeps."""
        slices = self.api.get(f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices")["items"]
        found = {}
        for it in slices:
            ready = [end["addresses"][0] for end in it.get("endpoints") or [] if end["conditions"].get("ready")]
            if ready:
                found[f"{it['metadata']['labels']['kubernetes.io/service-name']}.{namespace}.svc.cluster.local"] = ready[0]
        return found

    def project(self, it: Running) -> None:
        """Changed files, which kubelet itself brings within two minutes."""
        if not it.pod.setting.files or it.ending:
            return
        others, versions = self.surroundings(it.stored["metadata"]["namespace"])
        if versions == it.versions:
            return
        try:
            it.pod.setting.update(others)
        except Absent:
            pass  # deleted before the pod, as in an uninstall: it keeps its files
        it.versions = versions

    def end(self, it: Running, grace: float) -> None:
        it.ending = threading.Thread(target=self.end_now, args=(it, grace), daemon=True)
        it.ending.start()

    def end_now(self, it: Running, grace: float) -> None:
        it.pod.delete(grace)
        self.past.append(self.running.pop(it.stored["metadata"]["uid"]))
        while not self.is_done:
            try:
                return self.forget(it.stored)
            except (OSError, http.client.HTTPException):
                time.sleep(TURN_SECONDS)
            except Refused:
                return  # it is gone already

    def forget(self, stored: dict) -> None:
        self.api.delete(path_of(stored), gracePeriodSeconds=0, preconditions={"uid": stored["metadata"]["uid"]})

    def pod(self, namespace: str, name: str) -> Running | None:
        mine = [it for it in list(self.running.values()) if it.stored["metadata"]["namespace"] == namespace]
        return next((it for it in mine if it.stored["metadata"]["name"] == name), None)

    def log_of(self, namespace: str, pod: str, container: str) -> str | None:
        it = self.pod(namespace, pod)
        return it.pod.logs(container) if it and container in it.pod.containers else None


def claims_of(stored: dict) -> list[str]:
    volumes = stored["spec"].get("volumes", [])
    return [it["persistentVolumeClaim"]["claimName"] for it in volumes if "persistentVolumeClaim" in it]


def path_of(stored: dict) -> str:
    return f"/api/v1/namespaces/{stored['metadata']['namespace']}/pods/{stored['metadata']['name']}"
