"""Every set of values × every Kubernetes × both Helms: lints, and renders what the API accepts."""

import copy
import json
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import kubernetes_validate
import pytest

from helm import HELMS, KUBES, VALUE_SETS, release, rendered, value_set
from restricted import breaches
from values_yaml import CHART

# Objects of the Prometheus operator have no schema here: the fields that we use.
MONITORS = {
    "PodMonitor": {"spec": {"selector", "namespaceSelector", "podMetricsEndpoints"}},
    "ServiceMonitor": {"spec": {"selector", "namespaceSelector", "endpoints"}},
    "PrometheusRule": {"spec": {"groups"}},
}


@pytest.fixture(scope="module", autouse=True)
def all_renders():
    """Rendered ahead, as many at a time as there are processors."""
    every = [release(value_set(it), kube=kube, helm=helm) for it in VALUE_SETS for kube in KUBES for helm in HELMS]
    with ThreadPoolExecutor() as pool:
        list(pool.map(rendered, every))


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize("values", VALUE_SETS)
def test_lint_is_silent(helm, values):
    command = [helm, "lint", "--strict", str(CHART), "--values", str(CHART / "ci" / f"{values}.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("values", VALUE_SETS)
@pytest.mark.parametrize("kube", KUBES)
def test_the_api_accepts_every_object(values, kube):
    objects = release(value_set(values), kube=kube).objects()
    assert len({(it["kind"], it["metadata"]["name"]) for it in objects}) == len(objects)
    for it in objects:
        if it["kind"] in MONITORS:
            assert set(it["spec"]) == MONITORS[it["kind"]]["spec"]
        else:
            kubernetes_validate.validate(it, kube, strict=True)


@pytest.mark.parametrize("values", VALUE_SETS)
@pytest.mark.parametrize("kube", KUBES)
def test_both_helms_render_the_same(values, kube):
    three, four = (release(value_set(values), kube=kube, helm=helm).by_id() for helm in HELMS)
    assert three == four


@pytest.mark.parametrize("values", VALUE_SETS)
@pytest.mark.parametrize("kube", ["1.28.0", "1.37.0"])
def test_every_pod_is_restricted(values, kube):
    chart = release(value_set(values), kube=kube)
    assert breaches(chart.pod()) == []
    assert breaches(chart.one("Pod")["spec"]) == []


# A rule that finds nothing wrong with a wrong pod would be no rule.
WRONGS = {
    "hostNetwork": lambda pod: pod.update(hostNetwork=True),
    "pod: runs as root": lambda pod: pod["securityContext"].update(runAsUser=0),
    "core: runAsNonRoot": lambda pod: (
        pod["securityContext"].pop("runAsNonRoot"),
        pod["containers"][0]["securityContext"].pop("runAsNonRoot"),
    ),
    "core: seccompProfile None": lambda pod: pod["securityContext"].pop("seccompProfile"),
    "core: privileged": lambda pod: pod["containers"][0]["securityContext"].update(privileged=True),
    "sidecar: allowPrivilegeEscalation": lambda pod: pod["initContainers"][0]["securityContext"].pop(
        "allowPrivilegeEscalation"
    ),
    "core: capabilities are not dropped": lambda pod: pod["containers"][0]["securityContext"].pop("capabilities"),
    "core: capability SYS_TIME": lambda pod: pod["containers"][0]["securityContext"]["capabilities"].update(
        add=["SYS_TIME"]
    ),
    "volume host: hostPath": lambda pod: pod["volumes"].append({"name": "host", "hostPath": {"path": "/"}}),
    "core: hostPort 2379": lambda pod: pod["containers"][0]["ports"][0].update(hostPort=2379),
    "core: readinessProbe names a host": lambda pod: pod["containers"][0]["readinessProbe"]["httpGet"].update(
        host="127.0.0.1"
    ),
}


@pytest.mark.parametrize("breach", WRONGS)
def test_a_breach_of_the_restricted_standard_is_found(breach):
    pod = copy.deepcopy(release().pod())
    WRONGS[breach](pod)
    assert breach in breaches(pod)


@pytest.mark.parametrize("values", VALUE_SETS)
def test_rendering_is_repeatable_and_makes_no_secret(values):
    chart = release(value_set(values))
    assert rendered(chart) == rendered.__wrapped__(chart)
    assert not [it for it in chart.objects() if it["kind"] == "Secret"]


@pytest.mark.parametrize("name", ["metastore", "store", "etcd", "x" * 53, "my-metastore-in-test"])
def test_any_release_name_works(name):
    objects = release(name=name).by_id()
    fullname = release(name=name).one("StatefulSet")["metadata"]["name"]
    assert fullname.startswith(name[:40])
    assert len(fullname) <= 52, "a revision's hash is appended to it, in a label"
    assert all(len(key.split("/")[1]) <= 63 for key in objects)
    for it in objects.values():
        assert all(len(text) <= 63 for text in it["metadata"]["labels"].values())


def test_everything_is_in_the_namespace():
    for values, namespace in [({}, "shop"), ({"namespaceOverride": "vault"}, "vault")]:
        objects = release({**values, "metrics": {"podMonitor": {"enabled": True}}}).objects()
        assert {it["metadata"]["namespace"] for it in objects} == {namespace}
        assert f".{namespace}.svc." in str(objects)


@pytest.mark.parametrize("helm", HELMS)
def test_another_chart_may_include_this_one(helm, tmp_path):
    """With a condition, globals of its own, a list of objects where we have names, and keys left empty."""
    shutil.copytree(CHART, tmp_path / "charts" / "metastore")
    dependency = {"name": "metastore", "version": "*", "condition": "metastore.enabled"}
    (tmp_path / "Chart.yaml").write_text(json.dumps({"apiVersion": "v2", "name": "shop", "version": "1.0.0", "dependencies": [dependency]}))
    (tmp_path / "values.yaml").write_text("metastore: {enabled: true, core: , networkPolicy: }")
    secrets = {"imagePullSecrets": [{"name": "one"}, "two", "one"], "somebodyElses": 1}
    chart = release({"global": secrets, "metastore": {"sidecar": {"compaction": None}}}, helm=helm, chart=tmp_path)
    assert chart.by_id().keys() == release(helm=helm).by_id().keys()
    assert chart.pod() == {**release(helm=helm).pod(), "imagePullSecrets": [{"name": "one"}, {"name": "two"}]}
    assert not release({"metastore": {"enabled": False}}, helm=helm, chart=tmp_path).objects()


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize("name", ["1234", "1e5", "on"])
def test_a_release_may_be_called_anything(helm, name):
    """Names that YAML would take for something else."""
    for it in release(name=name, helm=helm).objects():
        labels = it["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == name and all(isinstance(label, str) for label in labels.values())


@pytest.mark.parametrize("name", ["1234", "1e5", "on"])
def test_what_is_named_may_be_called_anything(name):
    values = {
        "fullnameOverride": name,
        "namespaceOverride": name,
        "extraEnvVarsCM": name,
        "extraEnvVarsSecret": name,
        "image": {"pullSecrets": [name]},
        "persistence": {"storageClass": name},
        "metrics": {"podMonitor": {"enabled": True, "interval": ""}},
        **dict.fromkeys(["priorityClassName", "schedulerName", "runtimeClassName"], name),
    }
    for it in release(values).objects() + release({"persistence": {"existingClaim": name}, "serviceAccount": {"name": name}}).objects():
        if it["kind"] not in MONITORS:
            kubernetes_validate.validate(it, "1.37.0", strict=True)
    assert release(values).one("PodMonitor")["spec"]["namespaceSelector"] == {"matchNames": [name]}


def test_a_release_with_dots_makes_services_without():
    for it in release(name="a.b").objects():
        assert it["metadata"]["name"].startswith("a-b-metastore")
        assert it["metadata"]["labels"]["app.kubernetes.io/instance"] == "a.b"


def test_large_numbers_are_numbers():
    """Go would print a million as 1e+06, which Kubernetes does not take for a whole number."""
    probe = {"periodSeconds": 1000000, "timeoutSeconds": 1000000, "failureThreshold": 1000000}
    values = {"core": {"startupProbe": probe, "readinessProbe": probe}, "terminationGracePeriodSeconds": 1000000, "minReadySeconds": 1000000}
    assert "e+06" not in rendered(release(values))
    kubernetes_validate.validate(release(values).one("StatefulSet"), "1.37.0", strict=True)
