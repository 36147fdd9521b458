"""The harness does what kubelet does: each rule with stand-ins, in real time."""

import signal
import time

import pytest
from stand_in import SERVE, WWW, container, eventually, file_probe, http_probe, stand_in

from kubelet.pod import Backoff

LASTING = "trap 'exit 0' TERM; while :; do sleep 0.1; done"


def file(pod, name):
    return pod.setting.volumes["www"] / name


def test_backoff_doubles_to_five_minutes_and_is_forgotten_after_ten_quiet_ones():
    backoff = Backoff()
    assert [backoff.next(at) for at in range(8)] == [0, 10, 20, 40, 80, 160, 300, 300]
    assert backoff.next(7 + 600) == 300
    assert backoff.next(7 + 600 + 601) == 0


def test_nothing_else_is_asked_before_startup_succeeds(node, gone):
    probes = {"startupProbe": file_probe("up"), "readinessProbe": file_probe("ready"), "livenessProbe": file_probe("live", failureThreshold=1)}
    pod = gone(stand_in(node, [container("main", LASTING, **WWW, **probes)]).start())
    assert pod.wait(lambda it: it.find("main", "startup fails 1/3"), 20), pod.table()
    file(pod, "live").touch()
    file(pod, "ready").touch()
    assert not pod.is_ready and not pod.find("main", "liveness fails") and not pod.find("main", "readiness fails")
    file(pod, "up").touch()
    assert pod.wait(lambda it: it.is_endpoint, 10), pod.table()
    assert pod.find("pod", "ready") - pod.find("main", "started") < 1, "readiness is asked at once"


def test_a_container_that_does_not_start_up_is_restarted_after_the_threshold(node, gone):
    main = container("main", LASTING, **WWW, startupProbe=file_probe("up", failureThreshold=3))
    pod = gone(stand_in(node, [main]).start())
    assert pod.wait(lambda it: it["main"].starts == 2, 30), pod.table()
    took = pod.find("main", "is stopped: startup probe") - pod.find("main", "runs")
    assert 1.5 < took < 5, f"3 failures, a second apart: {took}"
    assert pod["main"].exits == [0]


def test_readiness_needs_its_streaks_and_restarts_nothing(node, gone):
    main = container("main", SERVE, **WWW, readinessProbe=http_probe("ready", failureThreshold=3, successThreshold=2))
    pod = gone(stand_in(node, [main]).start())
    assert pod.wait(lambda it: it.find("main", "readiness fails 1/3: 404"), 20), pod.table()
    appeared = time.monotonic()
    file(pod, "ready").touch()
    assert pod.wait(lambda it: it.is_ready, 10), pod.table()
    assert pod.find("pod", "ready") - appeared > 0.9, "one success is not enough"
    file(pod, "ready").unlink()
    vanished = time.monotonic()
    assert pod.wait(lambda it: not it.is_ready, 10), pod.table()
    assert 1.9 < pod.find("pod", "not ready") - vanished < 4
    assert pod["main"].starts == 1


def test_liveness_restarts_after_its_streak_with_its_own_grace(node, gone):
    deaf = "trap '' TERM; while :; do sleep 0.1; done"
    main = container("main", deaf, **WWW, livenessProbe=file_probe("live", failureThreshold=2, terminationGracePeriodSeconds=3))
    pod = stand_in(node, [main], terminationGracePeriodSeconds=60)
    file(pod, "live").touch()
    gone(pod.start())
    assert pod.wait(lambda it: it.is_ready, 20), pod.table()
    file(pod, "live").unlink()
    assert pod.wait(lambda it: it["main"].starts == 2, 30), pod.table()
    assert pod["main"].exits == [128 + signal.SIGKILL]
    assert 2.8 < pod.find("main", "SIGKILL") - pod.find("main", "SIGTERM") < 4
    assert pod.find("main", "liveness fails 1/2") and pod.find("main", "liveness fails 2/2")
    assert not pod.find("main", "back-off"), "the first restart comes at once"


def test_a_hung_server_fails_by_timeout(node, gone):
    main = container("main", SERVE, **WWW, readinessProbe=http_probe("ready", timeoutSeconds=1, failureThreshold=1))
    pod = stand_in(node, [main])
    file(pod, "ready").touch()
    gone(pod.start())
    assert pod.wait(lambda it: it.is_ready, 20), pod.table()
    pod["main"].process.signal(signal.SIGSTOP)
    assert pod.wait(lambda it: it.find("main", "readiness fails 1/1: timed out"), 10), pod.table()
    pod["main"].process.signal(signal.SIGCONT)
    assert pod.wait(lambda it: it.is_ready, 10), pod.table()


