"""What a container of a pod's spec gets from podman: variables, volumes, limits, security.

A field that is not known here is refused: nothing of a spec is left out in silence.
"""

import base64
import re
import time
from pathlib import Path

from kubelet.node import Node, command

UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}

# The lines after the first have what decides where a pod runs and who it is: there is one node here.
OF_POD = {
    "containers", "initContainers", "volumes", "securityContext", "terminationGracePeriodSeconds", "enableServiceLinks", "restartPolicy",
    "serviceAccountName", "serviceAccount", "automountServiceAccountToken", "affinity", "nodeSelector", "nodeName", "tolerations",
    "topologySpreadConstraints", "priorityClassName", "priority", "preemptionPolicy", "schedulerName", "imagePullSecrets",
    "activeDeadlineSeconds", "hostname", "subdomain", "dnsPolicy",
}  # fmt: skip
OF_CONTAINER = {
    "name", "image", "imagePullPolicy", "command", "args", "env", "envFrom", "ports", "resources", "volumeMounts",
    "securityContext", "startupProbe", "readinessProbe", "livenessProbe", "lifecycle", "restartPolicy", "workingDir",
    "terminationMessagePath", "terminationMessagePolicy",
}  # fmt: skip
OF_POD_SECURITY = {"fsGroup", "fsGroupChangePolicy", "runAsGroup", "runAsNonRoot", "runAsUser", "seccompProfile"}
OF_SECURITY = {
    "allowPrivilegeEscalation", "capabilities", "readOnlyRootFilesystem", "runAsGroup", "runAsNonRoot", "runAsUser", "seccompProfile",
}  # fmt: skip


class Unsupported(Exception):
    """A field that this harness does not play."""


class Absent(Exception):
    """An object that a pod refers to and that is not there: kubelet goes on with what it had."""


def known(what: str, given: dict | None, allowed: set[str]) -> dict:
    for field in set(given or {}) - allowed:
        raise Unsupported(f"{what}: {field}")
    return given or {}


def quantity(text: object) -> int:
    number, unit = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(text)).groups()
    return int(float(number) * UNITS.get(unit, 1))


def expanded(text: str, variables: dict[str, str]) -> str:
    """Kubernetes' `$(NAME)`: unknown names stay as they are, and `$$(NAME)` means `$(NAME)`."""
    replace = lambda it: it[0][1:] if it[0].startswith("$$") else variables.get(it[1], it[0])
    return re.sub(r"\$?\$\(([A-Za-z0-9_.-]+)\)", replace, text)


def service_links(services: list[dict], address: str) -> dict[str, str]:
    """The variables that a pod gets for each Service of its namespace, as Docker once had them."""
    links = {}
    for service in services:
        name = service["metadata"]["name"].upper().replace("-", "_")
        for port in service["spec"]["ports"] if service["spec"].get("clusterIP") != "None" else []:
            at = f"{address}:{port['port']}"
            links |= {f"{name}_SERVICE_HOST": address, f"{name}_SERVICE_PORT": str(port["port"]), f"{name}_PORT": f"tcp://{at}"}
            links[f"{name}_PORT_{port['port']}_TCP"] = f"tcp://{at}"
    return links


