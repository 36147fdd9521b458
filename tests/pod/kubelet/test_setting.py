"""What containers get: variables, volumes, users, limits."""

import pytest
import yaml
from stand_in import container, eventually, stand_in

from kubelet.pod import Pod
from kubelet.setting import Unsupported, expanded, quantity


@pytest.mark.parametrize(
    ("text", "meaning"),
    [("$(A)", "1"), ("x$(A)y$(B)", "x1y2"), ("$(UNKNOWN)", "$(UNKNOWN)"), ("$$(A)", "$(A)"), ("$A", "$A"), ("$(A", "$(A")],
)
def test_variables_are_expanded_as_kubernetes_does(text, meaning):
    assert expanded(text, {"A": "1", "B": "2"}) == meaning


@pytest.mark.parametrize(("text", "bytes"), [("64Mi", 64 << 20), ("1Gi", 1 << 30), ("500M", 500_000_000), ("7", 7), ("0.5Gi", 1 << 29)])
def test_quantities(text, bytes):
    assert quantity(text) == bytes


def test_variables_come_from_everywhere(node, gone):
    settings = {"kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"A": "of the map", "B": "of the map"}}
    service = {"kind": "Service", "metadata": {"name": "met-a"}, "spec": {"ports": [{"port": 2379}]}}
    main = container(
        "main",
        "echo $A,$B,$C,$D,$E,[$F],$MET_A_PORT,$KUBERNETES_SERVICE_PORT",
        envFrom=[{"configMapRef": {"name": "settings"}}],
        env=[
            {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "B", "value": "its own"},
            {"name": "C", "value": "$(NAME).$(A)"},
            {"name": "D", "value": "$(LATER)"},
            {"name": "E", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "A", "optional": True}}},
            {"name": "F", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "X", "optional": True}}},
            {"name": "LATER", "value": "x"},
        ],
    )
    pod = gone(stand_in(node, [main], restartPolicy="Never", others=[settings, service]).start())
    assert pod.wait(lambda it: it["main"].exits == [0], 30), pod.table()
    assert pod.logs("main").strip() == f"of the map,its own,tiny.of the map,$(LATER),of the map,[],tcp://{pod.address}:2379,443"


def test_no_links_where_the_spec_says_so(node, gone):
    service = {"kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 1}]}}
    main = container("main", "echo [$A_PORT]")
    pod = gone(stand_in(node, [main], restartPolicy="Never", enableServiceLinks=False, others=[service]).start())
    assert pod.wait(lambda it: it["main"].exits == [0], 30), pod.table()
    assert pod.logs("main") == "[]\n"


def test_security_holds_inside(node, gone):
    script = "id; cat /proc/self/status; touch /x; cat /sys/fs/cgroup/memory*/memory.limit_in_bytes /sys/fs/cgroup/memory.max"
    restricted = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}
    main = container("main", script, securityContext=restricted, resources={"limits": {"memory": "32Mi"}})
    of_pod = {"runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 4711, "seccompProfile": {"type": "RuntimeDefault"}}
    pod = gone(stand_in(node, [main], restartPolicy="Never", securityContext=of_pod).start())
    assert pod.wait(lambda it: it["main"].exits, 30), pod.table()
    log = pod.logs("main")
    lines = dict(line.split(":", 1) for line in log.splitlines() if ":\t" in line)
    assert log.startswith("uid=65532(65532) gid=65532(65532) groups=4711")
    assert int(lines["CapEff"], 16) == 0 and lines["NoNewPrivs"].strip() == "1" and lines["Seccomp"].strip() == "2"
    assert "Read-only file system" in log
    assert str(32 << 20) in log.splitlines(), "the limit, under either version of cgroups"


def test_volumes_have_their_group_and_their_files(node, gone):
    mounts = [{"name": "work", "mountPath": "/work"}, {"name": "fast", "mountPath": "/fast"}, {"name": "files", "mountPath": "/files"}]
    main = container("main", "touch /work/new; while :; do sleep 1; done", volumeMounts=mounts)
    reader = container("reader", "touch /work/never; sleep 100", volumeMounts=[{**mounts[0], "readOnly": True}])
    volumes = [
        {"name": "work", "emptyDir": {}},
        {"name": "fast", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "files", "configMap": {"name": "files", "items": [{"key": "a", "path": "a.env"}]}},
    ]
    files = {"kind": "ConfigMap", "metadata": {"name": "files"}, "data": {"a": "A=1", "b": "not shown"}}
    security = {"runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 4711}
    pod = gone(stand_in(node, [main, reader], volumes=volumes, securityContext=security, others=[files]).start())
    assert pod.wait(lambda it: it.is_ready, 30), pod.table()
    inside = lambda *words: pod["main"].process.execute(list(words), 5)[1]
    assert eventually(lambda: (pod.setting.volumes["work"] / "new").exists())
    assert (pod.setting.volumes["work"] / "new").stat().st_gid == 4711
    assert eventually(lambda: "Read-only" in pod.logs("reader")), pod.logs("reader")
    assert inside("stat", "-f", "-c", "%b %S", "/fast") == "256 4096"
    assert inside("cat", "/files/a.env") == "A=1" and inside("ls", "/files") == "a.env"
    pod.setting.update([{**files, "data": {"a": "A=2"}}])
    assert inside("cat", "/files/a.env") == "A=2", "a mounted ConfigMap follows, in a running container"


@pytest.mark.parametrize(
    "spec",
    [
        {"hostNetwork": True},
        {"volumes": [{"name": "a", "hostPath": {"path": "/"}}]},
        {"securityContext": {"sysctls": []}},
        {"containers": [container("main", "true", lifecycle={"postStart": {}})]},
        {"containers": [container("main", "true", livenessProbe={"tcpSocket": {"port": 1}})]},
    ],
)
def test_what_is_not_played_is_refused(node, spec):
    pod = {"kind": "Pod", "metadata": {"name": "tiny"}, "spec": {"containers": [container("main", "true")], **spec}}
    with pytest.raises(Unsupported):
        Pod(node, yaml.safe_dump(pod), "tiny")
