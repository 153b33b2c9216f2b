//! The decoder program: the steps that a record's bytes are taken through, run once a record.
//!
//! Compiled by [`super::compile`] from the writer's schema and the wanted fields. Steps append to columns or skip; no
//! value is built that is not kept. Must not know: schema JSON, files.

use super::columns::Builder;
use super::cursor::{Cursor, invalid};
use crate::error::Result;

/// What to do with the next bytes.
#[derive(Debug)]
pub(super) enum Step {
    Nothing,
    /// This many ints, longs or enums in a row
    SkipVarints(usize),
    SkipBytes,
    SkipFixed(usize),
    /// Arrays; the least number of bytes of an item comes second
    SkipArray(Box<Step>, usize),
    SkipMap(Box<Step>, usize),
    /// Skip a record by its index among the skip programs: named types may be recursive
    Skip(usize),
    Union(Box<[Step]>),
    Record(Box<[Step]>),
    Boolean(usize),
    Integer(usize),
    Float(usize),
    Double(usize),
    Bytes(usize),
    Fixed(usize, usize),
    /// An array of (int key, value) records: values of these keys are kept
    Pick(Box<Pick>),
    /// An array of records, whose fields go to other columns
    List {
        slot: usize,
        item: Box<Step>,
        smallest: usize,
    },
}

/// Which values of an int-keyed map are kept.
#[derive(Debug)]
pub(super) struct Pick {
    /// Steps before the value, after the key
    pub(super) before: Box<[Step]>,
    pub(super) wanted: Box<[(i32, Step)]>,
    pub(super) unwanted: Step,
    /// Steps after the value
    pub(super) after: Box<[Step]>,
}

/// A program and its skip programs.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) root: Step,
    pub(super) skips: Vec<Step>,
}

const MAX_DEPTH: usize = 64;

impl Program {
    /// Decodes one record into row `row` of the columns.
    #[inline]
    pub(super) fn run(&self, cursor: &mut Cursor, columns: &mut [Builder], row: usize) -> Result<()> {
        self.step(&self.root, cursor, columns, row, 0)
    }

    /// Inlined into the loops that go through steps, so that what most of them are takes no call.
    #[inline(always)]
    fn step(&self, step: &Step, cursor: &mut Cursor, columns: &mut [Builder], row: usize, depth: usize) -> Result<()> {
        match step {
            Step::Nothing => Ok(()),
            Step::SkipVarints(count) => cursor.skip_varints(*count),
            Step::SkipBytes => cursor.bytes().map(drop),
            Step::SkipFixed(length) => cursor.take(*length).map(drop),
            Step::Record(steps) => self.record(steps, cursor, columns, row, depth),
            Step::Union(branches) => self.union(branches, cursor, columns, row, depth),
            Step::Integer(slot) => columns[*slot].push_integer(row, cursor.varint()?),
            Step::Bytes(slot) => columns[*slot].push_bytes(row, cursor.bytes()?),
            Step::Fixed(slot, length) => columns[*slot].push_bytes(row, cursor.take(*length)?),
            Step::Boolean(slot) => columns[*slot].push_integer(row, i64::from(cursor.boolean()?)),
            Step::Float(slot) => columns[*slot].push_float(row, f64::from(cursor.float()?)),
            Step::Double(slot) => columns[*slot].push_float(row, cursor.double()?),
            Step::SkipArray(item, smallest) => self.skip_items(item, *smallest, false, cursor, depth),
            Step::SkipMap(value, smallest) => self.skip_items(value, smallest + 1, true, cursor, depth),
            Step::Skip(index) => self.skip(*index, cursor, depth),
            Step::Pick(pick) => self.pick(pick, cursor, columns, row, depth),
            Step::List { slot, item, smallest } => self.list(*slot, (item, *smallest), cursor, columns, row, depth),
        }
    }

