//! Which keys deciding a command will look up, told before it is decided.
//!
//! A hint and nothing else: what is left out is read when it is needed, what is named in vain was
//! read in vain. Ranges of more than one key are left out, and so is the branch that a transaction
//! takes when its compares fail: it mostly reads what they compared.

use bytes::Bytes;

use super::command::{Command, Operation, Txn};

/// Calls `take` with each of the keys; some may come more than once.
pub fn keys(command: &Command, take: &mut dyn FnMut(&Bytes)) {
    match command {
        Command::Put(put) => take(&put.key),
        Command::DeleteRange(delete) => single(delete.range.as_single(), take),
        Command::Txn(txn) => keys_of_txn(txn, take),
        Command::Compact { .. }
        | Command::LeaseGrant { .. }
        | Command::LeaseRevoke { .. }
        | Command::RaiseAlarm { .. }
        | Command::ClearAlarm { .. }
        | Command::PublishMember { .. } => {}
    }
}

fn keys_of_txn(txn: &Txn, take: &mut dyn FnMut(&Bytes)) {
    for compare in &txn.compare {
        single(compare.range.as_single(), take);
    }
    for operation in &txn.success {
        match operation {
            Operation::Put(put) => take(&put.key),
            Operation::DeleteRange(delete) => single(delete.range.as_single(), take),
            Operation::Range(range) => single(range.range.as_single(), take),
            Operation::Txn(nested) => keys_of_txn(nested, take),
        }
    }
}

fn single(key: Option<&Bytes>, take: &mut dyn FnMut(&Bytes)) {
    if let Some(key) = key {
        take(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::KeyRange;
    use crate::domain::command::{Compare, DeleteRange, Operand, Put, Range, Relation};

    fn put(key: &'static str) -> Put {
        let (key, value) = (Bytes::from(key), Bytes::new());
        Put { key, value, lease: 0, prev_kv: false, ignore_value: false, ignore_lease: false }
    }

    fn compare(range: KeyRange) -> Compare {
        Compare { range, relation: Relation::Equal, operand: Operand::Version(0) }
    }

    fn one(key: &'static str) -> KeyRange {
        KeyRange::single(Bytes::from(key))
    }

    fn told(command: &Command) -> Vec<String> {
        let mut told = Vec::new();
        keys(command, &mut |key| told.push(String::from_utf8_lossy(key).into_owned()));
        told
    }

    #[test]
    fn a_put_looks_up_its_key() {
        assert_eq!(told(&Command::Put(put("a"))), ["a"]);
    }

    #[test]
    fn a_delete_of_one_key_looks_it_up_and_one_of_a_range_scans() {
        let delete = |range| Command::DeleteRange(DeleteRange { range, prev_kv: false });
        assert_eq!(told(&delete(one("a"))), ["a"]);
        assert!(told(&delete(KeyRange::all())).is_empty());
    }

    #[test]
    fn a_transaction_looks_up_what_it_compares_and_what_it_does_then() {
        let nested =
            Txn { compare: vec![compare(one("c"))], success: Vec::new(), failure: Vec::new() };
        let txn = Txn {
            compare: vec![compare(one("a")), compare(KeyRange::all())],
            success: vec![
                Operation::Put(put("b")),
                Operation::Txn(nested),
                Operation::Range(Range::of(one("d"))),
            ],
            failure: vec![Operation::Put(put("never mind"))],
        };
        assert_eq!(told(&Command::Txn(txn)), ["a", "b", "c", "d"]);
    }

    #[test]
    fn commands_without_keys_look_up_nothing() {
        assert!(told(&Command::LeaseGrant { id: 1, ttl: 9 }).is_empty());
    }
}
