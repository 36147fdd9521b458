"""What the harness runs is what Helm renders, byte for byte."""

import subprocess
from pathlib import Path

import pytest
import yaml

import helm
from kubelet.pod import Pod

CHART = Path(__file__).resolve().parents[3] / "helm" / "metastore"


@pytest.mark.parametrize("name", ["store", "metastore"])
def test_the_pod_is_the_render(node, gone, name, tmp_path):
    """Asked of Helm once more, by its own command line, and compared with what the pod was made of."""
    chart = helm.release(name=name)
    claim = f"data-{chart.one('StatefulSet')['metadata']['name']}-0"
    pod = Pod(node, helm.rendered(chart), claim.removeprefix("data-"), {claim: tmp_path})
    gone(pod)
    again = subprocess.run(
        ["helm4", "template", name, CHART, "--namespace", "shop", "--kube-version", "1.36.0"], capture_output=True, check=True
    ).stdout
    assert pod.manifest.encode() == again
    (rendered,) = [it for it in yaml.safe_load_all(again) if it["kind"] == "StatefulSet"]
    assert pod.spec == rendered["spec"]["template"]["spec"], "nothing was added, left out or changed"
    assert [it.spec for it in pod.containers.values()] == pod.spec["initContainers"] + pod.spec["containers"]
    for container in pod.containers.values():
        words = pod.setting.arguments(container.spec)
        assert pod.node.full(container.spec["image"]) == words[-1], "the image's own command, without arguments"
    environment = pod.setting.variables(pod["core"].spec)
    ours = {key for key in environment if not key.startswith(("METASTORE_", "KUBERNETES_"))}
    assert not ours and "METASTORE_PORT" not in environment, "no links to Services"