    #[inline(never)]
    fn record(
        &self,
        steps: &[Step],
        cursor: &mut Cursor,
        columns: &mut [Builder],
        row: usize,
        depth: usize,
    ) -> Result<()> {
        for each in steps {
            self.step(each, cursor, columns, row, depth)?;
        }
        Ok(())
    }

    #[inline(never)]
    fn union(
        &self,
        branches: &[Step],
        cursor: &mut Cursor,
        columns: &mut [Builder],
        row: usize,
        depth: usize,
    ) -> Result<()> {
        let branch = cursor.varint()?;
        match usize::try_from(branch).ok().and_then(|at| branches.get(at)) {
            Some(chosen) => self.step(chosen, cursor, columns, row, depth),
            None => Err(invalid(format!("Avro: branch {branch} of a union of {}", branches.len()))),
        }
    }

    #[inline(never)]
    fn skip(&self, index: usize, cursor: &mut Cursor, depth: usize) -> Result<()> {
        if depth >= MAX_DEPTH {
            return Err(invalid(format!("Avro: over {MAX_DEPTH} levels of nesting")));
        }
        self.step(&self.skips[index], cursor, &mut [], 0, depth + 1)
    }

    #[inline(never)]
    fn list(
        &self,
        slot: usize,
        (item, smallest): (&Step, usize),
        cursor: &mut Cursor,
        columns: &mut [Builder],
        row: usize,
        depth: usize,
    ) -> Result<()> {
        let mut next = columns[slot].next_item();
        loop {
            let (count, _) = cursor.items(smallest)?;
            if count == 0 {
                return columns[slot].push_list(row, next);
            }
            for at in next..next + count {
                self.step(item, cursor, columns, at, depth)?;
            }
            next += count;
        }
    }

    #[inline(never)]
    fn skip_items(&self, item: &Step, smallest: usize, keyed: bool, cursor: &mut Cursor, depth: usize) -> Result<()> {
        loop {
            match (cursor.items(smallest)?, item) {
                ((0, _), _) => return Ok(()),
                ((_, Some(length)), _) => cursor.take(length).map(drop)?,
                ((_, None), Step::Nothing) if !keyed => {}
                ((count, None), Step::SkipVarints(each)) if !keyed => {
                    cursor.skip_varints(count.saturating_mul(*each))?
                }
                ((count, None), Step::Record(steps))
                    if !keyed && matches!(&**steps, [Step::SkipVarints(1), Step::SkipBytes]) =>
                {
                    cursor.skip_keyed_bytes(count)?;
                }
                ((count, None), _) => {
                    for _ in 0..count {
                        if keyed {
                            cursor.bytes()?;
                        }
                        self.step(item, cursor, &mut [], 0, depth)?;
                    }
                }
            }
        }
    }

    #[inline(never)]
    fn pick(&self, pick: &Pick, cursor: &mut Cursor, columns: &mut [Builder], row: usize, depth: usize) -> Result<()> {
        loop {
            let (count, _) = cursor.items(1)?; // a key takes a byte
            if count == 0 {
                return Ok(());
            }
            for _ in 0..count {
                let key = cursor.varint()?;
                pick.before.iter().try_for_each(|each| self.step(each, cursor, columns, row, depth))?;
                match (pick.wanted.iter().find(|(wanted, _)| i64::from(*wanted) == key), &pick.unwanted) {
                    (Some((_, step)), _) => self.step(step, cursor, columns, row, depth)?,
                    (None, Step::SkipBytes) => cursor.bytes().map(drop)?, // most values of most files end here
                    (None, Step::SkipVarints(1)) => cursor.varint().map(drop)?,
                    (None, step) => self.step(step, cursor, columns, row, depth)?,
                }
                pick.after.iter().try_for_each(|each| self.step(each, cursor, columns, row, depth))?;
            }
        }
    }
}

impl Step {
    /// Skips without looking into other programs: may be inlined.
    pub(super) fn is_leaf(&self) -> bool {
        matches!(self, Step::Nothing | Step::SkipVarints(_) | Step::SkipBytes | Step::SkipFixed(_))
    }
}
