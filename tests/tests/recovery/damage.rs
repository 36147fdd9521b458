//! A damaged data directory is refused, with the file and the reason, and is never taken for an empty one.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use metastore_proto::etcdserverpb::RangeRequest;
use metastore_proto::mvccpb::KeyValue;
use metastore_tests::client::{Client, numbered};
use metastore_tests::member::Core;
use metastore_tests::requests::{everything, put};
use rand::RngCore;
use tempfile::TempDir;

const VALUES: usize = 500;
const VALUE_BYTES: usize = 100_000;
/// How soon a core stops that has met a bad block.
const STOP_LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy)]
enum Damage {
    Missing,
    Truncated,
    Flipped,
}

use Damage::{Flipped, Missing, Truncated};

/// A stopped member's directory with table files, closed and open write-ahead logs, and its content.
struct Template {
    place: TempDir,
    content: Vec<KeyValue>,
}

impl Template {
    async fn make() -> Self {
        let place = tempfile::tempdir().unwrap();
        let mut core = Core::launch_on(&place.path().join("data"), &[]);
        core.ready().await;
        let client = core.client();
        let mut value = vec![0; VALUE_BYTES];
        for number in 0..VALUES {
            rand::rng().fill_bytes(&mut value);
            client.put(put(numbered("k", number), &value)).await.unwrap();
        }
        let content = read_all(&client).await.unwrap();
        core.kill();
        assert_eq!(content.len(), VALUES);
        Self { place, content }
    }

    /// A copy of the directory, to be damaged.
    fn copy(&self) -> Copy {
        let place = tempfile::Builder::new().prefix("ms-").tempdir().unwrap();
        copy_directory(&self.place.path().join("data"), &place.path().join("data"));
        Copy { place }
    }
}

struct Copy {
    place: TempDir,
}

impl Copy {
    fn data(&self) -> PathBuf {
        self.place.path().join("data")
    }

