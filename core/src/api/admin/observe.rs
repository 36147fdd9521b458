//! What core is doing, from the board: nothing here waits.

use std::sync::atomic::Ordering;

use metastore_proto::admin as pb;

use crate::clock;
use crate::domain::alarm::{Alarm, AlarmCause, AlarmKind};
use crate::replica::{Board, Operation, Phase, Role};

/// Who answers; known before the store is open.
#[derive(Debug, Clone)]
pub struct Process {
    pub boot: u64,
    pub name: String,
    pub cluster_id: u64,
    pub member_id: u64,
}

pub fn observe(
    board: &Board,
    process: &Process,
    physical: i64,
    waiting: usize,
) -> pb::ObserveResponse {
    pb::ObserveResponse {
        process: Some(process_of(board, process)),
        consensus: Some(consensus(board, process)),
        history: Some(history(board)),
        disk: Some(pb::Disk {
            logical_bytes: board.logical_bytes(),
            physical_bytes: physical,
            quota_bytes: board.quota_bytes(),
            writable: board.is_writable(),
            last_sync_us: board.last_sync_us(),
            ballast_bytes: board.reserve().0,
            keep_free_bytes: board.reserve().1,
            probed_sync_us: board.probed_sync_us(),
        }),
        liveness: Some(liveness(board)),
        queues: Some(pb::Queues {
            proposals_waiting: waiting as u64,
            proposals_pending: board.pending_proposals.load(Ordering::Relaxed) as u64,
            watchers: board.watchers.load(Ordering::Relaxed) as u64,
            lagging_watchers: board.lagging_watchers.load(Ordering::Relaxed) as u64,
            connections: board.connections.load(Ordering::Relaxed) as u64,
        }),
        alarms: board.alarms().into_iter().map(alarm).collect(),
        operations: operations(board),
        warnings: board.warnings(),
    }
}

fn process_of(board: &Board, process: &Process) -> pb::Process {
    let phase = match board.phase() {
        Phase::Starting => pb::Phase::Starting,
        Phase::Opening => pb::Phase::Opening,
        Phase::Replaying => pb::Phase::Replaying,
        Phase::Serving => pb::Phase::Serving,
        Phase::Draining => pb::Phase::Draining,
        Phase::Faulted => pb::Phase::Faulted,
    };
    let (done, total) = board.replay();
    pb::Process {
        boot_id: process.boot,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        phase: phase.into(),
        progress_done: done,
        progress_total: total,
        fault: board.fault(),
        uptime_ms: clock::monotonic_ms().cast_unsigned(),
        pid: std::process::id(),
    }
}

fn consensus(board: &Board, process: &Process) -> pb::Consensus {
    let role = match board.role() {
        Role::Follower => pb::Role::Follower,
        Role::Candidate => pb::Role::Candidate,
        Role::Leader => pb::Role::Leader,
        Role::Learner => pb::Role::Learner,
    };
    pb::Consensus {
        cluster_id: process.cluster_id,
        member_id: process.member_id,
        name: process.name.clone(),
        role: role.into(),
        term: board.term(),
        leader_id: board.leader(),
        commit_index: board.commit_index(),
        applied_index: board.applied_index(),
    }
}

fn history(board: &Board) -> pb::History {
    pb::History {
        revision: board.revision(),
        compacted_revision: board.compacted().max(0),
        marks: marks(board),
        keys: board.keys(),
        // After the marks: what has an age now had at least that when it was read.
        now_ms: board.steady_ms(),
    }
}

/// The replicated marks, and since when the newest revision is that: what is written shortly after
/// a mark has no mark of its own until the next write.
fn marks(board: &Board) -> Vec<pb::TimeMark> {
    let (at, settled) = board.settled();
    let marks = board.marks();
    // Nothing is settled before the store is open.
    let (last, marked) = marks.last().copied().unwrap_or_default();
    let is_new = at >= last && settled > marked;
    let newest = is_new.then_some((at, settled));
    let mark = |(unix_ms, revision)| pb::TimeMark { unix_ms, revision };
    marks.iter().copied().chain(newest).map(mark).collect()
}

/// Long work that is under way.
fn operations(board: &Board) -> Vec<pb::LongOperation> {
    let age_ms = |since: i64| (clock::monotonic_ms() - since).max(0).cast_unsigned();
    let reclaim = board
        .reclaiming_since()
        .map(|since| pb::LongOperation { name: "reclaim".to_owned(), age_ms: age_ms(since) });
    reclaim.into_iter().collect()
}

fn liveness(board: &Board) -> pb::Liveness {
    let now = clock::monotonic_ms();
    let age = |at: i64| (now - at).max(0).cast_unsigned();
    let (ticked_at, applied_at) = board.moved_at();
    let (local_read_ok, local_read_at) = board.local_read();
    let (operation, since_us) = board.operation();
    let has_work = board.commit_index() > board.applied_index();
    pb::Liveness {
        tick_age_ms: age(ticked_at),
        // Without anything to apply, the loop has applied all there is.
        apply_age_ms: if has_work { age(applied_at) } else { 0 },
        local_read_ok,
        local_read_age_ms: age(local_read_at),
        operation: operation.name().to_owned(),
        operation_age_ms: match operation {
            Operation::None => 0,
            Operation::LogSync
            | Operation::StoreWrite
            | Operation::LogAppend
            | Operation::LogTruncate
            | Operation::StoreRead
            | Operation::LogRead => age(since_us / 1000),
        },
    }
}

pub fn alarm(alarm: Alarm) -> pb::RaisedAlarm {
    let kind = match alarm.kind {
        AlarmKind::NoSpace => pb::AlarmKind::Nospace,
        AlarmKind::Corrupt => pb::AlarmKind::Corrupt,
    };
    let cause = match alarm.cause {
        AlarmCause::Quota => pb::AlarmCause::Quota,
        AlarmCause::Disk => pb::AlarmCause::Disk,
        AlarmCause::Operator => pb::AlarmCause::Operator,
    };
    pb::RaisedAlarm { member_id: alarm.member, kind: kind.into(), cause: cause.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn giving_space_back_is_declared_while_it_lasts() {
        let board = Board::new();
        assert_eq!(operations(&board), []);
        let now = clock::monotonic_ms();
        board.show_reclaiming(Some(0));
        let [reclaim] = operations(&board).try_into().unwrap();
        let is_as_old = reclaim.age_ms >= now.cast_unsigned();
        assert!(reclaim.name == "reclaim" && is_as_old, "{reclaim:?} at {now}");
        board.show_reclaiming(None);
        assert_eq!(operations(&board), []);
    }

    #[test]
    fn before_the_store_is_open_there_is_neither_a_mark_nor_a_time() {
        let history = history(&Board::new());
        assert_eq!((history.marks, history.now_ms), (vec![], 0));
    }
}
