"""The wiring of the pod: the numbers and the order that docs/operations.md promises."""

import pytest

from helm import KUBES, release


def at(minor: int, patch: str = "0") -> str:
    return f"1.{minor}.{patch}"


@pytest.mark.parametrize("kube", KUBES + ["1.33.5-gke.100", "1.29.0-eks-1234", "1.28.15-gke.1"])
def test_the_sidecar_is_native_where_the_cluster_has_it(kube):
    pod = release(kube=kube).pod()
    has_native = int(kube.split(".")[1]) >= 29
    init = [it["name"] for it in pod.get("initContainers", [])]
    assert init == (["sidecar"] if has_native else [])
    assert [it["name"] for it in pod["containers"]] == (["core"] if has_native else ["core", "sidecar"])
    policy = release(kube=kube).container("sidecar").get("restartPolicy")
    assert policy == ("Always" if has_native else None)


@pytest.mark.parametrize("native", [True, "true", False, "false"])
def test_native_may_be_forced(native):
    pod = release({"sidecar": {"native": native}}).pod()
    assert ("initContainers" in pod) == (str(native).lower() == "true")


def test_the_native_sidecar_comes_before_other_init_containers():
    init = [{"name": "mine", "image": "mine"}]
    names = [it["name"] for it in release({"initContainers": init}).pod()["initContainers"]]
    assert names == ["sidecar", "mine"], "core and what prepares it wait for a sound environment"


@pytest.mark.parametrize("native", [True, False])
def test_probes_are_those_of_the_design(native):
    chart = release({"sidecar": {"native": native}})
    core, sidecar = chart.container("core"), chart.container("sidecar")
    assert core["startupProbe"] == {
        "httpGet": {"path": "/startup", "port": 2381},
        "periodSeconds": 1,
        "timeoutSeconds": 3,
        "failureThreshold": 600,
    }
    assert core["readinessProbe"] == {
        "httpGet": {"path": "/readiness", "port": 2381},
        "periodSeconds": 2,
        "timeoutSeconds": 2,
        "failureThreshold": 3,
        "successThreshold": 1,
    }
    assert core["livenessProbe"] == {
        "exec": {"command": ["/usr/local/bin/metastore-core", "probe", "live"]},
        "periodSeconds": 10,
        "timeoutSeconds": 5,
        "failureThreshold": 12,
        "terminationGracePeriodSeconds": 30,
    }
    assert sidecar["startupProbe"] == {
        "httpGet": {"path": "/sidecar/livez", "port": 2381},
        "periodSeconds": 1,
        "failureThreshold": 30,
    }
    assert sidecar["livenessProbe"] == {
        "httpGet": {"path": "/sidecar/livez", "port": 2381},
        "periodSeconds": 10,
        "timeoutSeconds": 3,
        "failureThreshold": 6,
    }
    assert "readinessProbe" not in sidecar, "core carries readiness"
    assert core["lifecycle"]["preStop"]["exec"]["command"] == ["/usr/local/bin/metastore-core", "prestop", "5"]
    assert chart.pod()["terminationGracePeriodSeconds"] == 60
    assert chart.one("StatefulSet")["spec"]["minReadySeconds"] == 10


@pytest.mark.parametrize("kube", KUBES)
def test_no_probe_of_core_stands_on_the_sidecar(kube):
    sidecar = release({"core": {"liveness": "sidecar"}}, kube=kube).container("sidecar")
    paths = {it["httpGet"]["path"] for name, it in sidecar.items() if name.endswith("Probe")}
    assert paths == {"/sidecar/livez"}, "else a dead core would restart the sidecar for ever"


def test_liveness_of_core_has_three_ways():
    def probe(way):
        return release({"core": {"liveness": way}}).container("core").get("livenessProbe")

    assert "exec" in probe("exec")
    assert probe("sidecar")["httpGet"] == {"path": "/liveness", "port": 2381}
    assert probe("disabled") is None


