//! What a judge says.

use std::fmt::Debug;

/// A property that did not hold.
#[derive(Debug, Clone)]
pub(crate) struct Finding(pub(crate) String);

pub(crate) type Verdict<T = ()> = Result<T, Finding>;

pub(crate) fn require(holds: bool, what: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(Finding(what())) }
}

pub(crate) fn same<T: PartialEq + Debug>(what: &str, got: &T, wanted: &T) -> Verdict {
    require(got == wanted, || format!("{what}:\n     got {got:?}\n  wanted {wanted:?}"))
}
