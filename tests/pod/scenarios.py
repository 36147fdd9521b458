#!/usr/bin/env python3
"""What happens to a pod, really run: each scenario prints what kubelet did and how long clients waited.

Run by tests/pod/run, which provides images and tools. A scenario is a function of a Stage; what it
returns is its sentence in the table, and an assertion that fails is its failure.
"""

import os
import re
import signal
import sys
import time
from pathlib import Path

import helm
import images
from kubelet.client import etcdctl, fill
from kubelet.node import command
from kubelet.pod import Pod
from kubelet.setting import quantity
from stage import Stage, merged
from table import IS_REAL, main, scenario

# Liveness that tests can wait for: a window of 10 s and 5 probes, a probe each 2 s.
QUICK = {
    "sidecar": {"livenessWindow": "10s"},
    "core": {"livenessProbe": {"periodSeconds": 2, "failureThreshold": 5, "terminationGracePeriodSeconds": 10}},
}
# METASTORE_POD_REAL: the chart's own.
WINDOW, BUDGET = (60, 120) if IS_REAL else (10, 10)
LIVENESS = {} if IS_REAL else QUICK
BOTH = ("store", "metastore")


@scenario("install, then `helm test`, with nothing set", {"persistence": {"size": "8Gi"}}, releases=BOTH)
def install(at: Stage) -> str:
    pod = at.serving()
    order = [pod.find("sidecar", "runs"), pod.find("sidecar", "started"), pod.find("core", "runs"), pod.find("core", "started")]
    assert order == sorted(order), "the sidecar starts up first"
    for name in ("core", "sidecar"):
        confined(pod, name)
    service = next(it for it in at.release.objects() if it["kind"] == "Service" and it["spec"].get("clusterIP") != "None")
    test = Pod(at.node, helm.rendered(at.release), f"{service['metadata']['name']}-test")
    test.setting.hosts[f"{service['metadata']['name']}.shop.svc.cluster.local"] = pod.address
    test.start()
    try:
        assert test.wait(lambda it: it["client"].exits, 60), test.table()
        assert test["client"].exits == [0] and "all well" in test.logs("client"), test.logs("client")
    finally:
        test.delete(grace=0)
        test.remove()
    resident = {name: rss(pod[name].process.pid) for name in ("core", "sidecar")}
    ready = pod.find("pod", "ready") - pod.events[0].at
    memory = ", ".join(f"{name} {mib} MiB" for name, mib in resident.items())
    return f"ready {ready:.1f} s after the start, the sidecar first; `helm test`: all well; resident {memory}"


def rss(pid: int) -> int:
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) >> 10


def confined(pod: Pod, name: str) -> None:
    """The process has what the spec asks for, as the kernel and podman see it."""
    spec, process = pod[name].spec, pod[name].process
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if ":\t" in line)
    assert status["Uid"].split() == ["65532"] * 4 and "65532" in status["Groups"].split()
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    seen = pod.node.inspect(process.name)
    assert seen["HostConfig"]["ReadonlyRootfs"]
    assert seen["HostConfig"]["Memory"] == int(spec["resources"]["limits"]["memory"].removesuffix("Mi")) << 20
    assert seen["ImageName"] == pod.node.full(spec["image"])
    mounts = {it["Destination"]: not it["RW"] for it in seen["Mounts"]}
    assert mounts == {it["mountPath"]: bool(it.get("readOnly")) for it in spec["volumeMounts"]}


KEYS = 1_000_000


@scenario(f"{KEYS:,} keys with 256 bytes each, within the memory that the chart asks for", {"persistence": {"size": "8Gi"}})
def memory(at: Stage) -> str:
    begun = time.monotonic()
    pod = at.install()
    at.ready()
    cold = time.monotonic() - begun
    idle = used(pod)
    took = fill(pod.address, KEYS, 256)
    full = used(pod)
    counted = etcdctl(pod.address, "get", "--prefix", "fill/", "--count-only", "--write-out=fields")
    assert f'"Count" : {KEYS}' in counted, counted
    etcdctl(pod.address, "get", "--prefix", "fill/", "--limit=10000", "--keys-only")
    read = used(pod)
    pod["core"].process.signal(signal.SIGKILL)
    killed = time.monotonic()
    assert pod.wait(lambda it: not it.is_endpoint, 3)
    at.ready(60)
    back = time.monotonic() - killed
    again = used(pod)
    for name in ("core", "sidecar"):
        asked = quantity(pod[name].spec["resources"]["requests"]["memory"]) >> 20
        most = max(it[name] for it in (idle, full, read, again))
        assert most <= asked, f"{name} takes {most} MiB, and asks for {asked}"
    told = {name: " / ".join(str(it[name]) for it in (idle, full, read, again)) for name in ("core", "sidecar")}
    return (
        f"{cold:.1f} s from nothing to ready; filled in {took:.0f} s; an endpoint {back:.1f} s after kill -9; MiB idle / filled / read / "
        f"restarted: core {told['core']} of 512, sidecar {told['sidecar']} of 64"
    )


