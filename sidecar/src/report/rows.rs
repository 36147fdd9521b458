//! The report as people read it: a headline, and sections of labelled rows. Pure; no markup.

use std::time::Duration;

use super::advice::advice;
use super::model::{
    Compaction, Database, Disk, Heard, Member, Reading, Report, Space, Status, Work,
};
use super::words::{bytes, count, counted, duration, microseconds, milliseconds};

/// How something is. Always shown with a word as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Plain,
    Good,
    Warn,
    Bad,
    Unknown,
}

/// What a reader should know if they read nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headline {
    pub level: Level,
    /// Such as `Healthy`.
    pub word: &'static str,
    /// Why, or what is well.
    pub sentence: String,
    /// What it means and what to do.
    pub advice: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    pub id: &'static str,
    pub title: &'static str,
    pub rows: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub label: &'static str,
    pub value: String,
    /// What explains the value; may be empty.
    pub note: String,
    pub level: Level,
}

fn row(label: &'static str, value: impl Into<String>, note: impl Into<String>) -> Row {
    Row { label, value: value.into(), note: note.into(), level: Level::Plain }
}

impl Row {
    fn at(self, level: Level) -> Self {
        Self { level, ..self }
    }
}

/// The verdict in a few words: the gravest first.
pub fn headline(report: &Report) -> Headline {
    let fails = |name: &str| {
        let probe = report.probes.iter().find(|probe| probe.name == name && !probe.passes)?;
        Some(probe.reason.clone().unwrap_or_default())
    };
    let failed = |level, word, reason: String| {
        let is_reason = |of: &Option<String>| of.as_ref() == Some(&reason);
        let check = report.checks.iter().find(|check| is_reason(&check.reason));
        let advice = check.and_then(|check| advice(&check.name));
        Headline { level, word, sentence: reason, advice }
    };
    if let Some(reason) = fails("liveness") {
        failed(Level::Bad, "Not alive", reason)
    } else if report.heard.age_ms.is_none() {
        failed(Level::Warn, "Waiting for core", not_yet(report))
    } else if !report.heard.is_current {
        let cause = report.heard.silence.as_deref().unwrap_or("nobody has asked it");
        let sentence = format!("core last answered {} ago: {cause}", age(&report.heard));
        let advice = advice("observed");
        Headline { level: Level::Bad, word: "Core is silent", sentence, advice }
    } else if let Some(reason) = fails("startup") {
        failed(Level::Warn, "Starting", reason)
    } else if let Some(reason) = fails("readiness") {
        failed(Level::Bad, "Not ready", reason)
    } else if let Some(reason) = fails("health") {
        failed(Level::Bad, "Not healthy", reason)
    } else {
        healthy(report)
    }
}

/// Why, with what the newest question met.
fn not_yet(report: &Report) -> String {
    let reason = report.reason.as_deref().unwrap_or("core has not answered yet");
    match &report.heard.silence {
        Some(cause) if cause != reason => format!("{reason}: {cause}"),
        Some(_) | None => reason.to_owned(),
    }
}

fn age(heard: &Heard) -> String {
    heard.age_ms.map_or_else(|| "never".to_owned(), milliseconds)
}

fn healthy(report: &Report) -> Headline {
    let role = report.member.as_ref().map_or("none yet", |member| member.role.as_str());
    let served = match role {
        "leader" => "core serves clients and leads",
        "follower" => "core serves clients and follows a leader",
        _ => "core serves clients",
    };
    let warnings = match report.warnings.len() {
        0 => String::new(),
        number => format!(", with {}", counted(number as u64, "warning", "warnings")),
    };
    let is_tight = matches!(report.disk.level.as_str(), "warn" | "low" | "floor");
    let (level, advice) = if is_tight {
        (
            Level::Warn,
            Some("The disk is getting full: give it more room before writes are refused."),
        )
    } else {
        (Level::Good, None)
    };
    Headline { level, word: "Healthy", sentence: format!("{served}{warnings}"), advice }
}

/// What was measured, and its bound; empty where nothing was.
pub fn reading(reading: Option<&Reading>) -> String {
    let Some(Reading { value, threshold, unit }) = reading else { return String::new() };
    match unit.as_str() {
        "seconds" => format!("{}, at most {}", seconds(*value), seconds(*threshold)),
        "bytes" => format!("{}, at least {}", bytes(whole(*value)), bytes(whole(*threshold))),
        "inodes" => format!("{}, at least {}", count(whole(*value)), count(whole(*threshold))),
        unit => format!("{} of {} {unit}", count(whole(*value)), count(whole(*threshold))),
    }
}

