//! Opens a data directory, or makes one.

use std::path::Path;
use std::sync::Arc;

use metastore_proto::environment::Settings;
use rand::Rng;
use sha2::{Digest, Sha256};

use crate::api::Identity as Ids;
use crate::domain::Fault;
use crate::domain::member::Member;
use crate::raft::LogStore;
use crate::raft::log_rocks::RocksLog;
use crate::replica::{
    Board, DiskShare, FIRST_BASE, LeaseKeeper, Quota, Replica, ReplicaConfig, Stamp, bootstrap,
};
use crate::store::Store;
use crate::store::ballast::Ballast;
use crate::store::columns::FORMAT;
use crate::store::directory::{Directory, Identity, volume_bytes};
use crate::store::rocks::RocksEngine;

/// A part of a memtable: the history of one large change is written in such pieces.
const HISTORY_PIECE_BYTES: usize = 4 << 20;

/// Everything that opening brings.
pub(super) struct Opened {
    pub identity: Ids,
    pub stamp: Stamp,
    pub store: Store,
    pub replica: Replica,
    pub leases: Arc<LeaseKeeper>,
    pub quota: Arc<Quota>,
}

pub(super) fn take_directory(path: &Path) -> Result<Directory, Fault> {
    Directory::take(path)
}

pub(super) fn open(
    settings: &Settings,
    directory: &Directory,
    board: &Arc<Board>,
    ballast: &Arc<Ballast>,
) -> Result<Opened, Fault> {
    let (identity, store, log) = match directory.identity()? {
        Some(identity) => reopen(settings, directory, identity, ballast)?,
        None => create(settings, directory, ballast)?,
    };
    let stamp = Stamp { member: identity.member_id, boot: rand::rng().random() };
    let leases = Arc::new(LeaseKeeper::default());
    let tick = settings.raft.heartbeat_interval.as_millis().max(1);
    let election = settings.raft.election_timeout.as_millis();
    let config = ReplicaConfig {
        member: stamp.member,
        boot: stamp.boot,
        election_ticks: usize::try_from(election / tick).unwrap_or(usize::MAX).max(2),
        election_timeout_ms: i64::try_from(election).unwrap_or(i64::MAX),
        unix_ms: crate::clock::unix_ms(),
        keep_entries: settings.raft.snapshot_catchup_entries,
        history_piece_bytes: HISTORY_PIECE_BYTES,
    };
    let replica =
        Replica::open(config, store.clone(), log, Arc::clone(board), Arc::clone(&leases))?;
    store.engine().sync()?;
    store.engine().release_history(replica.machine().compacted);
    let disk = disk_share(settings, directory.path(), store.engine().physical_bytes());
    let quota = Quota::new(identity.member_id, Arc::clone(board), Arc::clone(ballast), disk);
    Ok(Opened {
        identity: Ids { cluster_id: identity.cluster_id, member_id: identity.member_id },
        stamp,
        store,
        replica,
        leases,
        quota: Arc::new(quota),
    })
}

/// What this member has of the volume. The sidecar's mark is read here for the ballast, which must
/// not be what makes the disk low.
fn disk_share(settings: &Settings, path: &Path, used_bytes: u64) -> DiskShare {
    let capacity_bytes = settings.store.capacity_bytes;
    let volume = volume_bytes(path);
    let total = if capacity_bytes == 0 { volume } else { volume.min(capacity_bytes) };
    DiskShare {
        directory: path.to_path_buf(),
        quota_bytes: settings.store.quota_bytes,
        capacity_bytes,
        used_bytes,
        low_bytes: settings.sidecar.disk.low.bytes_of(total),
    }
}

type Parts = (Identity, Store, Box<dyn LogStore>);

/// Opens what is there. A full disk does not keep RocksDB closed: the ballast makes room.
fn reopen(
    settings: &Settings,
    directory: &Directory,
    identity: Identity,
    ballast: &Arc<Ballast>,
) -> Result<Parts, Fault> {
    let opened = open_parts(settings, directory, false, ballast);
    let (store, log) = match opened {
        Err(fault) if fault.is_disk_full() && ballast.release()? => {
            tracing::warn!(%fault, "the disk is full: the ballast was freed");
            open_parts(settings, directory, false, ballast)?
        }
        opened => opened?,
    };
    if identity.name != settings.member.name {
        tracing::info!(was = identity.name, is = settings.member.name, "the member has a new name");
    }
    Ok((identity, store, Box::new(log)))
}

/// Makes the first member of a new cluster. A crash in between starts over.
fn create(
    settings: &Settings,
    directory: &Directory,
    ballast: &Arc<Ballast>,
) -> Result<Parts, Fault> {
    let urls = settings.member.advertise_peer_urls.join(",");
    let token = &settings.member.cluster_token;
    let identity = Identity {
        format: FORMAT,
        cluster_id: id(&["cluster", token, &urls]),
        member_id: id(&["member", token, &urls]),
        name: settings.member.name.clone(),
    };
    directory.begin()?;
    let (store, mut log) = open_parts(settings, directory, true, ballast)?;
    log.initialise(FIRST_BASE.index, FIRST_BASE.term)?;
    let first = Member {
        id: identity.member_id,
        peer_urls: settings.member.advertise_peer_urls.clone(),
        ..Member::default()
    };
    bootstrap(&store, first)?;
    directory.finish(&identity)?;
    tracing::info!(
        cluster = format!("{:x}", identity.cluster_id),
        member = format!("{:x}", identity.member_id),
        "made a new cluster of one member"
    );
    Ok((identity, store, Box::new(log)))
}

fn open_parts(
    settings: &Settings,
    directory: &Directory,
    is_new: bool,
    ballast: &Arc<Ballast>,
) -> Result<(Store, RocksLog), Fault> {
    let cache = usize::try_from(settings.store.block_cache_bytes).unwrap_or(usize::MAX);
    for part in [directory.state(), directory.log()] {
        if !is_new && !part.is_dir() {
            return Err(Fault::corrupt(format!("{}: missing", part.display())));
        }
    }
    let engine = RocksEngine::open(&directory.state(), is_new, cache)?;
    let log = RocksLog::open(&directory.log(), is_new, Arc::clone(ballast))?;
    Ok((Store::new(Arc::new(engine)), log))
}

/// An id that is the same wherever it is computed, and never 0.
fn id(parts: &[&str]) -> u64 {
    let digest = Sha256::digest(parts.join("\0"));
    let first = digest.first_chunk::<8>().copied().unwrap_or_default();
    // Small numbers look like something else to people and tools.
    u64::from_be_bytes(first) | (1 << 63)
}
