"""Real Helm, and what it renders."""

import functools
import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml

from values_yaml import CHART

HELMS = ["helm3", "helm4"]
KUBES = [f"1.{minor}.0" for minor in range(28, 38)]
VALUE_SETS = sorted(path.stem for path in (CHART / "ci").glob("*.yaml"))

# Before Kubernetes accepts a change of a StatefulSet, everything else in its spec must be the same.
MUTABLE = {
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
    "revisionHistoryLimit",
}


class Refused(Exception):
    """Helm's message."""


@dataclass(frozen=True)
class Release:
    """What is installed under a name, with these values."""

    values: str = "{}"
    name: str = "store"
    kube: str = "1.36.0"
    helm: str = "helm4"
    chart: Path = CHART

    def objects(self) -> list[dict]:
        return list(yaml.load_all(rendered(self), yaml.CSafeLoader))

    def by_id(self) -> dict[str, dict]:
        found = {}
        for it in self.objects():
            key = f"{it['kind']}/{it['metadata']['name']}"
            assert key not in found, f"two objects {key}"
            found[key] = it
        return found

    def one(self, kind: str, suffix: str = "") -> dict:
        of_kind = [it for it in self.objects() if it["kind"] == kind and it["metadata"]["name"].endswith(suffix)]
        assert len(of_kind) == 1, f"{len(of_kind)} objects {kind} …{suffix}"
        return of_kind[0]

    def pod(self) -> dict:
        return self.one("StatefulSet")["spec"]["template"]["spec"]

    def container(self, name: str) -> dict:
        pod = self.pod()
        every = pod["containers"] + pod.get("initContainers", [])
        return next(it for it in every if it["name"] == name)


def release(values: dict | None = None, **where) -> Release:
    return Release(json.dumps(values or {}), **where)


def value_set(name: str) -> dict:
    return yaml.safe_load((CHART / "ci" / f"{name}.yaml").read_text()) or {}


@functools.cache
def rendered(release: Release) -> str:
    """The manifests. A release is a value: the same one is rendered once."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(release.values)
        file.flush()
        command = [release.helm, "template", release.name, str(release.chart), "--namespace", "shop"]
        command += ["--kube-version", release.kube, "--values", file.name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise Refused(done.stderr)
    return done.stdout


def notes(release: Release) -> str:
    """NOTES.txt, which `helm template` does not print. Helm 3 would ask a cluster first."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(release.values)
        file.flush()
        command = [release.helm, "install", release.name, str(release.chart), "--namespace", "shop", "--dry-run=client"]
        done = subprocess.run(command + ["--values", file.name], capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise Refused(done.stderr)
    return done.stdout.split("NOTES:\n", 1)[1]


def flat(tree, path: str = "") -> dict[str, object]:
    """Leaves by their path; list items that have a name by that, others by their place."""
    if isinstance(tree, dict) and tree:
        parts = [flat(child, f"{path}.{key}" if path else str(key)) for key, child in tree.items()]
    elif isinstance(tree, list) and tree:
        names = [it.get("name", at) if isinstance(it, dict) else at for at, it in enumerate(tree)]
        parts = [flat(child, f"{path}[{name}]") for name, child in zip(names, tree)]
    else:
        return {path: tree}
    return {key: leaf for part in parts for key, leaf in part.items()}


def changes(before: Release, after: Release) -> set[str]:
    """Paths of everything that an upgrade changes, each behind its object."""
    old, new = flat(before.by_id()), flat(after.by_id())
    return {path for path in old.keys() | new.keys() if old.get(path, ...) != new.get(path, ...)}


def immutable_changes(before: Release, after: Release) -> set[str]:
    """What Kubernetes would refuse of an upgrade, or what would orphan the data."""
    frozen = set()
    for path in changes(before, after):
        kind, _, rest = path.partition("/")
        _, _, field = rest.partition(".")
        in_spec = field.removeprefix("spec.").split(".")[0].split("[")[0]
        if kind == "StatefulSet" and (not field.startswith(("spec.", "metadata.")) or field == "metadata.name"):
            frozen.add(path)
        elif kind == "StatefulSet" and field.startswith("spec.") and in_spec not in MUTABLE:
            frozen.add(path)
        elif kind == "Service" and field == "spec.clusterIP":
            frozen.add(path)
    return frozen
