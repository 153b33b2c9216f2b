//! Values through a recipe: cast, checked, completed. The first value that does not fit is named with its row.
//!
//! Inner values of lists and maps are looked at only where a row reaches them. Must not know: why a type is taken.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, GenericListArray, MapArray, OffsetSizeTrait, StructArray, UInt32Array, UInt64Array, new_null_array,
};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_cast::CastOptions;
use arrow_cast::display::array_value_to_string;
use arrow_schema::{ArrowError, DataType, FieldRef};

use super::recipe::{Member, Origin, Recipe, Step};
use crate::error::{Error, Kind};

/// Values that are not the table's, and which of them.
pub(super) struct Unfit {
    path: String,
    row: Option<usize>,
    problem: String,
    hint: Option<&'static str>,
}

type Fit<T> = Result<T, Unfit>;

impl Unfit {
    fn arrow(path: &str, error: &ArrowError) -> Unfit {
        Unfit { path: path.to_owned(), row: None, problem: error.to_string(), hint: None }
    }

    /// The same in terms of the rows around.
    fn within(mut self, row_of: impl Fn(usize) -> usize) -> Unfit {
        self.row = self.row.map(row_of);
        self
    }

    /// As the error that the caller sees.
    pub(super) fn in_frame(self, row_of: impl Fn(usize) -> usize) -> Error {
        let Unfit { path, row, problem, hint } = self;
        let row = row.map_or_else(String::new, |row| format!(", row {}", row_of(row)));
        let error = Error::new(Kind::TypeMismatch, format!("column {path:?}{row}: {problem}"));
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

impl Member {
    /// `rows` values as the table's. `parents`: where the struct around them is null, and nulls are no fault.
    pub(super) fn fit(&self, values: Option<&ArrayRef>, rows: usize, parents: Option<&NullBuffer>) -> Fit<ArrayRef> {
        let made = match (&self.origin, values) {
            (Origin::Column(_, recipe), Some(values)) => recipe.fit(values, &self.path, parents)?,
            (Origin::Fill(_, Some(value)), _) => {
                let zeros = UInt32Array::from(vec![0; rows]);
                arrow_select::take::take(value, &zeros, None).map_err(|e| Unfit::arrow(&self.path, &e))?
            }
            (origin, _) => {
                let output = match origin {
                    Origin::Column(_, recipe) => &recipe.output,
                    Origin::Fill(output, _) => output,
                };
                new_null_array(output, rows)
            }
        };
        if self.required {
            self.check_nulls(&made, parents)?;
        }
        Ok(made)
    }

    fn check_nulls(&self, made: &ArrayRef, parents: Option<&NullBuffer>) -> Fit<()> {
        let Some(nulls) = made.logical_nulls().filter(|nulls| nulls.null_count() > 0) else { return Ok(()) };
        let reached = |row: &usize| parents.is_none_or(|parents| parents.is_valid(*row));
        match (0..made.len()).find(|row| nulls.is_null(*row) && reached(row)) {
            None => Ok(()),
            row => Err(Unfit {
                path: self.path.clone(),
                row,
                problem: "null, which the table does not allow here".to_owned(),
                hint: Some("fill the nulls, or make the column optional in the table"),
            }),
        }
    }
}

impl Recipe {
    fn fit(&self, values: &ArrayRef, path: &str, parents: Option<&NullBuffer>) -> Fit<ArrayRef> {
        let reached = |row: &usize| parents.is_none_or(|parents| parents.is_valid(*row));
        let wrong = |e: ArrowError| Unfit::arrow(path, &e);
        match &self.step {
            Step::Keep => Ok(Arc::clone(values)),
            Step::Nulls => Ok(new_null_array(&self.output, values.len())),
            Step::Checked => {
                let made = cast(values, &self.output).map_err(wrong)?;
                if made.null_count() == values.null_count() {
                    return Ok(made);
                }
                let lost = |row: &usize| made.is_null(*row) && values.is_valid(*row) && reached(row);
                let row = (0..values.len()).find(lost);
                row.map_or(Ok(Arc::clone(&made)), |row| Err(self.misfit(values, row, path)))
            }
            Step::Exact => {
                let made = cast(values, &self.output).map_err(wrong)?;
                let back = cast(&made, values.data_type()).map_err(wrong)?;
                let same = arrow_ord::cmp::not_distinct(values, &back).map_err(wrong)?;
                if same.true_count() == same.len() {
                    return Ok(made);
                }
                let row = (0..same.len()).find(|row| !same.value(*row) && reached(row));
                row.map_or(Ok(made), |row| Err(self.misfit(values, row, path)))
            }
            Step::Through(plain, rest) => rest.fit(&cast(values, plain).map_err(wrong)?, path, parents),
            Step::Struct(members) => self.fit_struct(values.as_struct(), members, path),
            Step::List(element) => match &self.output {
                DataType::List(field) => fit_list::<i32>(values.as_list(), element, field, path),
                DataType::LargeList(field) => fit_list::<i64>(values.as_list(), element, field, path),
                _ => Ok(Arc::clone(values)),
            },
            Step::Map(key, value) => self.fit_map(values.as_map(), key, value, path),
        }
    }

    fn misfit(&self, values: &ArrayRef, row: usize, path: &str) -> Unfit {
        let value = array_value_to_string(values, row).unwrap_or_default();
        let value: String = value.chars().take(80).collect();
        Unfit {
            path: path.to_owned(),
            row: Some(row),
            problem: format!("{value} ({}) does not fit {}", values.data_type(), self.output),
            hint: Some("correct the value, or give the column a wider type in the table"),
        }
    }

    fn fit_struct(&self, values: &StructArray, members: &[Member], path: &str) -> Fit<ArrayRef> {
        let DataType::Struct(fields) = &self.output else { return Ok(Arc::new(values.clone())) };
        let member = |member: &Member| {
            let source = member.source().map(|at| values.column(at));
            member.fit(source, values.len(), values.nulls())
        };
        let made = members.iter().map(member).collect::<Fit<Vec<_>>>()?;
        let made = StructArray::try_new_with_length(fields.clone(), made, values.nulls().cloned(), values.len());
        made.map(|made| Arc::new(made) as ArrayRef).map_err(|e| Unfit::arrow(path, &e))
    }

    fn fit_map(&self, values: &MapArray, key: &Member, value: &Member, path: &str) -> Fit<ArrayRef> {
        let wrong = |e: ArrowError| Unfit::arrow(path, &e);
        let DataType::Map(entries, sorted) = &self.output else { return Ok(Arc::new(values.clone())) };
        let DataType::Struct(fields) = entries.data_type() else { return Ok(Arc::new(values.clone())) };
        let (offsets, start, count) = shifted(values.offsets());
        let inner = |member: &Member, of: &ArrayRef| {
            let fitted = member.fit(Some(&of.slice(start, count)), count, None);
            fitted.map_err(|unfit| unfit.within(|at| row_of(&offsets, at)))
        };
        let columns = vec![inner(key, values.keys())?, inner(value, values.values())?];
        let made = StructArray::try_new_with_length(fields.clone(), columns, None, count).map_err(wrong)?;
        let made = MapArray::try_new(Arc::clone(entries), offsets, made, values.nulls().cloned(), *sorted);
        made.map(|made| Arc::new(made) as ArrayRef).map_err(wrong)
    }
}

fn fit_list<O: OffsetSizeTrait>(
    values: &GenericListArray<O>,
    element: &Member,
    field: &FieldRef,
    path: &str,
) -> Fit<ArrayRef> {
    let tight = without_hidden(values).map_err(|e| Unfit::arrow(path, &e))?;
    let values = tight.as_ref().unwrap_or(values);
    let (offsets, start, count) = shifted(values.offsets());
    let inner = element.fit(Some(&values.values().slice(start, count)), count, None);
    let inner = inner.map_err(|unfit| unfit.within(|at| row_of(&offsets, at)))?;
    let made = GenericListArray::<O>::try_new(Arc::clone(field), offsets, inner, values.nulls().cloned());
    made.map(|made| Arc::new(made) as ArrayRef).map_err(|e| Unfit::arrow(path, &e))
}

/// The same list without elements that only null rows reach; None if there are none such.
fn without_hidden<O: OffsetSizeTrait>(values: &GenericListArray<O>) -> Result<Option<GenericListArray<O>>, ArrowError> {
    let hides = |row: usize| values.is_null(row) && values.value_length(row) > O::zero();
    if values.null_count() == 0 || !(0..values.len()).any(hides) {
        return Ok(None);
    }
    let reached = (0..values.len()).filter(|row| values.is_valid(*row));
    let range =
        |row: usize| values.value_offsets()[row].as_usize() as u64..values.value_offsets()[row + 1].as_usize() as u64;
    let kept = UInt64Array::from_iter_values(reached.flat_map(range));
    let kept = arrow_select::take::take(values.values(), &kept, None)?;
    let length = |row: usize| if values.is_valid(row) { values.value_length(row).as_usize() } else { 0 };
    let offsets = OffsetBuffer::<O>::from_lengths((0..values.len()).map(length));
    let (DataType::List(field) | DataType::LargeList(field)) = values.data_type() else { return Ok(None) };
    GenericListArray::try_new(Arc::clone(field), offsets, kept, values.nulls().cloned()).map(Some)
}

/// Offsets from zero, and where and how many the elements are that they reach.
fn shifted<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>) -> (OffsetBuffer<O>, usize, usize) {
    let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
    let (start, count) = (first.as_usize(), last.as_usize() - first.as_usize());
    if start == 0 {
        return (offsets.clone(), start, count);
    }
    let moved: ScalarBuffer<O> = offsets.iter().map(|offset| *offset - first).collect();
    (OffsetBuffer::new(moved), start, count)
}

/// The row that holds this element.
fn row_of<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>, element: usize) -> usize {
    offsets.partition_point(|offset| offset.as_usize() <= element).saturating_sub(1)
}

fn cast(values: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    if values.data_type() == to {
        return Ok(Arc::clone(values));
    }
    arrow_cast::cast_with_options(values, to, &CastOptions { safe: true, ..CastOptions::default() })
}
