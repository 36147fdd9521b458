"""Every value is described, checked by the schema, has an effect, and may be left empty."""

import pytest

from helm import HELMS, changes, notes, release, rendered
from samples import another
from test_environment import nested
from values_yaml import CHART, defaults_text, read, readme, schema_text

VALUES = read()
VISIBLE = [value for value in VALUES if value.kind != "rest"]

# What else must be set before a value can be seen.
NEEDS = {
    "metrics.podMonitor.": {"metrics": {"podMonitor": {"enabled": True}}},
    "metrics.serviceMonitor.": {"metrics": {"serviceMonitor": {"enabled": True}}},
    "metrics.prometheusRule.": {"metrics": {"prometheusRule": {"enabled": True}}},
    "metrics.dashboard.": {"metrics": {"dashboard": {"enabled": True}}},
    "service.nodePorts.": {"service": {"type": "NodePort"}},
    "service.externalTrafficPolicy": {"service": {"type": "NodePort"}},
    "service.loadBalancerSourceRanges": {"service": {"type": "LoadBalancer"}},
}


def merged(one: dict, two: dict) -> dict:
    both = dict(one)
    for key, child in two.items():
        is_group = isinstance(child, dict) and isinstance(both.get(key), dict)
        both[key] = merged(both[key], child) if is_group else child
    return both


def needs(name: str) -> dict:
    base = next((values for prefix, values in NEEDS.items() if name.startswith(prefix)), {})
    return {} if name.endswith(".enabled") else base


def test_what_is_made_of_values_yaml_is_what_it_says():
    assert (CHART / "values.schema.json").read_text() == schema_text(), "run tests/pod/documents"
    assert (CHART / "files" / "defaults.yaml").read_text() == defaults_text(), "run tests/pod/documents"
    assert (CHART / "README.md").read_text() == readme(), "run tests/pod/documents"


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value.name)
def test_a_value_has_a_sentence(value):
    if value.kind == "rest":
        return
    assert value.sentence[0].isupper() or value.sentence.startswith("`")
    assert value.sentence.rstrip()[-1] in ".)"


@pytest.mark.parametrize("value", VISIBLE, ids=lambda value: value.name)
def test_a_value_has_an_effect(value):
    if value.name in ("replicaCount", "persistentVolumeClaimRetentionPolicy.whenScaled", "nameOverride"):
        return  # those have a single allowed value; the last is seen in every name, below
    base = needs(value.name)
    after = merged(base, nested(value.name, another(value)))
    assert changes(release(base), release(after)), f"{value.name} changes nothing"


# Groups and values.
KEYS = sorted({".".join(value.path[:depth]) for value in VISIBLE for depth in range(1, len(value.path) + 1)})
ALL_EMPTY = {key: None for key in KEYS if "." not in key}


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize("key", KEYS)
def test_a_key_left_empty_has_its_default(helm, key):
    """Helm forgets the default: a NetworkPolicy or a claim would be gone in silence."""
    base = needs(key)
    assert rendered(release(merged(base, nested(key, None)), helm=helm)) == rendered(release(base, helm=helm))


@pytest.mark.parametrize("helm", HELMS)
def test_all_keys_left_empty_have_their_defaults(helm):
    assert rendered(release(ALL_EMPTY, helm=helm)) == rendered(release(helm=helm))


def test_notes_know_the_defaults():
    assert notes(release(ALL_EMPTY)) == notes(release())


def below(path: str, tree) -> list[str]:
    inner = tree.items() if isinstance(tree, dict) else ()
    return [it for key, child in inner for it in (f"{path}.{key}", *below(f"{path}.{key}", child))]


# What Kubernetes has, and labels: in values that are documented as a whole.
KUBERNETES = [value.name for value in VALUES if value.kind == "rest"] + [it for value in VALUES for it in below(value.name, value.default)]


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize("key", KUBERNETES)
def test_a_key_of_kubernetes_left_empty_is_not_there(helm, key):
    """It chooses itself then, as OpenShift does with users."""
    base = needs(key)
    gone = changes(release(base, helm=helm), release(merged(base, nested(key, None)), helm=helm))
    *_, group, last = key.split(".")
    assert gone and all(f".{last}" in path or path.endswith(f".{group}") for path in gone)


def test_every_template_knows_the_defaults():
    for path in [*(CHART / "templates").rglob("*.yaml"), CHART / "templates" / "NOTES.txt"]:
        assert path.read_text().startswith('{{- include "metastore.defaults" . -}}\n'), path


def test_name_override():
    assert release({"nameOverride": "db"}).one("StatefulSet")["metadata"]["name"] == "store-db"


def test_an_undocumented_value_is_a_mistake():
    with pytest.raises(ValueError, match="core.secret has no sentence"):
        read("core:\n  secret: 7\n")
