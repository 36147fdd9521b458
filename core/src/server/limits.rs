//! What this process may use, and whether that is enough. Only core can find out: in a pod each
//! container has limits of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use metastore_proto::environment::{Finding, Settings};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// RocksDB keeps up to 576 files open, each client takes one more.
const OPEN_FILES_MIN: u64 = 8192;
/// What core takes besides its cache: 112 MiB of rows and log that are not in files yet, 64 MiB of
/// requests that wait, and itself.
const MEMORY_BESIDES: u64 = 192 << 20;
/// A processor, in thousandths.
const ONE_CPU: u64 = 1000;
/// A median of synced writes that makes every client wait (etcd's advice for its log).
const SYNC_SLOW: Duration = Duration::from_millis(10);
/// cgroup v1 says "no limit" with a very large number.
const NO_LIMIT: u64 = 1 << 60;

/// `None`: no limit, or nobody knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Limits {
    open_files: Option<u64>,
    memory_bytes: Option<u64>,
    cpu_thousandths: Option<u64>,
}

impl Limits {
    /// Those of this process, after it has taken all the open files that it may.
    pub(super) fn take() -> Self {
        let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self { open_files: raise_open_files(), ..of_cgroup(&groups, Path::new("/sys/fs/cgroup")) }
    }

    /// What is too little. Pure.
    pub(super) fn warnings(&self, settings: &Settings) -> Vec<Finding> {
        let found = [self.few_files(), self.little_memory(settings), self.little_cpu()];
        found.into_iter().flatten().collect()
    }

    fn few_files(&self) -> Option<Finding> {
        let limit = self.open_files.filter(|limit| *limit < OPEN_FILES_MIN)?;
        let reason = format!("{limit} open files are few: each client needs one, the store 576");
        let remedy =
            "raise it to 65536 (LimitNOFILE= of systemd, ulimits of the container runtime)";
        Some(Finding::of_name("RLIMIT_NOFILE", reason, remedy))
    }

    fn little_memory(&self, settings: &Settings) -> Option<Finding> {
        let needed = settings.store.block_cache_bytes.saturating_add(MEMORY_BESIDES);
        let limit = self.memory_bytes.filter(|limit| *limit < needed)?;
        let (limit, needed) = (limit >> 20, needed >> 20);
        let reason = format!(
            "with it core may need {needed}MiB, and is killed beyond {limit}MiB (its cgroup's limit)"
        );
        let remedy = format!("write less, or allow the container {needed}MiB or more");
        Some(settings.finding("METASTORE_BLOCK_CACHE_BYTES", reason, remedy))
    }

    fn little_cpu(&self) -> Option<Finding> {
        let limit = self.cpu_thousandths.filter(|limit| *limit < ONE_CPU)?;
        let reason = format!("{limit}m of a processor: core stands still when they are used up");
        let remedy = "allow the container one processor or more, or set no limit";
        Some(Finding::of_name("cgroup CPU quota", reason, remedy))
    }
}

/// What to say of the median of the synced writes that were tried.
pub(super) fn slow_disk(settings: &Settings, median: Duration) -> Option<Finding> {
    (median > SYNC_SLOW).then(|| {
        let reason = format!("a synced write of 4 KiB takes {median:.1?} there: every write waits");
        let remedy = "use a faster disk (a local SSD takes less than 2ms)";
        settings.finding("METASTORE_DATA_DIR", reason, remedy)
    })
}

/// A process begins with few, for the sake of programs that cannot count beyond 1024.
fn raise_open_files() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

/// `groups` is `/proc/self/cgroup`, `root` where cgroups are mounted.
fn of_cgroup(groups: &str, root: &Path) -> Limits {
    let mut limits = Limits::default();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let has = |name| controllers.split(',').any(|controller| controller == name);
        if controllers.is_empty() {
            limits.add_memory(&chain(root, path), "memory.max");
            let quotas = chain(root, path).into_iter().filter_map(|group| {
                let text = read(&group.join("cpu.max"))?;
                let (quota, period) = text.split_once(' ')?;
                thousandths(quota, period)
            });
            limits.add_cpu(quotas.min());
        }
        if has("memory") {
            limits.add_memory(&chain(&root.join("memory"), path), "memory.limit_in_bytes");
        }
        if has("cpu") {
            let quotas = chain(&root.join("cpu"), path).into_iter().filter_map(|group| {
                let quota = read(&group.join("cpu.cfs_quota_us"))?;
                thousandths(&quota, &read(&group.join("cpu.cfs_period_us"))?)
            });
            limits.add_cpu(quotas.min());
        }
    }
    limits
}

impl Limits {
    fn add_memory(&mut self, groups: &[PathBuf], file: &str) {
        let numbers = groups.iter().filter_map(|group| read(&group.join(file))?.parse().ok());
        let limit = numbers.filter(|bytes: &u64| *bytes < NO_LIMIT).min();
        self.memory_bytes = least(self.memory_bytes, limit);
    }

    fn add_cpu(&mut self, limit: Option<u64>) {
        self.cpu_thousandths = least(self.cpu_thousandths, limit);
    }
}

