"""The program's table of variables and its limits, the values and the templates say the same."""

import re

import pytest
import yaml

from helm import HELMS, Release, release
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


def places(values: dict, name: str, **where) -> dict[str, str]:
    """Where the variable is set, and to what."""
    chart = release(values, **where)
    data = {it["metadata"]["name"]: it.get("data", {}) for it in chart.objects() if it["kind"] == "ConfigMap"}
    lines = data["store-metastore-run"]["run.env"].splitlines()
    sets = {
        "start": data["store-metastore"],
        "core": data["store-metastore-core"],
        "run": dict(line.split("=", 1) for line in lines if "=" in line),
        "pod": {it["name"]: it["value"] for it in chart.container("core")["env"] if "value" in it},
    }
    return {place: variables[name] for place, variables in sets.items() if name in variables}


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
        expected["core"] = text
    assert places(nested(row["value"], sample), name) == expected


@pytest.mark.parametrize("number", [1572865, 10000000, 4294967295, 0])
def test_whole_numbers_stay_whole(number):
    assert places({"core": {"quotaBackendBytes": number}}, "METASTORE_QUOTA_BACKEND_BYTES") == {"start": str(number)}


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize("given", [2**63 - 1, str(2**63 - 1)])
def test_the_largest_number_stays_itself(helm, given):
    """Helm has read it as a float, which is one more."""
    for name, place in [("METASTORE_KEEP_REVISIONS", "run"), ("METASTORE_SNAPSHOT_CATCHUP_ENTRIES", "start")]:
        assert places(nested(ROWS[name]["value"], given), name, helm=helm) == {place: str(2**63 - 1)}


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


# As Kubernetes' documents have them, and its parser.
QUANTITIES = {
    10**9: [1e9, 10**9, "1e9", "1E9", "1e+9", "10e8", "1000000e3", "1G", "1000M", "1000000k", "1000000000000m", "+1G", "1.G", ".001T"],
    3 * 2**29: ["1.5Gi", "1536Mi", "1610612736", 1610612736.0],
    2**33: ["8Gi", "8589934592", "8589934591001m", "8589934592000000u", "8589934592000000000n"],
    10**18: ["1E", "1000P", 1e18],
    2**60: ["1Ei", "1024Pi"],
    2**63 - 1: [2**63 - 1, "9223372036854775807", "8Ei", "9223372036.854775807G", "99E", "1e99"],
}


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize(("size", "number"), [(it, number) for number, every in QUANTITIES.items() for it in every], ids=str)
def test_a_size_is_any_quantity_of_kubernetes(helm, size, number):
    """A fraction is rounded up, and what is too large is the largest number, there as here."""
    chart = release({"persistence": {"sharedFilesystem": True, "size": size}}, helm=helm)
    assert chart.one("ConfigMap", "-metastore")["data"]["METASTORE_DISK_CAPACITY_BYTES"] == str(number)
    claim = chart.one("StatefulSet")["spec"]["volumeClaimTemplates"][0]["spec"]
    assert claim["resources"]["requests"]["storage"] == (size if isinstance(size, str) else str(number))
    assert chart.container("core")["startupProbe"]["failureThreshold"] == max(600, min(60 * (number >> 30), 2**31 - 1))


def test_both_containers_start_with_the_same_variables():
    chart = release({"extraEnvVars": [{"name": "TZ", "value": "UTC"}], "extraEnvVarsCM": "a", "extraEnvVarsSecret": "b",
                     "core": {"extraEnvVars": [{"name": "RUST_BACKTRACE", "value": "1"}]}})
    core, sidecar = chart.container("core"), chart.container("sidecar")
    ours, cores, theirs = ({"configMapRef": {"name": name}} for name in ("store-metastore", "store-metastore-core", "a"))
    assert sidecar["envFrom"] == [ours, theirs, {"secretRef": {"name": "b"}}], "of two that are loaded the later wins"
    assert core["envFrom"] == [ours, cores, theirs, {"secretRef": {"name": "b"}}]
    names = [{it["name"] for it in one["env"]} for one in (core, sidecar)]
    assert "TZ" in names[0] & names[1]
    assert "RUST_BACKTRACE" in names[0] - names[1]
    assert "METASTORE_ENV_FILE" in names[1] - names[0]


def environment(chart: Release, container: str, theirs: dict[str, str]) -> dict[str, str]:
    """As Kubernetes makes it: what is loaded, later over earlier, and over all that the container's own."""
    found = {}
    for source in chart.container(container)["envFrom"]:
        name = source["configMapRef"]["name"]
        found |= theirs if name == "theirs" else chart.by_id()[f"ConfigMap/{name}"].get("data", {})
    return found | {it["name"]: it.get("value", "") for it in chart.container(container)["env"]}


def test_a_variable_in_a_configmap_of_theirs_wins_but_for_what_is_said_to_be_the_pods_own():
    theirs = dict.fromkeys(CHARTS["variables"], "theirs")
    lost = set()
    for row in ROWS.values():
        chart = release({"extraEnvVarsCM": "theirs", **nested(row["value"], another(VALUES[row["value"]]))})
        every = environment(chart, "core", theirs).items() | environment(chart, "sidecar", theirs).items()
        lost |= {name for name, text in every if text != "theirs"}
    said = VALUES["extraEnvVarsCM"].sentence.split("the pod's own")[1]
    assert lost == set(re.findall("`(METASTORE_\\w+)`", said))
    operations = (ROOT / "docs" / "operations.md").read_text().split("`METASTORE_` variable in `extraEnvVarsCM`")[1]
    assert lost == set(re.findall("`(METASTORE_\\w+)`", operations.split("\n\n")[0]))


@pytest.mark.parametrize("container", ["core", "sidecar"])
def test_a_containers_own_variable_takes_the_place_of_everybodys(container):
    """Helm 4 would refuse a name that comes twice."""
    ours = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    chart = release({"extraEnvVars": ours, "extraEnvVarsCM": "theirs", container: {"extraEnvVars": [{"name": "A", "value": "$(B)"}, {"name": "C", "value": None}]}})
    extra = {name: [it["name"] for it in chart.container(name)["env"] if not it["name"].startswith("METASTORE_")] for name in ("core", "sidecar")}
    assert extra.pop(container) == ["B", "A", "C"]
    assert list(extra.values()) == [["A", "B"]]
    assert environment(chart, container, {"A": "theirs"})["A"] == "$(B)"
