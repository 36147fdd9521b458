//! A time of day that a test may set, for processes that it starts.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// Takes the place of libc's clocks: what they say of the time of day is shifted by the seconds in
/// a file. Clocks that count since the machine started are left alone.
const LIBRARY: &str = r#"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile long long *shift_s;

__attribute__((constructor)) static void open_shift(void) {
    int file = open(getenv("CLOCK_SHIFT_FILE"), O_RDONLY);
    void *page = mmap(0, sizeof(long long), PROT_READ, MAP_SHARED, file, 0);
    if (page == MAP_FAILED) abort();
    shift_s = (const volatile long long *)page;
    close(file);
}

extern "C" int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = syscall(SYS_clock_gettime, clock, time);
    bool of_day = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
    if (result == 0 && of_day && shift_s) time->tv_sec += *shift_s;
    return result;
}

extern "C" int gettimeofday(struct timeval *time, void *) noexcept {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return 0;
}

extern "C" time_t time(time_t *time) noexcept {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (time) *time = now.tv_sec;
    return now.tv_sec;
}
"#;

pub(crate) struct ShiftedClock {
    library: PathBuf,
    path: PathBuf,
    file: File,
    _place: TempDir,
}

impl ShiftedClock {
    /// Right at first. The compiler is there: RocksDB needed it.
    pub(crate) fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let (source, library) = (place.path().join("clock.cc"), place.path().join("clock.so"));
        std::fs::write(&source, LIBRARY).unwrap();
        let mut compiler = Command::new("c++");
        compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
        assert!(compiler.status().unwrap().success(), "c++ cannot compile {LIBRARY}");
        let path = place.path().join("shift");
        let file = File::create(&path).unwrap();
        let clock = Self { library, path, file, _place: place };
        clock.set(0);
        clock
    }

    /// From now on the time of day is wrong by so many seconds.
    pub(crate) fn set(&self, shift_s: i64) {
        self.file.write_all_at(&shift_s.to_ne_bytes(), 0).unwrap();
    }

    /// Whether a process asks this clock.
    pub(crate) fn is_in(&self, pid: u32) -> bool {
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
        maps.contains(self.library.to_str().unwrap())
    }

    /// What a process needs in its environment, and these variables.
    pub(crate) fn with<'v>(&'v self, variables: &[(&'v str, &'v str)]) -> Vec<(&'v str, &'v str)> {
        let own = [
            ("LD_PRELOAD", self.library.to_str().unwrap()),
            ("CLOCK_SHIFT_FILE", self.path.to_str().unwrap()),
        ];
        own.iter().chain(variables).copied().collect()
    }
}
