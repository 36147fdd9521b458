//! Every variable, once: the table, and the struct that envy fills from it.
//!
//! Names after the prefix are etcd's flag names where etcd has the same setting.

use serde::Deserialize;

use super::parse::{Parsed, Refusal};
use super::settings::{CompactionMode, LogFormat, LogLevel, MetricsDetail, ReadinessMode};
use super::{Finding, Given, Mistake};

/// What all our variables begin with.
pub(super) const PREFIX: &str = "METASTORE_";

/// One environment variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// With the prefix.
    pub name: &'static str,
    pub process: Process,
    pub kind: Kind,
    /// As an operator would write it; empty where the sentence says what holds then.
    pub default: &'static str,
    /// What it means, for the documentation.
    pub sentence: &'static str,
    pub standing: Standing,
}

/// Who reads a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    Core,
    Sidecar,
    Both,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// Text that is never printed.
    Secret,
    Path,
    /// A comma-separated list of `http://host:port`.
    Urls,
    /// A comma-separated list of `name=http://host:port`.
    Members,
    /// An IP address and a port.
    Address,
    /// `64MiB`, `2GB`, or a plain number.
    Bytes,
    /// Part of a volume: `10%`, or a size.
    Share,
    /// `500ms`, `10s`, `1h30m`.
    Duration,
    /// A duration where a bare number means milliseconds, as etcd has it.
    Milliseconds,
    /// A whole number of these.
    Count(&'static str),
    Bool,
    Choice(&'static [&'static str]),
}

/// Whether a variable has an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Read,
    /// Known from etcd; setting it is a warning. Holds the reason.
    Ignored(&'static str),
}

/// What the sidecar takes over while it runs, when METASTORE_ENV_FILE has changed or on SIGHUP.
pub(super) const AT_RUN_TIME: &[&str] = &[
    "METASTORE_LOG_LEVEL",
    "METASTORE_DISK_CAPACITY_BYTES",
    "METASTORE_AUTO_COMPACT",
    "METASTORE_KEEP_REVISIONS",
    "METASTORE_KEEP_DURATION",
    "METASTORE_AUTO_COMPACTION_MODE",
    "METASTORE_AUTO_COMPACTION_RETENTION",
    "METASTORE_CHECK_INTERVAL",
    "METASTORE_OBSERVATION_MAX_AGE",
    "METASTORE_LIVENESS_WINDOW",
    "METASTORE_READINESS_MODE",
    "METASTORE_PROBE_FAILURES",
    "METASTORE_PROBE_SUCCESSES",
    "METASTORE_DISK_GUARD",
    "METASTORE_DISK_WARN_FREE",
    "METASTORE_DISK_LOW_FREE",
    "METASTORE_DISK_CLEAR_FREE",
    "METASTORE_DISK_CLEAR_AFTER",
    "METASTORE_DISK_FLOOR_FREE",
];

impl Variable {
    /// Whether the sidecar takes a new value over without a restart.
    pub fn is_at_run_time(&self) -> bool {
        AT_RUN_TIME.contains(&self.name)
    }

    /// The variable of this name, in upper case and with the prefix.
    pub fn find(name: &str) -> Option<&'static Self> {
        TABLE.iter().find(|variable| variable.name == name)
    }
}

impl Process {
    /// Whether a variable of `self` concerns the process `reader`.
    pub fn concerns(self, reader: Self) -> bool {
        self == reader || self == Self::Both || reader == Self::Both
    }
}

/// A variable with the text that was given for it.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) variable: Variable,
    text: Option<String>,
}

impl Field {
    /// The given text or the default.
    pub(super) fn text(&self) -> &str {
        self.text.as_deref().unwrap_or(self.variable.default)
    }

    /// Whether somebody set it.
    pub(super) fn is_given(&self) -> bool {
        self.text.is_some()
    }

