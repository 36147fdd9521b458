"""The program's table of variables and its limits, the values and the templates say the same."""

import re

import pytest
import yaml

from helm import release
from samples import another
from values_yaml import CHART, read

ROOT = CHART.parents[1]
PAGE = (ROOT / "docs" / "configuration.md").read_text()
CHARTS = yaml.safe_load((CHART / "files" / "environment.yaml").read_text())
VALUES = {value.name: value for value in read()}
ROWS = {name: row for name, row in CHARTS["variables"].items() if "value" in row}

# Both processes read these, and core only at its start: a change must roll the pod.
BOTH_AND_RUN_TIME = {"METASTORE_LOG_LEVEL", "METASTORE_DISK_CAPACITY_BYTES"}


def page_rows() -> dict[str, tuple[str, bool, str]]:
    """Variable → (section, taken over at run time, default)."""
    found, section = {}, ""
    for line in PAGE.splitlines():
        if line.startswith("## "):
            section = line[3:]
        row = re.match(r"\| `(METASTORE_\w+)`( ↻)? \| (.*?) \| (?:`(.*?)`)? ?\|", line)
        if row and not section.startswith("Known"):
            found[row[1]] = (section, bool(row[2]), row[4] or "")
    return found


def test_every_variable_of_the_program_is_known_here_and_no_other():
    assert set(CHARTS["variables"]) == set(page_rows())


def test_what_the_program_ignores_is_known_here():
    ignored = re.findall(r"^\| `(METASTORE_\w+)` \|", PAGE.split("## Known from etcd")[1], re.M)
    assert CHARTS["ignored"] == ignored


def test_a_variable_is_in_the_file_exactly_where_the_sidecar_takes_it_over():
    in_file = {name for name, row in CHARTS["variables"].items() if row.get("into") == "run"}
    at_run_time = {name for name, (_, is_run_time, _) in page_rows().items() if is_run_time}
    assert in_file == at_run_time - BOTH_AND_RUN_TIME
    for name in in_file:
        assert page_rows()[name][0] == "Sidecar", f"{name}: core would not hear of it"


def test_core_has_what_it_reads_of_the_sidecars_settings():
    source = "".join(path.read_text() for path in sorted((ROOT / "core" / "src").rglob("*.rs")))
    # The mode is asked for by `probe ready` only, which is no probe of the chart's.
    assert set(re.findall(r"settings\.sidecar\.([a-z_.]+[a-z_])", source)) == {"listen", "disk.low.bytes_of", "health.readiness_mode"}
    marks = {f"METASTORE_DISK_{mark}_FREE" for mark in ("WARN", "LOW", "CLEAR", "FLOOR")}
    assert {name for name, row in CHARTS["variables"].items() if row.get("core")} == marks, "their order is judged where one is read"


TAKES = re.compile(r"fields\s*\.(\w+)\s*\.take(?:_optional)?\(\s*mistakes,\s*(parse::\w+(?:\((.*?)\))?|second)\)[,;.]", re.S)
DURATIONS = ("second", "parse::duration", "parse::milliseconds")


def limits_of_the_program() -> dict[str, tuple[str, str]]:
    """Variable → (least, most), as the parsers of proto/src/environment have them; empty: none."""
    source = (ROOT / "proto" / "src" / "environment" / "settings.rs").read_text()
    found = {}
    for field, parser, given in TAKES.findall(source):
        if parser.startswith(DURATIONS):
            least = re.search(r"from_(sec|m)\w+\((\d+)", "from_secs(1" if parser == "second" else given)
            found[field] = (least[2] + least[1].replace("m", "ms").replace("sec", "s") if least else "", "8760h")
        elif parser.startswith(("parse::count", "parse::bytes_in")):
            least, most = given.replace("_", "").split("..=")
            found[field] = (least, {"1 << 30": "1GiB", "u32::MAX": "4294967295", "u64::MAX": "", "i64::MAX": ""}.get(most, most))
    # check.rs has the rest: an election takes at most 50 s, and is five heartbeats long.
    assert "ELECTION_TIMEOUT_MAX: Duration = Duration::from_secs(50)" in (ROOT / "proto/src/environment/check.rs").read_text()
    found |= {"heartbeat_interval": ("1ms", "10s"), "election_timeout": ("", "50s")}
    return {f"METASTORE_{field.upper()}": limits for field, limits in found.items()}


def test_numbers_and_durations_have_the_programs_limits():
    text = lambda limit: "" if limit is None else str(limit)
    ours = {name: (text(row.get("least")), text(row.get("most"))) for name, row in CHARTS["variables"].items()}
    assert {name: limits for name, limits in ours.items() if any(limits)} == limits_of_the_program()


