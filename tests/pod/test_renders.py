"""Every set of values × every Kubernetes × both Helms: lints, and renders what the API accepts."""

import copy
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


def test_a_yaml_anchor_of_a_parent_chart_may_set_globals():
    assert release({"global": {"somebodyElses": 1}}).objects()


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize("name", ["1234", "1e5", "on"])
def test_a_release_may_be_called_anything(helm, name):
    """Names that YAML would take for something else."""
    for it in release(name=name, helm=helm).objects():
        labels = it["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == name and all(isinstance(label, str) for label in labels.values())


@pytest.mark.parametrize("path", ["extraEnvVars", "core.extraEnvVars", "sidecar.extraEnvVars", "core.resources"])
def test_an_empty_key_is_nothing(path):
    values: dict = {path.split(".")[-1]: None}
    for key in reversed(path.split(".")[:-1]):
        values = {key: values}
    assert release(values).pod()["containers"]
