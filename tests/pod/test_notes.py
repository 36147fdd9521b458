"""NOTES.txt: commands that fit the release, and warnings where they belong."""

import pytest

from helm import notes, release


def test_notes_say_what_to_do_next():
    text = notes(release())
    for command in (
        "kubectl --namespace shop rollout status statefulset/store-metastore",
        "helm test store --namespace shop --logs",
        "http://store-metastore.shop.svc.cluster.local:2379",
        "port-forward service/store-metastore 2379:2379",
        "curl http://127.0.0.1:2381/health",
    ):
        assert command in text
    assert "WARNING" not in text
    assert "Nothing scrapes its metrics yet" in text


@pytest.mark.parametrize(
    ("values", "warning"),
    [
        ({"persistence": {"enabled": False}}, "persistence is disabled"),
        ({"networkPolicy": {"enabled": False}}, "every pod of the cluster may read and write"),
        ({"service": {"type": "LoadBalancer"}}, "whoever reaches it may read and write"),
        ({"service": {"type": "NodePort"}}, "networkPolicy.clients has no ipBlock: nobody from outside the cluster reaches it"),
        ({"extraEnvVars": [{"name": "ETCD_NAME", "value": "x"}]}, "ETCD_NAME in extraEnvVars: etcd's variables are not read"),
    ],
)
def test_a_risk_is_a_warning(values, warning):
    assert warning in notes(release(values))


def test_who_is_let_in_from_outside_is_not_warned_of():
    outside = {"service": {"type": "NodePort"}, "networkPolicy": {"clients": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}}
    assert "has no ipBlock" not in notes(release(outside))


def test_kubectl_has_no_rollout_status_where_somebody_deletes_the_pod():
    text = notes(release({"updateStrategy": {"type": "OnDelete"}}))
    assert "rollout status" not in text
    assert "kubectl --namespace shop wait --for=condition=Ready pod/store-metastore-0 --timeout=10m" in text
