//! A small ext4 of a test's own, which can be filled and whose power can be cut.
//!
//! Needs root, loop devices and mkfs.ext4. Where they are missing the test says so loudly and passes;
//! with `METASTORE_REQUIRE_ALL=1` it fails.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// `FS_IOC_SHUTDOWN` with a flag: what is not on the disk now never will be.
const SHUTDOWN: rustix::ioctl::Opcode = 0x8004_587d;
const WITHOUT_LOG_FLUSH: u32 = 2;

/// A file with a file system in it, mounted.
#[derive(Debug)]
pub struct Volume {
    place: TempDir,
}

impl Volume {
    /// A new volume of this size, or `None` where that is impossible here.
    pub fn new(mebibytes: u64, what: &str) -> Option<Self> {
        let place = tempfile::Builder::new().prefix("ms-volume-").tempdir().expect("a directory");
        let volume = Self { place };
        let image = volume.image();
        let file = File::create(&image).expect("an image");
        file.set_len(mebibytes << 20).expect("a sparse image");
        std::fs::create_dir(volume.path()).expect("a mount point");
        let made =
            run("mkfs.ext4", &["-q", "-m", "0", &text(&image)]).and_then(|()| volume.mount());
        match made {
            Ok(()) => Some(volume),
            Err(reason) if std::env::var_os("METASTORE_REQUIRE_ALL").is_some() => {
                panic!("{what}: no loop-mounted ext4 here: {reason}")
            }
            Err(reason) => {
                eprintln!("\n!!! SKIPPED: {what}: no loop-mounted ext4 here: {reason}\n");
                None
            }
        }
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.place.path().join("mounted")
    }

    fn image(&self) -> PathBuf {
        self.place.path().join("image")
    }

    fn mount(&self) -> Result<(), String> {
        run("mount", &["-t", "ext4", "-o", "loop", &text(&self.image()), &text(&self.path())])
    }

    /// From now on every write fails, and what was not synced is lost.
    pub fn cut_power(&self) {
        let root = File::open(self.path()).expect("the volume is mounted");
        shut_down(&root).expect("ext4 can be shut down by root");
    }

    /// Mounts it again, as after a power cut. Nobody may have a file open in it.
    pub fn remount(&self) {
        run("umount", &[&text(&self.path())]).expect("nobody uses the volume");
        self.mount().expect("the volume mounts again");
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // Lazily: a process of a failed test may still have files open.
        run("umount", &["-l", &text(&self.path())]).ok();
    }
}

#[expect(unsafe_code, reason = "there is no safe call for this ioctl")]
fn shut_down(root: &File) -> rustix::io::Result<()> {
    // SAFETY: FS_IOC_SHUTDOWN reads one u32 through its pointer, which the setter provides.
    unsafe {
        let flag = rustix::ioctl::Setter::<SHUTDOWN, u32>::new(WITHOUT_LOG_FLUSH);
        rustix::ioctl::ioctl(root, flag)
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
