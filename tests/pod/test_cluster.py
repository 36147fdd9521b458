"""What the chart asks a cluster at an upgrade: whether the claim template would change.

A stand-in answers the few requests that Helm's `lookup` makes.
"""

import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from helm import HELMS
from values_yaml import CHART

APPS = {"name": "statefulsets", "singularName": "statefulset", "namespaced": True, "kind": "StatefulSet", "verbs": ["get"]}
ANSWERS = {
    "/version": {"major": "1", "minor": "36", "gitVersion": "v1.36.0"},
    "/api": {"kind": "APIVersions", "versions": []},
    "/apis": {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [
            {
                "name": "apps",
                "versions": [{"groupVersion": "apps/v1", "version": "v1"}],
                "preferredVersion": {"groupVersion": "apps/v1", "version": "v1"},
            }
        ],
    },
    "/apis/apps/v1": {"kind": "APIResourceList", "groupVersion": "apps/v1", "resources": [APPS]},
}


def stateful_set(size: str) -> dict:
    template = {"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": size}}}}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "spec": {"volumeClaimTemplates": [template]}}


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.split("?")[0]
        answer = ANSWERS.get(path)
        if path.endswith("/namespaces/shop/statefulsets/store-metastore"):
            answer = stateful_set("8Gi")
        missing = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
        body = json.dumps(answer or missing).encode()
        self.send_response(200 if answer else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def cluster():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def upgrade(helm: str, cluster: str, release: str, *values: str) -> subprocess.CompletedProcess:
    command = [helm, "template", release, str(CHART), "--namespace", "shop", "--dry-run=server"]
    command += ["--kube-apiserver", cluster, "--disable-openapi-validation"]
    for value in values:
        command += ["--set", value]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


REFUSAL = (
    "- persistence.size is 40Gi, and the claim template of the StatefulSet has 8Gi, which cannot change: "
    "expand the claim itself and set persistence.claimTemplateSize to 8Gi"
)


@pytest.mark.parametrize("helm", HELMS)
def test_a_claim_template_never_changes(helm, cluster):
    refused = upgrade(helm, cluster, "store", "persistence.size=40Gi")
    assert refused.returncode and REFUSAL in refused.stderr.splitlines(), refused.stderr


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize(
    ("release", "values"),
    [
        ("store", []),
        ("store", ["persistence.size=8192Mi"]),
        ("store", ["persistence.size=8589934592"]),
        ("store", ["persistence.size=8589934592e0"]),
        ("store", ["persistence.size=8589934592000m"]),
        ("store", ["persistence.size=40Gi", "persistence.claimTemplateSize=8Gi"]),
        ("another", ["persistence.size=40Gi"]),
    ],
)
def test_what_leaves_it_alone_is_allowed(helm, cluster, release, values):
    done = upgrade(helm, cluster, release, *values)
    # Helm 4 goes on to ask the stand-in for every kind, in vain: the templates are done by then.
    assert "execution error" not in done.stderr and "persistence.size" not in done.stderr, done.stderr
