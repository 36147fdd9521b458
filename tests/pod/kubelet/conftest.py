"""One node for all tests; every pod of a test is deleted at its end."""

import os
import shutil
from pathlib import Path

import pytest

from kubelet import tiny
from kubelet.node import Node


@pytest.fixture(scope="session")
def node():
    if os.geteuid() != 0 or not shutil.which("podman"):
        pytest.skip("needs root and podman")
    node = Node(Path(os.environ["METASTORE_POD_NODE"]))
    tiny.make(node, Path(shutil.which("busybox")))
    yield node
    node.close()


@pytest.fixture
def gone():
    pods = []
    yield lambda pod: pods.append(pod) or pod
    for pod in pods:
        pod.delete(grace=0)
        pod.remove()
