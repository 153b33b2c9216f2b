//! Random filters, each in the engine's form and as a closure over what was written.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::random::values::pick;

/// Field ids of the first two columns, which filters test: `row` counts, `dice` is 0 to 999.
pub const ROW: i32 = 1;
pub const DICE: i32 = 2;

/// What rows are kept.
#[derive(Clone, Debug)]
pub enum Filter {
    All,
    /// `dice < limit`: rows here and there
    Dice(i32),
    /// `first <= row < end`: one run
    Rows(i64, i64),
    /// Every so many rows such a run
    Runs(Vec<(i64, i64)>),
    /// The nulls of a column, by its position
    Nulls(usize),
    /// All but them
    NoNulls(usize),
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
}

impl Filter {
    /// A filter of a load of so many rows; `columns` are positions of columns that may be tested for null.
    pub fn random(random: &mut StdRng, rows: usize, columns: &[usize]) -> Filter {
        match random.random_range(0..10) {
            0..=2 => Filter::All,
            3 | 4 => Filter::one(random, rows, columns),
            5 | 6 => Filter::Dice(pick(random, &[0, 1, 3, 20, 300, 500, 700, 990, 999, 1000])),
            7 => Filter::one(random, rows, columns),
            8 => {
                Filter::And(Box::new(Filter::one(random, rows, columns)), Box::new(Filter::one(random, rows, columns)))
            }
            _ => Filter::Or(Box::new(Filter::one(random, rows, columns)), Box::new(Filter::one(random, rows, columns))),
        }
    }

    fn one(random: &mut StdRng, rows: usize, columns: &[usize]) -> Filter {
        let rows = rows.max(1) as i64;
        match random.random_range(0..5) {
            0 | 1 => {
                let first = random.random_range(0..rows);
                let length = random.random_range(0..=rows - first);
                Filter::Rows(first, first + if random.random_bool(0.3) { length.min(3) } else { length })
            }
            2 => {
                let step = pick(random, &[3, 9, 64, 100, 1000]);
                let starts = (0..rows).step_by(step).take(30);
                Filter::Runs(starts.map(|start| (start, start + random.random_range(0..=step as i64))).collect())
            }
            3 if !columns.is_empty() => {
                let column = pick(random, columns);
                if random.random_bool(0.5) { Filter::Nulls(column) } else { Filter::NoNulls(column) }
            }
            _ => Filter::Dice(random.random_range(0..1000)),
        }
    }

    /// The engine's form. `name_type` gives the name of a column's type in the table format.
    pub fn json(&self, name_type: &dyn Fn(usize) -> String) -> Value {
        let row = |op: &str, value: i64| json!({"op": op, "field": ROW, "type": "long", "values": [value]});
        let run = |first: i64, end: i64| json!({"and": [row("ge", first), row("lt", end)]});
        let null = |op: &str, at: usize| json!({"op": op, "field": at + 1, "type": name_type(at)});
        match self {
            Filter::All => json!({"op": "true"}),
            Filter::Dice(limit) => json!({"op": "lt", "field": DICE, "type": "int", "values": [limit]}),
            Filter::Rows(first, end) => run(*first, *end),
            Filter::Runs(runs) => json!({"or": runs.iter().map(|(first, end)| run(*first, *end)).collect::<Vec<_>>()}),
            Filter::Nulls(at) => null("is_null", *at),
            Filter::NoNulls(at) => null("not_null", *at),
            Filter::And(left, right) => json!({"and": [left.json(name_type), right.json(name_type)]}),
            Filter::Or(left, right) => json!({"or": [left.json(name_type), right.json(name_type)]}),
        }
    }

    /// Whether a row of what was written is kept.
    pub fn keeps(&self, written: &RecordBatch, at: usize) -> bool {
        let row = || written.column(0).as_primitive::<Int64Type>().value(at);
        let is_null = |column: usize| written.column(column).logical_nulls().is_some_and(|nulls| nulls.is_null(at));
        match self {
            Filter::All => true,
            Filter::Dice(limit) => written.column(1).as_primitive::<Int32Type>().value(at) < *limit,
            Filter::Rows(first, end) => (*first..*end).contains(&row()),
            Filter::Runs(runs) => runs.iter().any(|(first, end)| (*first..*end).contains(&row())),
            Filter::Nulls(column) => is_null(*column),
            Filter::NoNulls(column) => !is_null(*column),
            Filter::And(left, right) => left.keeps(written, at) && right.keeps(written, at),
            Filter::Or(left, right) => left.keeps(written, at) || right.keeps(written, at),
        }
    }
}
