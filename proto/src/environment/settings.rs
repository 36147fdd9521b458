//! The typed result: one small struct for each part that needs settings.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::parse::{self, Parsed, refusal};
use super::table::Fields;
use super::{Effective, Finding, Mistake, urls};

/// Everything that the environment says.
#[derive(Clone, Debug)]
pub struct Settings {
    pub member: MemberSettings,
    pub listen: ListenSettings,
    pub raft: RaftSettings,
    pub store: StoreSettings,
    pub limits: LimitSettings,
    pub watch: WatchSettings,
    pub metrics: MetricsDetail,
    pub log: LogSettings,
    pub admin: AdminSettings,
    pub sidecar: SidecarSettings,
    /// The file of METASTORE_ENV_FILE, for a process that looks whether it changed.
    pub env_file: Option<PathBuf>,
    /// Every variable with the text in force and where it comes from, in the table's order.
    pub effective: Vec<Effective>,
}

/// Who this member is.
#[derive(Clone, Debug)]
pub struct MemberSettings {
    pub name: String,
    pub data_dir: PathBuf,
    /// As clients see them: normalised, sorted, at least one.
    pub advertise_client_urls: Vec<String>,
    /// Normalised, sorted, at least one. Part of the member's and the cluster's id.
    pub advertise_peer_urls: Vec<String>,
    /// Makes the ids of clusters with the same URLs different.
    pub cluster_token: String,
}

/// How clients are served.
#[derive(Clone, Debug)]
pub struct ListenSettings {
    /// At least one.
    pub client_urls: Vec<ListenUrl>,
    /// Threads; 0: choose from the cores.
    pub serving_threads: usize,
    /// HTTP/2 streams on one connection.
    pub max_concurrent_streams: u32,
    /// For requests under way after SIGTERM.
    pub shutdown_grace: Duration,
}

/// A place to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenUrl {
    /// Normalised: `http://host:port`.
    pub text: String,
    pub host: ListenHost,
    /// 0: the system chooses.
    pub port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenHost {
    /// Both loopback addresses, as far as the machine has them.
    Localhost,
    Ip(IpAddr),
}

impl ListenUrl {
    /// What to bind, IPv4 first. Of two, one may be missing on the machine.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let hosts = match self.host {
            ListenHost::Localhost => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            ListenHost::Ip(ip) => vec![ip],
        };
        hosts.into_iter().map(|host| SocketAddr::new(host, self.port)).collect()
    }
}

/// The pace of consensus.
#[derive(Clone, Debug)]
pub struct RaftSettings {
    /// At least 1 ms.
    pub heartbeat_interval: Duration,
    /// At least five heartbeats, at most 50 s.
    pub election_timeout: Duration,
    /// Log entries kept behind the applied index; at least 1.
    pub snapshot_catchup_entries: u64,
}

/// How the store uses disk and memory.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// How much of the file system is this member's; 0: all of it.
    pub capacity_bytes: u64,
    /// Bytes; 0: 80 % of the data volume; negative: no quota.
    pub quota_bytes: i64,
    pub block_cache_bytes: u64,
    /// 0: no ballast.
    pub ballast_bytes: u64,
}

/// What one request may ask.
#[derive(Clone, Debug)]
pub struct LimitSettings {
    /// From 1 byte to 1 GiB.
    pub max_request_bytes: usize,
    /// At least 1.
    pub max_txn_ops: usize,
}

#[derive(Clone, Debug)]
pub struct WatchSettings {
    /// At least 100 ms.
    pub progress_notify_interval: Duration,
}

#[derive(Clone, Debug)]
pub struct LogSettings {
    pub level: LogLevel,
    pub format: LogFormat,
}

/// The way between core and the sidecar.
#[derive(Clone, Debug)]
pub struct AdminSettings {
    /// At most 107 bytes long.
    pub socket: PathBuf,
}

/// The sidecar's own.
#[derive(Clone, Debug)]
pub struct SidecarSettings {
    pub listen: SocketAddr,
    /// For probes after SIGTERM, while core is there.
    pub shutdown_grace: Duration,
    /// At least 10 ms.
    pub observe_interval: Duration,
    pub health: HealthSettings,
    pub disk: DiskSettings,
    pub compaction: CompactionSettings,
}

