//! A frame's columns as the table's: matched by name, of its types, complete; or a refusal that says which value is wrong.
//!
//! Nothing is cast with loss. What need not change is shared: strings in any layout, dictionaries of strings, lists of
//! either offset width are written as they are. Must not know: files, partitions. Inside: [`recipe`] says how a column
//! becomes the table's, by types alone; [`apply`] does it with values.

mod apply;
mod recipe;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{Field, Schema as ArrowSchema};
use serde_json::Value;

use crate::error::{Error, Kind, Result};
use crate::iceberg::schema::NestedField;
use apply::Unfit;
use recipe::Member;

/// How a frame becomes rows of a table.
pub(crate) struct Conform {
    /// The table's columns that files hold, in its order.
    pub(crate) columns: Vec<Column>,
}

/// One column of the table.
pub(crate) struct Column {
    pub(crate) field: NestedField,
    /// As it is handed to the encoder.
    pub(crate) output: Field,
    member: Member,
}

impl Conform {
    /// Matches a frame's columns with the table's `fields`, of which `known` but not `fields` hold nulls only.
    ///
    /// # Errors
    /// `InvalidArgument` for names that stand for two columns; `TypeMismatch` for a column too many, a required one too
    /// few, or a type whose values the table's cannot hold.
    pub(crate) fn new(
        frame: &RecordBatch,
        fields: Vec<NestedField>,
        known: &[NestedField],
        defaults: &HashMap<i32, Value>,
    ) -> Result<Conform> {
        let schema = frame.schema();
        check_names(&schema)?;
        for (field, column) in schema.fields().iter().zip(frame.columns()) {
            if fields.iter().any(|known| known.name == *field.name()) {
                continue;
            }
            if !known.iter().any(|known| known.name == *field.name()) {
                return Err(extra(field.name(), &fields));
            }
            if column.logical_null_count() < column.len() {
                let message =
                    format!("column {:?} is of type unknown in the table, which holds nulls only", field.name());
                return Err(Error::new(Kind::TypeMismatch, message));
            }
        }
        let column = |field: NestedField| {
            let found = schema.index_of(&field.name).ok();
            let source = found.map(|at| (at, schema.field(at).data_type()));
            let member = Member::new(source, &field, &field.name, defaults)?;
            let output = member.field(&field)?;
            Ok(Column { field, output, member })
        };
        Ok(Conform { columns: fields.into_iter().map(column).collect::<Result<_>>()? })
    }
}

impl Column {
    /// The frame's column that it is made of; None if the frame has none.
    pub(crate) fn source(&self) -> Option<usize> {
        self.member.source()
    }

    /// Values of the source, some rows of it or all, as the table's. `row_of` gives the frame's row of one of them.
    pub(crate) fn fit(
        &self,
        values: Option<&ArrayRef>,
        rows: usize,
        row_of: impl Fn(usize) -> usize,
    ) -> Result<ArrayRef> {
        let fitted = self.member.fit(values, rows, None);
        fitted.map_err(|unfit: Unfit| unfit.in_frame(row_of))
    }
}

/// Two columns of one name, or of names that readers without regard to case take for one.
fn check_names(schema: &Arc<ArrowSchema>) -> Result<()> {
    let mut seen: HashMap<String, &str> = HashMap::new();
    for field in schema.fields() {
        let Some(other) = seen.insert(field.name().to_lowercase(), field.name()) else { continue };
        let message = match other == field.name() {
            true => format!("the frame has two columns {other:?}"),
            false => format!("the frame's columns {other:?} and {:?} differ in case only", field.name()),
        };
        return Err(Error::new(Kind::InvalidArgument, message).hint("rename or drop one of them"));
    }
    Ok(())
}

fn extra(name: &str, fields: &[NestedField]) -> Error {
    let twin = fields.iter().find(|field| field.name.to_lowercase() == name.to_lowercase());
    let message = format!("the table has no column {name:?}");
    let error = Error::new(Kind::TypeMismatch, message);
    match twin {
        Some(twin) => error.hint(format!("its column is called {:?}: names differ in case", twin.name)),
        None => error.hint("drop it, or write with evolve=True to add it to the table"),
    }
}