    /// The value; after a mistake the default's, so that reading goes on to the next mistake.
    pub(super) fn take<T>(
        &self,
        mistakes: &mut Vec<Mistake>,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> T {
        parse(self.text()).unwrap_or_else(|refusal| {
            mistakes.push(self.refused(refusal));
            parse(self.variable.default).expect("the defaults of the table are valid (tested)")
        })
    }

    /// The value, or `None` where the text is empty or a mistake.
    pub(super) fn take_optional<T>(
        &self,
        mistakes: &mut Vec<Mistake>,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> Option<T> {
        if self.text().is_empty() {
            return None;
        }
        parse(self.text()).map_err(|refusal| mistakes.push(self.refused(refusal))).ok()
    }

    fn refused(&self, refusal: Refusal) -> Mistake {
        self.finding(refusal.reason, refusal.remedy)
    }

    /// Something about the value in force.
    pub(super) fn finding(&self, reason: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding {
            variable: self.variable.name.to_owned(),
            value: Some(Given::of(&self.variable, self.text())),
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }
}

/// Makes [`TABLE`], [`Texts`] and [`Fields`] from one row a variable. A field is the name without
/// its prefix in lower case: that is how envy finds it.
macro_rules! variables {
    (
        read { $(
            $field:ident $name:literal $process:ident $kind:ident $(($about:expr))? = $default:literal
            $sentence:literal
        )+ }
        ignored { $( $other:literal $reason:literal )+ }
    ) => {
        /// Every variable, in the order of the documentation.
        pub static TABLE: &[Variable] = &[
            $( Fields::$field($name), )+
            $( Variable {
                name: $other,
                process: Process::Both,
                kind: Kind::Text,
                default: "",
                sentence: "",
                standing: Standing::Ignored($reason),
            }, )+
        ];

        /// What envy fills. Texts, because envy itself would stop at the first bad value.
        #[derive(Debug, Default, Deserialize)]
        pub(super) struct Texts { $( $field: Option<String>, )+ }

        /// The variables that are read, with their texts.
        #[derive(Debug)]
        pub(super) struct Fields { $( pub(super) $field: Field, )+ }

        impl Fields {
            $( const fn $field(name: &'static str) -> Variable {
                Variable {
                    name,
                    process: Process::$process,
                    kind: Kind::$kind $(($about))?,
                    default: $default,
                    sentence: $sentence,
                    standing: Standing::Read,
                }
            } )+
        }

        impl From<Texts> for Fields {
            fn from(texts: Texts) -> Self {
                Self { $( $field: Field { variable: Self::$field($name), text: texts.$field }, )+ }
            }
        }
    };
}

variables! {
    read {
        name "METASTORE_NAME" Both Text = "default"
        "The name of the member, as clients list it."

        data_dir "METASTORE_DATA_DIR" Both Path = "./data"
        "The directory of the data. The sidecar only reads it."

        env_file "METASTORE_ENV_FILE" Both Path = ""
        "A file of `NAME=VALUE` lines with more variables; the process environment wins over it."

        admin_socket "METASTORE_ADMIN_SOCKET" Both Path = ""
        "The Unix socket between core and the sidecar, at most 107 bytes long. Empty: \
        `admin.sock` in the data directory."

        disk_capacity_bytes "METASTORE_DISK_CAPACITY_BYTES" Both Bytes = "0"
        "How much of the data's file system belongs to this member, where others use it too (a \
        directory of the node, a network share). 0: all of it."

        log_level "METASTORE_LOG_LEVEL" Both Choice(LogLevel::NAMES) = "info"
        "The least severe messages that are logged."

        log_format "METASTORE_LOG_FORMAT" Both Choice(LogFormat::NAMES) = "text"
        "How a log line is written."

        listen_client_urls "METASTORE_LISTEN_CLIENT_URLS" Core Urls = "http://localhost:2379"
        "Where clients are served: IP addresses or `localhost`, which means both 127.0.0.1 and ::1."

        advertise_client_urls "METASTORE_ADVERTISE_CLIENT_URLS" Core Urls = ""
        "Where clients are told to connect. Empty: the listen URLs."

        initial_advertise_peer_urls "METASTORE_INITIAL_ADVERTISE_PEER_URLS" Core Urls = "http://localhost:2380"
        "Where other members would reach this one. Part of the member's and the cluster's id, so \
        set it before the first start."

        initial_cluster "METASTORE_INITIAL_CLUSTER" Core Members = ""
        "The first members. Today empty, or this member with its peer URLs: clusters of several \
        members are not supported yet."

        initial_cluster_token "METASTORE_INITIAL_CLUSTER_TOKEN" Core Text = "metastore-cluster"
        "Makes the ids of clusters with the same URLs different."

        heartbeat_interval "METASTORE_HEARTBEAT_INTERVAL" Core Milliseconds = "100ms"
        "How often a leader tells the others that it is there."

        election_timeout "METASTORE_ELECTION_TIMEOUT" Core Milliseconds = "1000ms"
        "How long members wait for a leader; at least five heartbeats, at most 50s."

        snapshot_catchup_entries "METASTORE_SNAPSHOT_CATCHUP_ENTRIES" Core Count("entries") = "5000"
        "Raft log entries kept behind the applied index."

        quota_backend_bytes "METASTORE_QUOTA_BACKEND_BYTES" Core Bytes = "0"
        "The size at which writes are refused. 0: 80 % of the data volume; negative: off."

        block_cache_bytes "METASTORE_BLOCK_CACHE_BYTES" Core Bytes = "64MiB"
        "Memory for blocks of the store that were read."

        ballast_bytes "METASTORE_BALLAST_BYTES" Core Bytes = "128MiB"
        "The size of what is kept to be given up when the disk is full, so that deletes still work. \
        0: none."

        max_request_bytes "METASTORE_MAX_REQUEST_BYTES" Core Bytes = "1572864"
        "The largest request that is accepted, at most 1GiB."

        max_txn_ops "METASTORE_MAX_TXN_OPS" Core Count("operations") = "128"
        "The most operations in one transaction."

        max_concurrent_streams "METASTORE_MAX_CONCURRENT_STREAMS" Core Count("streams") = "4294967295"
        "The most requests under way on one connection."

        serving_threads "METASTORE_SERVING_THREADS" Core Count("threads") = "0"
        "Threads that serve clients. 0: chosen from the number of cores."

        watch_progress_notify_interval "METASTORE_WATCH_PROGRESS_NOTIFY_INTERVAL" Core Duration = "10m"
        "How often a quiet watch that asked for it hears of progress; at least 100ms."

        metrics "METASTORE_METRICS" Core Choice(MetricsDetail::NAMES) = "basic"
        "How much is measured: `extensive` adds latency histograms of requests."

        shutdown_grace "METASTORE_SHUTDOWN_GRACE" Core Duration = "10s"
        "How long requests under way may take after SIGTERM."

        sidecar_listen "METASTORE_SIDECAR_LISTEN" Sidecar Address = "[::]:2381"
        "Where probes and metrics are served."

        auto_compact "METASTORE_AUTO_COMPACT" Sidecar Bool = "true"
        "Whether the sidecar compacts history."

        keep_revisions "METASTORE_KEEP_REVISIONS" Sidecar Count("revisions") = "100000"
        "Revisions that a compaction leaves readable; at least 1."

        keep_duration "METASTORE_KEEP_DURATION" Sidecar Duration = "10m"
        "History that a compaction leaves readable besides, by time. 0: off."

        auto_compaction_mode "METASTORE_AUTO_COMPACTION_MODE" Sidecar Choice(CompactionMode::NAMES) = "periodic"
        "What `METASTORE_AUTO_COMPACTION_RETENTION` counts, as in etcd: time (`periodic`) or revisions."

        auto_compaction_retention "METASTORE_AUTO_COMPACTION_RETENTION" Sidecar Text = ""
        "History that a compaction leaves readable, in etcd's words: hours or a duration, or \
        revisions. Takes the place of the default of `METASTORE_KEEP_REVISIONS`; where both are \
        set, what either keeps is kept. Empty or 0: off."

        check_interval "METASTORE_CHECK_INTERVAL" Sidecar Duration = "1h"
        "How often the sidecar considers a compaction; a tenth is left to chance."

        observe_interval "METASTORE_OBSERVE_INTERVAL" Sidecar Duration = "1s"
        "How often the sidecar asks core how it is."

        observation_max_age "METASTORE_OBSERVATION_MAX_AGE" Sidecar Duration = "2500ms"
        "How old core's last answer may be before readiness fails; at least twice the observe \
        interval."

        liveness_window "METASTORE_LIVENESS_WINDOW" Sidecar Duration = "60s"
        "How long core may neither move nor be inside a disk operation before liveness fails."

        readiness_mode "METASTORE_READINESS_MODE" Sidecar Choice(ReadinessMode::NAMES) = "quorum"
        "Whether a member without a leader is ready: `quorum` says no, `local` says yes."

        probe_failures "METASTORE_PROBE_FAILURES" Sidecar Count("answers") = "3"
        "Answers of core in a row that must lack a leader or a local read before a probe fails."

        probe_successes "METASTORE_PROBE_SUCCESSES" Sidecar Count("answers") = "2"
        "Answers of core in a row that must have it again before the probe succeeds."

        disk_guard "METASTORE_DISK_GUARD" Sidecar Bool = "true"
        "Whether the sidecar raises the alarm NOSPACE when the disk is low, and clears it later."

        disk_warn_free "METASTORE_DISK_WARN_FREE" Sidecar Share = "20%"
        "Free part of the volume, in bytes or inodes, below which there is a warning."

        disk_low_free "METASTORE_DISK_LOW_FREE" Sidecar Share = "10%"
        "Free part below which the alarm is raised: writes are refused, reads and deletes are not. \
        Core reads it at its start: making its ballast must not make the disk low."

        disk_clear_free "METASTORE_DISK_CLEAR_FREE" Sidecar Share = "15%"
        "Free part above which the sidecar clears an alarm that was raised for the disk. The volume \
        must also have what core by itself keeps free: 128MiB, or 40 % of a small one."

        disk_clear_after "METASTORE_DISK_CLEAR_AFTER" Sidecar Duration = "60s"
        "How long there must be so much space before that."

        disk_floor_free "METASTORE_DISK_FLOOR_FREE" Sidecar Share = "2%"
        "Free part below which the member is in danger of stopping; the smallest of the four."

        sidecar_shutdown_grace "METASTORE_SIDECAR_SHUTDOWN_GRACE" Sidecar Duration = "25s"
        "How long the sidecar goes on answering after SIGTERM while core is there; less than the \
        grace of the pod."
    }

    ignored {
        "METASTORE_LISTEN_PEER_URLS" "there is no listener for peers yet"
        "METASTORE_INITIAL_CLUSTER_STATE" "members find out by themselves whether their cluster \
        exists"
        "METASTORE_SNAPSHOT_COUNT" "the state is durable without snapshots"
        "METASTORE_MAX_WALS" "the log is trimmed by what is durable, not by files"
        "METASTORE_MAX_SNAPSHOTS" "there are no snapshot files"
        "METASTORE_WAL_DIR" "the log is in the data directory"
        "METASTORE_BACKEND_BBOLT_FREELIST_TYPE" "the store is not bbolt"
        "METASTORE_BACKEND_BATCH_INTERVAL" "the store is not bbolt"
        "METASTORE_BACKEND_BATCH_LIMIT" "the store is not bbolt"
        "METASTORE_MEMORY_MLOCK" "the store is not bbolt"
        "METASTORE_BOOTSTRAP_DEFRAG_THRESHOLD_MEGABYTES" "there is nothing to defragment"
        "METASTORE_STRICT_RECONFIG_CHECK" "it is always on"
        "METASTORE_PRE_VOTE" "it is always on"
        "METASTORE_INITIAL_ELECTION_TICK_ADVANCE" "a sole member campaigns at once"
        "METASTORE_COMPACTION_BATCH_LIMIT" "compaction does not work in batches of revisions"
        "METASTORE_COMPACTION_SLEEP_INTERVAL" "compaction does not work in batches of revisions"
        "METASTORE_GRPC_KEEPALIVE_MIN_TIME" "clients may ping as often as they like"
        "METASTORE_LOGGER" "there is one logger; see METASTORE_LOG_FORMAT"
        "METASTORE_LOG_OUTPUTS" "logs go to standard error"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_variable_is_found_by_envy_under_its_own_name() {
        for row in TABLE.iter().filter(|row| row.standing == Standing::Read) {
            let texts: Texts = envy::prefixed(PREFIX)
                .from_iter([(row.name.to_owned(), "a marker".to_owned())])
                .unwrap();
            let debug = format!("{:?}", Fields::from(texts));
            let field = row.name.trim_start_matches(PREFIX).to_lowercase();
            let expected =
                format!("{field}: Field {{ variable: {row:?}, text: Some(\"a marker\") }}");
            assert!(debug.contains(&expected), "{field}");
        }
    }

    #[test]
    fn names_are_unique_and_upper_case() {
        for (at, row) in TABLE.iter().enumerate() {
            assert_eq!(row.name, row.name.to_uppercase());
            assert!(row.name.starts_with(PREFIX));
            assert!(!TABLE[..at].iter().any(|other| other.name == row.name), "{}", row.name);
        }
    }

    #[test]
    fn what_may_change_at_run_time_exists_and_concerns_the_sidecar() {
        for name in AT_RUN_TIME {
            let variable = Variable::find(name).unwrap();
            assert_eq!(variable.standing, Standing::Read, "{name}");
            assert!(variable.process.concerns(Process::Sidecar), "{name}");
        }
    }

    #[test]
    fn the_value_of_a_secret_is_never_printed() {
        let variable = Variable { kind: Kind::Secret, ..Fields::name("METASTORE_TOKEN") };
        let field = Field { variable, text: Some("hunter2".to_owned()) };
        let finding = field.finding("too short", "write more letters");
        assert_eq!(finding.to_string(), "METASTORE_TOKEN=***: too short; write more letters");
        assert!(!format!("{finding:?}").contains("hunter2"));
    }
}
