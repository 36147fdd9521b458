use std::ffi::OsString;
use std::path::PathBuf;

use metastore_proto::environment::read;

use super::*;

const GIB: u64 = 1 << 30;

type Vars = &'static [(&'static str, &'static str)];

fn settings(vars: Vars) -> Settings {
    let own = [(DATA, "/var/lib/metastore"), (SOCKET, "/sockets/admin.sock")];
    let vars = own.iter().chain(vars).map(|(k, v)| (OsString::from(k), OsString::from(v)));
    read(vars, |_| unreachable!("no file is named")).unwrap().0
}

fn place(path: &str) -> Place {
    Place {
        path: PathBuf::from(path),
        nearest: PathBuf::from(path),
        broken_link: None,
        nearest_is_directory: true,
        mode: 0o750,
        access: Access::Allowed,
    }
}

/// A machine with which all is well.
fn files() -> Files {
    Files {
        data: place("/var/lib/metastore"),
        has_data: false,
        socket: place("/sockets"),
        socket_is_taken: false,
        volume: Ok(Volume {
            bytes: Space { total: 100 * GIB, free: 90 * GIB },
            inodes: Some(Space { total: 1_000_000, free: 900_000 }),
        }),
        kind: None,
    }
}

fn judged(files: Files, vars: Vars) -> Found {
    judge(&Facts { files: Some(files), ports: Vec::new() }, &settings(vars))
}

#[derive(Debug, PartialEq)]
enum Weight {
    Error,
    Warning,
}
use Weight::{Error, Warning};

