//! What is wrong with a machine. Pure.

use std::path::Path;

use metastore_proto::environment::{Settings, Share};

use super::Found;
use super::facts::Facts;
use super::files::{Access, Files, Kind, Place};
use super::ports::{Port, State};
use crate::disk::{Space, Volume};
use crate::report::words::bytes;

const DATA: &str = "METASTORE_DATA_DIR";
const SOCKET: &str = "METASTORE_ADMIN_SOCKET";
const QUOTA: &str = "METASTORE_QUOTA_BACKEND_BYTES";
const CAPACITY: &str = "METASTORE_DISK_CAPACITY_BYTES";
/// Directories of the whole host. Who may use them is not for us to say.
const OF_THE_HOST: [&str; 31] = [
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/dev/shm",
    "/etc",
    "/home",
    "/lib",
    "/lib32",
    "/lib64",
    "/media",
    "/mnt",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/local",
    "/var",
    "/var/cache",
    "/var/lib",
    "/var/local",
    "/var/log",
    "/var/mail",
    "/var/opt",
    "/var/spool",
    "/var/tmp",
];
/// The store's files, with plenty of room for those that are being rewritten.
const INODES_MIN: u64 = 10_000;

type FileRule = fn(&Files, &Settings, &mut Found);
type VolumeRule = fn(&Files, &Volume, &Settings, &mut Found);

const FILE_RULES: [FileRule; 5] =
    [data_can_be_written, data_is_private, data_outlives_the_machine, data_on_a_disk, socket_fits];
const VOLUME_RULES: [VolumeRule; 6] =
    [capacity_exists, quota_fits, growth_fits, marks_fit, room_is_left, inodes_are_left];

/// Everything at once.
pub fn judge(facts: &Facts, settings: &Settings) -> Found {
    let mut found = Found::default();
    match &facts.files {
        Some(files) => judge_files(files, settings, &mut found),
        None => found.warnings.push(settings.finding(
            DATA,
            "its file system did not answer within 5s",
            "look at the volume: core may hang on it as well",
        )),
    }
    for port in &facts.ports {
        port_is_free(port, settings, &mut found);
    }
    found
}

fn judge_files(files: &Files, settings: &Settings, found: &mut Found) {
    for rule in FILE_RULES {
        rule(files, settings, found);
    }
    match &files.volume {
        Ok(volume) => {
            for rule in VOLUME_RULES {
                rule(files, volume, settings, found);
            }
        }
        Err(error) => {
            let reason = format!("its volume cannot be measured: {error}");
            let remedy = "make it readable for the sidecar, or the disk is not watched";
            found.warnings.push(settings.finding(DATA, reason, remedy));
        }
    }
}

fn data_can_be_written(files: &Files, settings: &Settings, found: &mut Found) {
    can_be_written(&files.data, DATA, settings, found);
}

fn can_be_written(place: &Place, variable: &str, settings: &Settings, found: &mut Found) {
    let nearest = place.nearest.display();
    if let Some(link) = &place.broken_link {
        let reason = format!("{} is a link that leads nowhere", link.display());
        let remedy = "make the directory that it points to, or write another path";
        found.errors.push(settings.finding(variable, reason, remedy));
    } else if !place.nearest_is_directory {
        let reason = format!("{nearest} is not a directory");
        let remedy = "write the path of a directory, or of one that can be made";
        found.errors.push(settings.finding(variable, reason, remedy));
    } else if place.access == Access::Denied {
        let verb = if place.exists() { "write to" } else { "make it in" };
        let reason = format!("this user may not {verb} {nearest}");
        found.errors.push(settings.finding(variable, reason, access_for_core(place)));
    }
}

fn access_for_core(place: &Place) -> String {
    let (path, nearest) = (place.path.display(), place.nearest.display());
    match (is_of_the_host(&place.nearest), place.exists()) {
        (false, _) => format!(
            "give {nearest} to the user of core (in a pod: fsGroup); if that is another user, mount it \
             read-only in the sidecar"
        ),
        (true, false) => format!("make {path}, and give it to the user of core"),
        (true, true) => OWN_DIRECTORY.to_owned(),
    }
}

