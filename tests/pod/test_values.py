"""Every value is described, checked by the schema, and has an effect."""

import pytest

from helm import changes, release
from samples import another
from test_environment import nested
from values_yaml import CHART, read, readme, schema_text

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


def test_the_schema_and_the_readme_are_what_values_yaml_says():
    assert (CHART / "values.schema.json").read_text() == schema_text(), "run tests/pod/documents"
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
    base = next((needs for prefix, needs in NEEDS.items() if value.name.startswith(prefix)), {})
    if value.name.endswith(".enabled"):
        base = {}
    after = merged(base, nested(value.name, another(value)))
    assert changes(release(base), release(after)), f"{value.name} changes nothing"


def test_name_override():
    assert release({"nameOverride": "db"}).one("StatefulSet")["metadata"]["name"] == "store-db"


def test_an_undocumented_value_is_a_mistake():
    with pytest.raises(ValueError, match="core.secret has no sentence"):
        read("core:\n  secret: 7\n")
