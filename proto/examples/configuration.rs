//! Prints `docs/configuration.md`.
#![expect(clippy::print_stdout, reason = "its whole purpose")]

fn main() {
    print!("{}", metastore_proto::environment::markdown());
}
