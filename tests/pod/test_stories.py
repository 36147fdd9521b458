"""The judge of stories that compares pods: it sees what was left out or changed, and allows what the API adds."""

from cluster.stories import missing

RENDERED = {
    "terminationGracePeriodSeconds": 60,
    "initContainers": [{"name": "sidecar", "env": [{"name": "A", "value": "1"}]}],
    "containers": [{"name": "core", "command": ["run", "--fast"], "ports": [{"name": "client", "containerPort": 2379}]}],
    "affinity": {},
}


def stored(**changes) -> dict:
    """As an API server keeps it: with defaults, and its own order of names."""
    core = {"name": "core", "command": ["run", "--fast"], "terminationMessagePath": "/dev/termination-log"}
    core["ports"] = [{"name": "client", "containerPort": 2379, "protocol": "TCP"}]
    sidecar = {"name": "sidecar", "env": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}]}
    return {"nodeName": "node", "terminationGracePeriodSeconds": 60, "containers": [core], "initContainers": [sidecar], **changes}


def test_defaults_are_no_difference():
    assert list(missing(RENDERED, stored(), "spec")) == []


def test_a_changed_number_is_named():
    assert list(missing(RENDERED, stored(terminationGracePeriodSeconds=30), "spec")) == ["spec.terminationGracePeriodSeconds: 60 became 30"]


def test_what_is_left_out_is_named():
    (found,) = missing(RENDERED, stored(initContainers=[]), "spec")
    assert found.startswith("spec.initContainers[sidecar]")


def test_another_command_is_named():
    core = {**stored()["containers"][0], "command": ["run"]}
    assert list(missing(RENDERED, stored(containers=[core]), "spec")) == ["spec.containers[core].command: ['run', '--fast'] became ['run']"]
