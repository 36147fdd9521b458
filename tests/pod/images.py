"""The images of one run, under the names that the chart renders."""

import os
import shutil
from pathlib import Path

import helm
from kubelet import tiny
from kubelet.node import Node

# A later version of both, which is the same one: what a roll is about is the roll.
NEXT = "0.1.1-next"


def load(node: Node) -> str:
    """Answers how large they are, in words."""
    archives = Path(os.environ["METASTORE_POD_IMAGES"])
    version = helm.release().container("core")["image"].rpartition(":")[2]
    for part in ("core", "sidecar"):
        for tag in (version, NEXT):
            node.load(archives / f"{part}.tar", f"metastore-{part}:{tag}")
    tester = helm.release().one("Pod")["spec"]["containers"][0]["image"]
    tiny.make(node, Path(shutil.which("busybox")), tester, [Path(os.environ["METASTORE_ETCDCTL_DIR"]) / "etcdctl"])
    sizes = {part: int(node.podman("image", "inspect", "--format", "{{.Size}}", f"localhost/metastore-{part}:{version}")) for part in ("core", "sidecar")}
    return ", ".join(f"{part} {size / 1e6:.0f} MB" for part, size in sizes.items())
