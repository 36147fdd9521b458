"""A value that is allowed and not the default, for each kind of value."""

from values_yaml import Value

OF_KIND = {
    "duration": "7s",
    "duration-or-count": "7s",
    "size": "100MiB",
    "signed-size": "3GiB",
    "share": "7%",
    "count": 7,
    "positive": 77,
    "positive-or-empty": 77,
    "not-negative": 7,
    "port": 7777,
    "switch": False,
    "scrape-time": "20s",
    "quantity": "9Gi",
    "quantity-or-empty": "9Gi",
    "path": "/srv/elsewhere/x",
    "digest": "sha256:" + "7" * 64,
    "labels": {"sample": "seven"},
    "names": ["seven"],
    "secrets": ["seven"],
    "object": {"nodeAffinity": {}},
    "objects": [{"name": "seven"}],
    "anything-list": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "seven"}}],
    "variables": [{"name": "SEVEN", "value": "7"}],
    "resources": {"requests": {"cpu": "7"}, "limits": {"memory": "7Gi"}},
}

# Where the kind alone does not say what fits.
OF_NAME = {
    "replicaCount": 1,
    "core.preStopSeconds": 7,
    "core.heartbeatInterval": "150ms",
    "core.electionTimeout": "7s",
    "core.advertiseClientUrls": "http://seven.example:2379",
    "sidecar.observeInterval": "1100ms",
    "sidecar.disk.warnFree": "27%",
    "sidecar.disk.clearFree": "17%",
    "sidecar.disk.floorFree": "1%",
    "persistentVolumeClaimRetentionPolicy.whenScaled": "Retain",
    "sidecar.native": False,
    "persistence.selector": {"matchLabels": {"a": "b"}},
    "networkPolicy.clients": [{"podSelector": {"matchLabels": {"a": "b"}}}],
    "networkPolicy.monitors": [{"podSelector": {"matchLabels": {"a": "b"}}}],
    "networkPolicy.extraIngress": [{"ports": [{"port": 7}]}],
    "networkPolicy.extraEgress": [{"ports": [{"port": 7}]}],
    "tolerations": [{"key": "seven", "operator": "Exists"}],
    "metrics.prometheusRule.disabled": ["MetastoreCoreDown"],
    "metrics.prometheusRule.extraRules": [{"record": "a:b", "expr": "up"}],
    "global.imageRegistry": "seven.example",
    "clusterDomain": "seven.example",
}


def another(value: Value):
    if value.name in OF_NAME:
        return OF_NAME[value.name]
    choices = value.schema().get("enum")
    if choices:
        return next(it for it in choices if it not in ("", value.default))
    if value.kind:
        return OF_KIND[value.kind]
    if isinstance(value.default, bool):
        return not value.default
    return "seven"
