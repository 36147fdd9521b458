//! etcd's variables, and what stands for them here. They are not read: what only looks the same
//! would be the worst of mistakes.

use super::table::{PREFIX, Standing, Variable};

/// What a variable of etcd corresponds to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Counterpart {
    /// A variable of ours that takes the same values and means the same.
    Same(&'static str),
    /// A variable of ours, and how it differs.
    Similar(&'static str, &'static str),
    /// Nothing, and why.
    Nothing(&'static str),
}

use Counterpart::{Nothing, Same, Similar};

const NO_TLS: Counterpart = Nothing("there is no TLS yet");
const NO_USERS: Counterpart = Nothing("there are no users and roles yet");

/// By the rest of etcd's name, after `ETCD_` and, where it once was one, `EXPERIMENTAL_`.
const COUNTERPARTS: &[(&str, Counterpart)] = &[
    ("NAME", Same("METASTORE_NAME")),
    ("LISTEN_CLIENT_URLS", Same("METASTORE_LISTEN_CLIENT_URLS")),
    ("ADVERTISE_CLIENT_URLS", Same("METASTORE_ADVERTISE_CLIENT_URLS")),
    ("INITIAL_ADVERTISE_PEER_URLS", Same("METASTORE_INITIAL_ADVERTISE_PEER_URLS")),
    ("HEARTBEAT_INTERVAL", Same("METASTORE_HEARTBEAT_INTERVAL")),
    ("ELECTION_TIMEOUT", Same("METASTORE_ELECTION_TIMEOUT")),
    ("SNAPSHOT_CATCHUP_ENTRIES", Same("METASTORE_SNAPSHOT_CATCHUP_ENTRIES")),
    ("MAX_REQUEST_BYTES", Same("METASTORE_MAX_REQUEST_BYTES")),
    ("MAX_TXN_OPS", Same("METASTORE_MAX_TXN_OPS")),
    ("MAX_CONCURRENT_STREAMS", Same("METASTORE_MAX_CONCURRENT_STREAMS")),
    ("METRICS", Same("METASTORE_METRICS")),
    ("WATCH_PROGRESS_NOTIFY_INTERVAL", Same("METASTORE_WATCH_PROGRESS_NOTIFY_INTERVAL")),
    ("AUTO_COMPACTION_MODE", Same("METASTORE_AUTO_COMPACTION_MODE")),
    (
        "AUTO_COMPACTION_RETENTION",
        Similar(
            "METASTORE_AUTO_COMPACTION_RETENTION",
            "0 leaves compaction to METASTORE_KEEP_REVISIONS, and METASTORE_KEEP_DURATION is kept in \
             any case",
        ),
    ),
    (
        "DATA_DIR",
        Similar("METASTORE_DATA_DIR", "the files are others, so never name a directory of etcd"),
    ),
    ("INITIAL_CLUSTER", Similar("METASTORE_INITIAL_CLUSTER", "there is one member only, so far")),
    (
        "INITIAL_CLUSTER_TOKEN",
        Similar("METASTORE_INITIAL_CLUSTER_TOKEN", "the default is metastore-cluster"),
    ),
    (
        "QUOTA_BACKEND_BYTES",
        Similar("METASTORE_QUOTA_BACKEND_BYTES", "0 is 80 % of the volume, not 2 GiB"),
    ),
    (
        "LISTEN_METRICS_URLS",
        Similar("METASTORE_SIDECAR_LISTEN", "it is one IP address with a port, without http://"),
    ),
    (
        "LOG_LEVEL",
        Similar("METASTORE_LOG_LEVEL", "there is trace, and there are no panic and fatal"),
    ),
    ("LOG_FORMAT", Similar("METASTORE_LOG_FORMAT", "it is text or json, and text by default")),
    ("DEBUG", Similar("METASTORE_LOG_LEVEL", "the level is debug")),
    ("CONFIG_FILE", Similar("METASTORE_ENV_FILE", "the file has lines of NAME=VALUE")),
    ("AUTH_TOKEN", NO_USERS),
    ("AUTH_TOKEN_TTL", NO_USERS),
    ("BCRYPT_COST", NO_USERS),
    ("ROOT_PASSWORD", NO_USERS),
    ("ALLOW_NONE_AUTHENTICATION", NO_USERS),
    ("CIPHER_SUITES", NO_TLS),
    ("CLIENT_CERT_AUTH", NO_TLS),
    ("PEER_CLIENT_CERT_AUTH", NO_TLS),
    ("UNSAFE_NO_FSYNC", Nothing("what was acknowledged is always on the disk")),
    ("FORCE_NEW_CLUSTER", Nothing("there is one member only, so far")),
    ("ENABLE_PPROF", Nothing("there is no profiler in it")),
    ("ENABLE_GRPC_GATEWAY", Nothing("there is no JSON gateway yet")),
];

/// Parts of names of settings of TLS.
const TLS: &[&str] = &["CERT", "KEY_FILE", "CA_FILE", "CRL_FILE", "TLS"];
/// Parts of names of what finds members.
const DISCOVERY: &str = "DISCOVERY";

/// For the name after `ETCD_`.
pub(super) fn counterpart(flag: &str) -> Counterpart {
    let flag = flag.strip_prefix("EXPERIMENTAL_").unwrap_or(flag);
    let listed = COUNTERPARTS.iter().find(|(name, _)| *name == flag);
    let ignored = || match Variable::find(&format!("{PREFIX}{flag}"))?.standing {
        Standing::Ignored(reason) => Some(Nothing(reason)),
        Standing::Read => None,
    };
    match listed {
        Some((_, Same(name))) => Same(name),
        Some((_, Similar(name, difference))) => Similar(name, difference),
        Some((_, Nothing(reason))) => Nothing(reason),
        None if TLS.iter().any(|part| flag.contains(part)) => NO_TLS,
        None if flag.starts_with(DISCOVERY) => Nothing("members are named, not discovered"),
        None => ignored().unwrap_or(Nothing("there is no such setting")),
    }
}

impl Counterpart {
    /// What to do about the variable of etcd.
    pub(super) fn advice(&self) -> String {
        match self {
            Self::Same(name) => format!("set {name}, which means the same"),
            Self::Similar(name, difference) => {
                format!("set {name}, which is similar: {difference}")
            }
            Self::Nothing(reason) => format!("remove it: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::TABLE;
    use super::*;

    #[test]
    fn every_variable_of_ours_that_is_named_is_read() {
        for (flag, counterpart) in COUNTERPARTS {
            if let Same(name) | Similar(name, _) = counterpart {
                let standing = Variable::find(name).map(|row| row.standing);
                assert_eq!(standing, Some(Standing::Read), "{flag}");
            }
        }
    }

    /// A variable with the name of etcd's flag says how it compares with that.
    #[test]
    fn every_variable_of_a_flag_of_etcd_is_listed() {
        let ours_alone = [
            "ENV_FILE",
            "ADMIN_SOCKET",
            "DISK_",
            "BLOCK_CACHE_",
            "BALLAST_",
            "SERVING_THREADS",
            "SHUTDOWN_GRACE",
            "SIDECAR_",
            "AUTO_COMPACT",
            "KEEP_",
            "CHECK_INTERVAL",
            "OBSERV",
            "LIVENESS_",
            "READINESS_",
            "PROBE_",
        ];
        for row in TABLE.iter().filter(|row| row.standing == Standing::Read) {
            let name = row.name.trim_start_matches(PREFIX);
            let is_listed = COUNTERPARTS.iter().any(|(flag, _)| *flag == name);
            let is_ours = ours_alone.iter().any(|beginning| name.starts_with(beginning));
            assert!(is_listed || is_ours, "{name}");
        }
    }

    #[test]
    fn what_is_the_same_is_told_from_what_is_similar() {
        assert_eq!(counterpart("NAME"), Same("METASTORE_NAME"));
        assert_eq!(
            counterpart("EXPERIMENTAL_WATCH_PROGRESS_NOTIFY_INTERVAL"),
            Same("METASTORE_WATCH_PROGRESS_NOTIFY_INTERVAL")
        );
        assert!(matches!(counterpart("DATA_DIR"), Similar("METASTORE_DATA_DIR", _)));
        assert_eq!(counterpart("WAL_DIR"), Nothing("the log is in the data directory"));
        for tls in ["CERT_FILE", "PEER_KEY_FILE", "TRUSTED_CA_FILE", "AUTO_TLS", "TLS_MIN_VERSION"]
        {
            assert_eq!(counterpart(tls), NO_TLS, "{tls}");
        }
        assert_eq!(counterpart("WHATEVER"), Nothing("there is no such setting"));
    }
}