/// What is otherwise, with which variables, how much it weighs, the variable that is named, and a
/// part of the reason.
type Row = (&'static str, fn(&mut Files), Vars, Weight, &'static str, &'static str);

fn volume(files: &mut Files) -> &mut Volume {
    files.volume.as_mut().unwrap()
}

const ROWS: &[Row] = &[
    ("a file", |it| it.data.nearest_is_directory = false, &[], Error, DATA, "is not a directory"),
    ("denied", |it| it.data.access = Access::Denied, &[], Error, DATA, "may not write to"),
    (
        "cannot be made",
        |it| {
            it.data.nearest = PathBuf::from("/var");
            it.data.access = Access::Denied;
        },
        &[],
        Error,
        DATA,
        "may not make it in /var",
    ),
    (
        "a broken link",
        |it| {
            it.data.nearest = PathBuf::from("/var/lib");
            it.data.broken_link = Some(it.data.path.clone());
        },
        &[],
        Error,
        DATA,
        "/var/lib/metastore is a link that leads nowhere",
    ),
    (
        "proc",
        |it| it.kind = Some(Kind::Kernel("proc")),
        &[],
        Error,
        DATA,
        "on proc, where the kernel",
    ),
    ("everybody", |it| it.data.mode = 0o755, &[], Warning, DATA, "every user of the host"),
    ("below /run", |it| it.data = place("/run/data"), &[], Error, DATA, "below /run is gone"),
    ("below /var/run", |it| it.data = place("/var/run/a"), &[], Error, DATA, "below /var/run"),
    ("tmpfs", |it| it.kind = Some(Kind::Memory("tmpfs")), &[], Warning, DATA, "in memory"),
    ("NFS", |it| it.kind = Some(Kind::Remote("NFS")), &[], Warning, DATA, "on NFS"),
    ("overlay", |it| it.kind = Some(Kind::Layer), &[], Warning, DATA, "gone with the container"),
    ("unmeasured", |it| it.volume = Err("no".into()), &[], Warning, DATA, "cannot be measured: no"),
    ("no socket", |it| it.socket_is_taken = true, &[], Error, SOCKET, "is not a socket"),
    (
        "no directory",
        |it| it.socket.nearest = PathBuf::from("/"),
        &[],
        Error,
        SOCKET,
        "there is no directory /sockets",
    ),
    (
        "a socket that cannot be made",
        |it| it.socket.access = Access::Denied,
        &[],
        Error,
        SOCKET,
        "may not write to /sockets",
    ),
    ("capacity", |_| {}, &[(CAPACITY, "200GiB")], Warning, CAPACITY, "the volume has only"),
    ("quota", |_| {}, &[(QUOTA, "101GiB")], Error, QUOTA, "more than the volume has"),
    (
        "growth",
        |it| volume(it).bytes.free = 49 * GIB,
        &[(QUOTA, "50GiB")],
        Warning,
        QUOTA,
        "more than is free",
    ),
    (
        "low > clear",
        |_| {},
        &[("METASTORE_DISK_LOW_FREE", "16GiB")],
        Error,
        "METASTORE_DISK_CLEAR_FREE",
        "not more than METASTORE_DISK_LOW_FREE",
    ),
    (
        "clear",
        |_| {},
        &[("METASTORE_DISK_CLEAR_FREE", "100GiB")],
        Error,
        "METASTORE_DISK_CLEAR_FREE",
        "never so much is free",
    ),
    (
        "low",
        |_| {},
        &[("METASTORE_DISK_LOW_FREE", "200GiB")],
        Error,
        "METASTORE_DISK_LOW_FREE",
        "never so much is free",
    ),
    ("full", |it| volume(it).bytes.free = 9 * GIB, &[], Warning, DATA, "are free"),
    (
        "inodes",
        |it| volume(it).inodes = Some(Space { total: 1_000_000, free: 99_999 }),
        &[],
        Warning,
        DATA,
        "99999 of 1000000 inodes",
    ),
    (
        "few inodes",
        |it| volume(it).inodes = Some(Space { total: 50_000, free: 9_000 }),
        &[],
        Warning,
        DATA,
        "9000 of 50000 inodes",
    ),
];

#[test]
fn each_rule_says_what_is_wrong_with_which_variable() {
    for (what, change, vars, weight, variable, reason) in ROWS {
        let mut files = files();
        change(&mut files);
        let Found { errors, warnings } = judged(files, vars);
        let (right, wrong) = if *weight == Error { (errors, warnings) } else { (warnings, errors) };
        let [finding] = &right[..] else { panic!("{what}: {right:?}") };
        assert_eq!(finding.variable, *variable, "{what}");
        assert!(finding.reason.contains(reason), "{what}: {finding}");
        assert!(!finding.remedy.is_empty());
        assert_eq!(wrong, [], "{what}");
    }
}

#[test]
fn a_good_machine_is_silent() {
    type Row = (fn(&mut Files), Vars);
    let silent: &[Row] = &[
        (|_| {}, &[]),
        (|it| it.data.access = Access::ReadOnly, &[]),
        (|it| it.socket.access = Access::ReadOnly, &[]),
        (|it| it.data.mode = 0o2770, &[]),
        (|it| it.data = place("/running"), &[]),
        (|it| it.data.nearest = PathBuf::from("/"), &[]),
        (|it| (it.has_data, volume(it).bytes.free) = (true, 49 * GIB), &[(QUOTA, "50GiB")]),
        (|it| volume(it).inodes = None, &[]),
        (|it| volume(it).inodes = Some(Space { total: 1000, free: 990 }), &[]),
        (|_| {}, &[(QUOTA, "90GiB")]),
        (|_| {}, &[(QUOTA, "-1")]),
        (|_| {}, &[(CAPACITY, "100GiB")]),
        (|_| {}, &[("METASTORE_DISK_LOW_FREE", "14GiB")]),
        (|it| volume(it).bytes.free = 2 * GIB, &[(CAPACITY, "10GiB")]),
        (|it| it.socket = place("/var/lib/metastore"), &[]),
        // Core makes the data directory, and its socket in it.
        (
            |it| {
                it.data.nearest = PathBuf::from("/");
                it.socket = it.data.clone();
            },
            &[],
        ),
    ];
    for (at, (change, vars)) in silent.iter().enumerate() {
        let mut files = files();
        change(&mut files);
        assert_eq!(judged(files, vars), Found::default(), "row {at}");
    }
}

#[test]
fn a_share_of_the_volume_has_marks_of_its_own() {
    let vars = &[(CAPACITY, "10GiB"), ("METASTORE_DISK_CLEAR_FREE", "9GiB")];
    assert_eq!(judged(files(), vars), Found::default());
    let mut small = files();
    volume(&mut small).bytes = Space { total: 8 * GIB, free: 8 * GIB };
    let found = judged(small, vars);
    assert!(found.errors.iter().any(|it| it.reason.contains("never so much is free")), "{found:?}");
}

#[test]
fn a_file_system_that_hangs_is_a_warning() {
    let found = judge(&Facts { files: None, ports: Vec::new() }, &settings(&[]));
    assert_eq!((found.errors.len(), found.warnings.len()), (0, 1));
    assert!(found.warnings[0].reason.contains("did not answer"));
}

#[test]
fn a_port_must_be_free_or_a_sidecars() {
    let judged = |state| {
        let variable = "METASTORE_SIDECAR_LISTEN";
        let port = Port { variable, listener: "[::]:2381".to_owned(), state };
        judge(&Facts { files: Some(files()), ports: vec![port] }, &settings(&[]))
    };
    assert_eq!(judged(State::Free), Found::default());
    assert_eq!(judged(State::TakenBySidecar), Found::default());
    let taken = judged(State::Taken).errors;
    assert_eq!(
        taken[0].to_string(),
        "METASTORE_SIDECAR_LISTEN=\"[::]:2381\": another process has the port of [::]:2381; \
         end it, or write another port"
    );
    let absent = judged(State::Impossible("no such address".to_owned())).errors;
    assert!(absent[0].reason.ends_with("here: no such address"));
}

#[test]
fn beside_a_core_that_runs_everything_is_a_warning() {
    let mut bad = files();
    bad.data.access = Access::Denied;
    bad.kind = Some(Kind::Layer);
    let found = judged(bad, &[(QUOTA, "101GiB")]).softened();
    assert_eq!((found.errors.len(), found.warnings.len()), (0, 3));
}

#[test]
fn what_rests_on_a_mistake_is_left_out() {
    let mut bad = files();
    bad.data.access = Access::Denied;
    let found = judged(bad, &[(QUOTA, "101GiB")]);
    let mistake = settings(&[]).finding(QUOTA, "unreadable", "write a number");
    let variables: Vec<_> =
        found.without_those_of(&[mistake]).errors.into_iter().map(|it| it.variable).collect();
    assert_eq!(variables, [DATA]);
}

#[test]
fn nobody_is_told_to_change_a_directory_of_the_host() {
    for path in ["/", "/tmp", "/var/lib"] {
        let remedies = |access, below: &str| {
            let mut files = files();
            files.data = Place { mode: 0o1777, access, ..place(path) };
            files.data.path = files.data.path.join(below);
            let Found { errors, warnings } = judged(files, &[]);
            let remedies = errors.into_iter().chain(warnings).map(|it| it.remedy);
            remedies.collect::<Vec<_>>()
        };
        let own = "write the path of a directory that nobody else uses, for example ";
        assert!(remedies(Access::Allowed, "").concat().starts_with(own), "{path}");
        let denied = remedies(Access::Denied, "");
        assert_eq!(denied.len(), 2, "{path}: {denied:?}");
        assert!(denied.iter().all(|remedy| remedy.starts_with(own)), "{path}: {denied:?}");
        let made = remedies(Access::Denied, "metastore").concat();
        let expected =
            format!("make {}, and give it", PathBuf::from(path).join("metastore").display());
        assert!(made.starts_with(&expected), "{path}: {made}");
    }
    let mut own = files();
    own.data.mode = 0o755;
    assert_eq!(judged(own, &[]).warnings[0].remedy, "chmod o= /var/lib/metastore");
}