@pytest.mark.parametrize(("size", "failures"), [("1Gi", 600), ("10Gi", 600), ("11Gi", 660), ("100Gi", 6000), ("1Ti", 61440)])
def test_startup_is_as_patient_as_the_volume_is_large(size, failures):
    core = release({"persistence": {"size": size}}).container("core")
    assert core["startupProbe"]["failureThreshold"] == failures


@pytest.mark.parametrize(("period", "failures"), [(1, 600), (5, 120), (7, 86), (600, 1), (601, 1)])
def test_startup_is_as_patient_however_often_it_is_asked(period, failures):
    core = release({"core": {"startupProbe": {"periodSeconds": period}}}).container("core")
    assert core["startupProbe"]["failureThreshold"] == failures


def test_the_port_of_probes_is_one_number_everywhere():
    chart = release({"containerPorts": {"sidecar": 9381}, "core": {"liveness": "sidecar"}})
    probes = [it for name in ("core", "sidecar") for key, it in chart.container(name).items() if key.endswith("Probe")]
    assert {it["httpGet"]["port"] for it in probes} == {9381}
    assert chart.one("ConfigMap", "metastore")["data"]["METASTORE_SIDECAR_LISTEN"] == "[::]:9381"


@pytest.mark.parametrize("native", [True, False])
def test_volumes_are_where_both_find_them(native):
    chart = release({"sidecar": {"native": native}})
    volumes = {it["name"]: it for it in chart.pod()["volumes"]}
    assert volumes["admin"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "1Mi"}
    mounts = {name: {it["name"]: it for it in chart.container(name)["volumeMounts"]} for name in ("core", "sidecar")}
    assert mounts["sidecar"]["data"]["readOnly"] is True
    assert "readOnly" not in mounts["core"]["data"]
    assert mounts["core"]["data"]["mountPath"] == mounts["sidecar"]["data"]["mountPath"]
    assert mounts["core"]["admin"] == mounts["sidecar"]["admin"] == {"name": "admin", "mountPath": "/run/metastore"}
    assert "run" not in mounts["core"], "core reads its environment once, at its start"
    data = chart.one("ConfigMap", "metastore")["data"]
    assert data["METASTORE_ADMIN_SOCKET"] == "/run/metastore/admin.sock"
    assert data["METASTORE_DATA_DIR"] == "/var/lib/metastore/data"


def test_a_socket_elsewhere_moves_its_volume_with_it():
    chart = release({"adminSocket": "/srv/sockets/core.sock"})
    mount = next(it for it in chart.container("core")["volumeMounts"] if it["name"] == "admin")
    assert mount["mountPath"] == "/srv/sockets"


def test_the_pod_knows_nothing_of_the_cluster():
    pod = release(name="metastore").pod()
    assert pod["enableServiceLinks"] is False
    assert pod["automountServiceAccountToken"] is False
    assert release().one("ServiceAccount")["automountServiceAccountToken"] is False


def test_memory_is_bounded_and_processors_are_not():
    for name in ("core", "sidecar"):
        limits = release().container(name)["resources"]["limits"]
        assert set(limits) == {"memory"}, "a CPU limit stalls probes"
    core = release().container("core")["resources"]
    assert core["requests"]["memory"] == core["limits"]["memory"]


def test_members_will_find_each_other():
    chart = release()
    spec = chart.one("StatefulSet")["spec"]
    headless = chart.one("Service", "-headless")
    assert spec["podManagementPolicy"] == "Parallel"
    assert spec["serviceName"] == headless["metadata"]["name"] == "store-metastore-headless"
    assert headless["spec"]["clusterIP"] == "None"
    assert headless["spec"]["publishNotReadyAddresses"] is True
    env = {it["name"]: it.get("value") for it in chart.container("core")["env"]}
    host = "$(METASTORE_NAME).store-metastore-headless.shop.svc.cluster.local"
    assert env["METASTORE_INITIAL_ADVERTISE_PEER_URLS"] == f"http://{host}:2380"
    assert env["METASTORE_ADVERTISE_CLIENT_URLS"] == (
        f"http://{host}:2379,http://store-metastore.shop.svc.cluster.local:2379"
    )
    names = [it["name"] for it in chart.container("core")["env"]]
    assert names[0] == "METASTORE_NAME", "Kubernetes expands only what stands before"