fn seconds(number: f64) -> String {
    Duration::try_from_secs_f64(number).map_or_else(|_| "unknown".to_owned(), duration)
}

/// A cast saturates: what no number of things can be becomes the nearest that can.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
fn whole(number: f64) -> u64 {
    number as u64
}

/// The level of a check, and its word.
pub fn status(status: Status) -> (Level, &'static str) {
    match status {
        Status::Ok => (Level::Good, "ok"),
        Status::Failed => (Level::Bad, "failed"),
        Status::Unknown => (Level::Unknown, "unknown"),
    }
}

/// How old everything is that core said, if that is too old.
pub fn stale(report: &Report) -> Option<String> {
    let is_old = report.heard.age_ms.is_some() && !report.heard.is_current;
    is_old.then(|| format!("What follows about core is {} old.", age(&report.heard)))
}

/// All sections that have something to say.
pub fn sections(report: &Report) -> Vec<Section> {
    let section = |id, title, rows: Vec<Row>| Section { id, title, rows };
    let all = [
        section("member", "Member", report.member.as_ref().map(member).unwrap_or_default()),
        section("revisions", "Revisions and compaction", revisions(report)),
        section("storage", "Storage", storage(report)),
        section("work", "Queues", report.work.as_ref().map(work).unwrap_or_default()),
        section("processes", "Processes", processes(report)),
    ];
    all.into_iter().filter(|section| !section.rows.is_empty()).collect()
}

fn member(member: &Member) -> Vec<Row> {
    let leader = match &member.leader_id {
        None => row("leader", "none is known", "").at(Level::Bad),
        Some(id) if *id == member.member_id => row("leader", "this member", ""),
        Some(id) => row("leader", id, ""),
    };
    let behind = member.commit_index.saturating_sub(member.applied_index);
    let log = match behind {
        0 => "all that is committed".to_owned(),
        _ => format!("{} behind {} committed", count(behind), count(member.commit_index)),
    };
    vec![
        row("name", &member.name, ""),
        row("id", &member.member_id, ""),
        row("cluster", &member.cluster_id, ""),
        row("role", &member.role, format!("term {}", count(member.term))),
        leader,
        row("applied index", count(member.applied_index), log),
    ]
}

fn revisions(report: &Report) -> Vec<Row> {
    let mut rows = Vec::new();
    if let Some(history) = &report.history {
        let number = |signed: i64| u64::try_from(signed).unwrap_or_default();
        let (newest, compacted) = (number(history.revision), number(history.compacted_revision));
        let kept = counted(newest.saturating_sub(compacted), "revision", "revisions");
        let time = history.kept_ms.map(|ms| format!("at least {}", milliseconds(ms)));
        rows.extend([
            row("current", count(newest), counted(number(history.keys), "live key", "live keys")),
            match compacted {
                0 => row("compacted", "never", ""),
                _ => row("compacted", count(compacted), "reads before it fail"),
            },
            row("kept history", kept, time.unwrap_or_default()),
        ]);
    }
    rows.extend(compaction(&report.compaction));
    rows
}

fn compaction(compaction: &Compaction) -> Vec<Row> {
    let lag = match compaction.lag {
        Some(0) => "nothing to let go now".to_owned(),
        Some(lag) => format!("{} to let go", counted(lag, "revision", "revisions")),
        None => String::new(),
    };
    let mut rows = vec![row("policy", &compaction.policy, lag)];
    if !compaction.enabled {
        return rows;
    }
    rows.push(match &compaction.last_run {
        None => row("last run", "none since the sidecar started", ""),
        Some(run) => {
            let level = if run.result == "failed" { Level::Warn } else { Level::Plain };
            row("last run", &run.outcome, format!("{} ago", milliseconds(run.ended_ago_ms)))
                .at(level)
        }
    });
    if let Some(left) = compaction.next_due_in_ms {
        rows.push(match u64::try_from(left) {
            Ok(left) => row("next run", format!("in {}", milliseconds(left)), ""),
            Err(_) => row("next run", "as soon as nothing is in its way", ""),
        });
    }
    rows
}