/// The group and those above it: the least of their limits holds. A container that sees only its own
/// groups has them at the root, whatever its path says.
fn chain(root: &Path, path: &str) -> Vec<PathBuf> {
    let path = Path::new(path.trim_start_matches('/'));
    path.ancestors().map(|group| root.join(group)).collect()
}

fn read(path: &Path) -> Option<String> {
    Some(std::fs::read_to_string(path).ok()?.trim().to_owned())
}

/// Neither "max" nor "-1" is a number here.
fn thousandths(quota: &str, period: &str) -> Option<u64> {
    let (quota, period): (u64, u64) = (quota.parse().ok()?, period.parse().ok()?);
    quota.checked_mul(ONE_CPU)?.checked_div(period)
}

fn least(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    [one, other].into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use metastore_proto::environment::read as read_environment;

    use super::*;

    fn settings(cache: &str) -> Settings {
        let vars = [("METASTORE_BLOCK_CACHE_BYTES", cache), ("METASTORE_DATA_DIR", "/data")];
        let vars = vars.map(|(name, text)| (OsString::from(name), OsString::from(text)));
        read_environment(vars, |_| unreachable!("no file is named")).unwrap().0
    }

    #[test]
    fn each_limit_that_is_too_low_is_named() {
        let enough = Limits {
            open_files: Some(OPEN_FILES_MIN),
            memory_bytes: Some(MEMORY_BESIDES + (64 << 20)),
            cpu_thousandths: Some(ONE_CPU),
        };
        for (limits, named, reason) in [
            (Limits { open_files: Some(8191), ..enough }, "RLIMIT_NOFILE", "8191 open files"),
            (
                Limits { memory_bytes: Some(255 << 20), ..enough },
                "METASTORE_BLOCK_CACHE_BYTES",
                "may need 256MiB, and is killed beyond 255MiB",
            ),
            (Limits { cpu_thousandths: Some(999), ..enough }, "cgroup CPU quota", "999m"),
        ] {
            let found = limits.warnings(&settings("64MiB"));
            let [warning] = &found[..] else { panic!("{named}: {found:?}") };
            assert_eq!(warning.variable, named);
            assert!(warning.reason.contains(reason), "{warning}");
        }
        assert_eq!(enough.warnings(&settings("64MiB")), []);
        assert_eq!(Limits::default().warnings(&settings("64GiB")), [], "without limits");
    }

    #[test]
    fn a_slow_disk_is_named_with_its_figure() {
        let ms = Duration::from_millis;
        assert_eq!(slow_disk(&settings("64MiB"), ms(10)), None);
        let warning = slow_disk(&settings("64MiB"), Duration::from_micros(12_340)).unwrap();
        let said = warning.to_string();
        assert!(said.starts_with("METASTORE_DATA_DIR=\"/data\": a synced write"), "{said}");
        assert!(said.contains("12.3ms"), "{said}");
    }

    /// Files below a directory that stands for `/sys/fs/cgroup`.
    fn mounted(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, format!("{text}\n")).unwrap();
        }
        root
    }

    #[test]
    fn the_least_limit_of_version_two_holds() {
        let root = mounted(&[
            ("pod/core/memory.max", "536870912"),
            ("pod/core/cpu.max", "max 100000"),
            ("pod/memory.max", "268435456"),
            ("pod/cpu.max", "50000 100000"),
        ]);
        let limits = of_cgroup("0::/pod/core\n", root.path());
        assert_eq!(limits.memory_bytes, Some(256 << 20));
        assert_eq!(limits.cpu_thousandths, Some(500));
        let none = mounted(&[("memory.max", "max"), ("cpu.max", "max 100000")]);
        assert_eq!(of_cgroup("0::/", none.path()), Limits::default());
    }

    #[test]
    fn version_one_has_a_tree_for_each_controller() {
        let root = mounted(&[
            ("memory/memory.limit_in_bytes", "134217728"),
            ("cpu/cpu.cfs_quota_us", "150000"),
            ("cpu/cpu.cfs_period_us", "100000"),
        ]);
        // The paths are the host's, as in a container without a view of its own.
        let groups = "12:memory:/kubepods/abc\n3:cpu,cpuacct:/kubepods/abc\n1:name=systemd:/x\n";
        let limits = of_cgroup(groups, root.path());
        assert_eq!(limits.memory_bytes, Some(128 << 20));
        assert_eq!(limits.cpu_thousandths, Some(1500));
        let none = mounted(&[
            ("memory/memory.limit_in_bytes", "9223372036854771712"),
            ("cpu/cpu.cfs_quota_us", "-1"),
            ("cpu/cpu.cfs_period_us", "100000"),
        ]);
        assert_eq!(of_cgroup("2:memory:/\n3:cpu:/\n", none.path()), Limits::default());
    }

    #[test]
    fn what_is_not_understood_is_no_limit() {
        let root = mounted(&[("memory.max", "much"), ("cpu.max", "100000 0")]);
        for groups in ["", "0", "0::", "0::/..", "::::", "0::/\n"] {
            assert_eq!(of_cgroup(groups, root.path()), Limits::default(), "{groups:?}");
        }
    }

    #[test]
    fn all_open_files_that_are_allowed_are_taken() {
        let taken = raise_open_files();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, taken);
    }
}
