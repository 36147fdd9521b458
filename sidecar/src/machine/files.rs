//! What the file system says of the directories. May hang.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access as Wish, StatVfsMountFlags, access, statfs, statvfs};
use rustix::io::Errno;

use crate::disk::{Volume, measure};

/// The directories of core.
#[derive(Clone, Debug)]
pub struct Files {
    pub data: Place,
    /// Whether there is data already.
    pub has_data: bool,
    /// The directory of the admin socket.
    pub socket: Place,
    /// Whether something that is no socket has its name.
    pub socket_is_taken: bool,
    /// Of the data directory, or the reason why nobody knows.
    pub volume: Result<Volume, String>,
    /// The name of the file system of the data directory, where it is one to know of.
    pub kind: Option<Kind>,
}

/// A directory that core needs.
#[derive(Clone, Debug)]
pub struct Place {
    /// Absolute; links are followed as far as it exists.
    pub path: PathBuf,
    /// Itself, or the nearest above it that exists.
    pub nearest: PathBuf,
    /// A link on the way to it that leads nowhere. Nobody can make a directory there.
    pub broken_link: Option<PathBuf>,
    pub nearest_is_directory: bool,
    /// Permission bits of `nearest`.
    pub mode: u32,
    pub access: Access,
}

impl Place {
    pub fn exists(&self) -> bool {
        self.path == self.nearest
    }
}

/// Whether this process may write there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Allowed,
    Denied,
    /// It is mounted read-only here, which says nothing of core's mount.
    ReadOnly,
}

