"""An upgrade changes what was meant, rolls the pod only where it must, and never what is immutable."""

import re
import shutil

import pytest

from helm import changes, immutable_changes, release
from samples import another
from test_environment import CHARTS, VALUES, nested
from values_yaml import read

BEFORE = release()
POD = "StatefulSet/store-metastore.spec.template"
CHECKSUM = f"{POD}.metadata.annotations.checksum/environment"
RUN_FILE = "ConfigMap/store-metastore-run.data.run.env"

# These say which volume and which name: they are decided at the install, and docs/operations.md
# says so. Kubernetes itself refuses to change them later.
AT_INSTALL = {
    "nameOverride",
    "fullnameOverride",
    "namespaceOverride",
    "global.storageClass",
    "service.clusterIP",
    "persistence.enabled",
    "persistence.size",
    "persistence.claimTemplateSize",
    "persistence.storageClass",
    "persistence.accessModes",
    "persistence.annotations",
    "persistence.labels",
    "persistence.selector",
    "persistence.existingClaim",
}
OPERATIONS = (BEFORE.chart.parents[1] / "docs" / "operations.md").read_text()
OTHERS = [value for value in read() if value.kind != "rest" and value.name not in AT_INSTALL]


def after(path: str, leaf) -> set[str]:
    return changes(BEFORE, release(nested(path, leaf)))


@pytest.mark.parametrize("value", OTHERS, ids=lambda value: value.name)
def test_no_value_touches_what_is_immutable(value):
    assert immutable_changes(BEFORE, release(nested(value.name, another(value)))) == set()


def test_what_is_decided_at_the_install_is_said_to_be():
    said = OPERATIONS.split("Decide before the first install")[1].split("\n\nGitOps")[0]
    assert not [name for name in AT_INSTALL if f"`{name}`" not in said and f"`{name.removeprefix('persistence.')}`" not in said]


def test_the_rule_for_what_is_immutable_finds_something():
    for path, leaf in [("persistence.size", "9Gi"), ("fullnameOverride", "x"), ("persistence.labels", {"a": "b"})]:
        assert immutable_changes(BEFORE, release(nested(path, leaf)))


@pytest.mark.parametrize("name", [name for name, row in CHARTS["variables"].items() if row.get("into") == "run"])
def test_what_the_sidecar_takes_over_rolls_nothing(name):
    row = CHARTS["variables"][name]
    of_core = {f"ConfigMap/store-metastore-core.data.{name}"} if row.get("core") else set()
    assert after(row["value"], another(VALUES[row["value"]])) == {RUN_FILE} | of_core


def test_the_sidecars_log_level_rolls_nothing():
    assert after("sidecar.logLevel", "debug") == {RUN_FILE}


@pytest.mark.parametrize("name", [name for name, row in CHARTS["variables"].items() if row.get("into") == "start"])
def test_any_other_setting_rolls_the_pod_through_the_checksum(name):
    path = CHARTS["variables"][name]["value"]
    changed = after(path, another(VALUES[path]))
    assert {f"ConfigMap/store-metastore.data.{name}", CHECKSUM} <= changed
    if path != "adminSocket":
        assert len(changed) == 2, "nothing else changes"


def test_a_log_level_for_both_rolls_the_pod():
    assert after("logLevel", "debug") == {RUN_FILE, "ConfigMap/store-metastore-core.data.METASTORE_LOG_LEVEL", CHECKSUM}


def test_a_new_image_changes_the_images_only():
    images = {f"{POD}.spec.containers[core].image", f"{POD}.spec.initContainers[sidecar].image"}
    assert after("image.tag", "9") == images
    assert after("sidecar.image.tag", "9") == {f"{POD}.spec.initContainers[sidecar].image"}


def test_more_memory_changes_that_only():
    changed = after("core.resources.limits.memory", "1Gi")
    assert changed == {f"{POD}.spec.containers[core].resources.limits.memory"}


def test_what_is_beside_the_pod_does_not_roll_it():
    for path, leaf in [
        ("service.type", "NodePort"),
        ("service.annotations", {"a": "b"}),
        ("networkPolicy.enabled", False),
        ("networkPolicy.clients", [{"podSelector": {"matchLabels": {"a": "b"}}}]),
        ("metrics.podMonitor.enabled", True),
        ("metrics.prometheusRule.enabled", True),
        ("metrics.dashboard.enabled", True),
        ("test.image.tag", "9"),
        ("updateStrategy.type", "OnDelete"),
        ("persistentVolumeClaimRetentionPolicy.whenDeleted", "Delete"),
    ]:
        changed = after(path, leaf)
        assert changed and not [it for it in changed if it.startswith(POD)], path


def test_a_new_version_of_the_chart_alone_rolls_nothing(tmp_path):
    chart = tmp_path / "metastore"
    shutil.copytree(BEFORE.chart, chart)
    manifest = (chart / "Chart.yaml").read_text()
    (chart / "Chart.yaml").write_text(re.sub(r"(?m)^version: .*", "version: 9.9.9+build", manifest))
    changed = changes(BEFORE, release(chart=chart))
    assert changed and all(path.endswith(".metadata.labels.helm.sh/chart") for path in changed)
    assert not [path for path in changed if path.startswith(f"{POD}.")]


def test_a_rollback_is_the_release_before():
    changed = release({"core": {"quotaBackendBytes": "1GiB"}, "sidecar": {"disk": {"lowFree": "5%"}}})
    assert changes(BEFORE, changed) == changes(changed, BEFORE) != set()


def test_an_expanded_volume_leaves_the_claim_template_alone():
    values = {"persistence": {"size": "40Gi", "claimTemplateSize": "8Gi"}}
    assert immutable_changes(BEFORE, release(values)) == set()
    assert changes(BEFORE, release(values)) == {f"{POD}.spec.containers[core].startupProbe.failureThreshold"}


@pytest.mark.parametrize("kube", ["1.29.0", "1.32.0", "1.37.0"])
def test_an_upgrade_of_the_cluster_changes_nothing(kube):
    assert changes(BEFORE, release(kube=kube)) == set()


def test_a_cluster_that_gains_native_sidecars_moves_the_container_and_nothing_immutable():
    before, after = release(kube="1.28.0"), release(kube="1.29.0")
    changed = changes(before, after)
    assert changed and all(path.startswith(f"{POD}.spec.") for path in changed)
    assert immutable_changes(before, after) == set()
