"""When kubelet asks a container how it is, and what it concludes.

As pkg/kubelet/prober/worker.go has it: a streak of equal answers must be as long as the threshold;
after a failed startup or liveness probe nothing is asked until there is a new process; readiness begins with
"no", liveness with "yes". Times are real; the first tick comes at once, without kubelet's random delay.
"""

import http.client
import threading
import time

from kubelet.setting import known

DEFAULTS = {"initialDelaySeconds": 0, "periodSeconds": 10, "timeoutSeconds": 1, "failureThreshold": 3, "successThreshold": 1}
OF_PROBE = {*DEFAULTS, "terminationGracePeriodSeconds", "httpGet", "exec"}
KINDS = ("startup", "readiness", "liveness")


class Prober(threading.Thread):
    """One probe of one container, through all its restarts."""

    def __init__(self, container, kind: str):
        super().__init__(daemon=True, name=f"{container.name} {kind}")
        spec = known(f"{kind}Probe", container.spec[f"{kind}Probe"], OF_PROBE)
        self.container, self.kind = container, kind
        self.spec = DEFAULTS | spec
        self.wake = threading.Event()
        self.has_ended = self.on_hold = False
        self.last, self.streak, self.seen = None, 0, None

    def run(self) -> None:
        due = time.monotonic()
        while not self.has_ended and self.tick():
            now = time.monotonic()
            if due <= now:
                # A probe that takes longer than its period swallows ticks, as a Go ticker does.
                due = max(due + self.spec["periodSeconds"], now)
            self.wake.wait(due - now)
            self.wake.clear()

    def end(self) -> None:
        self.has_ended = True
        self.wake.set()

    def tick(self) -> bool:
        container = self.container
        process = container.process
        if process is not None and process is not self.seen:
            self.seen, self.on_hold = process, False
        if process is None or self.on_hold:
            return True
        if container.pod.is_ending and self.kind != "readiness":
            return False
        has_to_wait = time.monotonic() - process.begun < self.spec["initialDelaySeconds"]
        if has_to_wait or container.started == (self.kind == "startup"):
            return True
        succeeded, said = self.ask(process)
        if container.process is process:
            self.conclude(succeeded, said)
        return True

    def conclude(self, succeeded: bool, said: str) -> None:
        self.streak = self.streak + 1 if succeeded == self.last else 1
        self.last = succeeded
        threshold = self.spec["successThreshold" if succeeded else "failureThreshold"]
        if not succeeded and self.streak in (1, threshold):
            self.container.record(f"{self.kind} fails {self.streak}/{threshold}: {said}")
        if self.streak < threshold:
            return
        if self.kind == "readiness":
            self.container.answered(is_ready=succeeded)
        elif self.kind == "startup" and succeeded:
            self.container.has_started()
        elif not succeeded:
            self.on_hold, self.streak = True, 0
            grace = self.spec.get("terminationGracePeriodSeconds")
            self.container.kill(f"{self.kind} probe", grace)

    def ask(self, process) -> tuple[bool, str]:
        timeout = self.spec["timeoutSeconds"]
        if "exec" in self.spec:
            return process.execute(self.spec["exec"]["command"], timeout)
        get = known("httpGet", self.spec["httpGet"], {"path", "port", "httpHeaders", "scheme"})
        headers = {"User-Agent": "kube-probe/1.36", "Accept": "*/*", "Connection": "close"}
        headers |= {it["name"]: it["value"] for it in get.get("httpHeaders", [])}
        # From outside of the pod's network namespace, to its address: as kubelet does.
        connection = http.client.HTTPConnection(self.container.pod.address, self.container.port(get["port"]), timeout=timeout)
        try:
            connection.request("GET", get.get("path", "/"), headers=headers)
            response = connection.getresponse()
            body = response.read(10 << 10).decode(errors="replace").strip()
            failures = [line for line in body.splitlines() if line.startswith("[-]")] or body.splitlines()[:1]
            return 200 <= response.status < 400, f"{response.status} {' '.join(failures)}"
        except (OSError, http.client.HTTPException) as error:
            return False, str(error) or type(error).__name__
        finally:
            connection.close()