def used(pod: Pod) -> dict[str, int]:
    """What kubelet takes for a container's use, in MiB: its cgroup's memory but for files that were not touched lately."""
    return {name: working_set(pod[name].process.pid) >> 20 for name in ("core", "sidecar")}


def working_set(pid: int) -> int:
    lines = [line.split(":") for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
    one, two = [it for it in lines if "memory" in it[1].split(",")], [it for it in lines if it[0] == "0"]
    version, group = (1, one[0][2]) if one else (2, two[0][2])
    at = Path("/sys/fs/cgroup/memory" if version == 1 else "/sys/fs/cgroup") / group.lstrip("/")
    stat = dict(line.split() for line in (at / "memory.stat").read_text().splitlines())
    total = int((at / ("memory.usage_in_bytes" if version == 1 else "memory.current")).read_text())
    return total - int(stat["total_inactive_file" if version == 1 else "inactive_file"])


@scenario("kill -9 of core", releases=BOTH)
def kill_core(at: Stage) -> str:
    pod = at.serving()
    pod["core"].process.signal(signal.SIGKILL)
    killed = time.monotonic()
    assert pod.wait(lambda it: not it.is_endpoint, 3), "not ready within 3 s"
    unready = time.monotonic() - killed
    at.until(lambda: pod["core"].starts == 2, 5, "no restart")
    runs = pod.find("core", "runs", killed)
    at.until(lambda: refusal(pod, "endpoint", "health").startswith("accepted"), 5, "core does not serve")
    serving = time.monotonic() - runs
    assert serving < 5, f"core serves {serving:.1f} s after its restart"
    assert pod.wait(lambda it: it.is_endpoint, 5), "no endpoint 5 s later"
    endpoint = time.monotonic() - runs
    assert endpoint < 5, f"an endpoint {endpoint:.1f} s after its restart"
    at.steady(3)
    assert pod["core"].starts == 2 and pod["sidecar"].starts == 1
    return (
        f"not ready after {unready:.2f} s; core restarted at once, once; it serves {serving:.1f} s after the restart, "
        f"and is an endpoint again after {endpoint:.1f} s; sidecar untouched"
    )


@scenario("core hangs for 30 s (SIGSTOP)", releases=BOTH)
def hang_30_seconds(at: Stage) -> str:
    pod = at.serving()
    pod["core"].process.signal(signal.SIGSTOP)
    assert not pod.wait(lambda it: it["core"].exits, 30), "restarted"
    pod["core"].process.signal(signal.SIGCONT)
    resumed = time.monotonic()
    at.ready(30)
    at.steady(5)
    assert pod["core"].starts == 1 and not pod.find("core", "liveness fails")
    away, back = pod.find("pod", "not ready", at.mark) - at.mark, pod.find("pod", "ready", resumed) - resumed
    return f"not restarted, liveness never failed; not ready {away:.1f} s after the hang began, ready {back:.1f} s after it ended"


@scenario(f"core hangs for good: window {WINDOW} s, probes {BUDGET} s" + ("" if IS_REAL else " (shortened)"), LIVENESS, releases=BOTH)
def hang_for_good(at: Stage) -> str:
    pod = at.serving()
    pod["core"].process.signal(signal.SIGSTOP)
    assert pod.wait(lambda it: it["core"].exits, WINDOW + BUDGET + 60), "not restarted"
    stopped = pod.find("core", "is stopped: liveness") - at.mark
    assert WINDOW + 0.7 * BUDGET < stopped < WINDOW + BUDGET + 15, f"stopped after {stopped:.1f} s"
    killed = pod.find("core", "exits with 137", at.mark) - at.mark
    at.ready(30)
    at.steady(WINDOW + 5)
    assert pod["core"].starts == 2 and pod["sidecar"].starts == 1, "restarted once"
    return f"liveness stopped core after {stopped:.0f} s, the grace ended at {killed:.0f} s with SIGKILL; restarted once, healthy since"


@scenario("kill -9 of the sidecar", LIVENESS, releases=BOTH)
def kill_sidecar(at: Stage) -> str:
    pod = at.serving()
    pod["sidecar"].process.signal(signal.SIGKILL)
    assert pod.wait(lambda it: not it.is_endpoint, 3), "any container that is down makes the pod not ready"
    at.ready(30)
    at.steady(BUDGET + 5)
    assert pod["core"].starts == 1 and pod["sidecar"].starts == 2 and not pod.find("core", "is stopped")
    gap = at.writer.longest_gap(at.mark)
    assert gap < 1.5, f"{gap:.1f} s without an acknowledged write"
    return f"sidecar restarted at once; core untouched for {time.monotonic() - at.mark:.0f} s (liveness budget {BUDGET} s); connections went on"


@scenario("sidecar in a crash loop: its file has a mistake, then it is restarted", LIVENESS, speed=4)
def sidecar_loops(at: Stage) -> str:
    pod = at.serving()
    objects = at.release.objects()
    broken = next(it for it in objects if it["metadata"]["name"].endswith("-run"))
    broken["data"]["run.env"] += "METASTORE_DISK_LOW_FREE=banana\n"
    pod.setting.update(objects)
    at.until(lambda: "METASTORE_DISK_LOW_FREE" in pod.logs("sidecar"), 10, "the mistake is not logged")
    assert pod["sidecar"].starts == 1 and pod.is_endpoint, "those before stay in force"
    pod["sidecar"].process.signal(signal.SIGKILL)
    seconds = 2 * BUDGET + WINDOW
    assert not pod.wait(lambda it: it["core"].exits or it.find("core", "is stopped"), seconds), "core was touched"
    exits = pod["sidecar"].exits
    assert set(exits[1:]) == {64} and len(exits) > 2, f"sidecar's exits: {exits}"
    assert not pod.is_endpoint
    pod.setting.update(at.release.objects())
    at.ready(100)
    at.steady(2)
    gap = at.writer.longest_gap(at.mark)
    assert gap < 1.5, f"{gap:.1f} s without an acknowledged write"
    return (
        f"refused at run time first, with the settings before in force; then {len(exits) - 1} starts ended with 64 (back-off 4 times faster); "
        f"core untouched for {seconds} s (liveness budget {BUDGET} s), connections went on; ready by itself once mended"
    )


WRONG = {
    "extraEnvVarsCM": "theirs",
    "extraDeploy": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs"}, "data": {"METASTORE_ELECTON_TIMEOUT": "3s"}}],
}


@scenario("wrong environment: a typo in a ConfigMap that the chart cannot see", WRONG, speed=10)
def wrong_environment(at: Stage) -> str:
    pod = at.install()
    at.mark = time.monotonic()
    assert pod.wait(lambda it: len(it["sidecar"].exits) >= 4, 60), "the sidecar does not refuse"
    assert set(pod["sidecar"].exits) == {64}
    assert pod["core"].starts == 0, "core started"
    said = next(line for line in pod.logs("sidecar").splitlines() if "METASTORE_ELECTON_TIMEOUT" in line)
    assert at.upgrade({"extraEnvVarsCM": ""}), "an upgrade that mends it rolls the pod"
    at.ready()
    return f"sidecar refused {len(pod['sidecar'].exits)} times with 64 and `{short(said)}`; core never started; mended by an upgrade"


def short(line: str) -> str:
    found = re.sub(r"\x1b\[[0-9;]*m", "", line).strip()
    return re.sub(r"^\S*Z? *(ERROR|WARN) *", "", found)[:160]


BALLAST = 128 << 20
FULL = {"sidecar": {"disk": {"clearAfter": "5s"}}}


@scenario("data volume filled by a stranger to 5 %, then freed", FULL)
def disk_full(at: Stage) -> str:
    pod = at.serving()
    (disk,) = at.claims.values()
    etcdctl(pod.address, "put", "kept", "1")
    at.until(lambda: has_ballast(disk), 30, "core makes no ballast")
    at.mark = time.monotonic()
    leave(disk, 0.05, "one")
    at.until(lambda: has_alarm(pod), 30, "no alarm")
    raised = time.monotonic() - at.mark
    # The next write frees it. It need not be the alarm's own: the sidecar may have looked at the disk before core.
    at.until(lambda: etcdctl(pod.address, "del", "another") and "the ballast was freed" in pod.logs("core"), 30, "the ballast stays")
    leave(disk, 0.05, "two")
    still_answers(pod)
    time.sleep(5)
    assert pod.is_endpoint and pod["core"].exits == [], "still ready, not restarted"
    pod["core"].process.signal(signal.SIGKILL)
    at.until(lambda: pod["core"].starts == 2, 10, "no restart")
    at.ready(20)
    still_answers(pod)
    cleared = freed(at, disk, "one", "two")
    return (
        f"alarm after {raised:.0f} s, puts refused, reads and deletes answered, ready, nothing restarted; kill -9: opens, ready again; "
        f"the alarm is gone {cleared:.0f} s after the space came back"
    )


@scenario("data volume filled to the last byte, the ballast's room too; core killed then", FULL, speed=4)
def disk_full_to_the_last_byte(at: Stage) -> str:
    pod = at.serving()
    (disk,) = at.claims.values()
    etcdctl(pod.address, "put", "kept", "1")
    at.until(lambda: has_ballast(disk), 30, "core makes no ballast")
    leave(disk, 0.05, "one")
    at.until(lambda: has_alarm(pod), 30, "no alarm")
    leave(disk, 0, "two")
    still_answers(pod)
    time.sleep(5)
    assert pod.is_endpoint and pod["core"].exits == [], "still ready, not restarted"
    pod["core"].process.signal(signal.SIGKILL)
    # RocksDB writes its log into a table when it opens: there may be room for that, or not.
    at.until(lambda: len(pod["core"].exits) >= 3 or pod.is_endpoint and pod["core"].starts == 2, 30, "core neither opens nor says why")
    ends = pod["core"].exits[1:]
    assert set(ends) <= {74} and (not ends or "No space left on device" in pod.logs("core"))
    cleared = freed(at, disk, "one", "two")
    seen = f"ended {len(pod['core'].exits) - 1} times with 74 and `No space left on device`" if ends else "opened all the same"
    return (
        f"before that: ready, puts refused, reads and deletes answered; killed: {seen}; "
        f"serving without the alarm {cleared:.0f} s after the space came back"
    )


def has_ballast(disk: Path) -> bool:
    """It is made some seconds after the start, if there is room for it."""
    return sum(file.stat().st_blocks * 512 for file in (disk / "data" / "ballast").glob("*")) >= BALLAST


def has_alarm(pod: Pod) -> bool:
    return "NOSPACE" in etcdctl(pod.address, "alarm", "list")


def freed(at: Stage, disk: Path, *names: str) -> float:
    """The stranger goes: seconds until all is well."""
    for name in names:
        (disk / name).unlink()
    begun = time.monotonic()
    at.ready(60)
    at.until(lambda: not has_alarm(at.pod), 60, "the alarm stays")
    took = time.monotonic() - begun
    at.steady(3)
    return took


def leave(disk: Path, free: float, name: str) -> None:
    """Takes space until only this part of the volume is free; 0: until not a byte more fits."""
    stat = os.statvfs(disk)
    command("fallocate", "--length", int((stat.f_bavail - free * stat.f_blocks) * stat.f_frsize * 0.98), disk / name)
    if not free:
        fill_up(disk / name)


def still_answers(pod: Pod) -> None:
    refused = refusal(pod, "put", "refused", "1")
    assert "database space exceeded" in refused, refused
    assert etcdctl(pod.address, "get", "--print-value-only", "kept").strip() == "1", "reads go on"
    etcdctl(pod.address, "del", "another")


def fill_up(file: Path) -> None:
    """Writes until nothing fits."""
    with open(file, "ab", buffering=0) as out:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while out.write(b"\0" * size) == size:
                    pass
            except OSError:
                pass


def refusal(pod: Pod, *words: str) -> str:
    try:
        return f"accepted: {etcdctl(pod.address, *words)}"
    except RuntimeError as error:
        return str(error)


@scenario("volume lost: pod and claim are gone, both come again")
def volume_lost(at: Stage) -> str:
    at.serving()
    at.writer.end()
    before = len(at.writer.acknowledged)
    at.pod.delete()
    for disk in at.claims.values():
        at.node.drop(disk)
    at.claims.clear()
    at.install()
    at.ready()
    left = etcdctl(at.pod.address, "get", "--prefix", "--count-only", "--write-out=fields", "")
    assert '"Count" : 0' in left and '"Revision" : 1' in left, left
    assert len(at.writer.lost(at.pod.address)) == before > 0, "the check itself sees what is lost"
    at.writer = None
    return f"an empty store at revision 1, ready; the {before} writes are lost with their only copy, as docs/operations.md says"


@scenario("node drain: the pod ends within its grace, comes back with its volume")
def drain(at: Stage) -> str:
    pod = at.serving()
    at.roll()
    at.ready()
    at.steady(2)
    sigterm, ended = pod.find("core", "SIGTERM"), pod.find("core", "exits with 0")
    assert sigterm and ended and pod["core"].exits == [0], "core ends by itself, with 0"
    assert pod.find("sidecar", "SIGTERM") > ended and pod["sidecar"].exits == [0], "the sidecar after it"
    took = pod.find("pod", "gone") - pod.find("pod", "is deleted")
    assert took < pod.grace
    late = [at_ for at_, _ in at.writer.acknowledged if pod.find("pod", "is deleted") < at_ < sigterm]
    assert late, "connections that exist are served until SIGTERM"
    return (
        f"preStop 5 s, in which {len(late)} writes of connections were still served; core exits with 0 {ended - sigterm:.1f} s "
        f"after SIGTERM, then the sidecar; gone after {took:.1f} s of {pod.grace} s"
    )


@scenario("a cluster without native sidecars (`sidecar.native=false`): install, kill -9 of core, drain", {"sidecar": {"native": False}})
def plain_sidecar(at: Stage) -> str:
    pod = at.serving()
    assert pod.spec.get("initContainers") is None and not pod["sidecar"].is_sidecar
    pod["core"].process.signal(signal.SIGKILL)
    at.until(lambda: pod["core"].starts == 2, 10, "no restart")
    at.ready(30)
    at.roll()
    at.ready()
    at.steady(2)
    assert pod["core"].exits == [137, 0] and pod["sidecar"].exits == [0]
    core, sidecar = pod.find("core", "exits with 0"), pod.find("sidecar", "exits with 0")
    # It hears of core's end from the socket, which closes a moment before the process is gone.
    assert sidecar > core - 0.5 and sidecar - pod.find("sidecar", "SIGTERM") > 4, "the sidecar answers while core is there"
    return "both start at once; at the drain both get SIGTERM at their own time, and the sidecar ends when core has closed its socket"


@scenario("rolled image")
def rolled_image(at: Stage) -> str:
    before = at.serving()
    assert at.upgrade({"image": {"tag": images.NEXT}}), "did not roll"
    pod = at.ready()
    at.steady(2)
    assert before["core"].exits == before["sidecar"].exits == [0]
    assert pod.node.inspect(pod["core"].process.name)["ImageName"].endswith(images.NEXT)
    return "the pod ended with 0 and 0, the new images opened the same volume"


@scenario("changed settings that need a roll (`core.maxTxnOps`)")
def settings_roll(at: Stage) -> str:
    before = at.serving()
    assert at.upgrade({"core": {"maxTxnOps": 7}}), "did not roll"
    pod = at.ready()
    at.steady(2)
    assert before["core"].exits == [0]
    environment = pod.node.inspect(pod["core"].process.name)["Config"]["Env"]
    assert "METASTORE_MAX_TXN_OPS=7" in environment
    return "rolled by the checksum; both ended with 0; the new core has the setting"


@scenario("changed settings that need none (`sidecar.disk.warnFree`)")
def settings_live(at: Stage) -> str:
    pod = at.serving()
    assert not at.upgrade({"sidecar": {"disk": {"warnFree": "99%"}}}), "rolled"
    at.until(lambda: "settings were read again" in pod.logs("sidecar"), 10, "not taken over")
    took = time.monotonic() - at.mark
    at.steady(5)
    line = next(line for line in pod.logs("sidecar").splitlines() if "settings were read again" in line)
    assert "METASTORE_DISK_WARN_FREE" in line, line
    assert pod["core"].starts == pod["sidecar"].starts == 1 and pod.is_endpoint
    assert at.writer.longest_gap(at.mark) < 1.5
    return f"nothing restarted; the sidecar had it {took:.1f} s after the file changed (kubelet itself takes up to two minutes to change it)"


REFUSED = [
    ({"core": {"maxTxnOpps": 1}}, "maxTxnOpps"),
    ({"extraEnvVars": [{"name": "METASTORE_TYPO", "value": "1"}]}, "METASTORE_TYPO"),
    ({"core": {"quotaBackendBytes": "2GiB"}}, "quotaBackendBytes"),
    ({"replicaCount": 2}, "replicaCount"),
]


@scenario("a typo in a value, in a variable, a quota above the volume, replicaCount 2")
def refused_at_install(at: Stage) -> str:
    for values, name in REFUSED:
        try:
            helm.rendered(helm.release(merged(at.values, values), name=at.name))
        except helm.Refused as refused:
            assert name in str(refused), refused
        else:
            raise AssertionError(f"{name} was accepted")
    return "each refused by Helm in a sentence that names it; nothing is installed"


if __name__ == "__main__":
    sys.exit(main(images.load))
