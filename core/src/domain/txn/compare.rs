//! One condition of a transaction.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use crate::domain::command::{Compare, Operand, Relation};
use crate::domain::version::Fields;
use crate::domain::{At, Fault, View};

/// Whether the condition holds for the key, or for every key of the range.
///
/// A key that does not exist (or a range without keys) is judged as if all its numbers were zero;
/// its value compares as false, whatever the relation.
pub fn holds(view: &impl View, compare: &Compare) -> Result<bool, Fault> {
    if let Some(key) = compare.range.as_single() {
        let version = view.live(key)?;
        return Ok(holds_for(compare, version.as_ref().map(|version| version.fields())));
    }
    let mut any = false;
    let mut all = true;
    if !compare.range.is_empty() {
        view.scan(&compare.range, At::Now, &mut |row| {
            any = true;
            all = holds_for(compare, Some(row.fields()));
            if all { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
    }
    Ok(if any { all } else { holds_for(compare, None) })
}

fn holds_for(compare: &Compare, fields: Option<Fields<'_>>) -> bool {
    let missing = fields.is_none();
    let fields = fields.unwrap_or_default();
    let ordering = match &compare.operand {
        Operand::Version(operand) => fields.version.cmp(operand),
        Operand::Create(operand) => fields.create.cmp(operand),
        Operand::Modified(operand) => fields.modified.cmp(operand),
        Operand::Lease(operand) => fields.lease.cmp(operand),
        Operand::Value(_) if missing => return false,
        Operand::Unknown => Ordering::Equal,
        Operand::Value(operand) => fields.value.cmp(operand.as_ref()),
    };
    match compare.relation {
        Relation::Equal => ordering == Ordering::Equal,
        Relation::NotEqual => ordering != Ordering::Equal,
        Relation::Greater => ordering == Ordering::Greater,
        Relation::Less => ordering == Ordering::Less,
        Relation::Any => true,
    }
}