fn storage(report: &Report) -> Vec<Row> {
    let mut rows = disk(&report.disk);
    if let Some(found) = &report.database {
        rows.extend(database(found));
    }
    rows
}

fn disk(disk: &Disk) -> Vec<Row> {
    let level = match disk.level.as_str() {
        "warn" => Level::Warn,
        "low" | "floor" => Level::Bad,
        _ => Level::Plain,
    };
    let Some(space) = &disk.space else {
        return vec![row("disk", "cannot be measured", "").at(Level::Warn)];
    };
    let word = match disk.level.as_str() {
        "warn" => "getting full: ",
        "low" => "too full: ",
        "floor" => "dangerously full: ",
        _ => "",
    };
    let of = |space: &Space, word: fn(u64) -> String| {
        let percent = u128::from(space.free) * 100 / u128::from(space.total.max(1));
        (word(space.free), format!("{percent} % of {}", word(space.total)))
    };
    let (free, share) = of(space, bytes);
    let mut rows = vec![row("disk, free", free, format!("{word}{share}")).at(level)];
    if let Some(inodes) = &disk.inodes {
        let (free, share) = of(inodes, count);
        rows.push(row("inodes, free", free, share));
    }
    if let Some(left) = disk.full_in_ms {
        rows.push(row("full in", milliseconds(left), "if it goes on like this").at(Level::Warn));
    }
    if let (Some(warn), Some(low)) = (space.warn, space.low) {
        let guard = if disk.guard { "alarm below" } else { "guard is off; low below" };
        rows.push(row(
            "watermarks",
            format!("warning below {}", bytes(warn)),
            format!("{guard} {}", bytes(low)),
        ));
    }
    if let Some(action) = &disk.last_action {
        rows.push(row("disk guard", action, ""));
    }
    rows
}

fn database(database: &Database) -> Vec<Row> {
    let quota = match database.quota_bytes {
        Some(quota) => format!("quota {}", bytes(quota)),
        None => "no quota".to_owned(),
    };
    let is_over = database.quota_bytes.is_some_and(|quota| database.logical_bytes > quota);
    let level = if is_over { Level::Bad } else { Level::Plain };
    let mut rows = vec![
        row("database", bytes(database.logical_bytes), quota).at(level),
        row("files", bytes(database.physical_bytes), ""),
        row("last log sync", microseconds(database.last_sync_us), ""),
    ];
    if database.ballast_bytes > 0 {
        rows.push(row("ballast", bytes(database.ballast_bytes), "given up when the disk is full"));
    }
    if !database.writable {
        rows.push(row("data directory", "not writable", "").at(Level::Bad));
    }
    rows
}

fn work(work: &Work) -> Vec<Row> {
    let inside = match work.operation.as_str() {
        "" => "waits for work".to_owned(),
        operation => format!("in {operation} for {}", milliseconds(work.operation_age_ms)),
    };
    let pending = format!("{} not yet answered", count(work.proposals_pending));
    let lagging = match work.lagging_watchers {
        0 => "none lags".to_owned(),
        number => format!("{} behind", count(number)),
    };
    let mut rows = vec![
        row("consensus loop", inside, format!("moved {} ago", milliseconds(work.tick_age_ms))),
        row("proposals", format!("{} waiting", count(work.proposals_waiting)), pending),
        row("watchers", count(work.watchers), lagging),
        row("connections", count(work.connections), ""),
    ];
    for long in &work.long_operations {
        rows.push(row("under way", &long.name, format!("for {}", milliseconds(long.age_ms))));
    }
    rows
}

fn processes(report: &Report) -> Vec<Row> {
    let mut rows = Vec::new();
    if let Some(core) = &report.core {
        let since = format!("up {}, process {}", milliseconds(core.uptime_ms), core.pid);
        rows.push(row("core", format!("{}, {}", core.version, core.phase), since));
    }
    let answered = match report.heard.age_ms {
        Some(_) => format!("{} ago", age(&report.heard)),
        None => "never".to_owned(),
    };
    let level = if report.heard.is_current { Level::Plain } else { Level::Warn };
    rows.push(
        row("core answered", answered, report.heard.silence.clone().unwrap_or_default()).at(level),
    );
    let up = format!("up {}", milliseconds(report.sidecar.uptime_ms));
    rows.push(row("sidecar", &report.sidecar.version, up));
    rows
}