def test_initial_delay(node, gone):
    main = container("main", LASTING, **WWW, readinessProbe=file_probe("ready", initialDelaySeconds=3))
    pod = stand_in(node, [main])
    file(pod, "ready").touch()
    gone(pod.start())
    assert pod.wait(lambda it: it.is_ready, 20), pod.table()
    assert pod.find("pod", "ready") - pod.find("main", "runs") >= 3


def test_a_crash_loop_backs_off(node, gone):
    pod = gone(stand_in(node, [container("main", "exit 7")], speed=20).start())
    assert pod.wait(lambda it: it["main"].starts == 5, 30), pod.table()
    exits = [it.at for it in pod.events if it.what == "exits with 7"]
    runs = [it.at for it in pod.events if it.what == "runs"]
    pauses = [run - exit for exit, run in zip(exits, runs[1:])]
    for pause, least in zip(pauses, [0, 0.5, 1, 2]):
        assert least <= pause < least + 2.5, pauses


def test_the_sidecar_starts_first_and_ends_last(node, gone):
    sidecars = [container(it, LASTING, **WWW, restartPolicy="Always", startupProbe=file_probe(it)) for it in ("one", "two")]
    job = container("job", "sleep 0.5")
    main = container("main", "trap 'sleep 1; exit 3' TERM; touch /www/armed; while :; do sleep 0.1; done", **WWW)
    pod = gone(stand_in(node, [main], [*sidecars, job]).start())
    assert pod.wait(lambda it: it.find("one", "startup fails 1/3"), 20), pod.table()
    assert pod["two"].starts == pod["main"].starts == 0
    file(pod, "one").touch()
    file(pod, "two").touch()
    assert pod.wait(lambda it: it.is_ready, 20), pod.table()
    times = [pod.find("one", "started"), pod.find("two", "runs"), pod.find("two", "started"), pod.find("job", "runs")]
    times += [pod.find("job", "exits with 0"), pod.find("main", "runs"), pod.find("pod", "ready")]
    assert times == sorted(times), pod.table()
    assert eventually(file(pod, "armed").exists), "main knows what to do on SIGTERM"
    pod.delete()
    ends = [pod.find("main", "exits with 3"), pod.find("two", "SIGTERM"), pod.find("two", "exits")]
    ends += [pod.find("one", "SIGTERM"), pod.find("one", "exits")]
    assert ends == sorted(ends), pod.table()
    assert not pod.is_endpoint and pod.find("main", "SIGTERM") - pod.find("pod", "is deleted") < 1


def test_a_failed_init_container_is_tried_again_and_main_waits(node, gone):
    job = container("job", "test -e /www/go", **WWW)
    pod = gone(stand_in(node, [container("main", LASTING)], [job], speed=20).start())
    assert pod.wait(lambda it: it["job"].exits == [1, 1], 20), pod.table()
    assert pod["main"].starts == 0
    file(pod, "go").touch()
    assert pod.wait(lambda it: it.is_ready, 20), pod.table()


def test_a_dead_sidecar_makes_the_pod_unready_and_leaves_main_alone(node, gone):
    side = container("side", LASTING, restartPolicy="Always")
    pod = gone(stand_in(node, [container("main", LASTING)], [side]).start())
    assert pod.wait(lambda it: it.is_ready, 20), pod.table()
    pod["side"].process.signal(signal.SIGKILL)
    assert pod.wait(lambda it: it["side"].exits == [137], 10) and pod.wait(lambda it: it.is_ready, 10), pod.table()
    assert pod.find("pod", "not ready") and pod["main"].starts == 1


@pytest.mark.parametrize(("hook", "grace", "left"), [(1, 4, 3), (3, 4, 2)])
def test_a_hook_uses_up_the_grace_but_for_two_seconds(node, gone, hook, grace, left):
    deaf = container("main", "trap '' TERM; while :; do sleep 0.1; done", lifecycle={"preStop": {"exec": {"command": ["sleep", str(hook)]}}})
    pod = gone(stand_in(node, [deaf], terminationGracePeriodSeconds=grace).start())
    assert pod.wait(lambda it: it.is_ready, 20), pod.table()
    pod.delete()
    assert pod.find("main", "preStop ended") < pod.find("main", "SIGTERM")
    assert abs(pod.find("main", "SIGKILL") - pod.find("main", "SIGTERM") - left) < 0.9, pod.table()


def test_containers_share_a_network(node, gone):
    ask = "busybox wget -q -O /www/said http://127.0.0.1:8080/word"
    client = container("client", f"until {ask}; do sleep 0.2; done; sleep 100", **WWW)
    pod = stand_in(node, [container("main", SERVE, **WWW), client])
    file(pod, "word").write_text("hello")
    gone(pod.start())
    assert eventually(lambda: file(pod, "said").exists() and file(pod, "said").read_text() == "hello"), pod.table()