class Setting:
    """The volumes of one pod on the node, and what else its containers share."""

    def __init__(self, node: Node, pod: dict, objects: list[dict], claims: dict[str, Path]):
        number = next(node.numbers)
        self.node, self.spec, self.objects, self.name = node, pod["spec"], objects, f"ms-test-{number}"
        self.metadata = pod["metadata"]
        known("pod", self.spec, OF_POD)
        self.security = known("securityContext", self.spec.get("securityContext"), OF_POD_SECURITY)
        self.directory = node.directory / "pods" / self.name
        self.directory.mkdir(parents=True)
        self.netns, self.address = node.network(number)
        self.hosts: dict[str, str] = {}
        self.files: dict[str, tuple[Path, dict]] = {}
        self.mounted: list[Path] = []
        volumes = self.spec.get("volumes", [])
        self.volumes = {it["name"]: self._volume(it, claims) for it in volumes}

    def remove(self) -> None:
        for mount in self.mounted:
            command("umount", mount)
        command("rm", "--recursive", "--force", self.directory)
        command("ip", "netns", "delete", self.netns)

    def _object(self, kind: str, name: str) -> dict:
        for it in self.objects:
            if it["kind"] == kind and it["metadata"]["name"] == name:
                return it
        raise Absent(f"{kind} {name}")

    def _data(self, kind: str, name: str) -> dict[str, bytes]:
        it = self._object(kind, name)
        plain = {key: text.encode() for key, text in ((it.get("stringData") or it.get("data") or {}).items())}
        return plain if kind == "ConfigMap" or "stringData" in it else {k: base64.b64decode(v) for k, v in plain.items()}

    def _shown(self, source: dict) -> dict[str, bytes]:
        """The files of a volume that a ConfigMap or a Secret makes: all keys, or the items that it names."""
        data = self._data("ConfigMap", source["name"]) if "name" in source else self._data("Secret", source["secretName"])
        return {it["path"]: data[it["key"]] for it in source["items"]} if "items" in source else data

    def _volume(self, volume: dict, claims: dict[str, Path]) -> Path:
        ((kind, source),) = [(key, value) for key, value in volume.items() if key != "name"]
        at = self.directory / volume["name"]
        if kind == "persistentVolumeClaim":
            at = claims[source["claimName"]]
            self._own(at)
            return at
        at.mkdir()
        if kind == "emptyDir":
            size = quantity(source.get("sizeLimit", "64Mi"))
            if source.get("medium") == "Memory":
                command("mount", "-t", "tmpfs", "-o", f"size={size},mode=0777", "ms-test", at)
                self.mounted.append(at)
            at.chmod(0o777)
            self._own(at)
        elif kind in ("configMap", "secret"):
            self.files[volume["name"]] = (at, source)
            self._project(at, self._shown(source))
        else:
            raise Unsupported(f"volume {kind}")
        return at

    def _own(self, at: Path) -> None:
        """fsGroup: the group may read and write all of it, and what is new there is its own."""
        group = self.security.get("fsGroup")
        is_right = at.stat().st_gid == group and at.stat().st_mode & 0o2070 == 0o2070
        if group is None or is_right and self.security.get("fsGroupChangePolicy") == "OnRootMismatch":
            return
        command("chgrp", "--recursive", "--no-dereference", group, at)
        command("chmod", "--recursive", "g+rwX", at)
        command("chmod", "g+s", at)

    def _project(self, at: Path, data: dict[str, bytes]) -> None:
        """Files as kubelet writes them: behind a link that changes all of them at once."""
        fresh = at / f"..{time.monotonic_ns()}"
        fresh.mkdir()
        for key, content in data.items():
            (fresh / key).write_bytes(content)
            if not (at / key).is_symlink():
                (at / key).symlink_to(f"..data/{key}")
        (at / "..fresh").symlink_to(fresh.name)
        (at / "..fresh").rename(at / "..data")

    def update(self, objects: list[dict]) -> None:
        """ConfigMaps and Secrets have changed: mounted files follow, variables do not."""
        self.objects = objects
        for at, source in self.files.values():
            self._project(at, self._shown(source))

    def variables(self, container: dict) -> dict[str, str]:
        found = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443", "KUBERNETES_PORT": "tcp://10.0.0.1:443"}
        if self.spec.get("enableServiceLinks", True):
            found |= service_links([it for it in self.objects if it["kind"] == "Service"], self.address)
        for source in container.get("envFrom", []):
            ((kind, reference),) = source.items()
            kinds = {"configMapRef": "ConfigMap", "secretRef": "Secret"}
            found |= {key: text.decode() for key, text in self._data(kinds[kind], reference["name"]).items()}
        for variable in container.get("env", []):
            given = variable.get("valueFrom")
            text = self._field(given) if given else expanded(variable.get("value", ""), found)
            if text is not None:
                found[variable["name"]] = text
        return found

    def _field(self, source: dict) -> str | None:
        """`None`: it is optional, and not there."""
        ((kind, reference),) = source.items()
        if kind in ("configMapKeyRef", "secretKeyRef"):
            named = "ConfigMap" if kind == "configMapKeyRef" else "Secret"
            try:
                return self._data(named, reference["name"])[reference["key"]].decode()
            except (Absent, KeyError):
                if reference.get("optional"):
                    return None
                raise
        fields = {f"metadata.{key}": self.metadata.get(key) for key in ("name", "namespace")}
        fields |= {"status.podIP": self.address, "spec.nodeName": "node"}
        if kind != "fieldRef" or reference["fieldPath"] not in fields:
            raise Unsupported(f"valueFrom: {source}")
        return fields[reference["fieldPath"]]

    def arguments(self, container: dict) -> list[str]:
        """Of `podman run`, behind its own: the image and the command come last."""
        known("container", container, OF_CONTAINER)
        security = {**self.security, **known("securityContext", container.get("securityContext"), OF_SECURITY)}
        words = ["--network", f"ns:/run/netns/{self.netns}", "--hostname", self.metadata["name"], "--read-only-tmpfs=false"]
        words += [f"--add-host={name}:{address}" for name, address in self.hosts.items()]
        user = security.get("runAsUser")
        if user is not None:
            words += ["--user", f"{user}:{security.get('runAsGroup', 0)}"]
        elif security.get("runAsNonRoot"):
            raise Unsupported("runAsNonRoot without runAsUser: the user is the image's")
        if security.get("runAsNonRoot") and user == 0:
            raise Unsupported("runAsNonRoot, and runAsUser is 0")
        if "fsGroup" in security:
            words += ["--group-add", str(security["fsGroup"])]
        if security.get("readOnlyRootFilesystem"):
            words.append("--read-only")
        if security.get("allowPrivilegeEscalation") is False:
            words += ["--security-opt", "no-new-privileges"]
        # RuntimeDefault is what podman does by itself; Kubernetes without a profile means none.
        if security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            words += ["--security-opt", "seccomp=unconfined"]
        for verb in ("drop", "add"):
            words += [f"--cap-{verb}={it}" for it in security.get("capabilities", {}).get(verb, [])]
        memory = container.get("resources", {}).get("limits", {}).get("memory")
        if memory:
            words += ["--memory", str(quantity(memory)), "--memory-swap", str(quantity(memory))]
        for mount in container.get("volumeMounts", []):
            known("volumeMount", mount, {"name", "mountPath", "readOnly"})
            options = "ro" if mount.get("readOnly") else "rw"
            words += ["--volume", f"{self.volumes[mount['name']]}:{mount['mountPath']}:{options}"]
        if "workingDir" in container:
            words += ["--workdir", container["workingDir"]]
        variables = self.variables(container)
        words += [word for name, text in variables.items() for word in ("--env", f"{name}={text}")]
        start = [expanded(word, variables) for word in container.get("command", [])]
        if start:
            words += ["--entrypoint", start[0]]
        words.append(self.node.full(container["image"]))
        return words + start[1:] + [expanded(word, variables) for word in container.get("args", [])]