def test_memory_is_judged_by_cores_own_number():
    core = re.search(r"MEMORY_BESIDES: u64 = (\d+) << 20;", (ROOT / "core" / "src" / "server" / "limits.rs").read_text())
    assert str(int(core[1]) << 20) in (CHART / "templates" / "_refuse.tpl").read_text()


@pytest.mark.parametrize("name", ROWS)
def test_a_value_says_its_variable_and_the_programs_default(name):
    value = VALUES[ROWS[name]["value"]]
    if name == "METASTORE_ADMIN_SOCKET" or name == "METASTORE_ADVERTISE_CLIENT_URLS":
        return  # the chart has a default of its own
    assert value.default == "", f"{value.name}: empty means the program's default"
    assert f"({name}" in value.sentence
    default = page_rows()[name][2]
    assert f"`{default}`" in value.sentence or not default, f"{value.name}: the default is {default}"
    runs = "Takes effect without a roll." in value.sentence
    assert runs == (ROWS[name]["into"] == "run"), f"{value.name}: say whether a change rolls the pod"


def places(values: dict, name: str) -> dict[str, str]:
    """Where the variable is set, and to what."""
    chart = release(values)
    found = {}
    start = chart.one("ConfigMap", "-metastore")["data"]
    if name in start:
        found["start"] = start[name]
    lines = chart.one("ConfigMap", "-run")["data"]["run.env"].splitlines()
    found.update({"run": line.split("=", 1)[1] for line in lines if line.startswith(f"{name}=")})
    for container in ("core", "sidecar"):
        env = [it for it in chart.container(container)["env"] if it["name"] == name]
        found.update({container: it["value"] for it in env if "value" in it})
        for key in (it["valueFrom"].get("configMapKeyRef") for it in env if "valueFrom" in it):
            assert key is None or key["optional"] and key["name"].endswith("-run")
            data = chart.one("ConfigMap", "-run")["data"]
            found.update({f"{container}, at its start": data[key["key"]]} if key and key["key"] in data else {})
    return found


def nested(path: str, leaf) -> dict:
    for key in reversed(path.split(".")):
        leaf = {key: leaf}
    return leaf


@pytest.mark.parametrize("name", ROWS)
def test_a_value_reaches_its_variable_and_only_where_it_belongs(name):
    row = ROWS[name]
    sample = another(VALUES[row["value"]])
    text = str(sample).lower() if isinstance(sample, bool) else str(sample)
    expected = {row["into"]: text}
    if name == "METASTORE_LOG_LEVEL":
        expected["run"] = text  # the sidecar has it from the file
    if row.get("core"):
        expected["core, at its start"] = text
    assert places(nested(row["value"], sample), name) == expected


@pytest.mark.parametrize("number", [1572865, 10000000, 4294967295, 0])
def test_whole_numbers_stay_whole(number):
    assert places({"core": {"quotaBackendBytes": number}}, "METASTORE_QUOTA_BACKEND_BYTES") == {"start": str(number)}


def test_what_is_off_is_not_what_is_not_set():
    assert places({"sidecar": {"compaction": {"enabled": False}}}, "METASTORE_AUTO_COMPACT") == {"run": "false"}
    assert places({}, "METASTORE_AUTO_COMPACT") == {}


def test_the_sidecars_log_level_is_its_own():
    values = {"logLevel": "warn", "sidecar": {"logLevel": "debug"}}
    assert places(values, "METASTORE_LOG_LEVEL") == {"core": "warn", "run": "debug"}


@pytest.mark.parametrize(("values", "expected"), [
    ({}, {}),
    ({"persistence": {"sharedFilesystem": True, "size": "10G"}}, {"start": "10000000000"}),
])
def test_a_shared_file_system_is_counted_by_the_members_share(values, expected):
    assert places(values, "METASTORE_DISK_CAPACITY_BYTES") == expected


def test_both_containers_start_with_the_same_variables():
    chart = release({"extraEnvVars": [{"name": "TZ", "value": "UTC"}], "extraEnvVarsCM": "a", "extraEnvVarsSecret": "b",
                     "core": {"extraEnvVars": [{"name": "RUST_BACKTRACE", "value": "1"}]}})
    core, sidecar = chart.container("core"), chart.container("sidecar")
    assert core["envFrom"] == sidecar["envFrom"]
    assert {"secretRef": {"name": "b"}} in core["envFrom"]
    names = [{it["name"] for it in one["env"]} for one in (core, sidecar)]
    assert "TZ" in names[0] & names[1]
    assert "RUST_BACKTRACE" in names[0] - names[1]
    assert "METASTORE_ENV_FILE" in names[1] - names[0]
