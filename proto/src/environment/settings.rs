//! The typed result: one small struct for each part that needs settings.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::parse::{self, Parsed};
use super::table::Fields;
use super::{Effective, Mistake};

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
    pub auto_compact: bool,
    /// At least 1.
    pub keep_revisions: i64,
    /// Zero: by revisions only.
    pub keep_duration: Duration,
    /// At least 1 s.
    pub check_interval: Duration,
    /// At least 10 ms.
    pub observe_interval: Duration,
    /// At least twice the observe interval.
    pub observation_max_age: Duration,
    /// At least 1 s.
    pub liveness_window: Duration,
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
                    _ => Err(format!("needs one of {}", Self::NAMES.join(", "))),
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
    /// How much is measured.
    MetricsDetail { Basic "basic" Extensive "extensive" }
}

impl Settings {
    /// Each field by itself; a field that is a mistake has its default.
    pub(super) fn parse(
        fields: &Fields,
        effective: Vec<Effective>,
        mistakes: &mut Vec<Mistake>,
    ) -> Self {
        let listen = ListenSettings::parse(fields, mistakes);
        Self {
            member: MemberSettings::parse(fields, &listen, mistakes),
            listen,
            raft: RaftSettings::parse(fields, mistakes),
            store: StoreSettings::parse(fields, mistakes),
            limits: LimitSettings::parse(fields, mistakes),
            watch: WatchSettings::parse(fields, mistakes),
            metrics: fields.metrics.take(mistakes, MetricsDetail::parse),
            log: LogSettings::parse(fields, mistakes),
            admin: AdminSettings::parse(fields, mistakes),
            sidecar: SidecarSettings::parse(fields, mistakes),
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
                .take_optional(mistakes, parse::advertised_urls)
                .unwrap_or_else(listened),
            advertise_peer_urls: fields
                .initial_advertise_peer_urls
                .take(mistakes, parse::advertised_urls),
            cluster_token: fields.initial_cluster_token.take(mistakes, parse::text),
        }
    }
}

impl ListenSettings {
    fn parse(fields: &Fields, mistakes: &mut Vec<Mistake>) -> Self {
        Self {
            client_urls: fields.listen_client_urls.take(mistakes, parse::listen_urls),
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
    fn parse(fields: &Fields, mistakes: &mut Vec<Mistake>) -> Self {
        Self {
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
    fn parse(fields: &Fields, mistakes: &mut Vec<Mistake>) -> Self {
        let second = || parse::duration_from(Duration::from_secs(1));
        Self {
            listen: fields.sidecar_listen.take(mistakes, parse::address),
            auto_compact: fields.auto_compact.take(mistakes, parse::boolean),
            keep_revisions: fields.keep_revisions.take(mistakes, parse::count(1..=i64::MAX)),
            keep_duration: fields.keep_duration.take(mistakes, parse::duration),
            check_interval: fields.check_interval.take(mistakes, second()),
            observe_interval: fields
                .observe_interval
                .take(mistakes, parse::duration_from(Duration::from_millis(10))),
            observation_max_age: fields.observation_max_age.take(mistakes, parse::duration),
            liveness_window: fields.liveness_window.take(mistakes, second()),
        }
    }
}