const OWN_DIRECTORY: &str =
    "write the path of a directory that nobody else uses, for example /var/lib/metastore";

fn is_of_the_host(path: &Path) -> bool {
    OF_THE_HOST.iter().any(|it| path == Path::new(it))
}

fn data_is_private(files: &Files, settings: &Settings, found: &mut Found) {
    let data = &files.data;
    let is_kept = data.exists() && data.nearest_is_directory && !is_of_the_kernel(files);
    if is_kept && data.mode & 0o007 != 0 {
        let reason = format!("every user of the host may look into it (mode {:o})", data.mode);
        let remedy = match is_of_the_host(&data.path) {
            true => OWN_DIRECTORY.to_owned(),
            false => format!("chmod o= {}", data.path.display()),
        };
        found.warnings.push(settings.finding(DATA, reason, remedy));
    }
}

fn data_outlives_the_machine(files: &Files, settings: &Settings, found: &mut Found) {
    if let Some(run) = ["/run", "/var/run"].iter().find(|run| files.data.path.starts_with(run)) {
        let reason = format!("what is below {run} is gone after a restart of the host");
        found.errors.push(settings.finding(DATA, reason, "write a path of a disk"));
    }
}

fn is_of_the_kernel(files: &Files) -> bool {
    matches!(files.kind, Some(Kind::Kernel(_)))
}

fn data_on_a_disk(files: &Files, settings: &Settings, found: &mut Found) {
    const REMEDY: &str = "write a path on a volume of a disk";
    let reason = match files.kind {
        None => return,
        Some(Kind::Kernel(name)) => {
            let reason = format!("it is on {name}, where the kernel keeps no files");
            return found.errors.push(settings.finding(DATA, reason, REMEDY));
        }
        Some(Kind::Memory(name)) => {
            format!("it is on {name}: the data is in memory, and gone with it")
        }
        Some(Kind::Remote(name)) => {
            format!("it is on {name}: syncs are slow there, and locks may not hold")
        }
        Some(Kind::Layer) => {
            "it is in the container's own layer: the data is gone with the container".to_owned()
        }
    };
    found.warnings.push(settings.finding(DATA, reason, REMEDY));
}

fn socket_fits(files: &Files, settings: &Settings, found: &mut Found) {
    let (place, data) = (&files.socket, &files.data);
    if files.socket_is_taken {
        let reason = format!("{} is not a socket", settings.admin.socket.display());
        let remedy = "remove that file, or write another path";
        found.errors.push(settings.finding(SOCKET, reason, remedy));
    } else if place.path == data.path {
        // Core makes it, and it has been judged.
    } else if !place.exists() {
        let reason = format!("there is no directory {}", place.path.display());
        let remedy = "make it (in a pod: an emptyDir that both containers mount)";
        found.errors.push(settings.finding(SOCKET, reason, remedy));
    } else {
        can_be_written(place, SOCKET, settings, found);
    }
}

/// How much of the volume is this member's.
fn share(volume: &Volume, settings: &Settings) -> u64 {
    match settings.store.capacity_bytes {
        0 => volume.bytes.total,
        capacity => volume.bytes.total.min(capacity),
    }
}

fn capacity_exists(_: &Files, volume: &Volume, settings: &Settings, found: &mut Found) {
    let total = volume.bytes.total;
    if settings.store.capacity_bytes > total {
        let reason = format!("the volume has only {}", bytes(total));
        let remedy = format!("write at most {total}, or 0 for all of it");
        found.warnings.push(settings.finding(CAPACITY, reason, remedy));
    }
}

fn quota(settings: &Settings) -> Option<u64> {
    u64::try_from(settings.store.quota_bytes).ok().filter(|quota| *quota > 0)
}

fn quota_fits(_: &Files, volume: &Volume, settings: &Settings, found: &mut Found) {
    let total = volume.bytes.total;
    if quota(settings).is_some_and(|quota| quota > total) {
        let reason = format!("more than the volume has: {}", bytes(total));
        let remedy = format!("write at most {}, 80 % of it, or 0", total / 5 * 4);
        found.errors.push(settings.finding(QUOTA, reason, remedy));
    }
}

