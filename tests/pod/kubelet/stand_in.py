"""Pods of stand-ins: a shell script for each container."""

import time

import yaml

from kubelet.pod import Pod
from kubelet.tiny import TINY


def container(name: str, script: str, **fields) -> dict:
    return {"name": name, "image": TINY, "command": ["sh", "-c", script], **fields}


def file_probe(name: str, **numbers) -> dict:
    """Succeeds while the file is there; every second unless told otherwise."""
    return {"exec": {"command": ["test", "-e", f"/www/{name}"]}, "periodSeconds": 1, "timeoutSeconds": 5, **numbers}


def http_probe(name: str, **numbers) -> dict:
    return {"httpGet": {"path": f"/{name}", "port": 8080}, "periodSeconds": 1, **numbers}


SERVE = "exec httpd -f -p 8080 -h /www"
WWW = {"volumeMounts": [{"name": "www", "mountPath": "/www"}]}


def stand_in(node, containers: list[dict], inits: list[dict] = [], others: list[dict] = [], speed: float = 1, **spec) -> Pod:
    volumes = [{"name": "www", "emptyDir": {}}]
    spec = {"terminationGracePeriodSeconds": 5, "volumes": volumes, "initContainers": inits, "containers": containers, **spec}
    pod = {"kind": "Pod", "metadata": {"name": "tiny"}, "spec": spec}
    return Pod(node, yaml.safe_dump_all([pod, *others]), "tiny", speed=speed)


def eventually(holds, seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while not (found := holds()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found