    /// The files whose names match, oldest first.
    fn files(&self, part: &str, matches: impl Fn(&str) -> bool) -> Vec<PathBuf> {
        let directory = self.data().join(part);
        let entries = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = entries.filter(|path| matches(&file_name(path))).collect();
        files.sort();
        files
    }
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        let target = to.join(entry.file_name());
        if kind.is_dir() {
            copy_directory(&entry.path(), &target);
        } else if kind.is_file() {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn damage(path: &Path, damage: Damage) {
    if path.is_dir() {
        fs::remove_dir_all(path).unwrap();
        if matches!(damage, Truncated) {
            fs::create_dir(path).unwrap();
        }
        return;
    }
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    match damage {
        Missing => return fs::remove_file(path).unwrap(),
        Truncated => bytes.truncate(middle),
        Flipped => bytes[middle] ^= 0x10,
    }
    fs::write(path, bytes).unwrap();
}

async fn read_all(client: &Client) -> Result<Vec<KeyValue>, tonic::Status> {
    let mut content = Vec::new();
    // In pages, so that an answer stays small.
    for page in 0..VALUES.div_ceil(50) {
        let end = numbered("k", (page + 1) * 50);
        let request =
            RangeRequest { key: numbered("k", page * 50), range_end: end, ..everything() };
        content.extend(client.range(request).await?.kvs);
    }
    Ok(content)
}

#[derive(Debug, PartialEq)]
enum Outcome {
    /// Stopped with this code, at the start or at the first read.
    Stopped(Option<i32>),
    /// Serves, and everything is there.
    Whole,
    /// Refuses the read and goes on.
    Refuses,
    /// Serves something else: the one thing that must never be.
    Lost,
}

/// What a core does with a directory: it is started, and asked for everything if it serves.
async fn outcome(data: &Path, content: &[KeyValue]) -> (Outcome, String) {
    let mut core = Core::launch_on(data, &[]);
    if let Some(status) = core.settled().await {
        return (Outcome::Stopped(status.code()), core.output());
    }
    let outcome = match read_all(&core.client()).await {
        Ok(read) if read == content => Outcome::Whole,
        Ok(_) => Outcome::Lost,
        Err(_) => {
            let stopped = tokio::time::timeout(STOP_LIMIT, core.process().ended()).await;
            stopped.map_or(Outcome::Refuses, |status| Outcome::Stopped(status.code()))
        }
    };
    (outcome, core.output())
}

/// Damages a copy and collects what is not a refusal that names the place.
async fn refusal(template: &Template, copy: &Copy, path: &Path, how: Damage) -> Option<String> {
    damage(path, how);
    let (outcome, output) = outcome(&copy.data(), &template.content).await;
    let named = output.lines().any(|line| line.contains("ERROR") && names(line, path));
    if outcome == Outcome::Stopped(Some(65)) && named {
        return None;
    }
    // A manifest that ends early is what a crash leaves; the raft log replays what it lacks.
    if outcome == Outcome::Whole
        && matches!(how, Truncated)
        && file_name(path).starts_with("MANIFEST")
    {
        return None;
    }
    let tail: Vec<_> = output.lines().rev().take(3).collect();
    let part = path.strip_prefix(copy.data()).unwrap().display();
    Some(format!("{part} {how:?}: {outcome:?}, place named: {named}, output: {tail:#?}"))
}

/// RocksDB does not always tell the file: for those of its logs the directory is enough.
fn names(line: &str, path: &Path) -> bool {
    let directory = path.parent().unwrap().display().to_string();
    let is_enough = is_wal(&file_name(path)) || file_name(path).starts_with("MANIFEST");
    line.contains(&file_name(path)) || (is_enough && line.contains(&directory))
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

fn is_wal(name: &str) -> bool {
    name.strip_suffix(".log").is_some_and(|stem| stem.bytes().all(|byte| byte.is_ascii_digit()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_is_refused_and_named() {
    let template = Template::make().await;
    let first = |copy: &Copy, part: &str, matches: &dyn Fn(&str) -> bool| {
        let files = copy.files(part, matches);
        files.first().unwrap_or_else(|| panic!("no such file in {part}")).clone()
    };
    type Choose<'a> = Box<dyn Fn(&Copy) -> PathBuf + 'a>;
    let mut places: Vec<Choose<'_>> = vec![
        Box::new(|copy| copy.data().join("IDENTITY")),
        Box::new(|copy| copy.data().join("log")),
        Box::new(|copy| copy.data().join("state")),
        Box::new(|copy| first(copy, "state", &|name| name.ends_with(".sst"))),
    ];
    for part in ["state", "log"] {
        places.push(Box::new(move |copy| copy.data().join(part).join("CURRENT")));
        places.push(Box::new(move |copy| first(copy, part, &|name| name.starts_with("MANIFEST"))));
        places.push(Box::new(move |copy| first(copy, part, &is_wal)));
    }
    let mut wrong = Vec::new();
    for choose in &places {
        for how in [Missing, Truncated, Flipped] {
            let copy = template.copy();
            let path = choose(&copy);
            if path.is_dir() && matches!(how, Flipped) {
                continue;
            }
            wrong.extend(refusal(&template, &copy, &path, how).await);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_last_record_is_no_damage() {
    let template = Template::make().await;
    let copy = template.copy();
    for part in ["state", "log"] {
        let wal = copy.files(part, is_wal).pop().unwrap();
        let mut bytes = fs::read(&wal).unwrap();
        // The head of a record: a checksum, 1000 bytes of content, type "full"; then too few bytes.
        bytes.extend_from_slice(&[1, 2, 3, 4, 0xe8, 0x03, 1]);
        bytes.extend_from_slice(&[7; 100]);
        fs::write(&wal, bytes).unwrap();
    }
    let (outcome, output) = outcome(&copy.data(), &template.content).await;
    assert_eq!(outcome, Outcome::Whole, "{output}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undamaged_copy_is_whole() {
    let template = Template::make().await;
    let (outcome, output) = outcome(&template.copy().data(), &template.content).await;
    assert_eq!(outcome, Outcome::Whole, "{output}");
}