/// How large the data is only core knows; without any, all of the quota is still to come.
fn growth_fits(files: &Files, volume: &Volume, settings: &Settings, found: &mut Found) {
    let Space { total, free } = volume.bytes;
    let is_short = quota(settings).is_some_and(|quota| free < quota && quota <= total);
    if !files.has_data && is_short {
        let reason = format!("more than is free on the volume: {}", bytes(free));
        let remedy = "make room, or write less";
        found.warnings.push(settings.finding(QUOTA, reason, remedy));
    }
}

/// In bytes and percent at once, marks can be compared only here.
fn marks_fit(_: &Files, volume: &Volume, settings: &Settings, found: &mut Found) {
    let total = share(volume, settings);
    let disk = &settings.sidecar.disk;
    let floor = ("METASTORE_DISK_FLOOR_FREE", disk.floor);
    let low = ("METASTORE_DISK_LOW_FREE", disk.low);
    let clear = ("METASTORE_DISK_CLEAR_FREE", disk.clear);
    let warn = ("METASTORE_DISK_WARN_FREE", disk.warn);
    let is_too_large = |mark: Share| matches!(mark, Share::Bytes(bytes) if bytes >= total);
    for (variable, _) in [floor, low, clear, warn].iter().filter(|(_, mark)| is_too_large(*mark)) {
        let reason = format!("never so much is free: the volume has {}", bytes(total));
        found.errors.push(settings.finding(variable, reason, "write less, or a percentage"));
    }
    for ((smaller, less), (larger, more)) in [(floor, low), (low, clear), (low, warn)] {
        let is_known = is_too_large(less) || is_too_large(more);
        // Where they can be compared by themselves that is done already.
        let is_new = !is_known && less.is_below(more, None).is_none();
        if is_new && less.is_below(more, Some(total)) == Some(false) {
            let (less, total) = (bytes(less.bytes_of(total)), bytes(total));
            let reason = format!("not more than {smaller}, which is {less} of {total}");
            let remedy = "write marks in the order floor < low < clear and low < warn";
            found.errors.push(settings.finding(larger, reason, remedy));
        }
    }
}

fn room_is_left(_: &Files, volume: &Volume, settings: &Settings, found: &mut Found) {
    // How much of its share the member has taken only core knows.
    let (total, free) = (share(volume, settings), volume.bytes.free);
    let low = settings.sidecar.disk.low.bytes_of(total);
    // A mark beyond the volume is a mistake by itself.
    if low < total && free < low {
        let reason = format!("only {} of {} are free", bytes(free), bytes(total));
        let remedy =
            "make room, or a larger volume: below METASTORE_DISK_LOW_FREE writes are refused";
        found.warnings.push(settings.finding(DATA, reason, remedy));
    }
}

fn inodes_are_left(_: &Files, volume: &Volume, settings: &Settings, found: &mut Found) {
    let Some(Space { total, free }) = volume.inodes else { return };
    let low = settings.sidecar.disk.low.of(total).unwrap_or_default();
    if free < low.max(INODES_MIN.min(total / 2)) {
        let reason = format!("only {free} of {total} inodes are free");
        let remedy = "remove files, or make the file system with more inodes";
        found.warnings.push(settings.finding(DATA, reason, remedy));
    }
}

fn port_is_free(port: &Port, settings: &Settings, found: &mut Found) {
    let listener = &port.listener;
    let (reason, remedy) = match &port.state {
        State::Free | State::TakenBySidecar => return,
        State::Taken => {
            (format!("another process has the port of {listener}"), "end it, or write another port")
        }
        State::Impossible(error) => (
            format!("nobody can listen on {listener} here: {error}"),
            "write an address of this host (0.0.0.0 and [::] are all of them), and a port from 1024 on",
        ),
    };
    found.errors.push(settings.finding(port.variable, reason, remedy));
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
