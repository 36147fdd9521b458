"""What cannot work is refused at the install, by name."""

import pytest

from helm import HELMS, Refused, release, rendered

REFUSED = [
    ({"replicaCount": 2}, "replicaCount is 2: this version runs exactly one member; it does not replicate yet"),
    ({"replicaCount": 0}, "replicaCount is 0: this version runs exactly one member"),
    ({"replicaCount": 3}, "replicaCount is 3: this version runs exactly one member"),
    (
        {"core": {"quotaBackendBytes": "9GiB"}},
        "core.quotaBackendBytes is 9GiB: more than the volume, whose persistence.size is 8Gi",
    ),
    (
        {"core": {"quotaBackendBytes": 8589934593}},
        "core.quotaBackendBytes is 8589934593: more than the volume, whose persistence.size is 8Gi",
    ),
    (
        {"core": {"quotaBackendBytes": "2GB"}, "persistence": {"size": "1.5Gi"}},
        "core.quotaBackendBytes is 2GB: more than the volume, whose persistence.size is 1.5Gi",
    ),
    (
        {"persistence": {"size": "200Mi"}},
        "persistence.size is 200Mi: core's ballast and what it keeps free take 208 MiB, which leaves nothing for data",
    ),
    (
        {"persistence": {"size": 1e8}},
        "persistence.size is 100000000: core's ballast and what it keeps free take 166 MiB, which leaves nothing for data",
    ),
    (
        {"persistence": {"size": "1E"}, "core": {"ballastBytes": "9999999TiB"}},
        "persistence.size is 1E: core's ballast and what it keeps free take 8796093022335 MiB, which leaves nothing for data",
    ),
    (
        {"core": {"quotaBackendBytes": "7783MiB"}},
        "core.quotaBackendBytes is 7783MiB: more than 95 % of persistence.size, which is 8Gi, and the file system itself takes some",
    ),
    (
        {"core": {"quotaBackendBytes": "1MiB"}},
        "core.quotaBackendBytes is 1MiB: not more than one request, core.maxRequestBytes, may have, which is 1572864",
    ),
    (
        {"core": {"quotaBackendBytes": "10MiB", "maxRequestBytes": "10MiB"}},
        "core.quotaBackendBytes is 10MiB: not more than one request",
    ),
    (
        {"core": {"blockCacheBytes": "321MiB"}},
        "core.resources.limits.memory is 512Mi: below core.blockCacheBytes and the 192 MiB that core may need besides, together 513 MiB",
    ),
    (
        {"core": {"resources": {"limits": {"memory": "100Mi"}}}},
        "core.resources.limits.memory is 100Mi: below core.blockCacheBytes",
    ),
    (
        {"core": {"resources": {"limits": {"memory": "512m"}}}},
        "core.resources.limits.memory is 512m: below core.blockCacheBytes",
    ),
    (
        {"core": {"resources": {"limits": {"memory": 1e8}}}},
        "core.resources.limits.memory is 100000000: below core.blockCacheBytes",
    ),
    (
        {"core": {"blockCacheBytes": "9999999TiB"}},
        "core.resources.limits.memory is 512Mi: below core.blockCacheBytes",
    ),
    (
        {"adminSocket": "/run/" + "x" * 103},
        "adminSocket has 108 bytes: the path of a Unix socket has at most 107",
    ),
    (
        {"adminSocket": "/var/lib/metastore/admin.sock"},
        "adminSocket is /var/lib/metastore/admin.sock and persistence.mountPath is /var/lib/metastore: the socket needs a volume of its own",
    ),
    (
        {"adminSocket": "/admin.sock"},
        "adminSocket is /admin.sock: its directory is a volume of its own, which cannot be /",
    ),
    (
        {"adminSocket": "/tmp/admin.sock"},
        "adminSocket is /tmp/admin.sock: its directory is a volume of its own, which cannot be /tmp",
    ),
    (
        {"adminSocket": "/usr/local/bin/admin.sock"},
        "adminSocket is /usr/local/bin/admin.sock: its directory is a volume of its own, which cannot be /usr/local/bin",
    ),
    (
        {"persistence": {"mountPath": "/tmp"}},
        "persistence.mountPath is /tmp: the volume would hide what is there",
    ),
    (
        {"persistence": {"mountPath": "/var/run/etcd"}},
        "persistence.mountPath is /var/run/etcd: the sidecar cannot measure a file system below /run",
    ),
    (
        {"persistence": {"existingClaim": "mine", "enabled": False}},
        "persistence.existingClaim is mine but persistence.enabled is false: the claim would not be used",
    ),
    (
        {"persistentVolumeClaimRetentionPolicy": {"whenScaled": "Delete"}},
        "persistentVolumeClaimRetentionPolicy.whenScaled is Delete: one member is scaled down only to repair it, and its data would be deleted",
    ),
    (
        {"core": {"advertiseClientUrls": "http://a.example:2379,http://0.0.0.0:2379"}},
        "core.advertiseClientUrls is http://a.example:2379,http://0.0.0.0:2379: nobody can connect to an address that means every address",
    ),
    (
        {"core": {"advertiseClientUrls": "HTTP://[::]:2379"}},
        "core.advertiseClientUrls is HTTP://[::]:2379: nobody can connect",
    ),
    *(
        ({"core": {"advertiseClientUrls": urls}}, "core.advertiseClientUrls: each is http://host:port, with commas between them")
        for urls in (
            "https://a.example:2379",
            "http://a.example",
            "http://a.example:65536",
            "http://a.example:0",
            "http://user:word@a.example:1",
            "http://a.example:1/path",
            "http://a.example:1 http://a.example:2",
            " , ",
        )
    ),
    ({"fullnameOverride": "My_DB"}, "objects would be called My_DB: the name of a Service has small letters, digits and hyphens"),
    (
        {"containerPorts": {"client": 2381}},
        "containerPorts.client and containerPorts.sidecar are both 2381: the containers share their ports",
    ),
    (
        {"metrics": {"podMonitor": {"enabled": True}, "serviceMonitor": {"enabled": True}}},
        "metrics.podMonitor and metrics.serviceMonitor are both enabled: every series would be stored twice",
    ),
    (
        {"metrics": {"podMonitor": {"enabled": True, "scrapeTimeout": "1m"}}},
        "metrics.podMonitor.scrapeTimeout is 1m: longer than its interval, which is 30s: the Prometheus operator would leave it out",
    ),
    (
        {"terminationGracePeriodSeconds": 19, "sidecar": {"shutdownGrace": "5s"}},
        "terminationGracePeriodSeconds is 19: core.preStopSeconds, core.shutdownGrace and 5 s for the last sync take 20",
    ),
    (
        {"core": {"shutdownGrace": "1m"}},
        "terminationGracePeriodSeconds is 60: core.preStopSeconds, core.shutdownGrace and 5 s for the last sync take 70",
    ),
    (
        {"sidecar": {"shutdownGrace": "60s"}},
        "sidecar.shutdownGrace is not below terminationGracePeriodSeconds, which is 60: the sidecar would be killed",
    ),
    (
        {"core": {"electionTimeout": "499ms"}},
        "core.electionTimeout is 499 ms: it needs at least five times core.heartbeatInterval, which is 100 ms",
    ),
    (
        {"core": {"heartbeatInterval": 300}},
        "core.electionTimeout is 1000 ms: it needs at least five times core.heartbeatInterval, which is 300 ms",
    ),
    (
        {"sidecar": {"observeInterval": "2s"}},
        "sidecar.observationMaxAge is 2500 ms: it needs at least twice sidecar.observeInterval, which is 2000 ms",
    ),
    (
        {"sidecar": {"livenessWindow": "2500ms"}},
        "sidecar.livenessWindow is 2500 ms: not longer than sidecar.observationMaxAge, which is 2500 ms: core would be restarted on old news",
    ),
    (
        {"sidecar": {"observationMaxAge": "1m"}},
        "sidecar.livenessWindow is 60000 ms: not longer than sidecar.observationMaxAge, which is 60000 ms",
    ),
    ({"core": {"heartbeatInterval": 0}}, "core.heartbeatInterval is 0: the program takes 1ms to 10s"),
    ({"core": {"heartbeatInterval": "999us"}}, "core.heartbeatInterval is 999us: the program takes 1ms to 10s"),
    ({"core": {"electionTimeout": "50s1us"}}, "core.electionTimeout is 50s1us: the program takes at most 50s"),
    ({"core": {"electionTimeout": 2**63 - 1}}, "core.electionTimeout is 9223372036854775807: the program takes at most 50s"),
    ({"core": {"electionTimeout": 50001}}, "core.electionTimeout is 50001: the program takes at most 50s"),
    ({"core": {"snapshotCatchupEntries": 0}}, "core.snapshotCatchupEntries is 0: the program takes 1 or more"),
    ({"core": {"maxRequestBytes": "1025MiB"}}, "core.maxRequestBytes is 1025MiB: the program takes 1 to 1GiB"),
    ({"core": {"maxTxnOps": 0}}, "core.maxTxnOps is 0: the program takes 1 to 1000000"),
    ({"core": {"maxTxnOps": "1000001"}}, "core.maxTxnOps is 1000001: the program takes 1 to 1000000"),
    ({"core": {"maxConcurrentStreams": 4294967296}}, "core.maxConcurrentStreams is 4294967296: the program takes 1 to 4294967295"),
    ({"core": {"servingThreads": 1025}}, "core.servingThreads is 1025: the program takes 0 to 1024"),
    ({"core": {"watchProgressNotifyInterval": "99ms"}}, "core.watchProgressNotifyInterval is 99ms: the program takes 100ms to 8760h"),
    ({"sidecar": {"observeInterval": "9ms"}}, "sidecar.observeInterval is 9ms: the program takes 10ms to 8760h"),
    ({"sidecar": {"probeFailures": 0}}, "sidecar.probeFailures is 0: the program takes 1 to 1000"),
    ({"sidecar": {"probeSuccesses": 1001}}, "sidecar.probeSuccesses is 1001: the program takes 1 to 1000"),
    ({"sidecar": {"disk": {"clearAfter": "8760h1s"}}}, "sidecar.disk.clearAfter is 8760h1s: the program takes at most 8760h"),
    ({"sidecar": {"compaction": {"keepRevisions": 0}}}, "sidecar.compaction.keepRevisions is 0: the program takes 1 or more"),
    ({"sidecar": {"compaction": {"checkInterval": "500ms"}}}, "sidecar.compaction.checkInterval is 500ms: the program takes 1s to 8760h"),
    (
        {"autoCompactionMode": "revision", "autoCompactionRetention": "10m"},
        "autoCompactionRetention is 10m: a time, while autoCompactionMode is revision",
    ),
    (
        {"autoCompactionRetention": "10000"},
        "autoCompactionRetention is 10000: longer than a year (8760 hours); for a number of revisions set autoCompactionMode to revision",
    ),
    (
        {"sidecar": {"disk": {"lowFree": "18%"}}},
        "sidecar.disk.clearFree is 15%: not more than sidecar.disk.lowFree, which is 18%; floorFree < lowFree < clearFree, and lowFree < warnFree",
    ),
    (
        {"sidecar": {"disk": {"lowFree": "2%"}}},
        "sidecar.disk.lowFree is 2%: not more than sidecar.disk.floorFree, which is 2%",
    ),
    (
        {"sidecar": {"disk": {"warnFree": "512MiB"}}},
        "sidecar.disk.warnFree is 512MiB: not more than sidecar.disk.lowFree, which is 10%",
    ),
    (
        {"sidecar": {"disk": {"clearFree": "100%"}}},
        "sidecar.disk.clearFree is 100%: never so much is free of persistence.size, which is 8Gi",
    ),
    (
        {"sidecar": {"disk": {"warnFree": "100.01%"}}},
        "sidecar.disk.warnFree is 100.01%: never so much is free of persistence.size, which is 8Gi",
    ),
    (
        {"sidecar": {"disk": {"clearFree": 8589934592}}},
        "sidecar.disk.clearFree is 8589934592: never so much is free of persistence.size, which is 8Gi",
    ),
    (
        {"core": {"liveness": "sidecar", "livenessProbe": {"failureThreshold": 8}}},
        "core.liveness is sidecar and core.livenessProbe allows 80 s: a sidecar that restarts a few times takes 90",
    ),
    (
        {"extraEnvVars": [{"name": "METASTORE_KEEP_REVISION", "value": "7"}]},
        "extraEnvVars: METASTORE_KEEP_REVISION is not a variable of metastore: docs/configuration.md has their names",
    ),
    (
        {"sidecar": {"extraEnvVars": [{"name": "METASTORE_KEEP_REVISIONS", "value": "7"}]}},
        "sidecar.extraEnvVars: METASTORE_KEEP_REVISIONS has a value of its own: set sidecar.compaction.keepRevisions",
    ),
    (
        {"core": {"extraEnvVars": [{"name": "METASTORE_NAME", "value": "x"}]}},
        "core.extraEnvVars: METASTORE_NAME is the chart's: it is the name of the pod",
    ),
    (
        {"sidecar": {"extraEnvVars": [{"name": "TZ", "value": "UTC"}, {"name": "TZ", "value": "CET"}]}},
        "sidecar.extraEnvVars: TZ is there twice",
    ),
    (
        {"extraEnvVars": [{"name": "metastore_quota_backend_bytes", "value": "7"}]},
        "extraEnvVars: metastore_quota_backend_bytes is not a variable that metastore reads: names are in upper case",
    ),
]

