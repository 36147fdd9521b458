//! What happened in a run, line by line: its hash says whether two runs were the same.

use std::collections::VecDeque;

/// Lines that a report shows.
const TAIL: usize = 60;

pub(crate) struct Trace {
    hash: u64,
    lines: u64,
    tail: VecDeque<String>,
}

impl Trace {
    pub(crate) fn new() -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, lines: 0, tail: VecDeque::new() }
    }

    pub(crate) fn line(&mut self, line: String) {
        // FNV-1a, the end of the line included.
        for byte in line.bytes().chain([b'\n']) {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.lines += 1;
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(line);
    }

    pub(crate) fn digest(&self) -> (u64, u64) {
        (self.hash, self.lines)
    }

    pub(crate) fn tail(&self) -> String {
        self.tail.iter().map(|line| format!("  {line}\n")).collect()
    }
}
