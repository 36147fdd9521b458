//! What a member finds when it opens its rows.

use super::codec::{self, StateRow};
use super::columns::{FORMAT, META_ALARMS, META_CONFIGURATION, META_FORMAT, META_STATE};
use super::{Batch, Column, Cursor, Rows, Store};
use crate::domain::alarm::Alarms;
use crate::domain::lease::Leases;
use crate::domain::marks::Marks;
use crate::domain::{Fault, Machine};

use bytes::Bytes;

/// The newest log entry whose effects are in the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Applied {
    pub index: u64,
    pub term: u64,
}

/// A member's state machine, as stored.
#[derive(Debug)]
pub struct Recovered {
    pub machine: Machine,
    pub applied: Applied,
    /// Who votes, in raft-rs' encoding; empty in a new directory.
    pub configuration: Bytes,
}

impl Store {
    /// Reads back what the last write left. Cost does not grow with the data, but for leases and
    /// members.
    pub fn recover(&self) -> Result<Recovered, Fault> {
        let rows = self.newest();
        check_format(&rows)?;
        let state = rows.state()?;
        let machine = Machine {
            revision: state.revision,
            compacted: state.compacted,
            totals: state.totals,
            leases: leases(&rows)?,
            alarms: alarms(&rows)?,
            members: members(&rows)?,
            marks: Marks::restore(rows.marks()?),
        };
        self.counts().load(&rows)?;
        let applied = Applied { index: state.applied_index, term: state.applied_term };
        let configuration = rows.reads().get(Column::Meta, META_CONFIGURATION)?.unwrap_or_default();
        Ok(Recovered { machine, applied, configuration })
    }

    /// Writes what a new directory starts with, durably.
    pub fn initialise(&self, batch: &mut Batch) -> Result<(), Fault> {
        batch.put(Column::Meta, &[META_FORMAT], &[&FORMAT.to_be_bytes()]);
        self.engine().write(batch)?;
        self.engine().sync()
    }
}

impl Batch {
    /// The applied index, and all that must be in the same write with it.
    pub fn set_state(&mut self, machine: &Machine, applied: Applied) {
        let row = StateRow {
            applied_index: applied.index,
            applied_term: applied.term,
            revision: machine.revision,
            compacted: machine.compacted,
            totals: machine.totals,
        };
        self.put(Column::Meta, &[META_STATE], &[&row.encode()]);
    }

    pub fn set_configuration(&mut self, encoded: &[u8]) {
        self.put(Column::Meta, &[META_CONFIGURATION], &[encoded]);
    }
}

fn check_format(rows: &Rows<'_>) -> Result<(), Fault> {
    let Some(row) = rows.reads().get(Column::Meta, META_FORMAT)? else {
        return Err(Fault::corrupt("column meta: no format number"));
    };
    let found = row.as_ref().try_into().map(u32::from_be_bytes);
    let found = found.map_err(|_length| codec::bad_row(Column::Meta, META_FORMAT))?;
    if found != FORMAT {
        return Err(Fault::corrupt(format!(
            "the data has format {found}, this program knows {FORMAT}"
        )));
    }
    Ok(())
}

fn alarms(rows: &Rows<'_>) -> Result<Alarms, Fault> {
    match rows.reads().get(Column::Meta, META_ALARMS)? {
        Some(row) => {
            codec::take_alarms(&row).ok_or_else(|| codec::bad_row(Column::Meta, META_ALARMS))
        }
        None => Ok(Alarms::default()),
    }
}

fn leases(rows: &Rows<'_>) -> Result<Leases, Fault> {
    let decode = |key: &[u8], row: &[u8]| codec::take_number(key).zip(codec::take_number(row));
    Ok(Leases::restore(collect(rows, Column::Lease, decode)?))
}

fn members(
    rows: &Rows<'_>,
) -> Result<std::collections::BTreeMap<u64, crate::domain::member::Member>, Fault> {
    let members = collect(rows, Column::Members, codec::take_member)?;
    Ok(members.into_iter().map(|member| (member.id, member)).collect())
}

fn collect<T>(
    rows: &Rows<'_>,
    column: Column,
    decode: impl Fn(&[u8], &[u8]) -> Option<T>,
) -> Result<Vec<T>, Fault> {
    let mut found = Vec::new();
    let mut cursor: Box<dyn Cursor + '_> = rows.reads().cursor(column, &[], None)?;
    while let Some((key, row)) = cursor.row() {
        found.push(decode(key, row).ok_or_else(|| codec::bad_row(column, key))?);
        cursor.advance()?;
    }
    Ok(found)
}