/// When a probe fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthSettings {
    /// At least twice the observe interval.
    pub observation_max_age: Duration,
    /// At least 1 s.
    pub liveness_window: Duration,
    pub readiness_mode: ReadinessMode,
    /// At least 1.
    pub failures: u32,
    /// At least 1.
    pub successes: u32,
}

/// When the disk is too full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskSettings {
    /// Whether the sidecar raises and clears the alarm.
    pub guard: bool,
    /// Bytes; 0: the whole file system.
    pub capacity_bytes: u64,
    pub warn: Share,
    pub low: Share,
    pub clear: Share,
    pub floor: Share,
    pub clear_after: Duration,
}

/// What a compaction leaves readable: what any of the rules keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompactionSettings {
    pub enabled: bool,
    /// The newest so many revisions; at least 1.
    pub keep_revisions: i64,
    /// Everything younger; zero: off.
    pub keep_duration: Duration,
    /// At least 1 s.
    pub check_interval: Duration,
}

/// Part of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// In hundredths of a percent: 10 % are 1000.
    Part(u16),
    Bytes(u64),
}

impl Share {
    /// Units (bytes, inodes) of `total`. A share in bytes says nothing about inodes: `None`.
    pub fn of(self, total: u64) -> Option<u64> {
        match self {
            Self::Part(part) => {
                let units = u128::from(total) * u128::from(part) / 10_000;
                Some(u64::try_from(units).unwrap_or(u64::MAX))
            }
            Self::Bytes(_) => None,
        }
    }

    /// Whether it is less than `other` on a volume of `total` bytes; `None` where that depends on the
    /// volume, and nobody says how large it is.
    pub fn is_below(self, other: Self, total: Option<u64>) -> Option<bool> {
        match (self, other) {
            (Self::Part(one), Self::Part(other)) => Some(one < other),
            (Self::Bytes(one), Self::Bytes(other)) => Some(one < other),
            _ => total.map(|total| self.bytes_of(total) < other.bytes_of(total)),
        }
    }

