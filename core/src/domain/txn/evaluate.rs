//! How a transaction is decided: choose, check, do.

use crate::domain::command::{DeleteRange, Operation, Put, Range, Txn};
use crate::domain::effects::{OperationAnswer, OperationResponse, RangeResponse, TxnResponse};
use crate::domain::mvcc::{Writer, compact, delete, put, range};
use crate::domain::{At, Fault, Rejection, View};

use super::{Context, compare};

/// A transaction whose branches are chosen, nested ones included.
struct Chosen {
    succeeded: bool,
    steps: Vec<Step>,
}

enum Step {
    Range(Range),
    Put(Put),
    DeleteRange(DeleteRange),
    Txn(Chosen),
}

/// Runs a transaction. All compares are judged against the state before it, and the chosen path
/// is checked whole before the first write, so that a refusal leaves nothing behind.
pub fn run<V: View>(
    writer: &mut Writer<'_, '_, V>,
    context: &Context<'_>,
    txn: Txn,
) -> Result<Result<TxnResponse, Rejection>, Fault> {
    let chosen = choose(writer.view(), txn)?;
    match check(writer.view(), context, &chosen)? {
        Ok(()) => execute(writer, chosen).map(Ok),
        Err(rejection) => Ok(Err(rejection)),
    }
}

fn choose(view: &impl View, txn: Txn) -> Result<Chosen, Fault> {
    let mut succeeded = true;
    for condition in &txn.compare {
        if !compare::holds(view, condition)? {
            succeeded = false;
            break;
        }
    }
    let branch = if succeeded { txn.success } else { txn.failure };
    let mut steps = Vec::with_capacity(branch.len());
    for operation in branch {
        steps.push(match operation {
            Operation::Range(range) => Step::Range(range),
            Operation::Put(put) => Step::Put(put),
            Operation::DeleteRange(delete) => Step::DeleteRange(delete),
            Operation::Txn(nested) => Step::Txn(choose(view, nested)?),
        });
    }
    Ok(Chosen { succeeded, steps })
}

fn check(
    view: &impl View,
    context: &Context<'_>,
    chosen: &Chosen,
) -> Result<Result<(), Rejection>, Fault> {
    for step in &chosen.steps {
        let verdict = match step {
            Step::Range(range) => readable(context, range),
            Step::Put(it) => put::check(view, context.leases, it)?,
            Step::DeleteRange(_) => Ok(()),
            Step::Txn(nested) => check(view, context, nested)?,
        };
        if verdict.is_err() {
            return Ok(verdict);
        }
    }
    Ok(Ok(()))
}

/// Inside a transaction a negative revision is below the first one, and refused as compacted; in a
/// range of its own it means the newest. Both as in etcd.
fn readable(context: &Context<'_>, range: &Range) -> Result<(), Rejection> {
    let (asked, compacted) = (range.revision, context.compacted);
    if asked < 0 {
        return Err(Rejection::Compacted { asked, compacted });
    }
    compact::readable(asked, compacted, context.now).map(|_at| ())
}

fn execute<V: View>(writer: &mut Writer<'_, '_, V>, chosen: Chosen) -> Result<TxnResponse, Fault> {
    let mut results = Vec::with_capacity(chosen.steps.len());
    for step in chosen.steps {
        let response = match step {
            Step::Range(query) => OperationResponse::Range(read(writer, &query)?),
            Step::Put(it) => OperationResponse::Put { previous: put::run(writer, it)? },
            Step::DeleteRange(it) => {
                let delete::Removed { count, previous } = delete::range(writer, &it)?;
                OperationResponse::DeleteRange { deleted: count, previous }
            }
            Step::Txn(nested) => OperationResponse::Txn(execute(writer, nested)?),
        };
        results.push(OperationAnswer { revision: writer.revision(), response });
    }
    Ok(TxnResponse { succeeded: chosen.succeeded, results })
}

/// A read sees the writes before it in the transaction, unless it names an older revision.
fn read<V: View>(writer: &Writer<'_, '_, V>, query: &Range) -> Result<RangeResponse, Fault> {
    let at = if query.revision <= 0 { At::Now } else { At::Revision(query.revision) };
    let (kvs, summary) = range::collect(writer.view(), query, at)?;
    Ok(RangeResponse { kvs, more: summary.more, count: summary.count })
}
