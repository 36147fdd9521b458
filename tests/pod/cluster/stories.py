"""What a cluster asks of its store, story by story: each returns its sentence, or fails by an assertion."""

import concurrent.futures
import http.client
import json
import re
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass

import helm
from cluster.agent import Agent
from cluster.api import APPLY, Api, Refused, names
from cluster.control_plane import COMPACTION_SECONDS, EVENT_LEASE_REUSE, EVENT_TTL, ControlPlane
from helm import HELMS, VALUE_SETS, release, rendered, value_set
from kubelet.client import etcdctl
from kubelet.pod import Pod
from stage import Stage

OBJECTS = 5000
PAGE = 500
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


@dataclass
class Cluster:
    """`store` is the chart's pod in which the API server keeps everything."""

    store: Stage
    plane: ControlPlane
    agent: Agent
    boot_seconds: float

    @property
    def api(self) -> Api:
        return self.plane.api

    def namespace(self, name: str, labels: dict = {}) -> str:
        self.api.post("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
        return f"/api/v1/namespaces/{name}"


@dataclass(frozen=True)
class Story:
    title: str
    tell: Callable[[Cluster], str]


EVERY: list[Story] = []


def story(title: str):
    def add(tell):
        EVERY.append(Story(title, tell))
        return tell

    return add


def until(holds: Callable, seconds: float, otherwise: str):
    """What `holds` returned, once it holds."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, f"{otherwise}, after {seconds} s"
        time.sleep(0.1)
    return found


def refusal(call: Callable, *arguments, **options) -> Refused:
    try:
        call(*arguments, **options)
    except Refused as refused:
        return refused
    raise AssertionError("accepted")


def config_map(name: str, **data: str) -> dict:
    return {"metadata": {"name": name, "labels": {"of": "stories"}}, "data": data}


@story("kube-apiserver and kube-controller-manager start on an empty store")
def boot(at: Cluster) -> str:
    ready = lambda: "kube-root-ca.crt" in names(at.api.get("/api/v1/namespaces/default/configmaps"))
    until(ready, 60, "the controller manager has not made the root certificate's ConfigMap")
    version = json.loads(at.plane.kubectl("version", "--output=json"))["serverVersion"]["gitVersion"]
    kinds = len(at.plane.kubectl("api-resources", "--no-headers", "--cached=false").splitlines())
    revision = at.api.get("/api/v1/namespaces")["metadata"]["resourceVersion"]
    return f"{version}, ready {at.boot_seconds:.1f} s after its start, {kinds} kinds of resources, the store at revision {revision}"


@story("namespaces and ConfigMaps: create, conflict, patch, apply, finalizers, delete")
def objects(at: Cluster) -> str:
    base = at.namespace("objects")
    maps = f"{base}/configmaps"
    made = at.api.post(maps, config_map("one", a="1"))
    assert refusal(at.api.post, maps, config_map("one", a="2")).reason == "AlreadyExists"
    changed = at.api.put(f"{maps}/one", {**made, "data": {"a": "2"}})
    assert int(changed["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
    conflict = refusal(at.api.put, f"{maps}/one", {**made, "data": {"a": "3"}})
    assert conflict.reason == "Conflict", conflict
    assert at.api.patch(f"{maps}/one", {"data": {"b": "4"}})["data"] == {"a": "2", "b": "4"}
    applied = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "two"}, "data": {"c": "5"}}
    at.api.patch(f"{maps}/two?fieldManager=stories", applied, APPLY)
    at.api.patch(f"{maps}/one", {"metadata": {"finalizers": ["stories/hold"]}})
    at.api.delete(f"{maps}/one")
    held = at.api.get(f"{maps}/one")
    assert held["metadata"]["deletionTimestamp"], "a finalizer holds it"
    at.api.patch(f"{maps}/one", {"metadata": {"finalizers": None}})
    assert refusal(at.api.get, f"{maps}/one").code == 404
    at.api.delete(base)
    gone = lambda: "objects" not in names(at.api.get("/api/v1/namespaces"))
    until(gone, 60, "the namespace controller has not emptied the namespace")
    return "each as Kubernetes has it; the emptied namespace is gone"


GROUP = "stories.example.org"
SCHEMA = {
    "type": "object",
    "properties": {"spec": {"type": "object", "required": ["size"], "properties": {"size": {"type": "integer", "minimum": 1}}}},
}
DEFINITION = {
    "metadata": {"name": f"boxes.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"plural": "boxes", "singular": "box", "kind": "Box"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": SCHEMA}, "subresources": {"status": {}}}],
    },
}


@story("custom resources: defined, validated, watched, their definition deleted")
def custom_resources(at: Cluster) -> str:
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    at.api.post(definitions, DEFINITION)
    boxes = f"/apis/{GROUP}/v1/namespaces/default/boxes"
    box = lambda name, size: {"apiVersion": f"{GROUP}/v1", "kind": "Box", "metadata": {"name": name}, "spec": {"size": size}}
    until(lambda: served(at, boxes), 30, "the definition is not served")
    assert refusal(at.api.post, boxes, box("none", 0)).reason == "Invalid"
    since = at.api.get(boxes)["metadata"]["resourceVersion"]
    for number in range(20):
        at.api.post(boxes, box(f"box-{number:02}", number + 1))
    seen = [it["spec"]["size"] for kind, it in first(at.api.watch(boxes, since, 10), 20) if kind == "ADDED"]
    assert seen == list(range(1, 21)), seen
    at.api.delete(f"{definitions}/boxes.{GROUP}")
    until(lambda: not served(at, boxes), 30, "the definition stays")
    return "20 objects, an invalid one refused, all seen by a watch in order; gone with their definition"


def served(at: Cluster, path: str) -> bool:
    try:
        at.api.get(path)
        return True
    except Refused as refused:
        # Not known yet, or known and not filled yet.
        assert refused.code in (404, 429), refused
        return False


def first(events, number: int) -> list:
    found = []
    for event in events:
        found.append(event)
        if len(found) == number:
            break
    return found


@story("leases: the controller manager's is renewed, and a stale writer loses")
def leases(at: Cluster) -> str:
    path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-controller-manager"
    lease = at.api.get(path)
    until(lambda: at.api.get(path)["spec"]["renewTime"] > lease["spec"]["renewTime"], 30, "it is not renewed")
    lost = refusal(at.api.put, path, {**lease, "spec": {**lease["spec"], "holderIdentity": "another"}})
    assert lost.reason == "Conflict", lost
    assert at.api.get(path)["spec"]["holderIdentity"] == lease["spec"]["holderIdentity"]
    return "renewed; whoever writes over a version that is not the newest is refused"


@story("watches: 20 at once, 500 changes, each in order and none missing")
def watches(at: Cluster) -> str:
    maps = f"{at.namespace('watches')}/configmaps"
    since = at.api.get(maps)["metadata"]["resourceVersion"]
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        watching = [pool.submit(lambda: first(at.api.watch(maps, since, 60), 501)) for _ in range(20)]
        wanted = [change(at, maps, number) for number in range(500)]
        # The root certificate's ConfigMap may come before or after the list.
        seen = [[(kind, it["metadata"]["resourceVersion"]) for kind, it in events.result() if it["metadata"]["name"] in MINE] for events in watching]
    for events in seen:
        assert events[: len(wanted)] == wanted[: len(events)] and len(events) >= 500, (len(events), events[:3], wanted[:3])
    return f"{20 * 500} events, all as they were answered to the writer"


MINE = {f"one-{number}" for number in range(10)}


def change(at: Cluster, maps: str, number: int) -> tuple[str, str]:
    """One write, as a watch must show it."""
    name, turn = f"one-{number % 10}", number // 10
    if turn == 0:
        return "ADDED", at.api.post(maps, config_map(name, n="0"))["metadata"]["resourceVersion"]
    return "MODIFIED", at.api.patch(f"{maps}/{name}", {"data": {"n": str(number)}})["metadata"]["resourceVersion"]


@story(f"{OBJECTS} objects, listed in pages of {PAGE} while others write")
def pages(at: Cluster) -> str:
    maps = f"{at.namespace('many')}/configmaps"
    begun = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda number: at.api.post(maps, config_map(f"item-{number:05}", n=str(number), text="x" * 256)), range(OBJECTS)):
            pass
    created = time.monotonic() - begun
    begun = time.monotonic()
    found, revisions, left = [], set(), []
    for page in at.api.pages(maps, PAGE):
        found += [it for it in page["items"] if it["metadata"]["name"].startswith("item-")]
        revisions.add(page["metadata"]["resourceVersion"])
        left.append(page["metadata"].get("remainingItemCount"))
        at.api.post(maps, config_map(f"later-{len(left)}"))
    listed = time.monotonic() - begun
    assert [it["metadata"]["name"] for it in found] == [f"item-{number:05}" for number in range(OBJECTS)]
    assert all(it["data"]["n"] == str(number) for number, it in enumerate(found))
    assert len(revisions) == 1, "every page is of one revision"
    total = OBJECTS + 1  # and the root certificate's
    assert left == [total - PAGE * (n + 1) for n in range(OBJECTS // PAGE)] + [None], left
    chunks = at.plane.kubectl("get", "configmaps", "--namespace=many", f"--chunk-size={PAGE}", "--output=name")
    assert len(chunks.splitlines()) == OBJECTS + 1 + len(left)
    return (
        f"made in {created:.1f} s, listed in {listed:.1f} s: {len(left)} pages of one revision, each says how many are left; "
        f"what was written meanwhile is in none"
    )


@story(f"events, which expire after {EVENT_TTL} s (a lease of the store each {EVENT_LEASE_REUSE} s)")
def events_expire(at: Cluster) -> str:
    events = "/api/v1/namespaces/default/events"
    about = {"involvedObject": {"kind": "Node", "name": "node", "namespace": "default"}, "reason": "Story", "type": "Normal"}
    begun = time.monotonic()
    for number in range(50):
        at.api.post(events, {"metadata": {"name": f"story-{number}"}, "message": "hello", **about})
    mine = lambda: [it for it in names(at.api.get(events)) if it.startswith("story-")]
    assert len(mine()) == 50
    until(lambda: not mine(), EVENT_TTL + EVENT_LEASE_REUSE + 20, "they stay")
    took = time.monotonic() - begun
    assert took >= EVENT_TTL, f"gone after {took:.1f} s"
    return f"50 events, all gone {took:.0f} s later"


@story(f"the API server compacts each {COMPACTION_SECONDS} s; an old revision is refused, as Kubernetes expects it")
def compaction(at: Cluster) -> str:
    maps = f"{at.namespace('compaction')}/configmaps"
    old = at.api.post(maps, config_map("one"))["metadata"]["resourceVersion"]
    # Two rounds: the second compacts to what the first saw.
    until(lambda: compacted(at) >= int(old), 4 * COMPACTION_SECONDS, "not compacted")
    exact = {"resourceVersion": old, "resourceVersionMatch": "Exact", "limit": 1}
    # The API server answers from its own snapshots until it hears of the compaction.
    expired = until(lambda: expiry(at, maps, exact), 4 * COMPACTION_SECONDS, "an old revision is still listed")
    assert expired.reason == "Expired", expired
    assert "one" in names(at.api.get(maps))
    return f"revision {old} is gone: 410 Expired; the newest is read as before"


def expiry(at: Cluster, path: str, query: dict) -> Refused | None:
    try:
        at.api.get(path, **query)
        return None
    except Refused as refused:
        assert refused.code == 410, refused
        return refused


def compacted(at: Cluster) -> int:
    """The store's compacted revision, by its own metric."""
    return next(int(number) for name, _, number in samples(at) if name == "etcd_debugging_mvcc_compact_revision")


def samples(at: Cluster) -> list[tuple[str, dict[str, str], float]]:
    """The store's metrics: name, labels, number."""
    with urllib.request.urlopen(f"http://{at.store.pod.address}:2381/metrics", timeout=5) as answer:
        lines = [line for line in answer.read().decode().splitlines() if line and not line.startswith("#")]
    parted = [line.rpartition(" ") for line in lines]
    return [(series.split("{")[0], dict(re.findall(r'(\w+)="([^"]*)"', series)), float(number)) for series, _, number in parted]


@story("what all that asked of the store")
def asked_of_the_store(at: Cluster) -> str:
    calls: dict[str, int] = {}
    for name, labels, number in samples(at):
        if name == "grpc_server_handled_total" and number:
            code = "" if labels["grpc_code"] == "OK" else f" {labels['grpc_code']}"
            calls[labels["grpc_method"] + code] = calls.get(labels["grpc_method"] + code, 0) + int(number)
    unknown = [name for name in calls if "Unimplemented" in name or "Internal" in name]
    assert not unknown and calls["RangeStream"] and calls["LeaseGrant"] and calls["Compact"], calls
    return ", ".join(f"{name} {number:,}" for name, number in sorted(calls.items(), key=lambda it: -it[1]))


@story("kill -9 of core under it, and 5 s of silence: writers, watches and the controller manager go on by themselves")
def kill_core(at: Cluster) -> str:
    maps = f"{at.namespace('kill')}/configmaps"
    since = at.api.get(maps)["metadata"]["resourceVersion"]
    writing, watching = Writing(at, maps), Watching(at, maps, since)
    for thread in (watching, writing):
        thread.start()
    until(lambda: len(writing.accepted) > 100, 30, "the writer does not get on")
    pod = at.store.pod
    # Once: later restarts wait for kubelet's back-off, and the controller manager for ten seconds at most.
    killed = time.monotonic()
    pod["core"].process.signal(signal.SIGKILL)
    gap = until(lambda: writing.first_after(killed + 0.2), 30, "no write is accepted any more") - killed
    at.store.ready(30)
    pod["core"].process.signal(signal.SIGSTOP)
    time.sleep(5)
    pod["core"].process.signal(signal.SIGCONT)
    resumed = time.monotonic()
    again = until(lambda: writing.first_after(resumed), 30, "no write is accepted any more") - resumed
    until(lambda: renewed(at), 30, "the controller manager does not renew its lease")
    writing.end()
    until(lambda: watching.has_seen(writing.accepted[-1][1]), 30, "the watch has not seen the last write")
    assert at.plane.running["kube-apiserver"].poll() is None and at.plane.running["kube-controller-manager"].poll() is None
    there = {it["metadata"]["name"]: it["metadata"]["resourceVersion"] for page in at.api.pages(maps, PAGE) for it in page["items"]}
    lost = [name for _, name, revision in writing.accepted if there.get(name) != revision]
    assert not lost, f"{len(lost)} accepted writes are lost, the first {lost[0]}"
    accepted = [("ADDED", name, revision) for _, name, revision in writing.accepted]
    # A write without an answer may have been done too.
    known = {name for _, name, _ in accepted}
    assert [it for it in watching.seen if it[1] in known] == accepted, "what the watch saw"
    return (
        f"killed: {gap:.1f} s until the next accepted write; stopped: {again:.1f} s after it went on; {len(writing.accepted)} writes, 0 lost, "
        f"one watch saw every one in order; no program was restarted but core"
    )


def renewed(at: Cluster) -> bool:
    path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-controller-manager"
    before = at.api.get(path)["spec"]["renewTime"]
    time.sleep(3)
    return at.api.get(path)["spec"]["renewTime"] > before


class Watching(threading.Thread):
    """One watch, never begun anew; it ends with the API server at the latest."""

    def __init__(self, at: Cluster, maps: str, since: str):
        super().__init__(daemon=True, name="watching")
        self.events = at.api.watch(maps, since, 120, labelSelector="of=stories")
        self.seen: list[tuple[str, str, str]] = []

    def run(self) -> None:
        try:
            for kind, it in self.events:
                self.seen.append((kind, it["metadata"]["name"], it["metadata"]["resourceVersion"]))
        except (OSError, http.client.HTTPException, ValueError):
            pass  # what is missing then is seen by the judge

    def has_seen(self, name: str) -> bool:
        return any(it[1] == name for it in list(self.seen))


class Writing(threading.Thread):
    """One write after the other; a name is used once, so that a write without an answer is told apart."""

    def __init__(self, at: Cluster, maps: str):
        super().__init__(daemon=True, name="writing")
        self.api, self.maps = at.api, maps
        self.accepted: list[tuple[float, str, str]] = []
        self.attempts = 0
        self.is_done = False

    def run(self) -> None:
        while not self.is_done:
            self.attempts += 1
            name = f"write-{self.attempts:06}"
            try:
                made = self.api.call("POST", self.maps, config_map(name), timeout=5)
                self.accepted.append((time.monotonic(), name, made["metadata"]["resourceVersion"]))
            except (OSError, Refused):
                time.sleep(0.05)

    def first_after(self, moment: float) -> float | None:
        return next((at for at, _, _ in list(self.accepted) if at > moment), None)

    def end(self) -> None:
        self.is_done = True
        self.join(30)


MONITORING = [("PodMonitor", "podmonitors"), ("ServiceMonitor", "servicemonitors"), ("PrometheusRule", "prometheusrules")]


@story("every set of values: validated by the server, and admitted as restricted")
def validation(at: Cluster) -> str:
    at.namespace("shop", RESTRICTED)
    for kind, plural in MONITORING:
        at.api.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", monitoring_definition(kind, plural))
        until(lambda: served(at, f"/apis/monitoring.coreos.com/v1/namespaces/shop/{plural}"), 30, f"{kind} is not served")
    number = 0
    for values in VALUE_SETS:
        for tool in HELMS:
            text = rendered(release(value_set(values), kube="1.37.2", helm=tool))
            said = at.plane.kubectl("apply", "--dry-run=server", "--validate=strict", "--namespace=shop", "--filename=-", stdin=text)
            number += len(said.splitlines())
    denied = refusal(at.api.post, "/api/v1/namespaces/shop/pods", {"metadata": {"name": "bad"}, "spec": {"containers": [{"name": "a", "image": "b"}]}})
    assert denied.code == 403 and 'violates PodSecurity "restricted' in denied.message, denied
    warned = restricted_warnings(at)
    assert not warned, warned
    return f"{number} objects of {len(VALUE_SETS)} sets by both Helms accepted with strict validation, no warning; a pod that breaks the standard is refused there"


def monitoring_definition(kind: str, plural: str) -> dict:
    """The Prometheus operator's are not here: anything goes in their objects."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": anything}}
    group = "monitoring.coreos.com"
    of = {"plural": plural, "singular": kind.lower(), "kind": kind}
    return {"metadata": {"name": f"{plural}.{group}"}, "spec": {"group": group, "scope": "Namespaced", "names": of, "versions": [version]}}


def restricted_warnings(at: Cluster) -> str:
    """A StatefulSet whose pods would be refused is accepted with a warning: kubectl prints it on stderr."""
    text = rendered(release(kube="1.37.2"))
    words = ["kubectl", "apply", "--dry-run=server", "--namespace=shop", "--filename=-", f"--kubeconfig={at.plane.kubeconfig()}"]
    return subprocess.run(words, input=text, capture_output=True, text=True, timeout=60).stderr


def life_of_a_release(at: Cluster, tool: str) -> str:
    """install, test, upgrade with and without a roll, a refused upgrade, rollback, uninstall, install again."""
    shop = f"shop-{tool}"
    path = at.namespace(shop, RESTRICTED)
    chart = [str(helm.CHART), f"--namespace={shop}"]
    wait = ["--wait", "--timeout=150s"]
    small = ["--set=persistence.size=1Gi", "--set=core.ballastBytes=16MiB"]
    run = lambda *words: at.plane.client(tool, *words)
    pod = lambda: until(lambda: at.agent.pod(shop, "store-metastore-0"), 30, "no pod")
    times = {}

    def timed(what: str, *words: str) -> None:
        begun = time.monotonic()
        run(*words)
        times[what] = time.monotonic() - begun

    timed("install", "install", "store", *chart, *small, *wait)
    one = pod()
    same_as_rendered(one.stored["spec"], tool, shop)
    assert endpoints(at, shop) == [one.pod.address], "the EndpointSlice has the ready pod"
    said = run("test", "store", f"--namespace={shop}", "--timeout=60s", "--logs")
    assert "Succeeded" in said and "all well" in said, said
    etcdctl(one.pod.address, "put", "kept", "of the first release")
    timed("an upgrade that rolls", "upgrade", "store", *chart, "--reset-then-reuse-values", "--set=core.maxTxnOps=7", *wait)
    two = pod()
    assert two is not one and one.pod["core"].exits == one.pod["sidecar"].exits == [0]
    assert kept(two.pod) and two.pod.setting.variables(two.pod["core"].spec)["METASTORE_MAX_TXN_OPS"] == "7"
    timed("one that does not", "upgrade", "store", *chart, "--reset-then-reuse-values", "--set=sidecar.disk.warnFree=99%", *wait)
    until(lambda: "METASTORE_DISK_WARN_FREE" in two.pod.logs("sidecar"), 20, "the sidecar has not taken it over")
    assert pod() is two and two.pod["core"].starts == two.pod["sidecar"].starts == 1
    refused = refused_upgrade(at, tool, *chart)
    assert pod() is two and two.pod.is_endpoint
    timed("rollback", "rollback", "store", "1", f"--namespace={shop}", *wait)
    three = pod()
    assert three is not two and kept(three.pod) and "METASTORE_MAX_TXN_OPS" not in three.pod.setting.variables(three.pod["core"].spec)
    timed("uninstall", "uninstall", "store", f"--namespace={shop}", *wait)
    # That of `helm test` stays until the next one: Helm does not count hooks among a release's objects.
    until(lambda: names(at.api.get(f"{path}/pods")) == ["store-metastore-test"], 60, "the pod stays")
    assert three.pod["core"].exits == three.pod["sidecar"].exits == [0]
    assert names(at.api.get(f"{path}/persistentvolumeclaims")) == ["data-store-metastore-0"], "the claim stays"
    run("install", "store", *chart, *small, *wait)
    assert kept(pod().pod), "and with it the data"
    run("uninstall", "store", f"--namespace={shop}", *wait)
    told = ", ".join(f"{what} {seconds:.0f} s" for what, seconds in times.items())
    return f"{told} (each with --wait; a new pod has to be ready for 10 s); {refused}; `helm test` well; the data outlives roll, rollback and uninstall"


def kept(pod: Pod) -> bool:
    return etcdctl(pod.address, "get", "--print-value-only", "kept").strip() == "of the first release"


def endpoints(at: Cluster, namespace: str) -> list[str]:
    found = at.api.get(f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices", labelSelector="kubernetes.io/service-name=store-metastore")
    return [end["addresses"][0] for it in found["items"] for end in it.get("endpoints") or [] if end["conditions"].get("ready")]


def refused_upgrade(at: Cluster, tool: str, *chart: str) -> str:
    try:
        at.plane.client(tool, "upgrade", "store", *chart, "--reset-then-reuse-values", "--set=persistence.size=2Gi")
    except helm.Refused as refused:
        assert "cannot change: expand the claim itself" in str(refused), refused
        return "an upgrade that touches the claim template is refused in our sentence"
    raise AssertionError("accepted")


def same_as_rendered(stored: dict, tool: str, namespace: str) -> None:
    """The pod that the StatefulSet controller made is the chart's render and the API's defaults, and nothing else."""
    values = {"persistence": {"size": "1Gi"}, "core": {"ballastBytes": "16MiB"}}
    wanted = release(values, kube="1.37.2", helm=tool).pod()
    text = json.dumps(wanted).replace("shop.svc", f"{namespace}.svc")
    differences = list(missing(json.loads(text), stored, "spec"))
    assert not differences, differences


def missing(wanted, found, where: str):
    """Paths of what was rendered and is not there; what the API adds is allowed."""
    if wanted in ({}, [], None) and found is None:
        return
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key, value in wanted.items():
            yield from missing(value, found.get(key), f"{where}.{key}")
    elif isinstance(wanted, list) and isinstance(found, list) and all(isinstance(it, dict) and "name" in it for it in wanted):
        by_name = {it["name"]: it for it in found}
        for it in wanted:
            yield from missing(it, by_name.get(it["name"]), f"{where}[{it['name']}]")
    elif wanted != found:
        yield f"{where}: {wanted!r} became {found!r}"


for each in HELMS:
    story(f"the chart's life with {each}: install, test, upgrade, rollback, uninstall")(lambda at, tool=each: life_of_a_release(at, tool))