    /// Bytes of a volume of `total` bytes.
    pub fn bytes_of(self, total: u64) -> u64 {
        match self {
            Self::Part(_) => self.of(total).unwrap_or_default(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// Makes an enum of words, with their texts in one place.
macro_rules! choice {
    ($(#[$about:meta])* $name:ident { $( $variant:ident $text:literal )+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $( $variant, )+ }

        impl $name {
            /// The words for the variants, in their order.
            pub const NAMES: &[&str] = &[$( $text, )+];

            /// The word for it.
            pub fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $text, )+ }
            }

            pub(super) fn parse(text: &str) -> Parsed<Self> {
                match text.to_ascii_lowercase().as_str() {
                    $( $text => Ok(Self::$variant), )+
                    _ => {
                        let remedy = format!("write one of {}", Self::NAMES.join(", "));
                        Err(refusal("not a word that is known here", remedy))
                    }
                }
            }
        }
    };
}

choice! {
    /// The least severe messages that are logged.
    LogLevel { Error "error" Warn "warn" Info "info" Debug "debug" Trace "trace" }
}
choice! {
    /// How a log line is written.
    LogFormat { Text "text" Json "json" }
}
choice! {
    /// Whether a member needs a leader to be ready.
    ReadinessMode { Quorum "quorum" Local "local" }
}
choice! {
    /// What etcd's retention counts.
    CompactionMode { Periodic "periodic" Revision "revision" }
}
choice! {
    /// How much is measured.
    MetricsDetail { Basic "basic" Extensive "extensive" }
}

impl Settings {
    /// Something about the value in force of a variable of the table.
    pub fn finding(
        &self,
        variable: &str,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        let effective = self.effective.iter().find(|it| it.variable.name == variable);
        let value = effective.and_then(Effective::given);
        Finding { value, ..Finding::of_name(variable, reason, remedy) }
    }

    /// Each field by itself; a field that is a mistake has its default.
    pub(super) fn parse(
        fields: &Fields,
        effective: Vec<Effective>,
        mistakes: &mut Vec<Mistake>,
    ) -> Self {
        let listen = ListenSettings::parse(fields, mistakes);
        let capacity_bytes = fields.disk_capacity_bytes.take(mistakes, parse::bytes);
        Self {
            member: MemberSettings::parse(fields, &listen, mistakes),
            listen,
            raft: RaftSettings::parse(fields, mistakes),
            store: StoreSettings::parse(fields, capacity_bytes, mistakes),
            limits: LimitSettings::parse(fields, mistakes),
            watch: WatchSettings::parse(fields, mistakes),
            metrics: fields.metrics.take(mistakes, MetricsDetail::parse),
            log: LogSettings::parse(fields, mistakes),
            admin: AdminSettings::parse(fields, mistakes),
            sidecar: SidecarSettings::parse(fields, capacity_bytes, mistakes),
            env_file: fields.env_file.take_optional(mistakes, parse::text).map(PathBuf::from),
            effective,
        }
    }
}

impl MemberSettings {
    fn parse(fields: &Fields, listen: &ListenSettings, mistakes: &mut Vec<Mistake>) -> Self {
        let listened = || {
            let mut urls: Vec<_> = listen.client_urls.iter().map(|url| url.text.clone()).collect();
            urls.sort();
            urls
        };
        Self {
            name: fields.name.take(mistakes, parse::name),
            data_dir: fields.data_dir.take(mistakes, parse::text).into(),
            advertise_client_urls: fields
                .advertise_client_urls
                .take_optional(mistakes, urls::advertised_urls)
                .unwrap_or_else(listened),
            advertise_peer_urls: fields
                .initial_advertise_peer_urls
                .take(mistakes, urls::advertised_urls),
            cluster_token: fields.initial_cluster_token.take(mistakes, parse::text),
        }
    }
}

impl ListenSettings {
    fn parse(fields: &Fields, mistakes: &mut Vec<Mistake>) -> Self {
        Self {
            client_urls: fields.listen_client_urls.take(mistakes, urls::listen_urls),
            serving_threads: fields.serving_threads.take(mistakes, parse::count(0..=1024)),
            max_concurrent_streams: fields
                .max_concurrent_streams
                .take(mistakes, parse::count(1..=u32::MAX)),
            shutdown_grace: fields.shutdown_grace.take(mistakes, parse::duration),
        }
    }
}

impl RaftSettings {
    fn parse(fields: &Fields, mistakes: &mut Vec<Mistake>) -> Self {
        Self {
            heartbeat_interval: fields.heartbeat_interval.take(mistakes, parse::milliseconds),
            election_timeout: fields.election_timeout.take(mistakes, parse::milliseconds),
            snapshot_catchup_entries: fields
                .snapshot_catchup_entries
                .take(mistakes, parse::count(1..=u64::MAX)),
        }
    }
}

impl StoreSettings {
    fn parse(fields: &Fields, capacity_bytes: u64, mistakes: &mut Vec<Mistake>) -> Self {
        Self {
            capacity_bytes,
            quota_bytes: fields.quota_backend_bytes.take(mistakes, parse::signed_bytes),
            block_cache_bytes: fields.block_cache_bytes.take(mistakes, parse::bytes),
            ballast_bytes: fields.ballast_bytes.take(mistakes, parse::bytes),
        }
    }
}

impl LimitSettings {
    fn parse(fields: &Fields, mistakes: &mut Vec<Mistake>) -> Self {
        Self {
            max_request_bytes: fields
                .max_request_bytes
                .take(mistakes, parse::bytes_in(1..=1 << 30)),
            max_txn_ops: fields.max_txn_ops.take(mistakes, parse::count(1..=1_000_000)),
        }
    }
}

impl WatchSettings {
    fn parse(fields: &Fields, mistakes: &mut Vec<Mistake>) -> Self {
        Self {
            progress_notify_interval: fields
                .watch_progress_notify_interval
                .take(mistakes, parse::duration_from(Duration::from_millis(100))),
        }
    }
}

impl LogSettings {
    fn parse(fields: &Fields, mistakes: &mut Vec<Mistake>) -> Self {
        Self {
            level: fields.log_level.take(mistakes, LogLevel::parse),
            format: fields.log_format.take(mistakes, LogFormat::parse),
        }
    }
}

impl AdminSettings {
    fn parse(fields: &Fields, mistakes: &mut Vec<Mistake>) -> Self {
        let given = fields.admin_socket.take_optional(mistakes, parse::text).map(PathBuf::from);
        Self {
            socket: given
                .unwrap_or_else(|| PathBuf::from(fields.data_dir.text()).join("admin.sock")),
        }
    }
}

impl SidecarSettings {
    fn parse(fields: &Fields, capacity_bytes: u64, mistakes: &mut Vec<Mistake>) -> Self {
        Self {
            listen: fields.sidecar_listen.take(mistakes, parse::address),
            shutdown_grace: fields.sidecar_shutdown_grace.take(mistakes, parse::duration),
            observe_interval: fields
                .observe_interval
                .take(mistakes, parse::duration_from(Duration::from_millis(10))),
            health: HealthSettings::parse(fields, mistakes),
            disk: DiskSettings::parse(fields, capacity_bytes, mistakes),
            compaction: CompactionSettings::parse(fields, mistakes),
        }
    }
}

impl HealthSettings {
    fn parse(fields: &Fields, mistakes: &mut Vec<Mistake>) -> Self {
        let second = parse::duration_from(Duration::from_secs(1));
        Self {
            observation_max_age: fields.observation_max_age.take(mistakes, parse::duration),
            liveness_window: fields.liveness_window.take(mistakes, second),
            readiness_mode: fields.readiness_mode.take(mistakes, ReadinessMode::parse),
            failures: fields.probe_failures.take(mistakes, parse::count(1..=1000)),
            successes: fields.probe_successes.take(mistakes, parse::count(1..=1000)),
        }
    }
}

impl DiskSettings {
    fn parse(fields: &Fields, capacity_bytes: u64, mistakes: &mut Vec<Mistake>) -> Self {
        Self {
            guard: fields.disk_guard.take(mistakes, parse::boolean),
            capacity_bytes,
            warn: fields.disk_warn_free.take(mistakes, parse::share),
            low: fields.disk_low_free.take(mistakes, parse::share),
            clear: fields.disk_clear_free.take(mistakes, parse::share),
            floor: fields.disk_floor_free.take(mistakes, parse::share),
            clear_after: fields.disk_clear_after.take(mistakes, parse::duration),
        }
    }
}

impl CompactionSettings {
    /// etcd's retention takes the place of our default; of what is set twice, what keeps more counts.
    fn parse(fields: &Fields, mistakes: &mut Vec<Mistake>) -> Self {
        let second = parse::duration_from(Duration::from_secs(1));
        let keep_revisions = fields.keep_revisions.take(mistakes, parse::count(1..=i64::MAX));
        let keep_duration = fields.keep_duration.take(mistakes, parse::duration);
        let (revisions, time) = Self::retention(fields, mistakes);
        let is_asked = revisions > 0 || !time.is_zero();
        let is_default = !fields.keep_revisions.is_given();
        let keep_revisions = if is_asked && is_default { 1 } else { keep_revisions };
        Self {
            enabled: fields.auto_compact.take(mistakes, parse::boolean),
            keep_revisions: revisions.max(keep_revisions),
            keep_duration: time.max(keep_duration),
            check_interval: fields.check_interval.take(mistakes, second),
        }
    }

    /// Revisions and time, of which one at most is not 0.
    fn retention(fields: &Fields, mistakes: &mut Vec<Mistake>) -> (i64, Duration) {
        let retention = &fields.auto_compaction_retention;
        match fields.auto_compaction_mode.take_optional(mistakes, CompactionMode::parse) {
            Some(CompactionMode::Periodic) => {
                let time = retention.take_optional(mistakes, parse::retained_time);
                (0, time.unwrap_or_default())
            }
            Some(CompactionMode::Revision) => {
                let revisions = retention.take_optional(mistakes, parse::retained_revisions);
                (revisions.unwrap_or_default(), Duration::ZERO)
            }
            // Without a mode nobody knows what is counted.
            None => (0, Duration::ZERO),
        }
    }
}