@pytest.mark.parametrize("kind", ["StatefulSet", "Service", "NetworkPolicy"])
def test_selectors_find_the_pod_and_only_by_what_never_changes(kind):
    chart = release({"commonLabels": {"team": "storage"}, "podLabels": {"a": "b"}})
    labels = chart.one("StatefulSet")["spec"]["template"]["metadata"]["labels"]
    stable = {"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component"}
    for it in [it for it in chart.objects() if it["kind"] == kind]:
        spec = it["spec"]
        selector = spec.get("podSelector") or spec["selector"]
        selector = selector.get("matchLabels", selector)
        assert set(selector) == stable
        assert selector.items() <= labels.items()
    assert {"team": "storage", "a": "b"}.items() <= labels.items()


def test_the_network_policy_restricts():
    policy = release().one("NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["egress"] == [], "the pod asks nobody"
    ports = {rule["ports"][0]["port"]: rule["from"] for rule in policy["ingress"]}
    assert set(ports) == {2379, 2381}
    assert ports[2379] == [{"podSelector": {}}], "this namespace's pods"
    assert all(rule["from"] for rule in policy["ingress"]), "a rule without peers would let everybody in"


@pytest.mark.parametrize("group", ["clients", "monitors"])
def test_nobody_is_not_everybody(group):
    policy = release({"networkPolicy": {group: []}}).one("NetworkPolicy")["spec"]
    assert len(policy["ingress"]) == 1, "an empty list of peers would mean everybody"
    assert policy["ingress"][0]["from"]


def test_images_have_a_registry_a_tag_or_a_digest():
    def images(values):
        return [release(values).container(name)["image"] for name in ("core", "sidecar")]

    digest = "sha256:" + "1" * 64
    assert images({}) == ["metastore-core:0.1.0", "metastore-sidecar:0.1.0"]
    assert images({"image": {"registry": "r.example", "tag": "2"}}) == ["r.example/metastore-core:2", "r.example/metastore-sidecar:2"]
    assert images({"core": {"image": {"digest": digest}}})[0] == f"metastore-core@{digest}"
    assert images({"sidecar": {"image": {"registry": "s", "repository": "a/b", "tag": "3"}}})[1] == "s/a/b:3"
    assert images({"global": {"imageRegistry": "g"}, "image": {"registry": "r"}})[0] == "g/metastore-core:0.1.0"


def test_pull_secrets_are_named_once_each():
    pod = release({"global": {"imagePullSecrets": ["a"]}, "image": {"pullSecrets": ["a", "b"]}}).pod()
    assert pod["imagePullSecrets"] == [{"name": "a"}, {"name": "b"}]


def test_without_a_volume_of_its_own_it_says_how_much_it_may_take():
    chart = release({"persistence": {"enabled": False, "size": "2Gi"}})
    assert "volumeClaimTemplates" not in chart.one("StatefulSet")["spec"]
    assert {"name": "data", "emptyDir": {}} in chart.pod()["volumes"]
    assert chart.one("ConfigMap", "metastore")["data"]["METASTORE_DISK_CAPACITY_BYTES"] == str(2 << 30)


def test_what_helm_test_runs_survives_kubernetes_own_dollars():
    container = release().one("Pod")["spec"]["containers"][0]
    script = container["args"][0]
    assert "$$" not in script
    variables = {it["name"] for it in container["env"]}
    for name in variables:
        assert f"$({name})" not in script
    assert "$KEY" in script and {"KEY", "VALUE", "ETCDCTL_ENDPOINTS"} <= variables