# The schema's: Helm's words around them differ, the name does not.
TYPOS = [
    ({"replicaCuont": 1}, "replicaCuont"),
    ({"core": {"quotaBackendByte": 1}}, "quotaBackendByte"),
    ({"sidecar": {"compaction": {"keepRevision": 1}}}, "keepRevision"),
    ({"sidecar": {"disk": {"lowfree": "7%"}}}, "lowfree"),
    ({"service": {"ports": {"clients": 1}}}, "clients"),
    ({"service": {"headless": {"annotation": {}}}}, "annotation"),
    ({"persistence": {"storageclass": "x"}}, "storageclass"),
    ({"persistentVolumeClaimRetentionPolicy": {"whenScale": "Retain"}}, "whenScale"),
    ({"networkPolicy": {"allowExternal": True}}, "allowExternal"),
    ({"metrics": {"podMonitor": {"intervall": "1s"}}}, "intervall"),
    ({"auth": {"rbac": {"create": True}}}, "auth"),
    ({"core": {"resources": {"limit": {}}}}, "limit"),
    ({"core": {"liveness": "http"}}, "liveness"),
    ({"sidecar": {"native": "maybe"}}, "native"),
    ({"logLevel": "verbose"}, "logLevel"),
    ({"core": {"shutdownGrace": "10"}}, "shutdownGrace"),
    ({"core": {"shutdownGrace": 10}}, "shutdownGrace"),
    ({"core": {"quotaBackendBytes": "8G"}}, "quotaBackendBytes"),
    *(({"persistence": {"size": size}}, "size") for size in ("", "8GiB", "8gi", "-1Gi", "1e", "1Ee3", "1.5.5", ".", "0x10", "8 Gi", 0)),
    ({"sidecar": {"disk": {"lowFree": "ten"}}}, "lowFree"),
    ({"sidecar": {"compaction": {"keepRevisions": -1}}}, "keepRevisions"),
    ({"containerPorts": {"client": 70000}}, "client"),
    # Kubernetes takes 0 for its own default, which is 3.
    ({"core": {"startupProbe": {"failureThreshold": 0}}}, "failureThreshold"),
    ({"adminSocket": "admin.sock"}, "adminSocket"),
    ({"core": {"image": {"digest": "sha256:123"}}}, "digest"),
    ({"extraEnvVars": [{"nam": "A"}]}, "extraEnvVars"),
    ({"commonLabels": {"a": 1}}, "commonLabels"),
    ({"clusterDomain": "a/b"}, "clusterDomain"),
    ({"image": {"pullSecrets": [{"nam": "a"}]}}, "pullSecrets"),
    ({"metrics": {"podMonitor": {"interval": "10us"}}}, "interval"),
    ({"sidecar": {"disk": {"clearAfter": "5000000000ms"}}}, "clearAfter"),
]


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize(("values", "sentence"), REFUSED, ids=[it[1][:60] for it in REFUSED])
def test_what_cannot_work_is_refused_in_a_sentence(helm, values, sentence):
    with pytest.raises(Refused) as refused:
        rendered(release(values, helm=helm))
    lines = [line for line in str(refused.value).splitlines() if line.startswith("- ")]
    assert len(lines) == 1 and lines[0].startswith(f"- {sentence}"), refused.value


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize(("values", "name"), TYPOS, ids=[it[1] for it in TYPOS])
def test_a_typo_is_refused_by_name(helm, values, name):
    with pytest.raises(Refused) as refused:
        rendered(release(values, helm=helm))
    assert name in str(refused.value)


