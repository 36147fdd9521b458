"""Alerts and dashboard: parse, name only series that exist, and each alert has its page and fires when it should."""

import json
import re
import shutil
import subprocess

import promql_parser
import pytest
import yaml

from helm import release, rendered, value_set
from values_yaml import CHART

ROOT = CHART.parents[1]
ALERTS = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())["alerts"]
DASHBOARD = json.loads((CHART / "files" / "dashboard.json").read_text())
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()


def rules(values: dict | None = None) -> list[dict]:
    spec = release(value_set("monitoring") if values is None else values).one("PrometheusRule")["spec"]
    return spec["groups"][0]["rules"]


ALL = {"metrics": {"detail": "extensive", "prometheusRule": {"enabled": True}}}


def series(expression: str) -> set[str]:
    """Names of the series that an expression reads. It must parse."""
    text = re.sub(r"\$__rate_interval|\$__interval", "5m", expression)
    promql_parser.parse(text)
    without_strings = re.sub(r'"[^"]*"', '""', text)
    return set(re.findall(r"\b((?:etcd|metastore|grpc|process)_\w+)\s*(?=[{\[])", without_strings))


def source(part: str) -> str:
    return "\n".join(path.read_text() for path in sorted((ROOT / part / "src").rglob("*.rs")))


CORE, SIDECAR = source("core"), source("sidecar")


def exists(name: str) -> bool:
    """Whether one of the programs registers the series."""
    name = re.sub(r"_(bucket|count|sum)$", "", name)
    if name.startswith("process_"):
        return "ProcessCollector" in CORE
    own = name.removeprefix("metastore_sidecar_")
    return f'"{own}"' in SIDECAR if own != name else f'"{name}"' in CORE + SIDECAR


def test_every_alert_parses_and_reads_series_that_exist():
    names = [it["alert"] for it in rules(ALL)]
    assert names == [it["alert"] for it in ALERTS]
    for rule in rules(ALL):
        read = series(rule["expr"])
        assert read, rule["alert"]
        assert not [name for name in read if not exists(name)], rule["alert"]


def test_a_series_that_does_not_exist_is_noticed():
    assert not exists("etcd_server_dreams_total")
    assert not exists("metastore_sidecar_dreams")
    assert exists("etcd_disk_wal_fsync_duration_seconds_bucket")
    assert exists("metastore_sidecar_compaction_runs_total")


def panels() -> list[dict]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_every_panel_reads_series_that_exist(panel):
    for target in panel["targets"]:
        read = series(target["expr"].replace("$namespace", "n").replace("$pod", "p"))
        assert read and all(exists(name) for name in read), target["expr"]


def test_panels_do_not_overlap():
    taken = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken and at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_the_dashboard_is_installed_as_it_is():
    data = release({"metrics": {"dashboard": {"enabled": True}}}).one("ConfigMap", "-dashboard")["data"]
    assert json.loads(data["store-metastore.json"]) == DASHBOARD


@pytest.mark.parametrize("alert", ALERTS, ids=lambda it: it["alert"])
def test_an_alert_says_what_to_do(alert):
    assert re.search(rf"^#+ {alert['alert']}$", OPERATIONS, re.M), f"docs/operations.md has no heading {alert['alert']}"
    assert alert["summary"].endswith(".") and alert["description"].endswith(".")
    assert alert["severity"] in ("critical", "warning")


def test_operations_describes_no_other_alert():
    described = re.findall(r"^#+ (Metastore\w+)$", OPERATIONS, re.M)
    assert sorted(described) == sorted(it["alert"] for it in ALERTS)


def test_rules_are_about_this_release_only():
    for rule in rules(ALL):
        selectors = re.findall(r"\{([^}]*)\}", rule["expr"])
        assert selectors, rule["alert"]
        for selector in selectors:
            assert 'namespace="shop",pod=~"store-metastore-[0-9]+"' in selector, rule["alert"]


def test_rules_are_chosen_labelled_and_linked():
    found = {it.get("alert", it.get("record")): it for it in rules()}
    assert "MetastoreDiskWarn" not in found and "metastore:keys" in found
    down = found["MetastoreCoreDown"]
    assert down["labels"] == {"severity": "critical", "team": "storage"}
    assert down["annotations"]["runbook_url"] == "https://example.org/operations.md#metastorecoredown"
    basic = rules({"metrics": {"prometheusRule": {"enabled": True}}})
    assert "MetastoreGRPCRequestsSlow" not in [it["alert"] for it in basic], "not measured"


def test_a_label_of_theirs_takes_the_place_of_ours():
    values = {"metrics": {"prometheusRule": {"enabled": True, "alertLabels": {"severity": "page"}}}}
    assert {it["labels"]["severity"] for it in rules(values)} == {"page"}
    assert "severity: critical" not in rendered(release(values)), "a key that comes twice"


@pytest.mark.parametrize(("kind", "values"), [("PodMonitor", "monitoring"), ("ServiceMonitor", "service-monitor")])
def test_a_monitor_finds_the_one_target(kind, values):
    chart = release(value_set(values))
    spec = chart.one(kind)["spec"]
    selector = spec["selector"]["matchLabels"]
    endpoint = spec.get("podMetricsEndpoints", spec.get("endpoints"))[0]
    assert endpoint["path"] == "/metrics" and spec["namespaceSelector"] == {"matchNames": ["shop"]}
    if kind == "PodMonitor":
        labels = [chart.one("StatefulSet")["spec"]["template"]["metadata"]["labels"]]
        ports = chart.container("sidecar")["ports"]
    else:
        services = [it for it in chart.objects() if it["kind"] == "Service"]
        labels = [it["metadata"]["labels"] for it in services if selector.items() <= it["metadata"]["labels"].items()]
        ports = chart.one("Service", "-headless")["spec"]["ports"]
    assert len(labels) == 1 and selector.items() <= labels[0].items()
    assert endpoint["port"] in [port["name"] for port in ports]


@pytest.fixture
def promtool():
    found = shutil.which("promtool")
    return found or pytest.skip("promtool is missing")


def test_alerts_fire_and_only_when_they_should(promtool, tmp_path):
    """tests/pod/alerts.test.yaml in Prometheus' own words."""
    whole = rules(ALL)
    bare = [{key: part for key, part in rule.items() if key != "annotations"} for rule in whole]
    for file, rows in (("whole.yaml", whole), ("rules.yaml", bare)):
        (tmp_path / file).write_text(yaml.safe_dump({"groups": [{"name": "metastore", "rules": rows}]}))
    cases = (ROOT / "tests" / "pod" / "alerts.test.yaml").read_text()
    (tmp_path / "cases.yaml").write_text(cases)
    for command in (["check", "rules", "whole.yaml"], ["test", "rules", "cases.yaml"]):
        done = subprocess.run([promtool, *command], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
    tested = set(re.findall(r"alertname: (\w+)\n *exp_alerts:\n", cases))
    assert tested == {it["alert"] for it in ALERTS}, "each alert has a case in which it fires"
