//! Harness for tests against the real binaries.