/// File systems that are not what a store wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// In memory.
    Memory(&'static str),
    /// Another host's, or another program's.
    Remote(&'static str),
    /// The writable layer of a container.
    Layer,
    /// What the kernel shows of itself: it keeps no files.
    Kernel(&'static str),
}

/// Looks at the data directory and at the place of the admin socket.
pub fn look(data: &Path, socket: &Path) -> Files {
    let parent = socket.parent().filter(|parent| !parent.as_os_str().is_empty());
    let data = place(data);
    let found = fs::symlink_metadata(socket);
    Files {
        has_data: data.path.join("IDENTITY").exists(),
        socket: place(parent.unwrap_or(Path::new("."))),
        socket_is_taken: found.is_ok_and(|found| !found.file_type().is_socket()),
        volume: measure(&data.path).map_err(|error| error.to_string()),
        kind: statfs(&data.nearest).ok().and_then(|figures| kind(figures.f_type.cast_unsigned())),
        data,
    }
}

fn place(path: &Path) -> Place {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let existing = absolute.ancestors().find(|ancestor| ancestor.exists());
    let existing = existing.unwrap_or(Path::new("/"));
    let nearest = fs::canonicalize(existing).unwrap_or_else(|_| existing.to_owned());
    let rest = absolute.strip_prefix(existing).unwrap_or(Path::new(""));
    let path = if rest.as_os_str().is_empty() { nearest.clone() } else { nearest.join(rest) };
    let metadata = fs::metadata(&nearest);
    let missing = rest.iter().next().map(|name| existing.join(name));
    Place {
        path,
        broken_link: missing.filter(|missing| is_broken_link(missing)),
        nearest_is_directory: metadata.as_ref().is_ok_and(fs::Metadata::is_dir),
        mode: metadata.map_or(0, |metadata| metadata.permissions().mode() & 0o7777),
        access: access_to(&nearest),
        nearest,
    }
}

/// Where it leads may be hidden from this user, which says nothing of core's.
fn is_broken_link(path: &Path) -> bool {
    let leads_nowhere = |error: &io::Error| {
        let code = error.raw_os_error();
        [Errno::NOENT, Errno::LOOP].iter().any(|errno| code == Some(errno.raw_os_error()))
    };
    fs::symlink_metadata(path).is_ok() && fs::metadata(path).is_err_and(|it| leads_nowhere(&it))
}

/// The mount comes first: below a read-only one the kernel may name either reason.
fn access_to(path: &Path) -> Access {
    let is_read_only =
        statvfs(path).is_ok_and(|figures| figures.f_flag.contains(StatVfsMountFlags::RDONLY));
    if is_read_only {
        return Access::ReadOnly;
    }
    match access(path, Wish::WRITE_OK | Wish::EXEC_OK).map_err(io::Error::from) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Access::Denied,
        _ => Access::Allowed,
    }
}

/// By the numbers of statfs(2) and of linux/magic.h.
fn kind(magic: u64) -> Option<Kind> {
    match magic & 0xffff_ffff {
        0x9fa0 => Some(Kind::Kernel("proc")),
        0x6265_6572 => Some(Kind::Kernel("sysfs")),
        0x0027_e0eb | 0x6367_7270 => Some(Kind::Kernel("cgroup")),
        0x1cd1 => Some(Kind::Kernel("devpts")),
        0x1980_0202 => Some(Kind::Kernel("mqueue")),
        0x6462_6720 => Some(Kind::Kernel("debugfs")),
        0x7472_6163 => Some(Kind::Kernel("tracefs")),
        0x7363_6673 => Some(Kind::Kernel("securityfs")),
        0x6265_6570 => Some(Kind::Kernel("configfs")),
        0xcafe_4a11 => Some(Kind::Kernel("bpf")),
        0x9584_58f6 => Some(Kind::Kernel("hugetlbfs")),
        0x0102_1994 => Some(Kind::Memory("tmpfs")),
        0x8584_58f6 => Some(Kind::Memory("ramfs")),
        0x6969 => Some(Kind::Remote("NFS")),
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => Some(Kind::Remote("CIFS")),
        0x6573_5546 => Some(Kind::Remote("FUSE")),
        0x0102_1997 => Some(Kind::Remote("9p")),
        0x00c3_6400 => Some(Kind::Remote("CephFS")),
        0x794c_7630 => Some(Kind::Layer),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_is_missing_is_judged_by_what_is_above_it() {
        let directory = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(directory.path()).unwrap();
        fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).unwrap();
        let missing = place(&root.join("not/yet"));
        assert_eq!((&missing.path, &missing.nearest), (&root.join("not/yet"), &root));
        assert!(!missing.exists() && missing.nearest_is_directory);
        assert_eq!((missing.mode, missing.access), (0o700, Access::Allowed));
    }

    #[test]
    fn links_are_followed() {
        let directory = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(directory.path()).unwrap();
        std::os::unix::fs::symlink(&root, root.join("link")).unwrap();
        assert_eq!(place(&root.join("link/data")).path, root.join("data"));
        assert_eq!(place(&root.join("link")).path, root);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(directory.path()).unwrap();
        let link = |to: &str, name: &str| {
            std::os::unix::fs::symlink(to, root.join(name)).unwrap();
            root.join(name)
        };
        let (dangling, circle) = (link("nowhere", "dangling"), link("circle", "circle"));
        for (path, broken) in [
            (dangling.clone(), Some(&dangling)),
            (dangling.join("data"), Some(&dangling)),
            (circle.clone(), Some(&circle)),
            (link(".", "sound").join("data"), None),
            (root.join("nowhere/data"), None),
        ] {
            let found = place(&path);
            assert_eq!(found.broken_link.as_ref(), broken, "{}", path.display());
            assert_eq!((found.nearest, found.nearest_is_directory), (root.clone(), true));
        }
    }

    #[test]
    fn what_is_below_proc_is_the_kernels() {
        let socket = Path::new("/nowhere/admin.sock");
        for path in ["/proc", "/proc/metastore"] {
            assert_eq!(look(Path::new(path), socket).kind, Some(Kind::Kernel("proc")), "{path}");
        }
    }

    #[test]
    fn a_file_in_the_way_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let found = look(&file, &file);
        assert!(found.data.exists() && !found.data.nearest_is_directory);
        assert!(found.socket_is_taken && found.socket.nearest_is_directory && !found.has_data);
    }

    #[test]
    fn data_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("admin.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        fs::write(directory.path().join("IDENTITY"), "").unwrap();
        let found = look(directory.path(), &socket);
        assert!(found.has_data && !found.socket_is_taken && found.volume.is_ok());
    }

    #[test]
    fn file_systems_are_known_by_their_numbers() {
        assert_eq!(kind(0x0102_1994), Some(Kind::Memory("tmpfs")));
        assert_eq!(kind(0xef53), None, "ext4");
        // As a machine with a signed word says CIFS.
        assert_eq!(kind(0xffff_ffff_ff53_4d42), Some(Kind::Remote("CIFS")));
    }
}