@pytest.mark.parametrize("helm", HELMS)
def test_all_reasons_come_at_once(helm):
    values = {
        "replicaCount": 2,
        "core": {"quotaBackendBytes": "9Gi", "extraEnvVars": [{"name": "METASTORE_X"}]},
        "terminationGracePeriodSeconds": 6,
    }
    with pytest.raises(Refused) as refused:
        rendered(release(values, helm=helm))
    lines = [line for line in str(refused.value).splitlines() if line.startswith("- ")]
    assert [line.split()[1] for line in lines] == [
        "replicaCount",
        "core.quotaBackendBytes",
        "terminationGracePeriodSeconds",
        "sidecar.shutdownGrace",
        "core.extraEnvVars:",
    ]


def test_a_cluster_without_native_sidecars_is_named():
    with pytest.raises(Refused, match="sidecar.native is true: Kubernetes v?1.28.0 has no native sidecars, 1.29 has"):
        rendered(release({"sidecar": {"native": True}}, kube="1.28.0"))


def test_a_cluster_that_is_too_old_is_refused():
    with pytest.raises(Refused, match="1.28"):
        rendered(release(kube="1.27.9"))


# Just on this side.
ALLOWED = [
    {"core": {"quotaBackendBytes": "7782MiB"}},
    {"core": {"quotaBackendBytes": "8GiB"}, "persistence": {"sharedFilesystem": True}},
    {"core": {"quotaBackendBytes": 1572865}},
    {"core": {"quotaBackendBytes": -1}},
    {"core": {"quotaBackendBytes": 0}},
    {"core": {"blockCacheBytes": "320MiB"}},
    {"core": {"heartbeatInterval": "10s", "electionTimeout": "50s"}},
    {"core": {"heartbeatInterval": "1000us", "electionTimeout": 5}},
    {"core": {"maxTxnOps": 1000000, "maxConcurrentStreams": 4294967295, "maxRequestBytes": "1GiB", "servingThreads": 0}},
    {"core": {"watchProgressNotifyInterval": "100000us"}},
    {"core": {"advertiseClientUrls": "http://[fd00::1]:2379, http://a.example:65535/"}},
    {"core": {"advertiseClientUrls": " HTTP://b.example:2379/ ,http://a:1,,http://b.example:02379,"}},
    {"core": {"resources": {"limits": {"memory": "0"}}}},
    *({"core": {"resources": {"limits": {"memory": it}}}} for it in (268435456, 3e8, "268435455001m", ".25Gi", "3e8", "1E")),
    {"core": {"electionTimeout": "010s"}},
    {"sidecar": {"livenessWindow": "2501ms"}},
    {"sidecar": {"disk": {"floorFree": "0.01%", "lowFree": "0.02%", "clearFree": "99.99%", "warnFree": "100%"}}},
    {"sidecar": {"disk": {"floorFree": "100MiB", "lowFree": "5%", "clearFree": "500MiB", "warnFree": 600000000}}},
    {"autoCompactionMode": "revision", "autoCompactionRetention": 10000},
    {"autoCompactionRetention": 8760},
    {"autoCompactionRetention": "90m"},
    {"core": {"electionTimeout": 500}},
    {"core": {"resources": {"limits": None}}},
    {"core": {"ballastBytes": 0}, "persistence": {"size": "200Mi"}},
    {"adminSocket": "/run/" + "x" * 102},
    {"sidecar": {"observeInterval": "1s250ms"}},
    {"core": {"liveness": "sidecar", "livenessProbe": {"failureThreshold": 9}}},
    {"extraEnvVars": [{"name": "METASTORE_WAL_DIR", "value": "/x"}, {"name": "ETCD_NAME", "value": "x"}]},
    {"sidecar": {"compaction": {"keepDuration": 0}}},
]


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize("values", ALLOWED, ids=str)
def test_what_just_works_is_allowed(helm, values):
    assert release(values, helm=helm).objects()
